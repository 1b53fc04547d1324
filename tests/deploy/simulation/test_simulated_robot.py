"""The MuJoCo robot behind the robot port."""

# mujoco's compiled modules carry no types.
# pyright: reportAttributeAccessIssue=false

from dataclasses import replace

import mujoco
import numpy as np
import pytest

from rwmu_deploy.contract.errors import RobotLinkError, RobotSpecError
from rwmu_deploy.contract.robot_spec import RobotSpec, load_robot_spec, robot_folder
from rwmu_deploy.contract.robot_state import JointCommand, damping_command, position_command
from rwmu_deploy.simulation.simulated_robot import SimulatedRobot


@pytest.fixture(scope="module")
def spec() -> RobotSpec:
    return load_robot_spec("anymal_d")


@pytest.fixture
def robot(spec) -> SimulatedRobot:
    return SimulatedRobot(spec)


def drive(robot, command, start_s, seconds):
    """Repeat a command at 50 Hz; returns the heights."""
    heights = []
    for tick in range(round(seconds / 0.02)):
        robot.send(command)
        robot.advance(start_s + (tick + 1) * 0.02)
        heights.append(robot.base_height_m)
    return np.array(heights)


def test_weighs_what_its_source_says(robot):
    assert robot.total_mass_kg == pytest.approx(51.63574, abs=1e-9)


def test_stands_ten_seconds_under_commands_of_the_default_pose(robot, spec):
    robot.advance(1.0)
    settled_m = robot.base_height_m
    heights = drive(robot, position_command(spec, spec.default_position_rad), 1.0, 10.0)
    assert np.abs(heights - settled_m).max() < 0.02
    state = robot.latest_state()
    assert state.projected_gravity == pytest.approx([0.0, 0.0, -1.0], abs=0.02)
    assert state.contact.tolist() == [0.0] * 4 + [1.0] * 4
    assert not robot.fell


def test_stands_by_itself_before_the_first_command(robot):
    robot.advance(3.0)
    assert 0.5 < robot.base_height_m < 0.6
    assert not robot.fell


def test_standing_feet_carry_its_weight_through_the_torque_sensors(robot):
    robot.advance(2.0)
    state = robot.latest_state()
    hfe, kfe = state.joint_torque_nm[4:8], state.joint_torque_nm[8:12]
    assert np.abs(hfe).max() < 80.0
    assert np.abs(kfe).min() > 5.0


def test_damping_command_has_no_position_torque(robot, spec):
    robot.advance(1.0)
    command = damping_command(spec, spec.default_position_rad + 0.5)
    robot.send(command)
    robot.advance(1.0 + 0.005)
    at_rest = robot.latest_state()
    assert np.abs(at_rest.joint_torque_nm).max() < 0.1
    drive(robot, command, 1.005, 0.1)
    before = robot.latest_state().joint_velocity_radps
    robot.advance(1.005 + 0.1 + 0.005)
    torque = robot.latest_state().joint_torque_nm
    assert np.abs(before).max() > 0.1
    np.testing.assert_allclose(torque, -5.0 * before, atol=0.3)


def test_damping_lets_the_robot_sink_until_its_base_touches(robot, spec):
    robot.advance(1.0)
    heights = drive(robot, damping_command(spec, spec.default_position_rad), 1.0, 4.0)
    assert heights[-1] < 0.3


def is_damping(robot):
    """The torque of 85 N m/rad times 0.3 rad is far beyond this."""
    state = robot.latest_state()
    most_nm = 5.0 * np.abs(state.joint_velocity_radps).max() + 2
    return bool(np.abs(state.joint_torque_nm).max() <= most_nm)


def test_damps_by_itself_when_commands_stop_and_follows_the_third_in_a_row(robot, spec):
    robot.advance(1.0)
    far = spec.default_position_rad.copy()
    far[4:8] += 0.3
    robot.send(position_command(spec, far))
    robot.advance(1.1)
    assert np.abs(robot.latest_state().joint_torque_nm[4:8]).max() > 10.0
    robot.advance(1.12)
    assert is_damping(robot)
    for now_s in (1.14, 1.16):
        # One alone may be left over from a process that was frozen.
        robot.send(position_command(spec, far))
        robot.advance(now_s)
        assert is_damping(robot)
    state = robot.latest_state()
    robot.send(position_command(spec, far))
    robot.advance(1.165)
    expected = 85.0 * (far - state.joint_position_rad) - 0.6 * state.joint_velocity_radps
    np.testing.assert_allclose(
        robot.latest_state().joint_torque_nm, np.clip(expected, -80, 80), atol=1.0
    )


