"""The G1's robot.yaml and model say what its published files say, and behave as it does."""

# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import math
from dataclasses import replace

import mujoco
import numpy as np
import pytest

from rwmu_deploy.contract.foot_columns import foot_columns
from rwmu_deploy.contract.robot_spec import JointSpec, load_robot_spec
from rwmu_deploy.contract.robot_state import position_command
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_deploy.simulation.robot_batch import RobotBatch
from rwmu_deploy.simulation.robot_model import RobotModel
from rwmu_deploy.simulation.simulated_robot import SimulatedRobot

SPEC = load_robot_spec("g1")
JOINTS: dict[str, JointSpec] = {joint.name: joint for joint in SPEC.joints}
ON_ITS_FEET = replace(SPEC, simulation=replace(SPEC.simulation, hoist_s=0.0))
FEET = ("left_ankle_roll_link", "right_ankle_roll_link")
# Rotor and gear inertia of each motor [kg m^2] and its largest torque [N m] (mjlab 1.6.0).
MOTORS = {
    "5020": (0.003609725, 25.0),
    "5020 twice": (0.00721945, 50.0),
    "7520-14": (0.01017752, 88.0),
    "7520-22": (0.025101925, 139.0),
    "4010": (0.00425, 5.0),
}


def motor_of(joint: str) -> str:
    if "wrist_pitch" in joint or "wrist_yaw" in joint:
        return "4010"
    if "ankle" in joint or joint in ("waist_roll_joint", "waist_pitch_joint"):
        return "5020 twice"
    if "knee" in joint or "hip_roll" in joint:
        return "7520-22"
    return "7520-14" if "hip" in joint or "waist" in joint else "5020"


@pytest.fixture(scope="module")
def model() -> RobotModel:
    return RobotModel(SPEC)


def test_thirty_bodies_weigh_what_the_published_robot_weighs(model: RobotModel) -> None:
    assert model.mj.nbody - 1 == 30
    assert model.total_mass_kg == pytest.approx(33.341142, abs=1e-6)
    for body, mass_kg in (("pelvis", 3.814), ("torso_link", 7.817), ("left_knee_link", 1.932)):
        assert model.mj.body(body).mass.item() == mass_kg


def test_a_row_is_156_columns(model: RobotModel) -> None:
    columns = TransitionColumns.of(SPEC)
    sizes = {block.name: block.size for block in columns.blocks}
    assert columns.state_size == 96
    assert sizes["action"] == 29
    assert sizes["extension"] == 4
    assert sizes["contact"] == 26
    assert columns.count == 156
    assert foot_columns(SPEC) is not None


def test_joints_stand_in_the_order_of_the_motors_on_the_wire() -> None:
    leg = ("hip_pitch", "hip_roll", "hip_yaw", "knee", "ankle_pitch", "ankle_roll")
    arm = ("shoulder_pitch", "shoulder_roll", "shoulder_yaw", "elbow")
    arm += ("wrist_roll", "wrist_pitch", "wrist_yaw")
    order = [f"{side}_{name}_joint" for side in ("left", "right") for name in leg]
    order += [f"waist_{name}_joint" for name in ("yaw", "roll", "pitch")]
    order += [f"{side}_{name}_joint" for side in ("left", "right") for name in arm]
    assert SPEC.joint_names == tuple(order)


@pytest.mark.parametrize("name", SPEC.joint_names)
def test_gains_and_scale_follow_from_the_motor(model: RobotModel, name: str) -> None:
    armature, effort_nm = MOTORS[motor_of(name)]
    turns = 2.0 * math.pi * 10.0
    joint = JOINTS[name]
    assert model.mj.joint(name).damping.item() == 0.0
    assert model.mj.dof_armature[model.mj.joint(name).dofadr].item() == armature
    assert joint.kp_nm_per_rad == pytest.approx(armature * turns**2, rel=1e-7)
    assert joint.kd_nms_per_rad == pytest.approx(2.0 * 2.0 * armature * turns, rel=1e-7)
    assert joint.action_scale == pytest.approx(0.25 * effort_nm / joint.kp_nm_per_rad, rel=1e-6)


