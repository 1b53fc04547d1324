"""The world model as the environment's dynamics: N imagined robots that step together.

RWM-U (arXiv:2504.16680). N robots, E members, S state, A action, K contacts, X extension.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.environment.chosen_robots import ChosenRobots, MaskedRobots
from rwmu_train.environment.dynamics import DynamicsOutcome
from rwmu_train.imagination.start_pool import StartPool
from rwmu_train.imagination.warm_start import StartingPoint, WarmStarts
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.normaliser import StateNormaliser
from rwmu_train.world_model.ensemble import WorldModel, epistemic_uncertainty
from rwmu_train.world_model.precision import Precision, product_dtype


@dataclass(frozen=True)
class ImaginationSettings:
    """How the world model is used as dynamics."""

    robots: int = 4096
    """N."""
    dynamics: Literal["member", "mean"] = "member"
    """`member`: each robot is followed by one member (released code); `mean`: by the mean of all
    members (arXiv:2504.16680, Eq. 4)."""
    uncertainty: Literal["std_sum", "variance"] = "std_sum"
    """Reduction of the members' disagreement, in normalised units."""
    uncertainty_unit: Literal["absolute", "data_median"] = "absolute"
    """`absolute`: as it is; `data_median`: divided by its median on held-out data, so that lambda
    keeps its meaning from model to model."""
    end_above_uncertainty: float = math.inf
    """An episode ends as a fall where the uncertainty passes this (in `uncertainty_unit`)."""
    near_fall_share: float = 0.0
    """Share of episodes that begin within `NEAR_FALL_ROWS` before a logged fall; 0: as many as the
    data hold. How a fall begins, a world model forecasts too rarely; from there on it is right."""
    most_out_of_range: float = 0.005
    """Largest share of an iteration's steps in which a robot may be lost (see `range_guard`);
    above it training stops. 1 never stops it."""
    precision: Precision = "auto"
    """Of the model's matrix products."""

    def __post_init__(self) -> None:
        for name, what in (
            ("most_out_of_range", "steps: 0.005 is one in two hundred"),
            ("near_fall_share", "episodes: 0.3 is three in ten"),
        ):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(
                    f"{name} is {getattr(self, name)}; allowed is 0 to 1",
                    fix=f"It is a share of {what}.",
                )


