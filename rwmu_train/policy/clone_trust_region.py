"""Keeps a policy near its clone on the data while PPO improves it in imagination.

Imagination visits gaits under way. What the data hold besides, such as robots that were just put
down, PPO never sees and would forget. As in DAPG (Rajeswaran et al., arXiv:1709.10087) the
gradient of imitation stays in every step.
O = observation size, A = action size.
"""

from __future__ import annotations

import copy

import torch
from rsl_rl.models import MLPModel
from torch import Tensor

from rwmu_train.environment.observation_torch import ActorView
from rwmu_train.policy.demonstrations import Demonstrations


class CloneTrustRegion:
    """Divergence of an actor from its present self, on demonstrated observations.

    Args:
        actor: Cloned; a copy of it is kept.
        demonstrations: Where the divergence is measured.
        view: What the actor sees in training.
        weight: Of the Kullback-Leibler divergence in PPO's loss.
        batch_size: Observations a step.
        seed: Seed of the draw.
    """

    def __init__(
        self,
        actor: MLPModel,
        demonstrations: Demonstrations,
        view: ActorView,
        *,
        weight: float,
        batch_size: int,
        seed: int,
    ) -> None:
        self._clone = copy.deepcopy(actor.mlp).requires_grad_(False)
        device = next(actor.parameters()).device
        self._observation, self._weight = demonstrations.observation.to(device), weight
        self._batch_size = batch_size
        self._view = view
        self._generator = torch.Generator(device).manual_seed(seed)

    def loss(self, actor: MLPModel, std: Tensor) -> Tensor:
        """The weighted mean of KL(clone || actor), both acting with `std` (A,); a scalar."""
        index = torch.randint(
            len(self._observation),
            (self._batch_size,),
            generator=self._generator,
            device=self._generator.device,
        )
        seen = self._view(self._observation[index], self._generator)
        observation = actor.obs_normalizer(seen)
        offset = (actor.mlp(observation) - self._clone(observation)) / std.detach()
        return self._weight * 0.5 * offset.square().sum(1).mean()
