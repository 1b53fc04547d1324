"""Figures of a policy's episodes, with the spread that their number leaves.

N = robots, K = commands of an episode.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.evaluation.policy.command_bins import command_bins
from rwmu_train.evaluation.policy.fall_times import FallTimes, fall_times
from rwmu_train.evaluation.policy.simulated_episodes import CommandSums, PolicyEpisodes
from rwmu_train.task.reward_terms import MOVING_COMMAND

FloatArray = NDArray[np.float64]
STUCK_RATIO = 0.25
"""A robot that reached less than this of what it was asked for, walking and turning, is stuck."""
_Z95 = 1.959964
"""Of the 95 % interval."""


@dataclass(frozen=True)
class FollowingScore:
    """How commands were followed, over the steps before a fall."""

    commands: int
    linear_tracking: float
    """Mean of exp(-|v_xy - command|^2 / 0.25); 1 is perfect."""
    yaw_tracking: float
    velocity_ratio: float | None
    """Velocity along the command over the commanded one; tracking alone flatters a robot that
    stands still. None where hardly any velocity was asked for."""
    yaw_ratio: float | None
    fall_share: float
    """Share of the commands under which the robot fell."""
    stuck_share: float
    """Share of the commands under which the robot was asked to move and neither fell nor got
    going; tracking and velocity ratio hide it among those that walk."""


@dataclass(frozen=True)
class PolicyScore:
    """All figures of one policy on one simulated robot."""

    variant: str
    episodes: int
    seconds: float
    episode_return: float
    return_standard_error: float
    following: FollowingScore
    fall_share: float
    """Share of the episodes that ended in a fall."""
    fall_interval: tuple[float, float]
    """95 %, Wilson's."""
    fall_times: FallTimes
    not_a_number: int
    """Falls that are an action that was not a number."""
    torque_mean_nm: float
    """Mean absolute torque of a joint."""
    torque_rms_nm: float
    power_w: float
    """Positive mechanical power of all joints."""
    action_rate: float
    """Mean squared change of the action a step, summed over joints."""
    slip_mps: float
    by_command: Mapping[str, FollowingScore]
    """Figures by what was commanded; bins without commands are left out."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def score_episodes(episodes: PolicyEpisodes) -> PolicyScore:
    """Sum up N episodes."""
    n = len(episodes.steps)
    alive = max(float(episodes.steps.sum()), 1.0)
    sums, begun = episodes.commands, episodes.commands.steps + episodes.commands.fell > 0
    return PolicyScore(
        variant=episodes.variant,
        episodes=n,
        seconds=episodes.settings.seconds,
        episode_return=float(episodes.episode_return.mean()),
        return_standard_error=float(episodes.episode_return.std(ddof=min(1, n - 1)) / np.sqrt(n)),
        following=_following(sums, begun),
        fall_share=float(episodes.fell.mean()),
        fall_interval=wilson_interval(int(episodes.fell.sum()), n),
        fall_times=fall_times(
            episodes.fall_step,
            len(episodes.velocity),
            episodes.command_steps,
            episodes.control_dt_s,
        ),
        not_a_number=int(episodes.not_a_number.sum()),
        torque_mean_nm=float(episodes.absolute_torque.sum() / alive),
        torque_rms_nm=float(np.sqrt(episodes.squared_torque.sum() / alive)),
        power_w=float(episodes.power.sum() / alive),
        action_rate=float(episodes.action_rate.sum() / alive),
        slip_mps=episodes.slip_mps,
        by_command={
            name: _following(sums, chosen & begun)
            for name, chosen in command_bins(sums.command).items()
            if (chosen & begun).any()
        },
    )


def return_over_reference(
    episodes: PolicyEpisodes, reference: PolicyEpisodes
) -> tuple[float, tuple[float, float]]:
    """Mean return over the reference's, with its 95 % interval (delta method, paired robots).

    Raises:
        ConfigError: The episodes are not of the same settings, or the reference earned nothing.
    """
    if episodes.settings != reference.settings or episodes.variant != reference.variant:
        raise ConfigError(
            "policy and reference were simulated with other settings",
            fix="Simulate both with one number of robots, time, seed and variant.",
        )
    ours, theirs = episodes.episode_return, reference.episode_return
    if not theirs.mean() > 0.0:
        raise ConfigError(
            f"the reference's mean return is {theirs.mean():.3g}; allowed is above 0",
            fix="Name a reference that walks.",
        )
    ratio = float(ours.mean() / theirs.mean())
    spread = (ours - ratio * theirs).std() / (theirs.mean() * np.sqrt(len(ours)))
    return ratio, (ratio - _Z95 * float(spread), ratio + _Z95 * float(spread))


def wilson_interval(hits: int, trials: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson, 1927): also where there were no hits."""
    share, z2 = hits / trials, _Z95**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _Z95 / (1 + z2 / trials)
    half *= np.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    low, high = float(centre - half), float(centre + half)
    # Exact at the ends, where rounding would leave a hair.
    return (low if hits > 0 else 0.0), (high if hits < trials else 1.0)


def _following(sums: CommandSums, chosen: NDArray[np.bool_]) -> FollowingScore:
    def total(values: FloatArray) -> float:
        return float(values[chosen].sum())

    steps = max(total(sums.steps), 1.0)
    return FollowingScore(
        commands=int(chosen.sum()),
        linear_tracking=total(sums.linear_tracking) / steps,
        yaw_tracking=total(sums.yaw_tracking) / steps,
        velocity_ratio=_ratio(total(sums.along), total(sums.asked), steps),
        yaw_ratio=_ratio(total(sums.turned), total(sums.turn_asked), steps),
        fall_share=total(sums.fell) / max(int(chosen.sum()), 1),
        stuck_share=float((chosen & _stuck(sums)).sum()) / max(int(chosen.sum()), 1),
    )


def _stuck(sums: CommandSums) -> NDArray[np.bool_]:
    """Commands to move under which a robot stayed up and where it was, shape (N, K)."""
    least = MOVING_COMMAND**2 * sums.steps
    to_walk, to_turn = sums.asked > least, sums.turn_asked > least
    walked = to_walk & (sums.along >= STUCK_RATIO * sums.asked)
    turned = to_turn & (sums.turned >= STUCK_RATIO * sums.turn_asked)
    return (to_walk | to_turn) & ~(walked | turned) & (sums.fell == 0.0)


def _ratio(reached: float, asked: float, steps: float) -> float | None:
    return reached / asked if asked > MOVING_COMMAND**2 * steps else None
