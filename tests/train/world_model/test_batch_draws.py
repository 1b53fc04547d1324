"""Equal shares of a batch: the mean of their gradients is the gradient of the whole batch."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.processes.process_share import ProcessShare
from rwmu_train.world_model.batch_draws import BatchDraws
from rwmu_train.world_model.ensemble import Architecture, WorldModel
from rwmu_train.world_model.multi_step_loss import LossParts, SequenceBatch, multi_step_loss
from rwmu_train.world_model.settings import WorldModelSettings

SETTINGS = WorldModelSettings(
    batch_size=24,
    history=12,
    forecast=3,
    branches=2,
    members=3,
    history_loss_weight=0.5,
    input_noise=0.1,
)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def gradients(
    whole: SequenceBatch, settings: WorldModelSettings, share: ProcessShare
) -> tuple[LossParts, dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    model = WorldModel(Architecture(5, 2, 3, members=3, hidden=8, head_hidden=6))
    own = share.of_starts(np.arange(settings.sequences), settings.sequence_groups)
    batch = SequenceBatch(*(value[:, own] for value in vars(whole).values()))
    parts = multi_step_loss(model, batch, settings, seeded(), share)
    parts.total.backward()
    named = model.named_parameters()
    return parts.detached(), {name: p.grad for name, p in named if p.grad is not None}


@pytest.fixture
def whole() -> SequenceBatch:
    torch.manual_seed(1)
    rows, count = SETTINGS.sequence_rows, SETTINGS.sequences
    return SequenceBatch(
        torch.randn(rows, count, 5),
        torch.randn(rows, count, 2),
        torch.rand(rows, count, 3).round(),
        torch.rand(rows, count).round(),
        torch.randn(rows, count, 0),
    )


def test_a_process_takes_consecutive_starts_of_every_group() -> None:
    starts = np.arange(12)
    assert ProcessShare(1, 2).of_starts(starts, 1).tolist() == [6, 7, 8, 9, 10, 11]
    assert ProcessShare(0, 2).of_starts(starts, 3).tolist() == [0, 1, 4, 5, 8, 9]
    assert ProcessShare(1, 2).of_starts(starts, 3).tolist() == [2, 3, 6, 7, 10, 11]


@pytest.mark.parametrize("loss", ["huber", "mse", "sampled_mse", "gaussian_nll"])
@pytest.mark.parametrize("bootstrap", ["none", "poisson", "resample", "by_episode"])
def test_the_mean_over_processes_is_the_whole_batch(whole, loss, bootstrap) -> None:
    settings = replace(SETTINGS, loss=loss, bootstrap=bootstrap)
    parts, expected = gradients(whole, settings, ProcessShare())
    shares = [gradients(whole, settings, ProcessShare(rank, 2)) for rank in range(2)]
    for name, value in vars(parts).items():
        mean = sum(getattr(own, name) for own, _ in shares) / 2
        torch.testing.assert_close(mean, value, rtol=1e-5, atol=1e-6, msg=name)
    for name, value in expected.items():
        mean = (shares[0][1][name] + shares[1][1][name]) / 2
        torch.testing.assert_close(mean, value, rtol=1e-4, atol=1e-5, msg=name)
        assert shares[0][1].keys() == expected.keys()


def test_a_resampled_batch_is_as_large_as_the_batch_for_every_member() -> None:
    weights = BatchDraws(seeded(), ProcessShare(), 50).resample_weights(4)
    assert weights.shape == (4, 1, 50)
    assert torch.equal(weights.sum(-1), torch.full((4, 1), 50.0))
    assert torch.equal(weights, weights.round())
    assert not torch.equal(weights[0], weights[1])
    assert 0.2 < float((weights == 0.0).float().mean()) < 0.5  # 1/e never drawn


def test_processes_split_the_weights_that_one_would_draw() -> None:
    whole = BatchDraws(seeded(), ProcessShare(), 6).resample_weights(2)
    parts = [BatchDraws(seeded(), ProcessShare(r, 2), 3).resample_weights(2) for r in range(2)]
    assert torch.equal(torch.cat(parts, dim=-1), whole)


def test_settings_of_older_runs_still_load() -> None:
    assert replace(SETTINGS, bootstrap="per_batch") == replace(SETTINGS, bootstrap="poisson")


@pytest.mark.parametrize(
    ("bootstrap", "said"),
    [("none", "12 sequences, which"), ("by_episode", "4 sequences for each member, which")],
)
def test_a_batch_that_does_not_divide_among_processes_is_refused(bootstrap, said) -> None:
    settings = replace(SETTINGS, bootstrap=bootstrap)
    settings.refuse_uneven_shares(2)
    with pytest.raises(ConfigError, match=f"batch_size 24 makes {said} don't divide among 5"):
        settings.refuse_uneven_shares(5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"loss": "l1"}, "loss is 'l1'; allowed are huber, mse"),
        ({"bootstrap": "some"}, "bootstrap is 'some'; allowed are none, poisson, resample"),
        ({"learning_rate": float("nan")}, "learning_rate is nan; allowed is above 0"),
        ({"learning_rate": float("inf")}, "learning_rate is inf; allowed is above 0"),
        ({"weight_decay": -1.0}, "weight_decay is -1.0; allowed is 0 up"),
        ({"validate_every": 0}, "validate_every is 0; allowed is 1 up"),
    ],
)
def test_settings_out_of_range_are_named(change, said) -> None:
    with pytest.raises(ConfigError, match=said):
        replace(SETTINGS, **change)
