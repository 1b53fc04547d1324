"""A policy of ours as a checkpoint that rsl_rl's `OnPolicyRunner.load` takes.

So Isaac Lab's play script runs it. rsl_rl has no place for what it doesn't need: our clip at the
joint limits stays here, and what only a training needs is made anew (critic, noise of standard
deviation 1, optimiser without memory).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rsl_rl.models import MLPModel
from rsl_rl.modules import EmpiricalNormalization
from tensordict import TensorDict
from torch import Tensor

from rwmu_deploy.contract.errors import CheckpointError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_train.export.bundle_export import verification_sets
from rwmu_train.export.joint_reordering import joint_positions, observation_positions
from rwmu_train.export.parity import Comparison, compare_policies
from rwmu_train.export.recorded_observations import read_recorded_observations
from rwmu_train.export.rsl_rl_file import read_rsl_rl_file
from rwmu_train.export.rsl_rl_import import network_of_file
from rwmu_train.export.verified_file import require_free_file, write_verified
from rwmu_train.policy.policy_checkpoint import PolicyFacts
from rwmu_train.policy.policy_network import PolicyNetwork

VERSIONS = ("5", "3")
OBSERVATIONS_SEEN = 100_000_000
"""What the normaliser is said to have seen: so many that a training that goes on hardly moves it.
rsl_rl 2 stopped learning it there."""
LEARNING_RATE = 1e-3
_GAUSSIAN = {"class_name": "rsl_rl.modules.distribution.GaussianDistribution", "init_std": 1.0}
_GROUPS = {"actor": ["policy"], "critic": ["policy"]}


def write_rsl_rl(
    path: Path,
    network: PolicyNetwork,
    facts: PolicyFacts,
    *,
    version: str = "5",
    joint_order: Sequence[str] | None = None,
    fold_normaliser: bool = False,
    data: Path | None = None,
) -> dict[str, Comparison]:
    """Write a checkpoint, and read it back before it counts.

    Args:
        path: The new file.
        network: The policy.
        facts: Its facts.
        version: "5" for rsl_rl 5, "3" for rsl_rl 3.
        joint_order: In which order the file's policy knows the joints; None: the robot's.
        fold_normaliser: Put the normaliser into the first layer, for a runner that normalises
            nothing, as Isaac Lab's flat tasks are set.
        data: Transition CSV or folder; the policy is compared on its observations too.

    Returns:
        The policy and the file, compared on every set that a bundle is compared on.

    Raises:
        CheckpointError: A normaliser that rsl_rl's can't represent.
        RobotSpecError: The joint order misses a joint of the robot.
        TransitionFileError: The data can't be trusted.
        ConfigError: The file is there already, or can't be written.
        ParityError: The file's policy acts otherwise; no file is left then.
    """
    require_free_file("--rsl-rl-out", path)
    spec = facts.robot
    content = rsl_rl_bytes(
        network, spec, version=version, joint_order=joint_order, fold_normaliser=fold_normaliser
    )
    recorded = None if data is None else read_recorded_observations(data, facts)
    sets = verification_sets(network, facts, recorded)

    def check(copy: Path) -> dict[str, Comparison]:
        back = network_of_file(read_rsl_rl_file(copy), spec, network.activation, joint_order)
        return compare_policies(network, back, sets)

    return write_verified("--rsl-rl-out", path, content, check)


def agent_settings(network: PolicyNetwork, *, fold_normaliser: bool) -> dict[str, Any]:
    """The settings of a runner that loads the file, in Isaac Lab's words for rsl_rl 3."""
    return {
        "actor_hidden_dims": list(network.hidden_sizes),
        "critic_hidden_dims": list(network.hidden_sizes),
        "activation": network.activation,
        "actor_obs_normalization": _normalises(network) and not fold_normaliser,
        "critic_obs_normalization": False,
        "noise_std_type": "scalar",
    }


