from dataclasses import replace

import numpy as np
import pytest
import torch

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.environment.chosen_robots import ListedRobots
from rwmu_train.imagination.imagined_dynamics import ImaginationSettings, ImaginedDynamics
from rwmu_train.imagination.warm_start import NEAR_FALL_ROWS, ROWS_BEFORE_A_FALL
from rwmu_train.transitions.normaliser import released_normaliser
from rwmu_train.transitions.windows import gather, window_starts
from rwmu_train.world_model.ensemble import Architecture, WorldModel

HISTORY = 8


@pytest.fixture
def model() -> WorldModel:
    torch.manual_seed(0)
    return WorldModel(Architecture(45, 12, 8, members=5, hidden=16, head_hidden=8)).eval()


def imagine(model, dataset, robots=7, **changes) -> ImaginedDynamics:
    changes = {"precision": "float32"} | changes
    return ImaginedDynamics(
        model,
        dataset,
        released_normaliser(dataset.spec),
        HISTORY,
        replace(ImaginationSettings(robots=robots), **changes),
        seed=0,
        data_median_uncertainty=2.0,
    )


def everyone(dynamics) -> ListedRobots:
    return ListedRobots(torch.arange(dynamics.count))


def actions(dynamics, seed=1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(dynamics.count, 12, generator=generator)


@torch.no_grad()
def test_the_first_step_equals_a_replay_of_the_history_by_hand(model, small_dataset) -> None:
    dynamics = imagine(model, small_dataset)
    dynamics.reset(everyone(dynamics))
    starts = dynamics._starts._starts
    rng = np.random.default_rng(0)
    drawn = starts[rng.integers(0, len(starts), 1024)][:7]
    normaliser = released_normaliser(small_dataset.spec)
    window = torch.from_numpy(gather(small_dataset, drawn, HISTORY))
    state = normaliser.normalise(window[..., :45])
    action = window[..., 45:57]
    applied = actions(dynamics)
    outcome = dynamics.step(applied)
    for robot in range(7):
        memory = model.empty_memory(1)
        following = [*action[robot, 1:], applied[robot]]
        for t in range(HISTORY):
            inputs = torch.cat([state[robot, t], following[t]]).unsqueeze(0)
            memory = model.step(inputs, memory)
        means = model.next_state(memory, state[robot, -1])[:, 0]
        # Robots 0..6 are followed by members 0, 0, 1, 2, 2, 3, 4.
        member = robot * 5 // 7
        expected = normaliser.denormalise(means[member])
        torch.testing.assert_close(outcome.state[robot], expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(
            outcome.uncertainty[robot], means.std(0).sum(), rtol=1e-4, atol=1e-5
        )


def test_bfloat16_products_change_a_step_by_little(model, small_dataset) -> None:
    outcomes = []
    for precision in ("float32", "bfloat16"):
        dynamics = imagine(model, small_dataset, precision=precision)
        dynamics.reset(everyone(dynamics))
        outcomes.append(dynamics.step(actions(dynamics)))
    normaliser = released_normaliser(small_dataset.spec)
    exact, rounded = (normaliser.normalise(outcome.state) for outcome in outcomes)
    assert 0.0 < (exact - rounded).abs().max() < 0.02
    torch.testing.assert_close(
        outcomes[0].uncertainty, outcomes[1].uncertainty, rtol=0.02, atol=0.02
    )


def test_an_encoded_history_begins_four_episodes_before_new_ones_are_encoded(
    model, small_dataset
) -> None:
    starts = imagine(model, small_dataset)._starts
    first = [starts.draw(7).state for _ in range(4)]
    later = starts.draw(7).state
    rows = [{tuple(row) for row in each.tolist()} for each in (*first, later)]
    assert rows[0] == rows[1] == rows[2] == rows[3] != rows[4]


def test_a_reset_robot_equals_a_fresh_one(model, small_dataset) -> None:
    used, fresh = imagine(model, small_dataset), imagine(model, small_dataset)
    used.reset(everyone(used))
    for seed in range(5):
        used.step(actions(used, seed))
    used._starts = imagine(model, small_dataset)._starts
    first = used.reset(everyone(used))
    second = fresh.reset(everyone(fresh))
    torch.testing.assert_close(first, second)
    for seed in range(3):
        ours, theirs = used.step(actions(used, seed)), fresh.step(actions(fresh, seed))
        torch.testing.assert_close(ours.state, theirs.state)
        torch.testing.assert_close(ours.uncertainty, theirs.uncertainty)
        assert torch.equal(ours.contact, theirs.contact)


def test_resetting_some_robots_leaves_the_others_alone(model, small_dataset) -> None:
    a, b = imagine(model, small_dataset), imagine(model, small_dataset)
    for dynamics in (a, b):
        dynamics.reset(everyone(dynamics))
        dynamics.step(actions(dynamics))
    a.reset(ListedRobots(torch.tensor([2, 5])))
    ours, theirs = a.step(actions(a)), b.step(actions(b))
    kept = [0, 1, 3, 4, 6]
    torch.testing.assert_close(ours.state[kept], theirs.state[kept])
    assert not torch.allclose(ours.state[[2, 5]], theirs.state[[2, 5]])


@torch.no_grad()
def test_contacts_come_from_each_robots_own_member(model, small_dataset) -> None:
    dynamics = imagine(model, small_dataset)
    dynamics.reset(everyone(dynamics))
    outcome = dynamics.step(actions(dynamics))
    features = model.auxiliary_features(dynamics._memory)
    contact, fall = model.contact_and_termination_logits(features)
    for robot in range(7):
        member = robot * 5 // 7
        assert torch.equal(outcome.contact[robot], (contact[member, robot] > 0).float())
        assert bool(outcome.fell[robot]) == bool(fall[member, robot] > 0)


def test_the_mean_of_members_is_an_option(model, small_dataset) -> None:
    one = imagine(model, small_dataset)
    mean = imagine(model, small_dataset, dynamics="mean")
    for dynamics in (one, mean):
        dynamics.reset(everyone(dynamics))
    action = actions(one)
    assert not torch.allclose(one.step(action).state, mean.step(action).state)


def test_uncertainty_can_be_told_in_units_of_the_datas_own(model, small_dataset) -> None:
    plain = imagine(model, small_dataset)
    relative = imagine(model, small_dataset, uncertainty_unit="data_median")
    for dynamics in (plain, relative):
        dynamics.reset(everyone(dynamics))
    action = actions(plain)
    torch.testing.assert_close(
        plain.step(action).uncertainty / 2.0, relative.step(action).uncertainty
    )


def test_an_episode_ends_above_the_uncertainty_threshold_or_where_it_is_nan(
    model, small_dataset
) -> None:
    dynamics = imagine(model, small_dataset, end_above_uncertainty=0.0)
    dynamics.reset(everyone(dynamics))
    assert dynamics.step(actions(dynamics)).fell.all()
    model.mean_heads.output_bias.data[0] = torch.nan
    dynamics = imagine(model, small_dataset, end_above_uncertainty=1e9)
    dynamics.reset(everyone(dynamics))
    assert dynamics.step(actions(dynamics)).fell.all()


def test_a_push_changes_the_base_velocity_only(model, small_dataset) -> None:
    dynamics = imagine(model, small_dataset)
    state, _ = dynamics.reset(everyone(dynamics))
    pushed = dynamics.push(ListedRobots(torch.tensor([3])), torch.tensor([[0.5, -0.25]]))
    change = pushed[0] - state[3]
    assert change[:2].tolist() == pytest.approx([0.5, -0.25], abs=1e-5)
    assert change[2:].abs().max() < 1e-4


def test_no_imagined_episode_starts_just_before_a_fall(model, small_dataset) -> None:
    kept = imagine(model, small_dataset)._starts._starts + HISTORY - 1
    every = window_starts(small_dataset, HISTORY) + HISTORY - 1
    assert set(every) - set(kept) == set(range(890, 900))


def test_a_share_of_episodes_begins_shortly_before_a_fall(model, small_dataset) -> None:
    # The last of six episodes, rows 750 to 899, ends in a fall.
    def ends(share):
        starts = imagine(model, small_dataset, near_fall_share=share)._starts
        return starts._rows(4000) + HISTORY - 1

    def near(rows):
        return np.mean((rows >= 900 - NEAR_FALL_ROWS) & (rows < 900 - ROWS_BEFORE_A_FALL))

    as_in_data = near(ends(0.0))
    assert 0.05 < as_in_data < 0.12
    assert near(ends(0.4)) == pytest.approx(0.4 + 0.6 * as_in_data, abs=0.03)
    assert near(ends(1.0)) == 1.0
    assert (ends(1.0) < 900 - ROWS_BEFORE_A_FALL).all()


def test_without_falls_in_the_data_all_starts_are_alike(model, small_dataset) -> None:
    kinds = tuple("truncated" for _ in small_dataset.episode_end_kind)
    calm = replace(small_dataset, episode_end_kind=kinds)
    starts = imagine(model, calm, near_fall_share=1.0)._starts
    assert len(np.unique(np.searchsorted(calm.episode_start, starts._rows(500), "right"))) == 6


def test_relative_uncertainty_needs_the_datas_median(model, small_dataset) -> None:
    with pytest.raises(ConfigError, match="median uncertainty on held-out data is None"):
        ImaginedDynamics(
            model,
            small_dataset,
            released_normaliser(small_dataset.spec),
            HISTORY,
            ImaginationSettings(robots=2, uncertainty_unit="data_median"),
            seed=0,
        )


@pytest.mark.parametrize("name", ["near_fall_share", "most_out_of_range"])
@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(name, wrong) -> None:
    with pytest.raises(ConfigError, match=f"{name} is .*allowed is 0 to 1"):
        ImaginationSettings(**{name: wrong})
