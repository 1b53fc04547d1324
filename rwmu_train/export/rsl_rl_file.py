"""Read the actor out of a checkpoint that rsl_rl's runner wrote, of any of its formats.

| rsl_rl | actor | normaliser of its observations |
|---|---|---|
| 1 | `model_state_dict`, `actor.*` | none |
| 2 | the same | `obs_norm_state_dict`, beside the model |
| 3 | the same | `model_state_dict`, `actor_obs_normalizer.*` |
| 4, 5 | `actor_state_dict`, `mlp.*` | `actor_state_dict`, `obs_normalizer.*` |

So a whole checkpoint holds the normaliser that was trained with. One that was made smaller by
somebody may have lost it, and can't say so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rwmu_deploy.contract.errors import CheckpointError
from rwmu_train.world_model.torch_archive import read_archive, require_numbers

MODEL_KEY, ACTOR_KEY = "model_state_dict", "actor_state_dict"
_PREFIXES = {
    MODEL_KEY: ("actor.", "actor_obs_normalizer."),
    ACTOR_KEY: ("mlp.", "obs_normalizer."),
}
"""Of the network's names and of its normaliser's."""
_SEPARATE = "obs_norm_state_dict"
_SEPARATE_CRITIC = ("critic_obs_norm_state_dict", "privileged_obs_norm_state_dict")
_NORMALISER = ("_mean", "_var", "_std")
_COUNT = "count"
_NOISE = ("std", "log_std", "distribution.std_param", "distribution.log_std_param")
_CRITIC = ("critic.", "critic_obs_normalizer.")
_FIX = "Give a model_*.pt that rsl_rl's OnPolicyRunner saved, of a feed-forward PPO policy."


@dataclass(frozen=True)
class RslRlFile:
    """What of a checkpoint makes actions out of observations."""

    layers: tuple[tuple[Tensor, Tensor], ...]
    """Weight and bias of every linear layer, shapes (outputs, inputs) and (outputs,)."""
    normaliser: Mapping[str, Tensor] | None
    """`_mean`, `_var`, `_std`, each of shape (1, inputs); None where the file holds none."""
    written_by: str
    """Versions of rsl_rl that write this format, as in "4-5"."""
    iteration: int | None
    """As the file says."""
    sha256: str

    @property
    def sizes(self) -> tuple[int, ...]:
        """Inputs, hidden units of each layer, outputs."""
        return (self.layers[0][0].shape[1], *(len(bias) for _, bias in self.layers))


def read_rsl_rl_file(path: Path) -> RslRlFile:
    """Read a checkpoint; code in the file is never run.

    Raises:
        CheckpointError: The file is missing, larger than 256 MB, damaged, asks for code to be run,
            or holds no actor, a recurrent or another unknown one, half a normaliser, or other than
            finite float32 numbers.
    """
    document, payload = read_archive(path, wanted="a model_*.pt that rsl_rl saved")
    place = _actors_place(path, document)
    prefixes = _PREFIXES[place]
    actor, normaliser = _parts(path, place, document[place], *prefixes)
    written_by = "4-5" if place == ACTOR_KEY else "3" if normaliser else "1-3"
    if place == MODEL_KEY:
        separate = _separate_normaliser(path, document)
        if separate and normaliser:
            raise _refused(path, f"has two normalisers, in {MODEL_KEY} and in {_SEPARATE}")
        normaliser, written_by = normaliser or separate, "2" if separate else written_by
    layers = _layers(path, place, prefixes[0], actor)
    stated = document.get("iter")
    return RslRlFile(
        layers=layers,
        normaliser=_normaliser(path, normaliser, layers[0][0].shape[1]) if normaliser else None,
        written_by=written_by,
        iteration=stated if type(stated) is int and stated >= 0 else None,
        sha256=hashlib.sha256(payload).hexdigest(),
    )


def _actors_place(path: Path, document: object) -> str:
    keys = sorted(map(str, document)) if isinstance(document, dict) else []
    places = [key for key in (MODEL_KEY, ACTOR_KEY) if key in keys]
    if len(places) != 1 or not isinstance(document, dict):
        raise _refused(
            path,
            f"holds {', '.join(keys[:8]) or type(document).__name__}; allowed is one of "
            f"{MODEL_KEY} and {ACTOR_KEY}",
        )
    known = {_SEPARATE, *_SEPARATE_CRITIC}
    strange = [key for key in keys if "norm" in key.lower() and key not in known]
    if strange:
        raise _refused(path, f"holds {strange[0]}, a normaliser that no release of rsl_rl writes")
    if not isinstance(document[places[0]], dict):
        raise _refused(path, f"holds no tensors under {places[0]}")
    return places[0]


def _parts(
    path: Path, place: str, state: Mapping[Any, Any], mlp: str, normaliser: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tensors of the network and of its normaliser, without their prefixes."""
    parts: dict[str, dict[str, Any]] = {mlp: {}, normaliser: {}}
    others: list[str] = []
    for name, tensor in state.items():
        prefix = next((prefix for prefix in parts if str(name).startswith(prefix)), None)
        if prefix is not None:
            parts[prefix][str(name).removeprefix(prefix)] = tensor
        elif name not in _NOISE and not (place == MODEL_KEY and str(name).startswith(_CRITIC)):
            others.append(str(name))
    recurrent = [name for name in others if name.startswith(("memory_", "rnn."))]
    if recurrent:
        raise _refused(path, f"holds a recurrent policy ({recurrent[0]})")
    if not parts[mlp]:
        there = f"; there is {', '.join(sorted(others)[:3])}" if others else ""
        raise _refused(path, f"holds no actor: no '{mlp}*' under {place}{there}")
    if others:
        raise _refused(
            path,
            f"holds {others[0]} under {place}; allowed are the actor, its normaliser, its noise "
            "and a critic",
        )
    return parts[mlp], parts[normaliser]