def test_ankles_and_waist_may_give_what_the_newest_urdf_allows() -> None:
    weak = {name for name in JOINTS if motor_of(name) == "5020 twice"}
    assert len(weak) == 6
    for name, joint in JOINTS.items():
        wanted = 35.0 if name in weak else MOTORS[motor_of(name)][1]
        assert joint.effort_limit_nm == wanted, name


def test_the_models_stops_are_the_ranges_of_the_robot_yaml(model: RobotModel) -> None:
    for name, joint in JOINTS.items():
        assert model.mj.joint(name).range.tolist() == [joint.lower_rad, joint.upper_rad]


def test_mirror_images_are_mutual_and_name_everything() -> None:
    mirror = SPEC.symmetry.left_right
    assert set(mirror) == {*SPEC.joint_names, *SPEC.contact_names, *SPEC.extension_names}
    assert all(mirror[mirror[name]] == name for name in mirror)
    alone = {name for name, image in mirror.items() if name == image}
    waist = {f"waist_{name}_joint" for name in ("yaw", "roll", "pitch")}
    assert alone == {*waist, "pelvis", "torso_link"}


def test_a_mirrored_pose_is_the_mirror_image_of_the_pose(model: RobotModel) -> None:
    mirror, negated = SPEC.symmetry.left_right, SPEC.symmetry.left_right_negated
    pose = np.random.default_rng(0).uniform(-0.5, 0.5, SPEC.joint_count)
    image = np.array(
        [
            pose[SPEC.joint_names.index(mirror[name])] * (-1.0 if name in negated else 1.0)
            for name in SPEC.joint_names
        ]
    )
    places = {}
    for key, position in (("pose", pose), ("image", image)):
        data = mujoco.MjData(model.mj)
        data.qpos[model.joint_qpos] = position
        mujoco.mj_kinematics(model.mj, data)
        places[key] = {name: data.body(name).xipos.copy() for name in SPEC.contact_names}
    for name in SPEC.contact_names:
        # Centres of mass; a few published ones are off the middle by less than half a millimetre.
        wanted = places["pose"][mirror[name]] * (1.0, -1.0, 1.0)
        np.testing.assert_allclose(places["image"][name], wanted, atol=1e-3)


def test_in_the_default_pose_nothing_touches_and_the_soles_are_level(model: RobotModel) -> None:
    data = mujoco.MjData(model.mj)
    data.qpos[:7] = (0.0, 0.0, SPEC.simulation.initial_height_m, 1.0, 0.0, 0.0, 0.0)
    data.qpos[model.joint_qpos] = SPEC.default_position_rad
    mujoco.mj_forward(model.mj, data)
    assert data.ncon == 0
    assert model.extension(data.sensordata)[:2] == pytest.approx([0.003, 0.003], abs=0.001)
    # Published: 6 mrad of pitch, and the soles touch at 0.757 m.
    toes = data.geom("left_sole_outside").xmat.reshape(3, 3)[2, 2]
    assert abs(toes) == pytest.approx(math.sin(0.006), abs=0.001)


def test_until_it_is_commanded_it_hangs_and_then_as_long_as_standing_up_takes() -> None:
    robot = SimulatedRobot(SPEC)
    robot.advance(3.0)
    assert robot.base_height_m == pytest.approx(SPEC.simulation.initial_height_m, abs=0.01)
    stand = position_command(SPEC, SPEC.default_position_rad)
    for step in range(1, 221):
        robot.send(stand)
        robot.advance(3.0 + 0.02 * step)
        if step == 100:
            assert robot.base_height_m == pytest.approx(0.76, abs=0.01)
    assert robot.fell
    robot.reset()
    robot.advance(9.0)
    assert not robot.fell


