"""The world model: two recurrent trunks, and heads of E members on top of them.

RWM-U (arXiv:2504.16680), table S7: GRU 256 x 2, heads of 128, B = 5 members. One trunk serves the
state heads, the other one contacts and termination. The input at time t is the normalised state_t
with the action that follows it, action_{t+1}; the target is state_{t+1} (a CSV row holds the
action that produced its state).

Notation: B robots or windows, T time, E members, S state, A action, K contacts, H hidden.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from rwmu_deploy.contract.errors import ConfigError

LogStd = Literal["fixed_bounds", "learned_bounds", "none"]


@dataclass(frozen=True)
class Architecture:
    """Sizes of the world model."""

    state_size: int
    action_size: int
    contact_size: int
    members: int = 5
    hidden: int = 256
    """Units in each of the two GRU layers of a trunk."""
    head_hidden: int = 128
    auxiliary_head_hidden: int | None = None
    """Units of the heads of contacts and termination; `head_hidden` when None."""
    log_std: LogStd = "fixed_bounds"
    """How the standard deviation is bounded: `fixed_bounds`; `learned_bounds`, one pair a member
    and state entry (released code); `none`: it is not predicted."""

    def __post_init__(self) -> None:
        sizes = ("state_size", "action_size", "members", "hidden", "head_hidden")
        for name in (*sizes, "auxiliary_head_hidden"):
            value = getattr(self, name)
            if value is not None and not value >= 1:
                raise ConfigError(f"{name} is {value}; allowed is 1 up", fix="Correct the preset.")
        if self.log_std not in get_args(LogStd):
            raise ConfigError(
                f"log_std is '{self.log_std}'; allowed are {', '.join(get_args(LogStd))}",
                fix="Correct the preset.",
            )


@dataclass(frozen=True)
class TrunkMemory:
    """Hidden states of one trunk's two layers, each of shape (B, H)."""

    first: Tensor
    second: Tensor

    def at(self, index: Tensor) -> TrunkMemory:
        """Memory of some robots."""
        return TrunkMemory(self.first[index], self.second[index])

    def replace(self, index: Tensor, other: TrunkMemory) -> None:
        """Overwrite the memory of robots in place."""
        self.first[index] = other.first
        self.second[index] = other.second


class Trunk(nn.Module):
    """Two GRU layers whose hidden states are visible at every time step."""

    def __init__(self, input_size: int, hidden: int) -> None:
        super().__init__()
        self.first = nn.GRU(input_size, hidden)
        self.second = nn.GRU(hidden, hidden)

    def sequence(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states of both layers after every input, each (T, B, H); memory starts at 0."""
        first, _ = self.first(inputs)
        second, _ = self.second(first)
        return first, second

    def step(self, inputs: Tensor, memory: TrunkMemory) -> TrunkMemory:
        """Memory after one more input (B, S + A)."""
        first = _gru_cell(self.first, inputs, memory.first)
        return TrunkMemory(first, _gru_cell(self.second, first, memory.second))


def _gru_cell(layer: nn.GRU, inputs: Tensor, hidden: Tensor) -> Tensor:
    weights = (layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0)
    return torch.gru_cell(inputs, hidden, *(cast(Tensor, weight) for weight in weights))


class MemberHeads(nn.Module):
    """E separate two-layer perceptrons, computed as batched products."""

    def __init__(self, members: int, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.hidden_weight = nn.Parameter(_uniform((members, inputs, hidden), inputs))
        self.hidden_bias = nn.Parameter(_uniform((members, 1, hidden), inputs))
        self.output_weight = nn.Parameter(_uniform((members, hidden, outputs), hidden))
        self.output_bias = nn.Parameter(_uniform((members, 1, outputs), hidden))

    def forward(self, features: Tensor) -> Tensor:
        """Map (E, n, H), member by member, to (E, n, outputs)."""
        hidden = torch.relu(torch.baddbmm(self.hidden_bias, features, self.hidden_weight))
        return torch.baddbmm(self.output_bias, hidden, self.output_weight)


class LearnedBounds(nn.Module):
    """Learned soft bounds of every member's log standard deviations (released code)."""

    def __init__(self, members: int, outputs: int) -> None:
        super().__init__()
        self.lower = nn.Parameter(torch.full((members, 1, outputs), -5.0))
        self.log_width = nn.Parameter(torch.zeros(members, 1, outputs))

    def forward(self, unbounded: Tensor) -> Tensor:
        """Bring (E, n, S) between the bounds, first the upper and then the lower."""
        upper = self.lower + self.log_width.exp()
        below_upper = upper - functional.softplus(upper - unbounded)
        return self.lower + functional.softplus(below_upper - self.lower)


def _uniform(shape: tuple[int, ...], fan_in: int) -> Tensor:
    bound = fan_in**-0.5
    return torch.empty(shape).uniform_(-bound, bound)


class WorldModel(nn.Module):
    """Predicts the normalised next state, contacts and termination with E members."""

    LOG_STD_RANGE = (-5.0, 1.0)

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = a = architecture
        inputs = a.state_size + a.action_size
        self.state_trunk = Trunk(inputs, a.hidden)
        self.auxiliary_trunk = Trunk(inputs, a.hidden)
        self.mean_heads = MemberHeads(a.members, a.hidden, a.head_hidden, a.state_size)
        self.log_std_heads = (
            None
            if a.log_std == "none"
            else MemberHeads(a.members, a.hidden, a.head_hidden, a.state_size)
        )
        self.log_std_bounds = (
            LearnedBounds(a.members, a.state_size) if a.log_std == "learned_bounds" else None
        )
        self.auxiliary_heads = MemberHeads(
            a.members, a.hidden, a.auxiliary_head_hidden or a.head_hidden, a.contact_size + 1
        )

    def mean(self, features: Tensor, state: Tensor) -> Tensor:
        """Next normalised state: the present one plus a predicted change.

        Args:
            features: State trunk outputs, shape (E, n, H).
            state: Present normalised states, shape (E, n, S) or broadcastable to it.

        Returns:
            Shape (E, n, S).
        """
        return state + self.mean_heads(features)

    def log_std(self, features: Tensor) -> Tensor:
        """Log standard deviation of the next normalised state, shape (E, n, S).

        Raises:
            ConfigError: The architecture predicts none.
        """
        if self.log_std_heads is None:
            raise ConfigError(
                "this world model predicts no standard deviation", fix="Use the loss huber or mse."
            )
        unbounded = self.log_std_heads(features)
        if self.log_std_bounds is not None:
            return self.log_std_bounds(unbounded)
        low, high = self.LOG_STD_RANGE
        return low + (high - low) * torch.sigmoid(unbounded)

    def contact_and_termination_logits(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of contacts (E, n, K) and of termination (E, n) from auxiliary features."""
        logits = self.auxiliary_heads(features)
        return logits[..., :-1], logits[..., -1]


def epistemic_uncertainty(means: Tensor, reduction: str = "std_sum") -> Tensor:
    """Disagreement of the members' means in normalised units.

    Args:
        means: Shape (E, n, S).
        reduction: `std_sum`: sum over state entries of the standard deviation (released code);
            `variance`: sum of the variances (RWM-U, arXiv:2504.16680, Eq. 4).

    Returns:
        Shape (n,).
    """
    if reduction == "std_sum":
        return means.std(dim=0).sum(-1)
    if reduction == "variance":
        return means.var(dim=0).sum(-1)
    raise ConfigError(
        f"uncertainty '{reduction}'; allowed are std_sum, variance", fix="Correct the preset."
    )
