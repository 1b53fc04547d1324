"""A checkpoint acts on the robot as it did in rsl_rl, or is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from rwmu_deploy.contract.errors import CheckpointError, RobotSpecError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_train.export.parity import ParityError
from rwmu_train.export.rsl_rl_import import NO_SEED, NOT_STATED, StatedFacts, import_rsl_rl

State = dict[str, Tensor]
Save = Callable[..., Path]
FILES = Path(__file__).parent / "rsl_rl_files"


def refusal(path: Path, robot: RobotSpec, stated: StatedFacts) -> str:
    with pytest.raises(CheckpointError) as refused:
        import_rsl_rl(path, robot, stated)
    assert refused.value.fix
    return str(refused.value)


@pytest.mark.parametrize("version", ["2.3.3", "3.3.0", "4.0.1"])
def test_policies_act_as_in_the_rsl_rl_that_trained_them(
    version: str, robot: RobotSpec, stated: StatedFacts
):
    """Each file was trained for 2 iterations and saved by that release's OnPolicyRunner.

    The actions are what its `get_inference_policy` gave.
    """
    vectors = load_file(FILES / "vectors.safetensors")
    network = import_rsl_rl(FILES / f"{version}.pt", robot, stated).network
    mean = vectors[f"{version}.actions"]
    wanted = torch.clamp(mean, network.action_lower, network.action_upper)
    acted = network(vectors[f"{version}.observations"])
    torch.testing.assert_close(acted, wanted, rtol=0.0, atol=1e-6)
    assert mean.abs().max() > 0.5
    assert network.observation_std.min() > 0.0
    assert not torch.equal(network.observation_std, torch.ones(48))


def test_facts_say_where_a_policy_comes_from(
    actor_state: State, saved: Save, robot: RobotSpec, stated: StatedFacts
):
    path = saved({"actor_state_dict": actor_state, "iter": 1499})
    imported = import_rsl_rl(path, robot, stated)
    facts = imported.facts
    assert (facts.run_name, facts.task, facts.seed) == ("model_1499", NOT_STATED, NO_SEED)
    assert facts.training_method == "rsl_rl_4-5"
    assert facts.versions == {"rsl_rl": "4-5", "iteration": "1499"}
    assert set(facts.data_sha256) == {"model_1499.pt"}
    assert imported.taken == ("activation elu, as in Isaac Lab's tasks",)
    assert imported.comparison.count == 500
    assert imported.comparison.largest_difference <= 1e-5


# Joint order.


@pytest.fixture
def one_unit(saved: Save) -> Path:
    """elu of the first joint's position, velocity and last action commands the second joint."""
    first, last = torch.zeros(1, 48), torch.zeros(12, 1)
    first[0, [12, 24, 36]] = torch.tensor([1.0, 10.0, 100.0])
    last[1, 0] = 2.0
    mean, std = torch.zeros(1, 48), torch.full((1, 48), 0.99)
    mean[0, 12], std[0, 12] = 0.1, 0.49
    state = {
        "mlp.0.weight": first,
        "mlp.0.bias": torch.zeros(1),
        "mlp.2.weight": last,
        "mlp.2.bias": torch.zeros(12),
        "obs_normalizer._mean": mean,
        "obs_normalizer._var": std.square(),
        "obs_normalizer._std": std,
        "obs_normalizer.count": torch.tensor(5),
    }
    return saved({"actor_state_dict": state})


def _acted(path: Path, robot: RobotSpec, stated: StatedFacts, **entries: float) -> np.ndarray:
    observation = np.zeros(48, dtype=np.float32)
    for name, value in entries.items():
        observation[int(name.removeprefix("at_"))] = value
    return import_rsl_rl(path, robot, stated).network.action(observation)


def test_joints_in_the_robots_order_by_hand(one_unit: Path, robot: RobotSpec, stated: StatedFacts):
    acted = _acted(one_unit, robot, stated, at_12=0.35)
    assert acted[1] == pytest.approx(2.0 * (0.35 - 0.1) / (0.49 + 0.01))
    assert np.count_nonzero(acted) == 1


