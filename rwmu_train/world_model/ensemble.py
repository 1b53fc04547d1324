"""The world model: recurrent trunks, and heads of E members on top of them.

RWM-U (arXiv:2504.16680), table S7: GRU 256 x 2, heads of 128, B = 5 members, all on one trunk, and
a second trunk for contacts and termination. Here members may also have trunks of their own, which
disagree more where there were no data, and contacts may be read from the state's trunk. The input
at time t is the normalised state_t with the action that follows it, action_{t+1}; the target is
state_{t+1} (a CSV row holds the action that produced its state).

Notation: B robots or windows, T time, E members, G trunks side by side (E, or 1 for all members),
S state, A action, K contacts, X extension, H hidden.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.world_model.gru import GruLayer

LogStd = Literal["fixed_bounds", "learned_bounds", "none"]
Trunks = Literal["shared", "separate"]
RANGE_MARGIN = 0.1
"""Share of the data's range by which predicted states may leave it."""

Auxiliary = Literal["own_trunk", "state_trunk"]
LAYER_NAMES = ("first", "second")
"""Of a trunk's GRU layers, in the names of its weights."""


@dataclass(frozen=True)
class Architecture:
    """Sizes of the world model."""

    state_size: int
    action_size: int
    contact_size: int
    members: int = 5
    hidden: int = 256
    """Units in each GRU layer of a trunk."""
    head_hidden: int = 128
    auxiliary_head_hidden: int | None = None
    """Units of the heads of contacts and termination; `head_hidden` when None."""
    log_std: LogStd = "fixed_bounds"
    """How the standard deviation is bounded: `fixed_bounds`; `learned_bounds`, one pair a member
    and state entry (released code); `none`: it is not predicted."""
    trunks: Trunks = "shared"
    """`shared`: one trunk for all members (RWM-U); `separate`: one for each."""
    auxiliary: Auxiliary = "own_trunk"
    """Where contacts, termination and extension are read: from a trunk of their own, shared by all
    members (RWM-U), or from the `state_trunk`."""
    residual: bool = True
    """The mean is the present state plus a predicted change (RWM-U), or predicted whole."""
    extension_size: int = 0
    """X, measured values beside the state that are regressed like contacts are classified."""
    layers: int = 2
    """GRU layers of a trunk, 1 or 2."""

    def __post_init__(self) -> None:
        sizes = ("state_size", "action_size", "members", "hidden", "head_hidden")
        for name in (*sizes, "auxiliary_head_hidden"):
            value = getattr(self, name)
            if value is not None and not value >= 1:
                raise ConfigError(f"{name} is {value}; allowed is 1 up", fix="Correct the preset.")
        if self.layers not in range(1, len(LAYER_NAMES) + 1):
            raise ConfigError(
                f"layers is {self.layers}; allowed is 1 to {len(LAYER_NAMES)}",
                fix="Correct the preset.",
            )
        for name, kind in (("log_std", LogStd), ("trunks", Trunks), ("auxiliary", Auxiliary)):
            if getattr(self, name) not in get_args(kind):
                raise ConfigError(
                    f"{name} is '{getattr(self, name)}'; allowed are {', '.join(get_args(kind))}",
                    fix="Correct the preset.",
                )

    @property
    def trunk_count(self) -> int:
        """G of the state trunk."""
        return self.members if self.trunks == "separate" else 1


@dataclass(frozen=True)
class TrunkMemory:
    """Hidden states of a trunk."""

    layers: tuple[Tensor, ...]
    """Of each layer, shape (G, B, H)."""

    @property
    def features(self) -> Tensor:
        """What heads read: the last layer, shape (G, B, H)."""
        return self.layers[-1]

    def to(self, dtype: torch.dtype) -> TrunkMemory:
        """The same in another precision."""
        return TrunkMemory(tuple(layer.to(dtype) for layer in self.layers))

    def at(self, index: Tensor) -> TrunkMemory:
        """Memory of some robots."""
        return TrunkMemory(tuple(layer[:, index] for layer in self.layers))