def test_held_in_its_default_pose_it_falls_forward_as_the_real_one_would() -> None:
    """No published gains balance it: two ankles are too soft for a body this high."""
    robot = SimulatedRobot(ON_ITS_FEET)
    robot.advance(1.2)
    assert robot.latest_state().projected_gravity[2] < -math.cos(math.pi / 4)
    robot.advance(1.35)
    gravity = robot.latest_state().projected_gravity
    assert gravity[2] > -math.cos(math.pi / 4)
    assert gravity[0] > 0.5
    assert abs(gravity[1]) < 0.05
    robot.advance(2.0)
    assert robot.fell


def fix_stand_gains() -> tuple[np.ndarray, np.ndarray]:
    """Unitree's own for standing: kp and kd in the order of the wire."""
    kp = [100.0, 100.0, 100.0, 150.0, 40.0, 40.0] * 2 + [200.0] * 3 + [40.0] * 14
    kd = [2.0, 2.0, 2.0, 4.0, 2.0, 2.0] * 2 + [5.0] * 3 + [10.0] * 14
    return np.array(kp), np.array(kd)


@pytest.mark.parametrize(
    ("kp", "kd", "duration_s"),
    [(SPEC.kp_nm_per_rad, SPEC.kd_nms_per_rad, 3.0), (*fix_stand_gains(), 10.0)],
    ids=["own gains", "stiffer gains"],
)
def test_it_stands_once_its_ankles_answer_to_its_centre_of_mass(
    kp: np.ndarray, kd: np.ndarray, duration_s: float
) -> None:
    """Ankles += (450 (com - ankle - 0.032 m) + 120 com speed) / (2 kp), all else held.

    With its own, softer gains it sinks at hips and knees and falls after 4.7 s all the same.
    """
    model = RobotModel(SPEC)
    mj, data = model.mj, mujoco.MjData(model.mj)
    mj.actuator_gainprm[model.joint_actuator, 0] = kp
    mj.actuator_biasprm[model.joint_actuator, 1] = -kp
    mj.actuator_biasprm[model.joint_actuator, 2] = -kd
    data.qpos[:7] = (0.0, 0.0, SPEC.simulation.initial_height_m, 1.0, 0.0, 0.0, 0.0)
    data.qpos[model.joint_qpos] = SPEC.default_position_rad
    pitch = ("left_ankle_pitch_joint", "right_ankle_pitch_joint")
    ankles = [SPEC.joint_names.index(name) for name in pitch]
    for _ in range(round(duration_s / mj.opt.timestep)):
        mujoco.mj_forward(mj, data)
        mujoco.mj_subtreeVel(mj, data)
        ankle_m = np.mean([data.joint(name).xanchor[0] for name in pitch])
        lean_m = data.subtree_com[1, 0] - ankle_m - 0.032
        target = SPEC.default_position_rad.copy()
        target[ankles] += (450.0 * lean_m + 120.0 * data.subtree_linvel[1, 0]) / (2.0 * kp[ankles])
        data.ctrl[model.joint_actuator] = target
        mujoco.mj_step(mj, data)
    assert data.qpos[2] == pytest.approx(0.75, abs=0.015)
    assert data.body("pelvis").xmat[8] > math.cos(0.4)


def test_a_batch_fills_contacts_and_extension_as_the_single_robot_does() -> None:
    robot = SimulatedRobot(ON_ITS_FEET)
    with RobotBatch(SPEC, 2, seed=0, threads=1) as batch:
        for step in range(1, 61):
            outcome = batch.step(np.zeros((2, 29)))
            robot.advance(0.02 * step)
    alone = robot.latest_state()
    # Yaw is drawn, and what these columns say does not depend on it.
    np.testing.assert_allclose(outcome.extension, np.tile(alone.extension, (2, 1)), atol=2e-3)
    assert outcome.contact[:, -2:].all()
    assert not outcome.contact[:, :-2].any()
    height_m, speed_mps = outcome.extension[:, :2], outcome.extension[:, 2:]
    assert (np.abs(height_m) < 0.03).all()
    assert (speed_mps >= 0.0).all()
    assert SPEC.contact_names[-2:] == FEET