def _separate_normaliser(path: Path, document: Mapping[str, Any]) -> dict[str, Any]:
    if _SEPARATE in document:
        if not (isinstance(document[_SEPARATE], dict) and document[_SEPARATE]):
            raise _refused(path, f"holds no tensors under {_SEPARATE}")
        return dict(document[_SEPARATE])
    lost = [key for key in _SEPARATE_CRITIC if key in document]
    if lost:
        raise _refused(path, f"has lost its {_SEPARATE}: {lost[0]} is there, and needs it")
    return {}


def _layers(
    path: Path, place: str, prefix: str, actor: Mapping[str, Any]
) -> tuple[tuple[Tensor, Tensor], ...]:
    count = len(actor) // 2
    # Linear layers and activations in turn; those have no weights.
    wanted = [f"{2 * i}.{kind}" for i in range(count) for kind in ("weight", "bias")]
    if sorted(actor) != sorted(wanted) or count < 2:
        raise _refused(
            path, f"has an actor of {sorted(actor)[:8]}; allowed are {sorted(wanted)[:8]}"
        )
    for name, tensor in actor.items():
        require_numbers(path, place, prefix + name, tensor)
    layers = tuple((actor[f"{2 * i}.weight"], actor[f"{2 * i}.bias"]) for i in range(count))
    inputs = None
    for index, (weight, bias) in enumerate(layers):
        shapes = tuple(weight.shape), tuple(bias.shape)
        fits = weight.ndim == 2 and 0 not in shapes[0] and shapes[1] == shapes[0][:1]
        if not (fits and inputs in (None, shapes[0][1])):
            raise _refused(
                path, f"has an actor whose layer {index} has the shapes {shapes}: they don't fit"
            )
        inputs = shapes[0][0]
    return layers


def _normaliser(path: Path, found: Mapping[str, Any], inputs: int) -> dict[str, Tensor]:
    # rsl_rl 2.0 doesn't save the count.
    if {*found} - {_COUNT} != {*_NORMALISER}:
        raise _refused(
            path, f"has a normaliser of {sorted(found)}; allowed are {[*_NORMALISER, _COUNT]}"
        )
    for name in _NORMALISER:
        require_numbers(path, "its normaliser", name, found[name])
        if tuple(found[name].shape) != (1, inputs):
            raise _refused(
                path,
                f"has a normaliser whose {name} has the shape {tuple(found[name].shape)}; allowed "
                f"is (1, {inputs})",
            )
    count = found.get(_COUNT)
    if isinstance(count, Tensor) and not bool((count > 0).all()):
        raise _refused(path, "has a normaliser that has seen no observation")
    if not torch.allclose(found["_std"].square(), found["_var"], rtol=1e-3, atol=1e-6):
        raise _refused(path, "has a normaliser whose _std is not the root of its _var")
    return {name: found[name] for name in _NORMALISER}


def _refused(path: Path, problem: str) -> CheckpointError:
    return CheckpointError(f"{path} {problem}", fix=_FIX)