def rsl_rl_bytes(
    network: PolicyNetwork,
    spec: RobotSpec,
    *,
    version: str,
    joint_order: Sequence[str] | None,
    fold_normaliser: bool,
) -> bytes:
    """The file's content; `write_rsl_rl` says of what."""
    actor, critic = _models(network, spec, joint_order, fold_normaliser=fold_normaliser)
    parameters = [*actor.parameters(), *critic.parameters()]
    document: dict[str, Any] = {
        "optimizer_state_dict": torch.optim.Adam(parameters, lr=LEARNING_RATE).state_dict(),
        "iter": 0,
        "infos": None,
    }
    if version == "5":
        states = {"actor_state_dict": actor.state_dict(), "critic_state_dict": critic.state_dict()}
    else:
        # One module held both, and gave their parts other names.
        names = {
            "mlp.": "actor.",
            "obs_normalizer.": "actor_obs_normalizer.",
            "distribution.std_param": "std",
        }
        model = {_renamed(name, names): tensor for name, tensor in actor.state_dict().items()}
        model |= {
            _renamed(name, {"mlp.": "critic."}): tensor
            for name, tensor in critic.state_dict().items()
        }
        states = {"model_state_dict": model}
    buffer = io.BytesIO()
    torch.save({**states, **document}, buffer)
    return buffer.getvalue()


def _models(
    network: PolicyNetwork,
    spec: RobotSpec,
    joint_order: Sequence[str] | None,
    *,
    fold_normaliser: bool,
) -> tuple[MLPModel, MLPModel]:
    order = spec.joint_names if joint_order is None else joint_order
    joint_positions(order, spec.joint_names, what="--joint-order")
    joint = joint_positions(spec.joint_names, order, what=f"robot {spec.name}")
    entry = observation_positions(spec, joint)
    state = {f"mlp.{name}": tensor.clone() for name, tensor in network.mlp.state_dict().items()}
    first, last = "mlp.0", f"mlp.{2 * len(network.hidden_sizes)}"
    mean, divisor = network.observation_mean, network.observation_std
    normalises = _normalises(network)
    if normalises and fold_normaliser:
        scaled = state[f"{first}.weight"].double() / divisor.double()
        state[f"{first}.bias"] = (state[f"{first}.bias"].double() - scaled @ mean.double()).float()
        state[f"{first}.weight"] = scaled.float()
    state[f"{first}.weight"] = state[f"{first}.weight"][:, entry]
    for kind in ("weight", "bias"):
        state[f"{last}.{kind}"] = state[f"{last}.{kind}"][joint]
    rows = TensorDict({"policy": torch.zeros(1, network.observation_size)}, batch_size=[1])
    hidden, activation = network.hidden_sizes, network.activation
    separate = normalises and not fold_normaliser
    # The critic of a given network is always the same.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        actor = MLPModel(
            rows,
            _GROUPS,
            "actor",
            spec.joint_count,
            hidden,
            activation,
            obs_normalization=separate,
            distribution_cfg=dict(_GAUSSIAN),
        )
        critic = MLPModel(rows, _GROUPS, "critic", 1, hidden, activation)
    if separate:
        std = std_of_divisor(divisor)[entry]
        numbers = {"_mean": mean[entry], "_std": std, "_var": std.square()}
        state |= {f"obs_normalizer.{name}": v.unsqueeze(0) for name, v in numbers.items()}
        state["obs_normalizer.count"] = torch.tensor(OBSERVATIONS_SEEN)
    actor.load_state_dict({**actor.state_dict(), **state})
    return actor, critic


def std_of_divisor(divisor: Tensor) -> Tensor:
    """The standard deviation to which rsl_rl adds its eps before it divides.

    The sum is `divisor` to the last bit wherever a sum of rsl_rl's made that.

    Raises:
        CheckpointError: A divisor is below eps.
    """
    eps = torch.tensor(EmpiricalNormalization(1).eps)
    if not bool((divisor >= eps).all()):
        raise CheckpointError(
            f"observations are divided by {float(divisor.min()):g}; allowed is {float(eps):g} or "
            "more, as rsl_rl adds that to every standard deviation",
            fix="Add --fold-normaliser.",
        )
    return divisor - eps


def _normalises(network: PolicyNetwork) -> bool:
    return bool((network.observation_mean != 0.0).any() or (network.observation_std != 1.0).any())


def _renamed(name: str, prefixes: dict[str, str]) -> str:
    for old, new in prefixes.items():
        if name.startswith(old):
            return new + name.removeprefix(old)
    raise AssertionError(name)