class ImaginedDynamics:
    """N imagined robots behind the `Dynamics` port.

    Args:
        model: The trained world model.
        dataset: Where episodes start.
        normaliser: Of the model.
        history: Rows replayed before the first imagined step.
        settings: How the model is used.
        seed: Seed of starting points.
        data_median_uncertainty: Median on held-out data; needed for `data_median`.
    """

    def __init__(
        self,
        model: WorldModel,
        dataset: TransitionDataset,
        normaliser: StateNormaliser,
        history: int,
        settings: ImaginationSettings,
        *,
        seed: int,
        device: str = "cpu",
        data_median_uncertainty: float | None = None,
    ) -> None:
        self.count, self.device, self.settings = settings.robots, device, settings
        if not torch.isfinite(model.lowest_state).all():  # imported, or of schema 1
            states = normaliser.normalise(torch.from_numpy(dataset.states[dataset.member_rows()]))
            model.know_range(states.amin(0), states.amax(0))
        self._model = model.to(device).eval()
        # Copied once: a GPU would wait for the normaliser's copies in every step.
        self._mean, self._std = (
            torch.from_numpy(each).to(device) for each in (normaliser.mean, normaliser.std)
        )
        self._precision = product_dtype(settings.precision, device)
        model.multiply_in(self._precision)
        self._columns = dataset.columns
        self._unit = _unit(settings, data_median_uncertainty)
        self._starts = WarmStarts(
            model,
            dataset,
            normaliser,
            history,
            batch=settings.robots,
            near_fall_share=settings.near_fall_share,
            seed=seed,
            device=device,
        )
        a = model.architecture
        self._pool: StartPool | None = None
        self._own = torch.arange(self.count, device=device)
        self._member = self._own * a.members // self.count
        first = torch.searchsorted(self._member, torch.arange(a.members, device=device))
        self._block = -(-self.count // a.members)
        self._place = self._member * self._block + self._own - first[self._member]
        """Of every robot among those of its member, padded to as many for each."""
        self._state = torch.zeros(self.count, a.state_size, device=device)
        # What is multiplied next is kept in the products' precision at once.
        self._memory = model.empty_memory(self.count).to(self._precision)

    def reset(self, who: ChosenRobots) -> tuple[Tensor, Tensor]:
        """Begin at states from data, with the memory that their history leaves."""
        start = self._draw(who)
        who.write(self._state, start.state)
        for now, new in zip(self._memory.tensors, start.memory.tensors, strict=True):
            who.write(now, new.to(self._precision), dim=1)
        return self._physical(start.state), start.last_action

    def refill_starts(self) -> None:
        """Encode new histories where a mask has used those at hand up. The host waits here.

        To be called from time to time by those who tell robots by a mask; without it the same
        histories begin episodes again.
        """
        if self._pool is not None:
            self._pool.refill_if_used()

    @torch.no_grad()
    def step(self, action: Tensor) -> DynamicsOutcome:
        """One imagined control step; the members' means are fed back, nothing is sampled."""
        inputs = torch.cat([self._state, action], dim=-1)
        self._model.advance(inputs, self._memory)
        means = self._model.next_state(self._memory, self._state)
        uncertainty = epistemic_uncertainty(means, self.settings.uncertainty) / self._unit
        chosen = means[self._member, self._own]
        if self.settings.dynamics == "mean":
            chosen = means.mean(dim=0)
        self._state.copy_(chosen)
        contact, fall, extension = self._contact_fall_extension()
        return DynamicsOutcome(
            state=self._physical(self._state),
            contact=contact,
            # Not `above`: an uncertainty that is not a number must end the episode too.
            fell=fall | ~(uncertainty <= self.settings.end_above_uncertainty),
            uncertainty=uncertainty,
            extension=extension,
        )

    def push(self, who: ChosenRobots, velocity_mps: Tensor) -> Tensor:
        """A horizontal kick in the base frame."""
        state = self._physical(who.of(self._state))
        state[:, self._columns.base_linear_velocity_mps.slice][:, :2] += velocity_mps
        who.write(self._state, (state - self._mean) / self._std)
        return state

    def _physical(self, normalised: Tensor) -> Tensor:
        return normalised * self._std + self._mean

    def _draw(self, who: ChosenRobots) -> StartingPoint:
        if not isinstance(who, MaskedRobots):
            return self._starts.draw(who.count)
        if self._pool is None:
            self._pool = StartPool(self._starts, self.count)
        return self._pool.draw(who.mask)

    def _contact_fall_extension(self) -> tuple[Tensor, Tensor, Tensor]:
        """Each robot's own member says whether bodies touch, whether it fell, and the rest."""
        members = self._model.architecture.members
        features = self._model.auxiliary_features(self._memory)[self._member, self._own]
        padded = features.new_zeros(members * self._block, features.shape[-1])
        padded[self._place] = features
        said = self._model.auxiliary(padded.view(members, self._block, -1))
        contact, fall, extension = (part.flatten(0, 1)[self._place] for part in said)
        return (contact > 0.0).float(), fall > 0.0, extension


def _unit(settings: ImaginationSettings, data_median: float | None) -> float:
    if settings.uncertainty_unit == "absolute":
        return 1.0
    if data_median is None or not data_median > 0.0:
        raise ConfigError(
            f"the world model's median uncertainty on held-out data is {data_median}; "
            "uncertainty_unit 'data_median' needs it above 0",
            fix="Train the model to its first evaluation, or use uncertainty_unit 'absolute'.",
        )
    return data_median