def test_silence_between_leftovers_begins_the_count_anew(robot, spec):
    far = spec.default_position_rad + 0.3
    drive(robot, position_command(spec, far), 0.0, 0.1)
    for now_s in (0.4, 0.6, 0.8, 1.0):
        robot.advance(now_s)
        robot.send(position_command(spec, far))
        robot.advance(now_s + 0.05)
        assert is_damping(robot)


def test_damping_after_silence_is_followed_at_once(robot, spec):
    robot.advance(1.0)
    robot.send(position_command(spec, spec.default_position_rad))
    robot.advance(1.3)
    strong = replace(
        damping_command(spec, spec.default_position_rad), kd_nms_per_rad=np.full(12, 50.0)
    )
    before = robot.latest_state().joint_velocity_radps
    robot.send(strong)
    robot.advance(1.305)
    torque = robot.latest_state().joint_torque_nm
    np.testing.assert_allclose(torque, np.clip(-50.0 * before, -80, 80), atol=8.0)


def test_effort_saturates_in_the_actuator(robot, spec):
    robot.advance(1.0)
    far = spec.default_position_rad.copy()
    far[8:10] += 1.5
    robot.send(position_command(spec, far))
    robot.advance(1.005)
    assert robot.latest_state().joint_torque_nm[8] == pytest.approx(80.0)


@pytest.mark.parametrize("joint", range(12))
def test_every_command_drives_the_joint_of_its_name(spec, joint):
    robot, untouched = SimulatedRobot(spec), SimulatedRobot(spec)
    offset = 0.3 * np.eye(12)[joint]
    robot.send(position_command(spec, spec.default_position_rad + offset))
    robot.advance(0.005)
    np.testing.assert_allclose(robot.latest_state().joint_torque_nm, 85.0 * offset, atol=1e-9)
    robot.advance(0.02)
    untouched.advance(0.02)
    moved = robot.latest_state().joint_position_rad - untouched.latest_state().joint_position_rad
    assert np.argmax(np.abs(moved)) == joint
    assert moved[joint] > 0.005


def test_joints_are_mapped_by_name_not_by_index(spec):
    shuffled = replace(spec, joints=spec.joints[::-1])
    straight, reversed_ = SimulatedRobot(spec), SimulatedRobot(shuffled)
    target = spec.default_position_rad + np.linspace(-0.1, 0.1, 12)
    straight.send(position_command(spec, target))
    reversed_.send(position_command(shuffled, target[::-1].copy()))
    straight.advance(0.1)
    reversed_.advance(0.1)
    for field in ("joint_position_rad", "joint_velocity_radps", "joint_torque_nm"):
        np.testing.assert_array_equal(
            getattr(straight.latest_state(), field), getattr(reversed_.latest_state(), field)[::-1]
        )


def test_base_velocity_is_that_of_the_centre_of_mass(robot):
    """Against MuJoCo's own velocity of the body's inertial frame."""
    rng = np.random.default_rng(5)
    model, data = robot._model.mj, robot._data
    quaternion = rng.normal(size=4)
    data.qpos[2], data.qpos[3:7] = 5.0, quaternion / np.linalg.norm(quaternion)
    data.qvel[:] = rng.normal(size=18)
    robot.advance(0.005)
    mujoco.mj_forward(model, data)
    base, velocity = model.body("base").id, np.zeros(6)
    mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_BODY, base, velocity, 0)
    world_to_base = data.xmat[base].reshape(3, 3).T
    state = robot.latest_state()
    np.testing.assert_allclose(
        state.base_linear_velocity_mps, world_to_base @ velocity[3:], atol=1e-9
    )
    np.testing.assert_allclose(
        state.base_angular_velocity_radps, world_to_base @ velocity[:3], atol=1e-9
    )
    np.testing.assert_allclose(state.projected_gravity, world_to_base @ [0, 0, -1], atol=1e-9)


