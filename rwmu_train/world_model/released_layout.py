"""Names and shapes of the tensors in a world-model checkpoint of the public code.

The recurrent ensemble of robotic_world_model_lite 6351d01 and rsl_rl_rwm 18eebcd: two trunks of
one or two GRU layers (released: two), and in each member separate perceptrons of one hidden layer
for the mean, the log standard deviation (which may be missing), contacts and termination.

Notation as in `ensemble.py`: E members, S state, A action, K contacts, H hidden.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from rwmu_deploy.contract.errors import CheckpointError

STATE_GRU, AUXILIARY_GRU = "state_base.memory.rnn", "auxiliary_base.memory.rnn"
MEAN, LOG_STD = "state_heads.{}.state_mean_layers", "state_heads.{}.state_logstd_layers"
LOWER, LOG_WIDTH = "state_heads.{}.state_min_logstd", "state_heads.{}.state_log_delta_logstd"
CONTACT = "auxiliary_heads.{}.contact_layers"
TERMINATION = "auxiliary_heads.{}.termination_layers"
HIDDEN_LAYER, OUTPUT_LAYER = "0", "2"

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class ReleasedSizes:
    """Sizes of one checkpoint of the public code."""

    state: int
    action: int
    contact: int
    members: int
    layers: int
    hidden: int
    mean_hidden: int
    log_std_hidden: int | None
    """None: no standard deviation is predicted."""
    contact_hidden: int
    termination_hidden: int

    def shapes(self) -> Shapes:
        """Shape of every tensor, by its name."""
        shapes = self._gru_shapes(STATE_GRU) | self._gru_shapes(AUXILIARY_GRU)
        for member in range(self.members):
            shapes |= self._head_shapes(MEAN.format(member), self.mean_hidden, self.state)
            if self.log_std_hidden is not None:
                shapes |= self._head_shapes(
                    LOG_STD.format(member), self.log_std_hidden, self.state
                )
                shapes |= {key.format(member): (1, self.state) for key in (LOWER, LOG_WIDTH)}
            shapes |= self._head_shapes(CONTACT.format(member), self.contact_hidden, self.contact)
            shapes |= self._head_shapes(TERMINATION.format(member), self.termination_hidden, 1)
        return shapes

    def configuration(self, history: int) -> dict[str, Any]:
        """Settings under which the public code builds a module that loads these tensors."""
        return {
            "history_horizon": history,
            "ensemble_size": self.members,
            "extension_dim": 0,
            "contact_dim": self.contact,
            "termination_dim": 1,
            "architecture_config": {
                "type": "rnn",
                "rnn_type": "gru",
                "rnn_num_layers": self.layers,
                "rnn_hidden_size": self.hidden,
                "state_mean_shape": [self.mean_hidden],
                "state_logstd_shape": (
                    None if self.log_std_hidden is None else [self.log_std_hidden]
                ),
                "contact_shape": [self.contact_hidden],
                "termination_shape": [self.termination_hidden],
            },
        }

    def _gru_shapes(self, prefix: str) -> Shapes:
        gates, shapes = 3 * self.hidden, {}
        for layer in range(self.layers):
            inputs = self.state + self.action if layer == 0 else self.hidden
            shapes |= {
                f"{prefix}.weight_ih_l{layer}": (gates, inputs),
                f"{prefix}.weight_hh_l{layer}": (gates, self.hidden),
                f"{prefix}.bias_ih_l{layer}": (gates,),
                f"{prefix}.bias_hh_l{layer}": (gates,),
            }
        return shapes

    def _head_shapes(self, prefix: str, hidden: int, outputs: int) -> Shapes:
        return {
            f"{prefix}.{HIDDEN_LAYER}.weight": (hidden, self.hidden),
            f"{prefix}.{HIDDEN_LAYER}.bias": (hidden,),
            f"{prefix}.{OUTPUT_LAYER}.weight": (outputs, hidden),
            f"{prefix}.{OUTPUT_LAYER}.bias": (outputs,),
        }


def read_sizes(tensors: Mapping[str, Tensor], source: str) -> ReleasedSizes:
    """Sizes of a checkpoint, taken from a few of its tensors and then checked on all of them.

    Raises:
        CheckpointError: A tensor is missing, unknown or of another shape.
    """
    inputs = _size(tensors, f"{STATE_GRU}.weight_ih_l0", 1, source)
    state = _size(tensors, f"{MEAN.format(0)}.{OUTPUT_LAYER}.weight", 0, source)
    has_log_std = any(name.startswith(LOG_STD.format(0)) for name in tensors)
    sizes = ReleasedSizes(
        state=state,
        action=inputs - state,
        contact=_size(tensors, f"{CONTACT.format(0)}.{OUTPUT_LAYER}.weight", 0, source),
        members=len({name.split(".")[1] for name in tensors if name.startswith("state_heads.")}),
        layers=2 if any(name.endswith("_l1") for name in tensors) else 1,
        hidden=_size(tensors, f"{STATE_GRU}.weight_hh_l0", 1, source),
        mean_hidden=_hidden(tensors, MEAN, source),
        log_std_hidden=_hidden(tensors, LOG_STD, source) if has_log_std else None,
        contact_hidden=_hidden(tensors, CONTACT, source),
        termination_hidden=_hidden(tensors, TERMINATION, source),
    )
    _require_layout(tensors, sizes, source)
    return sizes


def _hidden(tensors: Mapping[str, Tensor], head: str, source: str) -> int:
    return _size(tensors, f"{head.format(0)}.{HIDDEN_LAYER}.weight", 0, source)


def _size(tensors: Mapping[str, Tensor], name: str, axis: int, source: str) -> int:
    if name not in tensors:
        raise _not_this_layout(source, f"misses {name}")
    shape = tuple(tensors[name].shape)
    if len(shape) != 2 or 0 in shape:
        raise _not_this_layout(source, f"has {name} of shape {shape}; allowed is a matrix")
    return shape[axis]


def _require_layout(tensors: Mapping[str, Tensor], sizes: ReleasedSizes, source: str) -> None:
    expected = sizes.shapes()
    missing = sorted(set(expected) - set(tensors))
    if missing:
        raise _not_this_layout(source, f"misses {_some(missing)}")
    unknown = sorted(set(tensors) - set(expected))
    if unknown:
        raise _not_this_layout(source, f"has {_some(unknown)} besides what is known")
    for name, shape in expected.items():
        if tuple(tensors[name].shape) != shape:
            raise _not_this_layout(
                source, f"has {name} of shape {tuple(tensors[name].shape)}; allowed is {shape}"
            )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _not_this_layout(source: str, problem: str) -> CheckpointError:
    return CheckpointError(
        f"{source} {problem}",
        fix="Give a checkpoint of the public code's recurrent ensemble: one or two GRU layers, "
        "heads of one hidden layer, no extension.",
    )