@dataclass(frozen=True)
class Memory:
    """What the model remembers of B robots."""

    state: TrunkMemory
    auxiliary: TrunkMemory | None
    """None where contacts are read from the state trunk."""

    def to(self, dtype: torch.dtype) -> Memory:
        """The same in another precision."""
        return Memory(self.state.to(dtype), self.auxiliary and self.auxiliary.to(dtype))

    def at(self, index: Tensor) -> Memory:
        """Memory of some robots."""
        return Memory(self.state.at(index), self.auxiliary and self.auxiliary.at(index))

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All of it, each of shape (G, B, H), always in the same order."""
        return (*self.state.layers, *(() if self.auxiliary is None else self.auxiliary.layers))


class Trunk(nn.Module):
    """G times one or two GRU layers whose hidden states are visible at every time step."""

    first: GruLayer

    def __init__(self, count: int, input_size: int, hidden: int, layers: int) -> None:
        super().__init__()
        for name in LAYER_NAMES[:layers]:
            self.add_module(name, GruLayer(count, input_size, hidden))
            input_size = hidden

    @property
    def layers(self) -> dict[str, GruLayer]:
        """By name, in order."""
        return cast("dict[str, GruLayer]", dict(self.named_children()))

    def sequence(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Hidden states (G, T, B, H) of every layer after every input (G, T, B, S + A).

        Memory starts at 0. Inputs of shape (1, T, B, S + A) go to all trunks.
        """
        hidden, found = self._to_all(inputs), list[Tensor]()
        for layer in self.layers.values():
            hidden = layer.sequence(hidden)
            found.append(hidden)
        return tuple(found)

    def step(self, inputs: Tensor, memory: TrunkMemory) -> TrunkMemory:
        """Memory after one more input (G, B, S + A) or, for all trunks, (1, B, S + A)."""
        hidden, found = self._to_all(inputs), list[Tensor]()
        for layer, before in zip(self.layers.values(), memory.layers, strict=True):
            hidden = layer.step(hidden, before)
            found.append(hidden)
        return TrunkMemory(tuple(found))

    def advance(self, inputs: Tensor, memory: TrunkMemory) -> None:
        """As `step`, in place and without gradients."""
        hidden = self._to_all(inputs)
        for layer, own in zip(self.layers.values(), memory.layers, strict=True):
            layer.advance(hidden, own)
            hidden = own

    def empty_memory(self, robots: int) -> TrunkMemory:
        """Zeros for B robots."""
        groups, hidden = self.first.weight_hh.shape[:2]
        zeros = self.first.weight_hh.new_zeros
        return TrunkMemory(tuple(zeros(groups, robots, hidden) for _ in self.layers))

    def _to_all(self, inputs: Tensor) -> Tensor:
        return inputs.expand(len(self.first.weight_hh), *inputs.shape[1:])


