import mujoco
import numpy as np
import pytest
import torch

from rwmu_deploy.simulation.robot_batch import ResetRange, RobotBatch
from rwmu_deploy.simulation.robot_model import RobotModel
from rwmu_train.reference.foot_inverse import fit_legs
from rwmu_train.reference.scripted_trot import ScriptedTrot, trot_demonstrations
from rwmu_train.task.velocity_task import find_task


def test_feet_go_where_the_fit_says(spec) -> None:
    model = RobotModel(spec)
    data = mujoco.MjData(model.mj)
    rng = np.random.default_rng(1)
    for foot, leg in zip(spec.foot_names, fit_legs(spec), strict=True):
        assert {spec.joint_names[j][:2] for j in leg.joints} == {foot[:2]}
        for offset in rng.uniform(-0.1, 0.1, (20, 3)):
            data.qpos[:] = 0.0
            data.qpos[3] = 1.0
            joints = spec.default_position_rad.copy()
            joints[leg.joints] += leg.joint_offset_rad(offset[None])[0]
            data.qpos[model.joint_qpos] = joints
            mujoco.mj_kinematics(model.mj, data)
            reached = data.site(f"{foot}_touch").xpos
            np.testing.assert_allclose(reached, leg.foot_in_base_m + offset, atol=0.02)


def test_diagonal_feet_swing_together(spec) -> None:
    trot = ScriptedTrot(spec, np.zeros(1))
    cycle = dict(zip(spec.foot_names, trot._half_cycle, strict=True))
    assert cycle["LF_FOOT"] == cycle["RH_FOOT"] != cycle["RF_FOOT"] == cycle["LH_FOOT"]


@pytest.mark.parametrize(("axis", "column"), [(0, 0), (1, 1), (2, 5)])
def test_the_robot_goes_where_it_is_told(spec, axis, column) -> None:
    trot = ScriptedTrot(spec, np.zeros(2))
    calm = ResetRange(base_velocity=0.0, joint_factor=(1.0, 1.0))
    command = np.zeros((2, 3))
    command[:, axis] = (0.5, -0.5)
    velocity = []
    with RobotBatch(spec, 2, seed=0, reset_range=calm) as robots:
        state = robots.state()
        for _ in range(200):
            outcome = robots.step(trot.action(state, command))
            state = outcome.state
            velocity.append(state[:, column])
            assert not outcome.fell.any()
    forward, backward = np.mean(velocity[100:], axis=0)
    assert 0.3 < forward < 0.7
    assert -0.7 < backward < -0.3


def test_demonstrations_label_what_the_script_would_do_without_the_noise(spec) -> None:
    task = find_task("anymal_d_flat")
    shown = trot_demonstrations(spec, task, robots=4, seconds=1.0, seed=0)
    assert shown.observation.shape[1] == 48
    assert 40 < len(shown.action) <= 4 * 25
    # The action that was applied last carries the noise, the label does not.
    noisy = shown.observation[1:, 36:] - shown.action[:-1]
    assert noisy.abs().mean() > 0.1
    assert torch.isfinite(shown.observation).all()
