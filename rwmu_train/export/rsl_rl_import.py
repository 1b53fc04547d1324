"""A policy that rsl_rl trained elsewhere, as ours: its actor, its normaliser, and our clip.

A checkpoint holds numbers only. Robot, joint order, gains, time step, action scale, activation and
command range are stated by whoever brings it, in a robot.yaml and in options.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rsl_rl.models import MLPModel
from tensordict import TensorDict

from rwmu_deploy.contract.action import action_bounds
from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.errors import CheckpointError
from rwmu_deploy.contract.observation import observation_size, observation_terms
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_train.export.agent_yaml import AgentYaml, read_agent_yaml
from rwmu_train.export.check_observations import random_observations
from rwmu_train.export.joint_reordering import joint_positions, observation_positions
from rwmu_train.export.parity import Comparison, compare_policies
from rwmu_train.export.rsl_rl_file import RslRlFile, read_rsl_rl_file
from rwmu_train.policy.policy_checkpoint import PolicyFacts
from rwmu_train.policy.policy_network import ACTIVATIONS, PolicyNetwork

DEFAULT_ACTIVATION = "elu"
NOT_STATED = "not-stated"
NO_SEED = -1
_COMPARED = 500


@dataclass(frozen=True)
class StatedFacts:
    """What a checkpoint doesn't say."""

    command_range: CommandRange
    """Velocity commands of the training."""
    task: str | None = None
    """None: what agent.yaml calls the experiment."""
    name: str | None = None
    """Of the run; None: the file's name without its ending."""
    activation: str | None = None
    """None: what agent.yaml says, or else elu."""
    joint_order: tuple[str, ...] | None = None
    """The policy's; None: the robot's."""
    agent_yaml: Path | None = None
    """Isaac Lab's params/agent.yaml of the training."""
    no_normaliser: bool = False
    """Somebody who knows says that the policy was trained without one."""


@dataclass(frozen=True)
class ImportedPolicy:
    """A policy from elsewhere, held against rsl_rl's own network."""

    network: PolicyNetwork
    """In the robot's joint order."""
    facts: PolicyFacts
    comparison: Comparison
    """rsl_rl's network in the policy's joint order, asked by joint name, and ours."""
    taken: tuple[str, ...]
    """What nobody stated and what stands for it."""


def import_rsl_rl(path: Path, spec: RobotSpec, stated: StatedFacts) -> ImportedPolicy:
    """Read a checkpoint as a policy of a robot.

    Raises:
        CheckpointError: The file can't be trusted, is of other sizes than the robot's observation
            and joints, has no normaliser though nobody knows that it needs none, or differs from
            what agent.yaml or the options say.
        RobotSpecError: The joint order misses a joint of the robot.
        ParityError: What was read acts otherwise than rsl_rl's own network.
    """
    file = read_rsl_rl_file(path)
    agent = None if stated.agent_yaml is None else read_agent_yaml(stated.agent_yaml)
    require_sizes(path, file, spec)
    _require_normaliser(path, file, agent, acknowledged=stated.no_normaliser)
    if agent is not None:
        _require_agreement(stated.agent_yaml, agent, file, spec)
    activation, taken = _activation(stated, agent)
    network = network_of_file(file, spec, activation, stated.joint_order)
    facts = _facts(path, file, spec, stated, agent)
    observations = random_observations(facts, _COMPARED, np.random.default_rng(0))
    original = _RslRlActor(file, activation, spec, stated.joint_order or spec.joint_names)
    compared = compare_policies(network, original, {"random": observations})["random"]
    return ImportedPolicy(network, facts, compared, taken)


def network_of_file(
    file: RslRlFile, spec: RobotSpec, activation: str, joint_order: Sequence[str] | None
) -> PolicyNetwork:
    """The policy in the robot's joint order.

    Args:
        file: Of the robot's sizes (`require_sizes`).
        spec: The robot.
        activation: Between its layers.
        joint_order: The file's; None where it is the robot's.

    Raises:
        CheckpointError: An activation that the robot's loader doesn't allow.
        RobotSpecError: The joint order misses a joint of the robot.
    """
    order = spec.joint_names if joint_order is None else joint_order
    joint = joint_positions(order, spec.joint_names, what="the checkpoint's joint order")
    entry = observation_positions(spec, joint)
    layers = list(file.layers)
    layers[0] = (layers[0][0][:, entry], layers[0][1])
    layers[-1] = (layers[-1][0][joint], layers[-1][1][joint])
    normaliser = file.normaliser and {name: v[:, entry] for name, v in file.normaliser.items()}
    ours = RslRlFile(tuple(layers), normaliser, file.written_by, file.iteration, file.sha256)
    return PolicyNetwork.from_rsl_rl(_rsl_rl_model(ours, activation), spec)


def require_sizes(path: Path, file: RslRlFile, spec: RobotSpec) -> None:
    """Refuse a policy of another observation or of another number of joints.

    Raises:
        CheckpointError: It is one.
    """
    inputs, outputs = file.sizes[0], file.sizes[-1]
    if inputs != observation_size(spec):
        terms = ", ".join(f"{term.name} {term.size}" for term in observation_terms(spec))
        raise CheckpointError(
            f"{path} takes {inputs} inputs; the observation of {spec.name} has "
            f"{observation_size(spec)}: {terms}",
            fix="Train on these, in this order (Isaac Lab's flat velocity task has them; a height "
            "scan or a history is not built here), or give the robot.yaml of its robot.",
        )
    if outputs != spec.joint_count:
        twice = " (a noise that depends on the observation, or a Beta distribution)"
        raise CheckpointError(
            f"{path} gives {outputs} outputs{twice if outputs == 2 * spec.joint_count else ''}; "
            f"{spec.name} has {spec.joint_count} joints",
            fix="Train with one action a joint and a noise of its own, or give the robot.yaml of "
            "its robot.",
        )


