"""Observations on which an exported policy is held against the trained one.

O = observation size, N = number of observations.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.action import action_bounds
from rwmu_deploy.contract.bundle_manifest import GOLDEN_COUNT
from rwmu_deploy.contract.observation import observation_size, observation_terms
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_train.export.parity import rounding_of
from rwmu_train.policy.policy_checkpoint import PolicyFacts
from rwmu_train.policy.policy_network import PolicyNetwork

Observations = NDArray[np.float32]

_REALISTIC_GOLDEN = 8
_STEADY_ROUNDING = 2e-6
"""A fifth of the difference that the robot's loader allows."""
_HALVINGS = 12
_SPEED_MARGIN = 2.0
"""A robot may be this much faster than it was told."""


def observation_limits(
    facts: PolicyFacts,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What a robot can measure before its safety limits end the run: lower, upper, shape (O,)."""
    spec, command = facts.robot, facts.command_range
    speed = 1.0 + _SPEED_MARGIN * np.abs([*command.lower, *command.upper]).max()
    turn = spec.safety.base_angular_velocity_damp_radps
    joint_speed = spec.safety.joint_velocity_damp_radps
    action_lower, action_upper = action_bounds(spec)
    limits = {
        "base_linear_velocity_mps": (-speed, speed),
        "base_angular_velocity_radps": (-turn, turn),
        "projected_gravity": (-1.0, 1.0),
        "velocity_command": (command.lower, command.upper),
        "joint_position_offset_rad": (
            spec.lower_rad - spec.default_position_rad,
            spec.upper_rad - spec.default_position_rad,
        ),
        "joint_velocity_radps": (-joint_speed, joint_speed),
        "last_action": (action_lower, action_upper),
    }
    terms = observation_terms(spec)
    lower, upper = (
        np.concatenate([np.broadcast_to(limits[term.name][side], term.size) for term in terms])
        for side in (0, 1)
    )
    return lower, upper


def random_observations(facts: PolicyFacts, count: int, rng: np.random.Generator) -> Observations:
    """Half all over what the robot can measure, half realistic; shape (N, O)."""
    lower, upper = observation_limits(facts)
    anywhere = rng.uniform(lower, upper, size=(count - count // 2, lower.size))
    return np.concatenate([anywhere, realistic_observations(facts, count // 2, rng)]).astype(
        np.float32
    )


def realistic_observations(
    facts: PolicyFacts, count: int, rng: np.random.Generator
) -> Observations:
    """As in training if its range is known, else about standing still; shape (N, O)."""
    seen = facts.observation_range
    if seen is None:
        mean, std = (
            standing_observation(facts.robot),
            0.1 * np.ptp(observation_limits(facts), 0),
        )
        lower, upper = observation_limits(facts)
    else:
        mean, std, lower, upper = map(
            np.asarray, (seen.mean, seen.std, seen.minimum, seen.maximum)
        )
    drawn = rng.normal(mean, std, size=(count, mean.size))
    return np.clip(drawn, lower, upper).astype(np.float32)


def extreme_observations(facts: PolicyFacts, count: int, rng: np.random.Generator) -> Observations:
    """Every entry at one of its limits: all low, all high, then at random; shape (N, O)."""
    lower, upper = observation_limits(facts)
    at_upper = rng.random((count, lower.size)) < 0.5
    at_upper[0], at_upper[1] = False, True
    return np.where(at_upper, upper, lower).astype(np.float32)


def standing_observation(spec: RobotSpec) -> NDArray[np.float64]:
    """A robot that stands upright in its default pose and is told to stay, shape (O,)."""
    observation = np.zeros(observation_size(spec))
    gravity = next(t for t in observation_terms(spec) if t.name == "projected_gravity")
    observation[gravity.slice] = (0.0, 0.0, -1.0)
    return observation


def golden_observations(
    network: PolicyNetwork,
    facts: PolicyFacts,
    recorded: Observations | None,
    rng: np.random.Generator,
) -> Observations:
    """The observations that travel with the bundle: zeros, standing, realistic, extreme.

    Args:
        network: The trained policy.
        facts: Its facts.
        recorded: Observations from a robot's log, shape (N, O); they are the realistic ones.
        rng: For what is drawn.

    Returns:
        Shape (16, O).
    """
    standing = standing_observation(facts.robot).astype(np.float32)
    if recorded is None or len(recorded) < _REALISTIC_GOLDEN:
        realistic = realistic_observations(facts, _REALISTIC_GOLDEN, rng)
    else:
        spread = np.linspace(0, len(recorded) - 1, _REALISTIC_GOLDEN).astype(np.intp)
        realistic = recorded[spread]
    extreme = extreme_observations(facts, GOLDEN_COUNT - 2 - _REALISTIC_GOLDEN, rng)
    drawn = np.concatenate([np.zeros_like(standing)[None], standing[None], realistic, extreme])
    return _where_rounding_is_small(network, drawn, standing)


def _where_rounding_is_small(
    network: PolicyNetwork, observations: Observations, standing: Observations
) -> Observations:
    """Bring observations nearer to standing until every processor rounds their actions alike.

    Otherwise a robot with another processor could refuse a bundle that is right.
    """
    steady = observations.copy()
    for _ in range(_HALVINGS):
        unsteady = rounding_of(network, steady) > _STEADY_ROUNDING
        steady[unsteady] = standing + 0.5 * (steady[unsteady] - standing)
    return steady
