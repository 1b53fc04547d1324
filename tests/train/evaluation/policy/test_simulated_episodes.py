"""Episodes in the simulated robot, the real one."""

import numpy as np
import pytest
import torch

from rwmu_deploy.simulation.robot_variant import FIELD
from rwmu_train.evaluation.policy.foot_slip import FootSlip
from rwmu_train.evaluation.policy.policy_score import score_episodes
from rwmu_train.evaluation.policy.simulated_episodes import EpisodeSettings, simulate_episodes
from rwmu_train.task.velocity_task import find_task

TASK = find_task("anymal_d_flat")


def stand(observation: torch.Tensor) -> torch.Tensor:
    return torch.zeros(len(observation), 12)


def simulate(spec, policy, **changes):
    settings = EpisodeSettings(robots=4, seconds=1.0, seed=3)
    return simulate_episodes(policy, spec, TASK, settings, threads=1, **changes)


def test_a_robot_that_stands_hardly_moves_along_any_command(spec) -> None:
    episodes = simulate(spec, stand)
    assert not episodes.fell.any()
    assert episodes.steps.tolist() == [50.0] * 4
    score = score_episodes(episodes)
    assert abs(score.following.velocity_ratio) < 0.3
    assert 10.0 < score.torque_rms_nm < 40.0
    assert score.action_rate == 0.0


def test_a_policy_without_numbers_has_fallen_at_once_and_spoils_no_figure(spec) -> None:
    def broken(observation):
        action = stand(observation)
        action[1] = torch.nan
        return action

    episodes = simulate(spec, broken)
    assert episodes.fall_step.tolist() == [-1, 0, -1, -1]
    assert episodes.not_a_number.tolist() == [False, True, False, False]
    assert score_episodes(episodes).not_a_number == 1
    assert episodes.steps.tolist() == [50.0, 0.0, 50.0, 50.0]
    assert np.isfinite(episodes.episode_return).all()
    assert episodes.episode_return[1] == 0.0


def test_equal_seeds_give_equal_episodes_and_variants_differ(spec) -> None:
    first, again, field = (
        simulate(spec, stand),
        simulate(spec, stand),
        simulate(spec, stand, variant=FIELD),
    )
    np.testing.assert_array_equal(first.episode_return, again.episode_return)
    np.testing.assert_array_equal(first.commands.command, field.commands.command)
    assert (first.episode_return != field.episode_return).all()


def falls_at(step: int, robot: int):
    """Stands, and gives no number to one robot at one step."""
    told = iter(range(10**6))

    def policy(observation: torch.Tensor) -> torch.Tensor:
        action = stand(observation)
        if next(told) == step:
            action[robot] = torch.nan
        return action

    return policy


def test_a_fall_is_booked_under_the_command_that_was_in_force(spec) -> None:
    asked = []

    def falls_at_20(observation):
        asked.append(observation[:, 9:12].clone())
        return fall(observation)

    fall = falls_at(20, robot=2)
    episodes = simulate(spec, falls_at_20)
    assert episodes.fall_step.tolist() == [-1, -1, 20, -1]
    torch.testing.assert_close(
        torch.from_numpy(episodes.commands.command[:, 0]).float(), asked[20]
    )
    # The robot that begins anew is asked for something else, and that is not counted.
    assert not torch.equal(asked[21][2], asked[20][2])


def test_robots_get_the_same_commands_whoever_falls(spec) -> None:
    settings = EpisodeSettings(robots=3, seconds=10.5, seed=3)
    asked = {}
    for name, policy in (("stands", stand), ("falls", falls_at(5, robot=0))):
        seen = asked[name] = []

        def watched(observation, policy=policy, seen=seen):
            seen.append(observation[:, 9:12].clone())
            return policy(observation)

        simulate_episodes(watched, spec, TASK, settings, threads=1)
    for step in (0, 499, 500, 524):
        torch.testing.assert_close(asked["stands"][step][1:], asked["falls"][step][1:])
    stood = torch.stack(asked["stands"])
    assert (stood[:500] == stood[0]).all()
    assert (stood[500:] == stood[500]).all()
    assert not torch.equal(stood[499], stood[500])


def test_progress_is_told_every_step(spec) -> None:
    told = []
    simulate(spec, stand, on_step=lambda step, steps: told.append((step, steps)))
    assert told == [(step, 50) for step in range(1, 51)]


def test_slip_is_the_speed_of_touching_feet_over_the_ground(spec) -> None:
    slip = FootSlip(spec, 2, each_step=2)
    state = torch.zeros(2, 45)
    state[:, 8] = -1.0
    # The robots glide without moving a joint: every foot is as fast as the base.
    state[:, :3] = torch.tensor([[0.3, 0.4, 0.2], [0.0, 0.0, 0.1]])
    touching = torch.ones(2, len(spec.contact_names))
    slip.add(state, touching, torch.tensor([True, True]))
    assert slip.mean_mps == pytest.approx(0.25, abs=1e-6)
    slip.add(state, touching, torch.tensor([True, False]))
    assert slip.mean_mps == pytest.approx((4 * 0.25 * 2 + 4 * 0.5) / 12, abs=1e-6)
    slip.add(state, torch.zeros_like(touching), torch.tensor([True, True]))
    assert slip.mean_mps == pytest.approx((4 * 0.25 * 2 + 4 * 0.5) / 12, abs=1e-6)


def test_robots_take_turns_so_that_the_slip_of_all_counts(spec) -> None:
    slip = FootSlip(spec, 3, each_step=2)
    state = torch.zeros(3, 45)
    state[:, 8] = -1.0
    state[:, 0] = torch.tensor([0.1, 0.5, 0.9])
    touching, walking = torch.ones(3, len(spec.contact_names)), torch.ones(3, dtype=torch.bool)
    slip.add(state, touching, walking)
    assert slip.mean_mps == pytest.approx((0.1 + 0.9) / 2)
    slip.add(state, touching, walking)
    assert slip.mean_mps == pytest.approx((0.1 + 0.5 + 0.9) / 3)


def test_without_contacts_nothing_slips(spec) -> None:
    assert FootSlip(spec, 2, each_step=2).mean_mps == 0.0
