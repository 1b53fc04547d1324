"""Hold the exported policy against the trained one, number by number."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import RwmuError
from rwmu_deploy.contract.policy_bundle import GOLDEN_TOLERANCE as TOLERANCE
from rwmu_train.policy.policy_network import PolicyNetwork


class ActingPolicy(Protocol):
    """A policy in any form: session, bundle, or what another program runs."""

    def action(self, observation: NDArray[np.float32], /) -> NDArray[np.float64]:
        """Action, shape (A,), of an observation, shape (O,)."""
        ...


class ParityError(RwmuError):
    """The exported policy answers otherwise than the trained one."""


_ROUNDING_FACTOR = 2.0
"""Trained and exported policy both round."""
_LARGEST_ALLOWED = 1e-3


@dataclass(frozen=True)
class Comparison:
    """Trained and exported policy on one set of observations."""

    count: int
    largest_difference: float
    """Largest absolute difference of any action."""
    rounding: float
    """What float32 alone changes: the trained policy in float32 and in float64."""
    allowed_difference: float


def rounding_of(network: PolicyNetwork, observations: NDArray[np.float32]) -> NDArray[np.float64]:
    """Largest difference of any action between float32 and float64, shape (N,)."""
    exact = copy.deepcopy(network).cpu().double()
    with torch.no_grad():
        actions = exact(torch.from_numpy(observations).double()).numpy()
    return np.abs(network.action(observations) - actions).max(axis=1)


def compare_policies(
    network: PolicyNetwork,
    exported: ActingPolicy,
    observations: Mapping[str, NDArray[np.float32]],
) -> dict[str, Comparison]:
    """Compare on named sets of observations, each of shape (N, O).

    Allowed is 1e-5. Only where float32 rounding alone moves the trained policy's action by more
    than half of that (large activations, far from the training data), it is twice that rounding.

    Raises:
        ParityError: An action differs by more than allowed, or is not a number.
    """
    return {name: _compare(network, exported, name, rows) for name, rows in observations.items()}


def _compare(
    network: PolicyNetwork,
    exported: ActingPolicy,
    name: str,
    observations: NDArray[np.float32],
) -> Comparison:
    trained = network.action(observations)
    answers = np.stack([exported.action(row) for row in observations])
    difference = np.abs(answers - trained).max(axis=1)
    rounding = float(rounding_of(network, observations).max())
    allowed = min(max(TOLERANCE, _ROUNDING_FACTOR * rounding), _LARGEST_ALLOWED)
    if not (difference <= allowed).all():
        # argmax takes a NaN for the largest.
        row = int(np.argmax(difference))
        raise ParityError(
            f"{name} observation {row}: the exported action differs by {difference[row]:.3g} from "
            f"the trained one, allowed is {allowed:.3g}",
            fix="The policy that was exported is not the one that was trained: do not run it.",
        )
    return Comparison(len(observations), float(difference.max()), rounding, allowed)
