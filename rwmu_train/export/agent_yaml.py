"""What Isaac Lab's `params/agent.yaml` says about a policy and its checkpoint doesn't.

Isaac Lab writes it beside the checkpoints of every training, with `policy` for rsl_rl 2 and 3, and
with `actor` from rsl_rl 4 on.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rwmu_deploy.contract.errors import CheckpointError

MAX_BYTES = 1_000_000
_PYTHON = "tag:yaml.org,2002:python/"


@dataclass(frozen=True)
class AgentYaml:
    """Settings of a training. None is what the file doesn't say."""

    hidden_sizes: tuple[int, ...]
    """-1 stands for as many as there are inputs."""
    activation: str
    normalises: bool | None
    """Whether the actor's observations were normalised."""
    clip_actions: float | None
    """Actions were clipped at plus and minus this."""
    experiment: str | None
    seed: int | None
    sha256: str


def read_agent_yaml(path: Path) -> AgentYaml:
    """Read the file; no Python object in it is made.

    Raises:
        CheckpointError: It can't be read, or doesn't describe the actor of an rsl_rl training.
    """
    content = _bytes(path)
    try:
        document = yaml.load(content, _PlainLoader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise _refused(path, f"is not YAML: {(str(error).splitlines() or ['?'])[0]}") from None
    top = document if isinstance(document, dict) else {}
    actor, policy = (top.get(key) or {} for key in ("actor", "policy"))
    new = isinstance(actor, dict) and bool(actor.get("hidden_dims"))
    network: Mapping[str, Any] = actor if new else policy if isinstance(policy, dict) else {}
    sizes = network.get("hidden_dims" if new else "actor_hidden_dims")
    activation = network.get("activation")
    if not (isinstance(sizes, list) and all(type(size) is int for size in sizes) and sizes):
        raise _refused(path, "names no hidden sizes under actor.hidden_dims or policy")
    if not isinstance(activation, str):
        raise _refused(path, f"has the activation {activation!r}; allowed is a name")
    own = network.get("obs_normalization" if new else "actor_obs_normalization")
    return AgentYaml(
        hidden_sizes=tuple(sizes),
        activation=activation,
        normalises=_normalises(path, own, top.get("empirical_normalization")),
        clip_actions=_clip(path, top.get("clip_actions")),
        experiment=top["experiment_name"] if type(top.get("experiment_name")) is str else None,
        seed=top["seed"] if type(top.get("seed")) is int else None,
        sha256=hashlib.sha256(content).hexdigest(),
    )


class _PlainLoader(yaml.SafeLoader):
    """Reads tuples as lists, and every other Python object as nothing said."""


def _python_value(loader: _PlainLoader, suffix: str, node: yaml.Node) -> Any:
    if suffix == "tuple" and isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return None


_PlainLoader.add_multi_constructor(_PYTHON, _python_value)


def _normalises(path: Path, own: object, empirical: object) -> bool | None:
    """The actor's own key, or where that says nothing, the older one of the whole training."""
    said = [value for value in (own, empirical) if isinstance(value, bool)]
    # rsl_rl 2 heeds only the older key, later ones the actor's own first.
    if len(set(said)) == 2:
        raise _refused(
            path,
            f"says {own} about normalising the actor's observations and, in "
            f"empirical_normalization, {empirical}; allowed is one answer",
        )
    return said[0] if said else None


def _clip(path: Path, stated: object) -> float | None:
    if stated is None:
        return None
    if type(stated) not in (int, float) or not 0.0 < float(str(stated)) < math.inf:
        raise _refused(path, f"has clip_actions {stated!r}; allowed are null and numbers above 0")
    return float(str(stated))


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _refused(path, f"can't be read: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise _refused(path, f"has more than {MAX_BYTES} bytes, the limit")
    return content


def _refused(path: Path, problem: str) -> CheckpointError:
    return CheckpointError(
        f"{path} {problem}",
        fix="Give the params/agent.yaml that Isaac Lab wrote beside the checkpoint.",
    )
