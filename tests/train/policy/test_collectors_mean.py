from dataclasses import replace

import pytest
import torch

from rwmu_train.policy.collectors_mean import MeanAnswers, learn_mean_answers
from rwmu_train.policy.demonstrations import CloningSettings, Demonstrations, choose_demonstrations
from tests.train.policy.test_demonstrations import collected_by

SETTINGS = CloningSettings(steps=600, batch_size=128, learning_rate=0.01)
GAINS = (0.7, 1.0, 1.3)


def walked_apart(gains: tuple[float, ...] = GAINS, rows: int = 500) -> Demonstrations:
    """Collector k pushes back by its gain, and was mostly around position k - 1."""
    generator = torch.Generator().manual_seed(1)
    observation = torch.randn((rows * len(gains), 2), generator=generator)
    collector = torch.arange(len(gains)).repeat_interleave(rows)
    observation[:, 0] += collector - 1.0
    action = -torch.tensor(gains)[collector, None] * observation[:, :1]
    names = tuple(f"stage {k}" for k in range(len(gains)))
    return Demonstrations(observation, action, names, collector)


def mean_of(shown: Demonstrations, seed: int = 0) -> MeanAnswers:
    return learn_mean_answers(shown, [32, 32], SETTINGS, seed=seed)


def test_the_mean_of_all_collectors_is_imitated_where_mostly_one_has_been() -> None:
    shown = walked_apart()
    mean = mean_of(shown)
    assert mean.agree
    position = shown.observation[:, 0]
    off_mean = (mean.demonstrations.action[:, 0] + position).abs()  # the mean gain is 1
    for k in (0, 2):
        here = shown.collector == k
        own = 0.3 * position[here].abs().mean()
        assert off_mean[here].mean() < 0.4 * own


def test_observations_and_who_made_them_stay_as_they_were() -> None:
    shown = walked_apart()
    answered = mean_of(shown).demonstrations
    torch.testing.assert_close(answered.observation, shown.observation, rtol=0, atol=0)
    assert answered.collectors == shown.collectors
    assert answered.action.shape == shown.action.shape


def test_noise_on_logged_actions_is_not_imitated() -> None:
    shown = walked_apart()
    generator = torch.Generator().manual_seed(2)
    shaken = shown.action + 0.5 * torch.randn(shown.action.shape, generator=generator)
    answers = mean_of(replace(shown, action=shaken)).demonstrations.action
    error = (answers + shown.observation[:, :1]).square().mean().sqrt()
    assert error < 0.25


def test_collectors_that_walk_differently_are_imitated_as_they_are() -> None:
    generator = torch.Generator().manual_seed(3)
    observation = torch.randn((800, 2), generator=generator)
    collector = torch.arange(800) % 2
    action = torch.where(collector[:, None] == 0, observation[:, :1], -observation[:, :1])
    shown = Demonstrations(observation, action, ("trot", "its opposite"), collector)
    mean = mean_of(shown)
    # All of the variance lies between them: their mean would stand still.
    assert not mean.agree
    assert mean.disagreement == pytest.approx(1.0, abs=0.05)
    torch.testing.assert_close(mean.demonstrations.action, action, rtol=0, atol=0)


def test_disagreement_is_the_variance_between_collectors() -> None:
    # Both everywhere: gains 0.5 and 1.5 around 1, observations of variance 1:
    # between 0.25, of the mean 1, so 0.25 / 1.25.
    generator = torch.Generator().manual_seed(4)
    observation = torch.randn((4000, 1), generator=generator)
    collector = torch.arange(4000) % 2
    action = (0.5 + collector[:, None]) * observation
    mean = mean_of(Demonstrations(observation, action, ("weak", "strong"), collector))
    assert mean.disagreement == pytest.approx(0.2, abs=0.02)


def test_equal_seeds_give_equal_answers_whatever_was_drawn_before() -> None:
    shown = walked_apart()
    first = mean_of(shown, seed=5).demonstrations.action
    torch.manual_seed(99)
    before = torch.get_rng_state()
    again = mean_of(shown, seed=5).demonstrations.action
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), before)
    other = mean_of(shown, seed=6).demonstrations.action
    assert not torch.equal(first, other)


def test_equal_seeds_give_equal_answers_on_several_threads() -> None:
    # Batches large enough for torch to split the gradients of scales and shifts between threads.
    shown = walked_apart()
    settings = replace(SETTINGS, steps=20, batch_size=1024)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        first, *others = (
            learn_mean_answers(shown, [128], settings, seed=0).demonstrations.action
            for _ in range(5)
        )
    finally:
        torch.set_num_threads(threads)
    for other in others:
        torch.testing.assert_close(other, first, rtol=0, atol=0)


def test_rows_know_their_collectors(small_dataset) -> None:
    names = ["a", "b", "b", "c", "c", "a"]
    data = collected_by(small_dataset, *((name, 0.0) for name in names))
    settings = CloningSettings(best_share=1.0, least_rows=0, horizon_rows=10)
    chosen = choose_demonstrations(data, settings)
    assert chosen.collectors == ("a", "b", "c")
    # Episode i commands i / 10 m/s, and each has 140 rows with 10 more ahead.
    who = dict(enumerate(names))
    command = (10.0 * chosen.observation[:, 9]).round().long().tolist()
    assert [chosen.collectors[k] for k in chosen.collector.tolist()] == [who[i] for i in command]
