"""A policy that stands is made of the model alone, and stands through what may happen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from rwmu_deploy.contract.errors import RobotSpecError
from rwmu_deploy.contract.policy_bundle import PolicyBundle
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_deploy.simulation.robot_batch import ResetRange, RobotBatch
from rwmu_deploy.simulation.robot_model import RobotModel
from rwmu_train.cli.export import main as export
from rwmu_train.environment.observation_torch import build_observation
from rwmu_train.policy.policy_network import PolicyNetwork
from rwmu_train.reference import stance as module
from rwmu_train.reference.stance import find_stance
from rwmu_train.reference.standing_policy import standing_policy

G1 = load_robot_spec("g1")


@pytest.fixture(scope="module")
def policy() -> PolicyNetwork:
    return standing_policy(G1)


def stand(policy: PolicyNetwork, velocity: float, push_mps: float = 0.0) -> np.ndarray:
    """Which of 4 robots fell in 10 s, put down with such velocities, pushed every 2 s."""
    columns, rng = TransitionColumns.of(G1), np.random.default_rng(1)
    fell = np.zeros(4, dtype=bool)
    action = np.zeros((4, G1.joint_count))
    reset = ResetRange(velocity, (1.0, 1.0))
    with RobotBatch(G1, 4, seed=0, threads=1, reset_range=reset) as batch:
        state = batch.state()
        for tick in range(500):
            if tick % 100 == 99:
                batch.push(np.arange(4), rng.uniform(-push_mps, push_mps, (4, 2)))
            inputs = (torch.from_numpy(each.astype(np.float32)) for each in (state, action))
            seen, last = inputs
            with torch.no_grad():
                answer = policy(build_observation(columns, seen, torch.zeros(4, 3), last))
            action = answer.numpy().astype(np.float64)
            outcome = batch.step(action)
            state, fell = outcome.state, fell | outcome.fell
    return fell


def test_a_humanoid_stands_where_its_default_targets_fell_it(policy: PolicyNetwork) -> None:
    assert not stand(policy, velocity=0.2).any()
    zero = PolicyNetwork(G1, (4,), "relu")
    with torch.no_grad():
        for parameter in zero.parameters():
            parameter.zero_()
    assert stand(zero, velocity=0.0).all()


def test_it_stands_through_pushes(policy: PolicyNetwork) -> None:
    assert not stand(policy, velocity=0.0, push_mps=0.3).any()


def test_at_rest_in_its_stance_it_tells_the_drives_to_hold_it(policy: PolicyNetwork) -> None:
    model = RobotModel(G1)
    stance = find_stance(model)
    columns = TransitionColumns.of(G1)
    state = np.zeros((1, columns.state_size))
    _, _, gravity = model.base_motion(stance.qpos, np.zeros(model.mj.nv))
    state[:, columns.projected_gravity.slice] = gravity
    offset = stance.qpos[model.joint_qpos] - G1.default_position_rad
    state[:, columns.joint_position_offset_rad.slice] = offset
    seen = torch.from_numpy(state.astype(np.float32))
    with torch.no_grad():
        action = policy(build_observation(columns, seen, torch.zeros(1, 3), torch.zeros(1, 29)))
    target_rad = G1.default_position_rad + G1.action_scale * action.numpy()[0]
    np.testing.assert_allclose(target_rad, stance.target_rad, atol=1e-4)


def test_a_quadruped_stands_by_its_drives_alone() -> None:
    spec = load_robot_spec("anymal_d")
    with torch.no_grad():
        action = standing_policy(spec)(torch.randn(3, 48))
    assert not action.any()


def test_a_robot_that_cannot_stand_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_STEPS", 1)
    joints = tuple(
        replace(joint, default_position_rad=0.9) if "knee" in joint.name else joint
        for joint in G1.joints
    )
    with pytest.raises(RobotSpecError, match="g1 does not stand near its default pose"):
        standing_policy(replace(G1, joints=joints))


def test_it_is_exported_by_command(tmp_path, capsys) -> None:
    assert export(["--onnx", "--stand", "anymal_d", "--out", str(tmp_path / "stand")]) == 0
    bundle = PolicyBundle.load(tmp_path / "stand", robot=load_robot_spec("anymal_d"))
    assert bundle.command_range.upper == (0.0, 0.0, 0.0)
    assert "follows no command" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--onnx", "--out", "x"], "one of --run, --rsl-rl and --stand"),
        (["--onnx", "--out", "x", "--stand", "g1", "--run", "y"], "one of --run"),
        (["--verify-only", "x", "--stand", "g1"], "--stand goes with"),
        (["--onnx", "--out", "x", "--stand", "g7"], "g7"),
    ],
)
def test_what_does_not_go_together_is_refused(words, said, capsys) -> None:
    assert export(words) == 2
    assert said in capsys.readouterr().err
