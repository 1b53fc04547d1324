"""The public code's tensors as those of our WorldModel, and back.

Both compute the same functions, stored differently: the public code has one perceptron a member
and purpose, we have one tensor for all members, and one perceptron for contacts and termination
together. Two perceptrons are put side by side in one whose output weights are zero from either to
the other; hidden units that no output uses are left out on the way back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from rwmu_train.world_model.ensemble import (
    LAYER_NAMES,
    Architecture,
    MemberHeads,
    Trunk,
    WorldModel,
)
from rwmu_train.world_model.released_layout import (
    AUXILIARY_GRU,
    CONTACT,
    HIDDEN_LAYER,
    LOG_STD,
    LOG_WIDTH,
    LOWER,
    MEAN,
    OUTPUT_LAYER,
    STATE_GRU,
    TERMINATION,
    ReleasedSizes,
)

Tensors = dict[str, Tensor]
_GRU_PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def architecture_of(sizes: ReleasedSizes) -> Architecture:
    """Our architecture that computes what the released one does."""
    return Architecture(
        sizes.state,
        sizes.action,
        sizes.contact,
        members=sizes.members,
        layers=sizes.layers,
        hidden=sizes.hidden,
        head_hidden=max(sizes.mean_hidden, sizes.log_std_hidden or 0),
        auxiliary_head_hidden=sizes.contact_hidden + sizes.termination_hidden,
        log_std="none" if sizes.log_std_hidden is None else "learned_bounds",
    )


def model_of_released(tensors: Mapping[str, Tensor], sizes: ReleasedSizes) -> WorldModel:
    """Our model with the weights of tensors that have the shapes of `sizes`."""
    model = WorldModel(architecture_of(sizes))
    members = range(sizes.members)
    weights = _trunk(tensors, STATE_GRU, "state_trunk", sizes.layers)
    weights |= _trunk(tensors, AUXILIARY_GRU, "auxiliary_trunk", sizes.layers)
    width = model.architecture.head_hidden
    weights |= _Heads.released(tensors, MEAN, members).widened(width).named("mean_heads")
    if sizes.log_std_hidden is not None:
        log_std = _Heads.released(tensors, LOG_STD, members)
        weights |= log_std.widened(width).named("log_std_heads")
        weights["log_std_bounds.lower"] = _stacked(tensors, LOWER, members)
        weights["log_std_bounds.log_width"] = _stacked(tensors, LOG_WIDTH, members)
    contact = _Heads.released(tensors, CONTACT, members)
    termination = _Heads.released(tensors, TERMINATION, members)
    weights |= contact.beside(termination).named("auxiliary_heads")
    model.load_state_dict(weights | model.state_range)
    return model.eval()


def released_of_model(model: WorldModel) -> tuple[Tensors, ReleasedSizes]:
    """The released tensors of a model, and their sizes.

    Fixed bounds of the standard deviation don't exist there: such a model's is left out.
    """
    a = model.architecture
    mean = _Heads.of(model.mean_heads).used()
    auxiliary = _Heads.of(model.auxiliary_heads)
    contact = auxiliary.outputs(slice(0, a.contact_size)).used()
    termination = auxiliary.outputs(slice(a.contact_size, None)).used()
    tensors = _released_trunk(model.state_trunk, STATE_GRU)
    if model.auxiliary_trunk is not None:
        tensors |= _released_trunk(model.auxiliary_trunk, AUXILIARY_GRU)
    tensors |= mean.as_released(MEAN)
    tensors |= contact.as_released(CONTACT) | termination.as_released(TERMINATION)
    log_std = None
    if model.log_std_heads is not None and model.log_std_bounds is not None:
        log_std = _Heads.of(model.log_std_heads).used()
        tensors |= log_std.as_released(LOG_STD)
        tensors |= _by_member(LOWER, model.log_std_bounds.lower)
        tensors |= _by_member(LOG_WIDTH, model.log_std_bounds.log_width)
    sizes = ReleasedSizes(
        state=a.state_size,
        action=a.action_size,
        contact=a.contact_size,
        members=a.members,
        layers=a.layers,
        hidden=a.hidden,
        mean_hidden=mean.hidden,
        log_std_hidden=None if log_std is None else log_std.hidden,
        contact_hidden=contact.hidden,
        termination_hidden=termination.hidden,
    )
    return tensors, sizes


@dataclass(frozen=True)
class _Heads:
    """Perceptrons of E members with h hidden units, as in `MemberHeads`."""

    hidden_weight: Tensor
    """Shape (E, H, h)."""
    hidden_bias: Tensor
    """Shape (E, 1, h)."""
    output_weight: Tensor
    """Shape (E, h, outputs)."""
    output_bias: Tensor
    """Shape (E, 1, outputs)."""

    @classmethod
    def of(cls, heads: MemberHeads) -> _Heads:
        return cls(**{name: value.detach() for name, value in heads.named_parameters()})

    @classmethod
    def released(cls, tensors: Mapping[str, Tensor], prefix: str, members: range) -> _Heads:
        hidden, output = f"{prefix}.{HIDDEN_LAYER}", f"{prefix}.{OUTPUT_LAYER}"
        return cls(
            _stacked(tensors, hidden + ".weight", members).transpose(1, 2),
            _stacked(tensors, hidden + ".bias", members).unsqueeze(1),
            _stacked(tensors, output + ".weight", members).transpose(1, 2),
            _stacked(tensors, output + ".bias", members).unsqueeze(1),
        )

    def as_released(self, prefix: str) -> Tensors:
        hidden, output = f"{prefix}.{HIDDEN_LAYER}", f"{prefix}.{OUTPUT_LAYER}"
        return {
            **_by_member(hidden + ".weight", self.hidden_weight.transpose(1, 2)),
            **_by_member(hidden + ".bias", self.hidden_bias.squeeze(1)),
            **_by_member(output + ".weight", self.output_weight.transpose(1, 2)),
            **_by_member(output + ".bias", self.output_bias.squeeze(1)),
        }

    @property
    def hidden(self) -> int:
        return self.hidden_bias.shape[-1]

    def named(self, module: str) -> Tensors:
        return {f"{module}.{name}": value for name, value in vars(self).items()}

    def widened(self, hidden: int) -> _Heads:
        """With further hidden units that do nothing."""
        more = hidden - self.hidden
        return _Heads(
            functional.pad(self.hidden_weight, (0, more)),
            functional.pad(self.hidden_bias, (0, more)),
            functional.pad(self.output_weight, (0, 0, 0, more)),
            self.output_bias,
        )

    def beside(self, other: _Heads) -> _Heads:
        """One perceptron with the outputs of both, which share nothing."""
        mine, others = self.output_bias.shape[-1], other.output_bias.shape[-1]
        return _Heads(
            torch.cat([self.hidden_weight, other.hidden_weight], dim=-1),
            torch.cat([self.hidden_bias, other.hidden_bias], dim=-1),
            torch.cat(
                [
                    functional.pad(self.output_weight, (0, others)),
                    functional.pad(other.output_weight, (mine, 0)),
                ],
                dim=1,
            ),
            torch.cat([self.output_bias, other.output_bias], dim=-1),
        )

    def outputs(self, columns: slice) -> _Heads:
        """With some of the outputs."""
        return _Heads(
            self.hidden_weight,
            self.hidden_bias,
            self.output_weight[..., columns],
            self.output_bias[..., columns],
        )

    def used(self) -> _Heads:
        """Without hidden units that no output of any member uses; one at least stays."""
        use = (self.output_weight != 0.0).any(dim=2).any(dim=0)
        use[0] |= ~use.any()
        return _Heads(
            self.hidden_weight[..., use],
            self.hidden_bias[..., use],
            self.output_weight[:, use],
            self.output_bias,
        )


def _stacked(tensors: Mapping[str, Tensor], name: str, members: range) -> Tensor:
    return torch.stack([tensors[name.format(member)] for member in members])


def _by_member(name: str, values: Tensor) -> Tensors:
    return {
        name.format(member): value.detach().clone(memory_format=torch.contiguous_format)
        for member, value in enumerate(values)
    }


def _trunk(tensors: Mapping[str, Tensor], released: str, ours: str, layers: int) -> Tensors:
    """Weights stand transposed here, and all of them for one trunk of one."""
    return {
        f"{ours}.{name}.{part}": (
            tensors[f"{released}.{part}_l{layer}"].reshape(3 * hidden, -1).T.unsqueeze(0)
        )
        for layer, name in enumerate(LAYER_NAMES[:layers])
        for hidden in [tensors[f"{released}.weight_hh_l{layer}"].shape[1]]
        for part in _GRU_PARTS
    }


def _released_trunk(trunk: Trunk, released: str) -> Tensors:
    return {
        f"{released}.{part}_l{layer}": (
            cast(nn.Parameter, getattr(gru, part))
            .detach()[0]
            .T.reshape(-1 if part.startswith("bias") else (3 * gru.hidden, -1))
            .clone(memory_format=torch.contiguous_format)
        )
        for layer, gru in enumerate(trunk.layers.values())
        for part in _GRU_PARTS
    }
