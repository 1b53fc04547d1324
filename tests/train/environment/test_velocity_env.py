import pytest
import torch
from scripted_env import make, zeros


def test_actions_are_applied_within_the_joint_limits() -> None:
    env, dynamics = make()
    env.step(torch.full((3, 12), 100.0))
    upper = env.action_limits[1]
    torch.testing.assert_close(dynamics.actions[0], upper.expand(3, -1))
    torch.testing.assert_close(env.last_action, upper.expand(3, -1))


def test_a_fall_ends_the_episode_costs_the_penalty_and_is_no_time_out() -> None:
    env, dynamics = make(termination_penalty=1.0)
    dynamics.next_fell = torch.tensor([False, True, False])
    _, rewards, dones, extras = env.step(zeros(env))
    assert dones.tolist() == [0, 1, 0]
    assert extras["time_outs"].tolist() == [0.0, 0.0, 0.0]
    assert 0.0 <= rewards[0] <= 0.03
    assert -1.0 <= rewards[1] <= -0.97
    assert dynamics.resets[-1] == [1]


def test_the_longest_episode_is_a_time_out() -> None:
    env, _ = make()
    for _ in range(9):
        _, _, dones, _ = env.step(zeros(env))
        assert not dones.any()
    _, _, dones, extras = env.step(zeros(env))
    assert dones.all()
    assert extras["time_outs"].tolist() == [1.0, 1.0, 1.0]


def test_a_new_episode_observes_the_action_that_produced_its_first_state() -> None:
    env, _ = make()
    assert env.get_observations()["policy"][:, 36:48].eq(0.25).all()


def test_uncertainty_costs_lambda_times_dt() -> None:
    env, dynamics = make(uncertainty_weight=2.0, clip_at_zero=False)
    dynamics.next_uncertainty = torch.tensor([0.0, 1.0, 3.0])
    env.command[:] = 0.0
    _, rewards, _, _ = env.step(zeros(env))
    assert (rewards[0] - rewards[1]).item() == pytest.approx(2.0 * 1.0 * 0.02, abs=1e-6)
    assert (rewards[0] - rewards[2]).item() == pytest.approx(2.0 * 3.0 * 0.02, abs=1e-6)


def test_tracking_can_be_made_to_pay_more() -> None:
    plain, tracked = make(clip_at_zero=False)[0], make(clip_at_zero=False, tracking_factor=3.0)[0]
    for env in (plain, tracked):
        env.command[:] = 0.0
    more = tracked.step(zeros(tracked))[1] - plain.step(zeros(plain))[1]
    # Standing robots track a zero command perfectly: 1 and 0.5, times 2 more, times dt.
    assert more.tolist() == pytest.approx([2 * 1.5 * 0.02] * 3, abs=1e-6)


def test_commands_change_and_pushes_come_when_due() -> None:
    env, dynamics = make()
    first = env.command.clone()
    for _ in range(3):
        env.step(zeros(env))
    torch.testing.assert_close(env.command, first)
    assert dynamics.pushes == [[0, 1, 2]]
    env.step(zeros(env))
    assert not torch.equal(env.command, first)


def test_a_pushed_robot_is_observed_as_pushed() -> None:
    env, _ = make()
    for _ in range(3):
        observation, _, _, _ = env.step(zeros(env))
    assert observation["policy"][:, :2].abs().sum() > 0.0


def test_air_time_is_paid_once_at_touchdown() -> None:
    env, dynamics = make(clip_at_zero=False)
    env.step(zeros(env))
    env.command[:] = torch.tensor([1.0, 0.0, 0.0])
    quiet = env.step(zeros(env))[1]
    dynamics.contact[:, 4:] = 1.0
    landed = env.step(zeros(env))[1]
    # Four feet were in the air for 3 steps: (0.06 - 0.5) each, weight 0.5, dt 0.02.
    assert (landed - quiet)[0].item() == pytest.approx(4 * (0.06 - 0.5) * 0.5 * 0.02, abs=1e-6)
    env.command[:] = torch.tensor([1.0, 0.0, 0.0])
    stays = env.step(zeros(env))[1]
    assert stays[0].item() == pytest.approx(quiet[0].item(), abs=1e-6)


def test_the_same_seed_gives_the_same_commands() -> None:
    torch.testing.assert_close(make()[0].command, make()[0].command)