class MemberHeads(nn.Module):
    """E separate two-layer perceptrons, computed as batched products."""

    def __init__(self, members: int, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.hidden_weight = nn.Parameter(_uniform((members, inputs, hidden), inputs))
        self.hidden_bias = nn.Parameter(_uniform((members, 1, hidden), inputs))
        self.output_weight = nn.Parameter(_uniform((members, hidden, outputs), hidden))
        self.output_bias = nn.Parameter(_uniform((members, 1, outputs), hidden))
        self.product_dtype = torch.float32

    def forward(self, features: Tensor) -> Tensor:
        """Map (E, n, H), member by member, to (E, n, outputs)."""
        to = self.product_dtype
        hidden_bias, hidden_weight = self.hidden_bias.to(to), self.hidden_weight.to(to)
        hidden = torch.relu(torch.baddbmm(hidden_bias, features.to(to), hidden_weight))
        return torch.bmm(hidden, self.output_weight.to(to)).float() + self.output_bias


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
        self.state_trunk = Trunk(a.trunk_count, inputs, a.hidden, a.layers)
        self.auxiliary_trunk = (
            Trunk(1, inputs, a.hidden, a.layers) if a.auxiliary == "own_trunk" else None
        )
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
            a.members,
            a.hidden,
            a.auxiliary_head_hidden or a.head_hidden,
            a.contact_size + 1 + a.extension_size,
        )
        self.lowest_state = nn.Buffer(torch.full((a.state_size,), -torch.inf))
        self.highest_state = nn.Buffer(torch.full((a.state_size,), torch.inf))
        has_extension = a.extension_size > 0
        self.extension_mean = nn.Buffer(torch.zeros(a.extension_size), persistent=has_extension)
        self.extension_std = nn.Buffer(torch.ones(a.extension_size), persistent=has_extension)

    def know_range(self, lowest: Tensor, highest: Tensor) -> None:
        """Keep predicted states between normalised states (S,), those of the data.

        A margin of a tenth is added. What the model never saw it can't predict, and a forecast
        that runs away would otherwise end in numbers that no robot has.
        """
        margin = RANGE_MARGIN * (highest - lowest)
        self.lowest_state.copy_(lowest - margin)
        self.highest_state.copy_(highest + margin)

    @property
    def state_range(self) -> dict[str, Tensor]:
        """The range by the names in `state_dict`; unbounded until it is known."""
        return {"lowest_state": self.lowest_state, "highest_state": self.highest_state}

    def multiply_in(self, dtype: torch.dtype) -> None:
        """Choose the precision of matrix products: float32, or bfloat16 where it is fast."""
        for module in self.modules():
            if isinstance(module, (GruLayer, MemberHeads)):
                module.product_dtype = dtype

    def empty_memory(self, robots: int) -> Memory:
        """What the model remembers before the first input of B robots."""
        auxiliary = self.auxiliary_trunk
        return Memory(
            self.state_trunk.empty_memory(robots), auxiliary and auxiliary.empty_memory(robots)
        )

    def replay(self, inputs: Tensor) -> Memory:
        """Memory after a history of inputs (T, B, S + A)."""

        def last(trunk: Trunk) -> TrunkMemory:
            layers = trunk.sequence(inputs.unsqueeze(0))
            return TrunkMemory(tuple(layer[:, -1].clone() for layer in layers))

        auxiliary = self.auxiliary_trunk
        return Memory(last(self.state_trunk), None if auxiliary is None else last(auxiliary))

    def step(self, inputs: Tensor, memory: Memory) -> Memory:
        """Memory after one more input (B, S + A)."""
        inputs, auxiliary = inputs.unsqueeze(0), None
        if self.auxiliary_trunk is not None and memory.auxiliary is not None:
            auxiliary = self.auxiliary_trunk.step(inputs, memory.auxiliary)
        return Memory(self.state_trunk.step(inputs, memory.state), auxiliary)

    def advance(self, inputs: Tensor, memory: Memory) -> None:
        """As `step`, in place and without gradients."""
        self.state_trunk.advance(inputs.unsqueeze(0), memory.state)
        if self.auxiliary_trunk is not None and memory.auxiliary is not None:
            self.auxiliary_trunk.advance(inputs.unsqueeze(0), memory.auxiliary)

    def next_state(self, memory: Memory, state: Tensor) -> Tensor:
        """Every member's mean (E, B, S) of what follows the present normalised state (B, S).

        Within the range of the data; see `know_range`. NaN stays NaN.
        """
        return self.within_range(self.mean(memory.state.features, state))

    def within_range(self, state: Tensor) -> Tensor:
        """Normalised states (..., S), held within the range of the data; see `know_range`."""
        return torch.clamp(state, self.lowest_state, self.highest_state)

    def auxiliary_features(self, memory: Memory) -> Tensor:
        """Features (E, B, H) that contacts and termination are read from."""
        trunk = memory.auxiliary or memory.state
        return self._of_members(trunk.features)

    def auxiliary_sequence(self, inputs: Tensor) -> Tensor:
        """Auxiliary features (E, T, B, H) after every input (T, B, S + A) of a history."""
        trunk = self.auxiliary_trunk or self.state_trunk
        return self._of_members(trunk.sequence(inputs.unsqueeze(0))[-1])

    def mean(self, features: Tensor, state: Tensor) -> Tensor:
        """Next normalised state of each member.

        Args:
            features: State trunk outputs, shape (E, n, H) or, for all members, (1, n, H).
            state: Present normalised states, shape (E, n, S) or broadcastable to it.

        Returns:
            Shape (E, n, S).
        """
        mean = self.mean_heads(self._of_members(features))
        return state + mean if self.architecture.residual else mean

    def _of_members(self, features: Tensor) -> Tensor:
        return features.expand(self.architecture.members, *features.shape[1:])

    def log_std(self, features: Tensor) -> Tensor:
        """Log standard deviation of the next normalised state, shape (E, n, S).

        Raises:
            ConfigError: The architecture predicts none.
        """
        if self.log_std_heads is None:
            raise ConfigError(
                "this world model predicts no standard deviation", fix="Use the loss huber or mse."
            )
        unbounded = self.log_std_heads(self._of_members(features))
        if self.log_std_bounds is not None:
            return self.log_std_bounds(unbounded)
        low, high = self.LOG_STD_RANGE
        return low + (high - low) * torch.sigmoid(unbounded)

    def contact_and_termination_logits(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of contacts (E, n, K) and of termination (E, n) from auxiliary features."""
        contact, termination, _ = self.auxiliary(features)
        return contact, termination

    def auxiliary(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """All that is read from auxiliary features (E, n, H) or, for all members, (1, n, H).

        Returns:
            Logits of contacts (E, n, K), of termination (E, n), and the extension in its own
            units (E, n, X).
        """
        outputs = self.auxiliary_heads(self._of_members(features))
        contacts = self.architecture.contact_size
        extension = self.extension_mean + self.extension_std * outputs[..., contacts + 1 :]
        return outputs[..., :contacts], outputs[..., contacts], extension


def member_variance(means: Tensor) -> Tensor:
    """Variance of the members' means (E, n, S), shape (n, S); 0 with one member."""
    # By hand: torch's var over a leading dimension takes forty times as long on a CPU.
    offset = means - means.mean(dim=0)
    return offset.square().sum(dim=0) / max(1, len(means) - 1)


def epistemic_uncertainty(means: Tensor, reduction: str = "std_sum") -> Tensor:
    """Disagreement of the members' means in normalised units.

    Args:
        means: Shape (E, n, S).
        reduction: `std_sum`: sum over state entries of the standard deviation (released code);
            `variance`: sum of the variances (RWM-U, arXiv:2504.16680, Eq. 4).

    Returns:
        Shape (n,).
    """
    if reduction not in ("std_sum", "variance"):
        raise ConfigError(
            f"uncertainty '{reduction}'; allowed are std_sum, variance", fix="Correct the preset."
        )
    variance = member_variance(means)
    return (variance.sqrt() if reduction == "std_sum" else variance).sum(-1)