def test_physics_follows_the_clock_in_whole_steps(robot):
    for tick in range(1, 501):
        robot.advance(tick * 0.02)
        assert robot.latest_state().received_s == pytest.approx(tick * 0.02, abs=1e-9)
    robot.advance(5.0)
    assert robot.time_s == pytest.approx(10.0)


def test_physics_may_take_other_steps_than_the_model_files(spec):
    finer = SimulatedRobot(spec, physics_dt_s=0.002)
    drive(finer, position_command(spec, spec.default_position_rad), 0.0, 2.0)
    assert finer.time_s == pytest.approx(2.0)
    assert finer.base_height_m == pytest.approx(0.55, abs=0.05)
    finer.advance(2.003)
    assert finer.time_s == pytest.approx(2.002)
    with pytest.raises(RobotSpecError, match=r"0\.003 s"):
        SimulatedRobot(spec, physics_dt_s=0.003)
    for nothing in (0.0, -0.002, float("nan"), float("inf")):
        with pytest.raises(RobotSpecError, match="a finite time above 0"):
            SimulatedRobot(spec, physics_dt_s=nothing)


def test_resuming_passes_no_physics_but_makes_the_state_current(robot):
    robot.advance(1.0)
    before = robot.latest_state()
    robot.resume_at(500.0)
    after = robot.latest_state()
    assert after.received_s == pytest.approx(500.0)
    np.testing.assert_array_equal(after.joint_position_rad, before.joint_position_rad)
    robot.advance(500.02)
    assert robot.latest_state().received_s == pytest.approx(500.02)


def test_real_time_never_computes_more_than_its_limit_and_counts_what_it_drops(robot):
    robot.advance_in_real_time(0.02)
    assert robot.dropped_s == 0.0
    steps = robot._steps
    robot.advance_in_real_time(10.02)
    assert robot._steps - steps == 40
    assert robot.dropped_s == pytest.approx(9.8)
    assert robot.latest_state().received_s == pytest.approx(10.02, abs=0.005)


def test_pause_of_the_controller_shows_in_real_time_too(robot, spec):
    robot.advance(1.0)
    robot.send(position_command(spec, spec.default_position_rad))
    robot.advance_in_real_time(4.0)
    state = robot.latest_state()
    np.testing.assert_allclose(state.joint_torque_nm, -5.0 * state.joint_velocity_radps, atol=2.0)


def test_measurements_handed_out_never_change(robot):
    state = robot.latest_state()
    copy = state.joint_position_rad.copy()
    robot.advance(0.2)
    np.testing.assert_array_equal(state.joint_position_rad, copy)
    assert robot.latest_state() is not state


def test_reset_puts_it_back_into_its_first_state_but_keeps_the_clock(robot, spec):
    first = robot.latest_state()
    robot.send(damping_command(spec, spec.default_position_rad))
    robot.advance(2.0)
    robot.reset()
    again = robot.latest_state()
    np.testing.assert_array_equal(again.joint_position_rad, first.joint_position_rad)
    np.testing.assert_array_equal(again.joint_torque_nm, first.joint_torque_nm)
    assert again.received_s == pytest.approx(2.0)
    robot.advance(4.0)
    assert robot.base_height_m > 0.5


@pytest.mark.parametrize("field", ["position_rad", "kp_nm_per_rad", "kd_nms_per_rad"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_command_that_is_not_finite_is_refused_and_the_old_one_stays(robot, spec, field, value):
    command = position_command(spec, spec.default_position_rad)
    values = getattr(command, field).copy()
    values[2] = value
    with pytest.raises(RobotLinkError):
        robot.send(replace(command, **{field: values}))
    robot.advance(1.0)
    assert robot.base_height_m > 0.5


def test_command_of_another_size_or_with_negative_gains_is_refused(robot):
    twelve = np.zeros(12)
    for command in (
        JointCommand(np.zeros(11), twelve, twelve),
        JointCommand(twelve, twelve - 1.0, twelve),
    ):
        with pytest.raises(RobotLinkError):
            robot.send(command)


def test_time_that_is_not_finite_is_refused(robot):
    with pytest.raises(RobotLinkError):
        robot.advance(float("nan"))


def test_model_is_the_one_that_the_spec_names(spec):
    assert (robot_folder("anymal_d") / spec.simulation.mjcf).is_file()