def _require_normaliser(
    path: Path, file: RslRlFile, agent: AgentYaml | None, *, acknowledged: bool
) -> None:
    """A normaliser that got lost can't be seen in the file, so somebody must know of its lack."""
    normalises = agent and agent.normalises
    if file.normaliser is not None and (normalises is False or acknowledged):
        who = "--no-normaliser" if acknowledged else "agent.yaml"
        raise CheckpointError(
            f"{path} has an observation normaliser, {who} says that the policy has none",
            fix="Give the checkpoint and the agent.yaml of one training, and leave out "
            "--no-normaliser.",
        )
    if file.normaliser is None and normalises:
        raise CheckpointError(
            f"{path} has no observation normaliser, agent.yaml says that it was trained with one",
            fix="Give the whole model_*.pt as rsl_rl saved it.",
        )
    if file.normaliser is None and normalises is None and not acknowledged:
        raise CheckpointError(
            f"{path} has no observation normaliser and can't say whether one got lost",
            fix="Give --agent-yaml with the training's params/agent.yaml, or --no-normaliser if "
            "you know that it was trained without.",
        )


def _require_agreement(
    path: Path | None, agent: AgentYaml, file: RslRlFile, spec: RobotSpec
) -> None:
    inputs, *hidden, _ = file.sizes
    wanted = [inputs if size == -1 else size for size in agent.hidden_sizes]
    if wanted != hidden:
        raise CheckpointError(
            f"{path} has the hidden sizes {wanted}, the checkpoint {hidden}; they must agree",
            fix="Give the checkpoint and the agent.yaml of one training.",
        )
    furthest = float(np.abs(action_bounds(spec)).max())
    if agent.clip_actions is not None and not agent.clip_actions >= furthest:
        raise CheckpointError(
            f"{path} clips actions at {agent.clip_actions:g}; allowed is {furthest:g} or more, as "
            f"a bundle clips at the joint limits of {spec.name} and nowhere else",
            fix="Train without clip_actions, or set the limits in robot.yaml accordingly.",
        )


def _activation(stated: StatedFacts, agent: AgentYaml | None) -> tuple[str, tuple[str, ...]]:
    if agent is not None and stated.activation not in (None, agent.activation):
        raise CheckpointError(
            f"--activation is {stated.activation}, {stated.agent_yaml} says {agent.activation}; "
            "they must agree",
            fix="Leave out --activation.",
        )
    said = stated.activation if agent is None else agent.activation
    activation = said or DEFAULT_ACTIVATION
    if activation not in ACTIVATIONS:
        raise CheckpointError(
            f"activation is {activation!r}; allowed are {', '.join(ACTIVATIONS)}",
            fix="Train with one of these.",
        )
    return activation, () if said else (f"activation {activation}, as in Isaac Lab's tasks",)


def _facts(
    path: Path,
    file: RslRlFile,
    spec: RobotSpec,
    stated: StatedFacts,
    agent: AgentYaml | None,
) -> PolicyFacts:
    sources = {path.name: file.sha256}
    if agent is not None and stated.agent_yaml is not None:
        sources[stated.agent_yaml.name] = agent.sha256
    iteration = {} if file.iteration is None else {"iteration": str(file.iteration)}
    return PolicyFacts(
        robot=spec,
        task=stated.task or (agent and agent.experiment) or NOT_STATED,
        command_range=stated.command_range,
        training_method=f"rsl_rl_{file.written_by}",
        run_name=stated.name or path.stem,
        seed=NO_SEED if agent is None or agent.seed is None else agent.seed,
        data_sha256=sources,
        versions={"rsl_rl": file.written_by, **iteration},
    )


def _rsl_rl_model(file: RslRlFile, activation: str) -> MLPModel:
    """rsl_rl's own network with the file's numbers."""
    inputs, *hidden, outputs = file.sizes
    model = MLPModel(
        TensorDict({"policy": torch.zeros(1, inputs)}, batch_size=[1]),
        {"actor": ["policy"]},
        "actor",
        outputs,
        hidden,
        activation,
        obs_normalization=file.normaliser is not None,
    )
    state = {
        f"mlp.{2 * i}.{kind}": tensor
        for i, layer in enumerate(file.layers)
        for kind, tensor in zip(("weight", "bias"), layer, strict=True)
    }
    for name, tensor in (file.normaliser or {}).items():
        state[f"obs_normalizer.{name}"] = tensor
        state["obs_normalizer.count"] = torch.tensor(1)
    model.load_state_dict(state)
    return model.eval()


class _RslRlActor:
    """rsl_rl's network as the file has it, with joints found by their names."""

    def __init__(
        self, file: RslRlFile, activation: str, spec: RobotSpec, joint_order: Sequence[str]
    ) -> None:
        self._model = _rsl_rl_model(file, activation)
        self._spec = spec
        self._order = joint_order

    @torch.no_grad()
    def action(self, observation: NDArray[np.float32]) -> NDArray[np.float64]:
        names = self._spec.joint_names
        theirs: list[float] = []
        for term in observation_terms(self._spec):
            value = dict(zip(term.labels, observation[term.slice].tolist(), strict=True))
            theirs += [value[name] for name in (self._order if term.labels == names else value)]
        rows = TensorDict({"policy": torch.tensor([theirs])}, batch_size=[1])
        answer = dict(zip(self._order, self._model(rows)[0].tolist(), strict=True))
        return np.clip([answer[name] for name in names], *action_bounds(self._spec))
