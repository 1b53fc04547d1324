"""What a state says of base and feet is what MuJoCo says."""

import mujoco
import numpy as np

from rwmu_deploy.contract.leg_model import load_leg_model
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.simulation.robot_batch import RobotBatch
from rwmu_train.gait.body_pose import BodyPose, body_pose

ROBOTS = 5


def moving(spec: RobotSpec) -> tuple[BodyPose, list[mujoco.MjData], RobotBatch]:
    """Robots that fall, each in its own way, and what MuJoCo knows of them."""
    with RobotBatch(spec, ROBOTS, seed=3, threads=1) as batch:
        rng = np.random.default_rng(0)
        for _ in range(12):
            batch.step(rng.uniform(-2.0, 2.0, (ROBOTS, spec.joint_count)))
        states = batch.state()
        qpos, qvel = batch._physics[:, batch._qpos], batch._physics[:, batch._qvel]
    known = []
    for each in range(ROBOTS):
        data = mujoco.MjData(batch.model.mj)
        data.qpos[:], data.qvel[:] = qpos[each], qvel[each]
        mujoco.mj_forward(batch.model.mj, data)
        known.append(data)
    return body_pose(spec, load_leg_model(spec), states), known, batch


def level(data: mujoco.MjData) -> np.ndarray:
    """World frame to one that is level and turned with the base."""
    ahead = data.xmat[1].reshape(3, 3)[:, 0].copy()
    ahead[2] = 0.0
    ahead /= np.linalg.norm(ahead)
    up = np.array([0.0, 0.0, 1.0])
    return np.stack([ahead, np.cross(up, ahead), up])


def test_feet_and_velocities_are_those_of_the_simulator(biped: RobotSpec) -> None:
    body, known, batch = moving(biped)
    mj = batch.model.mj
    for robot, data in enumerate(known):
        turn = level(data)
        assert abs(body.roll_rad[robot]) + abs(body.pitch_rad[robot]) > 1e-3
        np.testing.assert_allclose(body.velocity_mps[robot], turn @ data.qvel[:3], atol=1e-5)
        base = data.xmat[1].reshape(3, 3)
        np.testing.assert_allclose(body.rate_radps[robot], turn @ base @ data.qvel[3:6], atol=1e-5)
        for foot, name in enumerate(biped.foot_names):
            site = mujoco.mj_name2id(mj, mujoco.mjtObj.mjOBJ_SITE, f"{name}_touch")
            place = turn @ (data.site_xpos[site] - data.qpos[:3])
            np.testing.assert_allclose(body.foot_m[robot, foot], place, atol=1e-5)
            frame = turn @ data.xmat[mj.site_bodyid[site]].reshape(3, 3)
            np.testing.assert_allclose(body.foot_turn[robot, foot], frame, atol=1e-5)


def test_jacobian_is_that_of_the_simulator(biped: RobotSpec) -> None:
    body, known, batch = moving(biped)
    mj = batch.model.mj
    for robot, data in enumerate(known):
        turn = level(data)
        for foot, name in enumerate(biped.foot_names):
            site = mujoco.mj_name2id(mj, mujoco.mjtObj.mjOBJ_SITE, f"{name}_touch")
            linear, angular = np.zeros((3, mj.nv)), np.zeros((3, mj.nv))
            mujoco.mj_jacSite(mj, data, linear, angular, site)
            side = name.split("_")[0]
            joints = [
                i
                for i, joint in enumerate(biped.joint_names)
                if joint.startswith(f"{side}_")
                and any(part in joint for part in ("hip", "knee", "ankle"))
            ]
            columns = batch.model.joint_qvel[joints]
            expected = np.concatenate([turn @ linear[:, columns], turn @ angular[:, columns]])
            np.testing.assert_allclose(body.jacobian[robot, foot], expected, atol=1e-5)