def test_joints_in_another_order_by_hand(one_unit: Path, robot: RobotSpec, stated: StatedFacts):
    """The file's order is the robot's backwards: its joints 0 and 1 are the robot's 11 and 10."""
    backwards = replace(stated, joint_order=robot.joint_names[::-1])
    acted = _acted(one_unit, robot, backwards, at_23=0.6)
    assert acted[10] == pytest.approx(2.0)
    assert np.count_nonzero(acted) == 1
    resting = 2.0 * (math.exp(-0.2) - 1.0)
    assert _acted(one_unit, robot, backwards, at_12=0.6)[10] == pytest.approx(resting)
    # Velocity: elu(10 * 0.1 - 0.2); last action: elu(100 * 0.01 - 0.2).
    assert _acted(one_unit, robot, backwards, at_35=0.1)[10] == pytest.approx(1.6)
    assert _acted(one_unit, robot, backwards, at_47=0.01)[10] == pytest.approx(1.6)


def test_any_joint_order_acts_as_rsl_rl_does_by_name(
    actor_state: State, saved: Save, robot: RobotSpec, stated: StatedFacts
):
    path = saved({"actor_state_dict": actor_state})
    rng = np.random.default_rng(4)
    acted = []
    for _ in range(3):
        order = tuple(robot.joint_names[i] for i in rng.permutation(12))
        imported = import_rsl_rl(path, robot, replace(stated, joint_order=order))
        assert imported.comparison.largest_difference <= 1e-5
        acted.append(imported.network.action(np.ones(48, dtype=np.float32)))
    assert not np.allclose(acted[0], acted[1])


def test_a_wrong_reordering_would_be_noticed(
    actor_state: State,
    saved: Save,
    robot: RobotSpec,
    stated: StatedFacts,
    monkeypatch: pytest.MonkeyPatch,
):
    backwards = replace(stated, joint_order=robot.joint_names[::-1])
    monkeypatch.setattr(
        "rwmu_train.export.rsl_rl_import.observation_positions", lambda *_: np.arange(48)
    )
    with pytest.raises(ParityError, match="differs by"):
        import_rsl_rl(saved({"actor_state_dict": actor_state}), robot, backwards)


def test_a_joint_order_of_other_joints_is_refused(
    one_unit: Path, robot: RobotSpec, stated: StatedFacts
):
    names = robot.joint_names
    with pytest.raises(RobotSpecError, match="has no joint RH_KFE"):
        import_rsl_rl(one_unit, robot, replace(stated, joint_order=names[:-1]))
    with pytest.raises(RobotSpecError, match="more than once"):
        import_rsl_rl(one_unit, robot, replace(stated, joint_order=(*names, names[0])))
    assert "has ARM" in refusal(one_unit, robot, replace(stated, joint_order=(*names, "ARM")))


# Sizes.


def test_a_policy_of_another_observation_hears_what_the_robots_is(
    actor_state: State, saved: Save, robot: RobotSpec, stated: StatedFacts
):
    state = {name: t for name, t in actor_state.items() if "normalizer" not in name}
    state["mlp.0.weight"] = torch.zeros(5, 235)
    said = refusal(saved({"actor_state_dict": state}), robot, stated)
    assert (
        "takes 235 inputs; the observation of anymal_d has 48: base_linear_velocity_mps 3" in said
    )
    assert "joint_velocity_radps 12, last_action 12" in said
    assert "height scan" in said


def test_a_noise_that_depends_on_the_observation_is_refused(
    actor_state: State, saved: Save, robot: RobotSpec, stated: StatedFacts
):
    actor_state |= {"mlp.2.weight": torch.zeros(24, 5), "mlp.2.bias": torch.zeros(24)}
    said = refusal(saved({"actor_state_dict": actor_state}), robot, stated)
    assert "gives 24 outputs (a noise that depends on the observation" in said
    assert "anymal_d has 12 joints" in said


# The normaliser that may have got lost.


@pytest.fixture
def bare(actor_state: State, saved: Save) -> Path:
    state = {name: t for name, t in actor_state.items() if "normalizer" not in name}
    return saved({"actor_state_dict": state})


