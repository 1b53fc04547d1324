"""Figures of episodes: by hand, then what holds for all."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.evaluation.policy.command_bins import command_bins
from rwmu_train.evaluation.policy.policy_score import (
    return_over_reference,
    score_episodes,
    wilson_interval,
)
from rwmu_train.evaluation.policy.simulated_episodes import (
    CommandSums,
    EpisodeSettings,
    PolicyEpisodes,
)


def episodes(**changes) -> PolicyEpisodes:
    """Two robots, two commands each; the second falls at step 3, under its first command."""
    one = PolicyEpisodes(
        settings=EpisodeSettings(robots=2, seconds=20.0),
        variant="nominal",
        control_dt_s=0.02,
        episode_return=np.array([4.0, 1.0]),
        steps=np.array([8.0, 3.0]),
        command_steps=4,
        fall_step=np.array([-1, 3]),
        not_a_number=np.array([False, False]),
        absolute_torque=np.array([24.0, 9.0]),
        squared_torque=np.array([80.0, 30.0]),
        action_rate=np.array([16.0, 6.0]),
        power=np.array([800.0, 300.0]),
        slip_mps=0.1,
        commands=CommandSums(
            command=np.array(
                [[[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]], [[1.0, 0.0, 0.5], [0.0, 1.0, 0.0]]]
            ),
            steps=np.array([[4.0, 4.0], [3.0, 0.0]]),
            linear_tracking=np.array([[2.0, 4.0], [0.0, 0.0]]),
            yaw_tracking=np.array([[4.0, 4.0], [3.0, 0.0]]),
            along=np.array([[2.0, 0.0], [3.0, 0.0]]),
            asked=np.array([[4.0, 0.0], [3.0, 0.0]]),
            turned=np.array([[0.0, 0.0], [0.375, 0.0]]),
            turn_asked=np.array([[0.0, 0.0], [0.75, 0.0]]),
            fell=np.array([[0.0, 0.0], [1.0, 0.0]]),
        ),
        velocity=np.zeros((8, 3)),
        asked_velocity=np.zeros((8, 3)),
    )
    return replace(one, **changes)


def test_figures_are_means_over_the_steps_before_a_fall() -> None:
    score = score_episodes(episodes())
    assert score.episode_return == 2.5
    assert score.return_standard_error == pytest.approx(1.5)
    assert score.fall_share == 0.5
    assert score.following.linear_tracking == pytest.approx(6 / 11)
    assert score.following.velocity_ratio == pytest.approx(5 / 7)
    assert score.following.yaw_ratio == pytest.approx(0.5)
    assert score.torque_mean_nm == pytest.approx(3.0)
    assert score.torque_rms_nm == pytest.approx(10**0.5)
    assert score.power_w == pytest.approx(100.0)
    assert score.action_rate == pytest.approx(2.0)


def test_a_command_that_a_fallen_robot_never_met_counts_nowhere() -> None:
    score = score_episodes(episodes())
    assert score.following.commands == 3
    assert "left" not in score.by_command
    forward = score.by_command["forward"]
    assert (forward.commands, forward.fall_share) == (2, 0.5)


def test_a_robot_that_is_asked_to_stand_has_no_velocity_ratio() -> None:
    standing = score_episodes(episodes()).by_command["standing"]
    assert standing.velocity_ratio is None
    assert standing.linear_tracking == 1.0


def test_a_robot_that_stays_up_and_where_it_is_is_stuck() -> None:
    sums = episodes().commands

    def stuck(along: float, turned: float, fell: float = 0.0) -> float:
        # The second robot's first command: 1 m/s and 0.5 rad/s, for 3 steps.
        parts = {"along": along, "turned": turned, "fell": fell}
        changed = {name: getattr(sums, name).copy() for name in parts}
        for name, value in parts.items():
            changed[name][1, 0] = value
        moved = episodes(commands=replace(sums, **changed))
        return score_episodes(moved).by_command["forward"].stuck_share

    assert stuck(3.0, 0.75) == 0.0
    assert stuck(0.0, 0.0) == 0.5  # of two
    assert stuck(0.74, 0.18) == 0.5  # a quarter of 3 and of 0.75 is got going
    assert stuck(0.75, 0.0) == 0.0
    assert stuck(0.0, 0.19) == 0.0
    assert stuck(-3.0, -0.75) == 0.5
    assert stuck(np.nan, 0.0) == 0.5
    assert stuck(0.0, 0.0, fell=1.0) == 0.0
    assert score_episodes(episodes()).by_command["standing"].stuck_share == 0.0


def test_a_robot_that_falls_in_its_first_step_still_counts_as_fallen() -> None:
    at_once = episodes(fall_step=np.array([0, 0]), steps=np.zeros(2), squared_torque=np.zeros(2))
    score = score_episodes(at_once)
    assert score.fall_share == 1.0
    assert score.torque_rms_nm == 0.0


def test_the_return_over_itself_is_one_without_doubt() -> None:
    ratio, (low, high) = return_over_reference(episodes(), episodes())
    assert (ratio, low, high) == pytest.approx((1.0, 1.0, 1.0))


def test_the_interval_of_a_ratio_is_that_of_the_paired_differences() -> None:
    ours = episodes(episode_return=np.array([6.0, 2.0]))
    theirs = episodes(episode_return=np.array([4.0, 4.0]))
    ratio, (low, high) = return_over_reference(ours, theirs)
    # Differences from the ratio: +2 and -2, over a mean of 4 and the root of 2.
    assert ratio == 1.0
    assert high - 1.0 == pytest.approx(1.96 * 2.0 / (4.0 * 2**0.5), rel=1e-4)
    assert 1.0 - low == pytest.approx(high - 1.0)


def test_returns_of_other_episodes_are_not_compared() -> None:
    other = episodes(settings=EpisodeSettings(robots=2, seconds=20.0, seed=1))
    with pytest.raises(ConfigError, match="other settings"):
        return_over_reference(episodes(), other)
    with pytest.raises(ConfigError, match="allowed is above 0"):
        return_over_reference(episodes(), episodes(episode_return=np.array([-1.0, 1.0])))


def test_wilsons_interval_by_hand() -> None:
    # 20 of 1000: centre and half width from the formula.
    assert wilson_interval(20, 1000) == pytest.approx((0.01298, 0.03069), abs=1e-5)
    low, high = wilson_interval(0, 1000)
    assert low == 0.0
    assert high == pytest.approx(0.00383, abs=1e-5)


@given(st.integers(0, 50), st.integers(0, 50))
def test_wilsons_interval_holds_the_share(hits, misses) -> None:
    trials = hits + misses + 1
    low, high = wilson_interval(hits, trials)
    assert 0.0 <= low <= hits / trials <= high <= 1.0


@given(st.tuples(*[st.floats(-1, 1)] * 3))
def test_every_command_is_in_one_bin_of_speed_and_one_of_direction(command) -> None:
    bins = command_bins(np.array(command))
    found = [name for name, here in bins.items() if here]
    speeds = [n for n in found if n.startswith(("speed", "standing", "turning"))]
    ways = [n for n in found if n in ("forward", "backward", "left", "right")]
    turns = [n for n in found if n.startswith(("yaw", "standing"))]
    assert len(speeds) == 1
    assert len(ways) == (1 if speeds[0].startswith("speed") else 0)
    assert len(turns) == 1


@pytest.mark.parametrize(
    "wrong", [{"robots": 0}, {"seconds": 0.0}, {"seconds": float("nan")}, {"noise_scale": -1.0}]
)
def test_impossible_episodes_are_refused(wrong) -> None:
    with pytest.raises(ConfigError, match="allowed is"):
        EpisodeSettings(**wrong)