def _agent(tmp_path: Path, *, normalised: str, hidden: str = "[5]", more: str = "") -> Path:
    path = tmp_path / "agent.yaml"
    path.write_text(
        f"seed: 42\nexperiment_name: anymal_d_flat\n{more}\nactor: {{hidden_dims: {hidden}, "
        f"activation: tanh, obs_normalization: {normalised}}}\n"
    )
    return path


def test_no_normaliser_is_refused_unless_somebody_knows(
    bare: Path, robot: RobotSpec, stated: StatedFacts, tmp_path: Path
):
    assert "can't say whether one got lost" in refusal(bare, robot, stated)
    unsure = replace(stated, agent_yaml=_agent(tmp_path, normalised="null"))
    assert "can't say whether one got lost" in refusal(bare, robot, unsure)
    said = import_rsl_rl(bare, robot, replace(stated, no_normaliser=True)).network
    assert torch.equal(said.observation_std, torch.ones(48))
    known = replace(stated, agent_yaml=_agent(tmp_path, normalised="false"))
    assert import_rsl_rl(bare, robot, known).network.activation == "tanh"


def test_a_lost_normaliser_is_refused_whoever_says_otherwise(
    bare: Path, robot: RobotSpec, stated: StatedFacts, tmp_path: Path
):
    agent = replace(stated, agent_yaml=_agent(tmp_path, normalised="true"))
    for entry in (agent, replace(agent, no_normaliser=True)):
        assert "agent.yaml says that it was trained with one" in refusal(bare, robot, entry)


def test_a_normaliser_that_should_not_be_there_is_refused(
    actor_state: State, saved: Save, robot: RobotSpec, stated: StatedFacts, tmp_path: Path
):
    path = saved({"actor_state_dict": actor_state})
    sure = replace(stated, no_normaliser=True)
    assert "--no-normaliser says that the policy has none" in refusal(path, robot, sure)
    agent = replace(stated, agent_yaml=_agent(tmp_path, normalised="false"))
    assert "agent.yaml says that the policy has none" in refusal(path, robot, agent)


# agent.yaml against checkpoint and robot.


def test_agent_yaml_gives_activation_task_and_seed(
    actor_state: State, saved: Save, robot: RobotSpec, stated: StatedFacts, tmp_path: Path
):
    path = saved({"actor_state_dict": actor_state})
    agent = replace(stated, agent_yaml=_agent(tmp_path, normalised="true"))
    imported = import_rsl_rl(path, robot, agent)
    assert imported.network.activation == "tanh"
    assert (imported.facts.task, imported.facts.seed) == ("anymal_d_flat", 42)
    assert set(imported.facts.data_sha256) == {"model_1499.pt", "agent.yaml"}
    assert imported.taken == ()


def test_what_does_not_agree_with_agent_yaml_is_refused(
    actor_state: State, saved: Save, robot: RobotSpec, stated: StatedFacts, tmp_path: Path
):
    path = saved({"actor_state_dict": actor_state})

    def with_agent(**settings: str) -> StatedFacts:
        return replace(stated, agent_yaml=_agent(tmp_path, normalised="true", **settings))

    other = with_agent(hidden="[5, 5]")
    assert "has the hidden sizes [5, 5], the checkpoint [5]" in refusal(path, robot, other)
    inferred = with_agent(hidden="[-1]")
    assert "has the hidden sizes [48], the checkpoint [5]" in refusal(path, robot, inferred)
    elu = replace(with_agent(), activation="elu")
    assert "--activation is elu" in refusal(path, robot, elu)
    clipped = with_agent(more="clip_actions: 1.0")
    assert "clips actions at 1; allowed is 3.2 or more" in refusal(path, robot, clipped)
    import_rsl_rl(path, robot, with_agent(more="clip_actions: 100.0"))


def test_an_activation_that_the_robot_does_not_allow_is_refused(
    actor_state: State, saved: Save, robot: RobotSpec, stated: StatedFacts
):
    path = saved({"actor_state_dict": actor_state})
    said = refusal(path, robot, replace(stated, activation="selu"))
    assert "activation is 'selu'; allowed are elu, relu, tanh" in said
