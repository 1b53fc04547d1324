from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.world_model.ensemble import Architecture, WorldModel
from rwmu_train.world_model.multi_step_loss import SequenceBatch, multi_step_loss
from rwmu_train.world_model.settings import WORLD_MODEL_PRESETS, WorldModelSettings

SMALL = Architecture(
    state_size=5, action_size=2, contact_size=3, members=2, hidden=8, head_hidden=6
)
SETTINGS = WorldModelSettings(
    batch_size=8, history=12, forecast=3, members=2, bootstrap="none", loss="mse"
)


def make(
    settings: WorldModelSettings, sequences: int | None = None
) -> tuple[WorldModel, SequenceBatch]:
    torch.manual_seed(0)
    rows, count = settings.sequence_rows, sequences or settings.sequences
    batch = SequenceBatch(
        torch.randn(rows, count, 5),
        torch.randn(rows, count, 2),
        torch.rand(rows, count, 3).round(),
        torch.rand(rows, count).round(),
        torch.randn(rows, count, 0),
    )
    return WorldModel(SMALL), batch


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def forecast_by_hand(model: WorldModel, batch: SequenceBatch, history: int, steps: int) -> float:
    """One window and one member at a time, with loops."""
    total, count = 0.0, 0
    for member in range(2):
        for b in range(batch.state.shape[1]):
            memory = model.empty_memory(1)
            for t in range(history):
                inputs = torch.cat([batch.state[t, b], batch.action[t + 1, b]]).unsqueeze(0)
                memory = model.step(inputs, memory)
            state = batch.state[history - 1, b]
            for step in range(steps):
                means = model.next_state(memory, state)
                state = means[member, 0]
                total += float((state - batch.state[history + step, b]).square().sum())
                count += 1
                if step + 1 < steps:
                    action = batch.action[history + step + 1, b]
                    memory = model.step(torch.cat([state, action]).unsqueeze(0), memory)
    return total / count


@torch.no_grad()
def test_the_forecast_loss_equals_a_loop_over_members_and_windows() -> None:
    model, batch = make(SETTINGS)
    ours = multi_step_loss(model, batch, SETTINGS, generator()).forecast.item()
    assert ours == pytest.approx(forecast_by_hand(model, batch, 12, 3), rel=1e-5)


@torch.no_grad()
def test_branches_equal_separate_windows_with_longer_histories() -> None:
    settings = replace(SETTINGS, branches=2, branch_stride=4)
    model, batch = make(settings)
    ours = multi_step_loss(model, batch, settings, generator()).forecast.item()
    early = forecast_by_hand(model, batch, 12, 3)
    late = forecast_by_hand(model, batch, 16, 3)
    assert ours == pytest.approx((early + late) / 2, rel=1e-5)


@torch.no_grad()
def test_forecast_decay_weighs_later_steps_less() -> None:
    model, batch = make(SETTINGS)
    first_only = replace(SETTINGS, forecast_decay=1e-9)
    ours = multi_step_loss(model, batch, first_only, generator()).forecast.item()
    assert ours == pytest.approx(forecast_by_hand(model, batch, 12, 1), rel=1e-4)


def test_with_episodes_of_their_own_a_sequence_trains_one_member_only() -> None:
    settings = replace(SETTINGS, bootstrap="by_episode", history_loss_weight=1.0)
    model, batch = make(settings)
    half = settings.sequences // 2
    batch.state[:, half:] = 0.0
    for block in (batch.action, batch.contact, batch.termination):
        block[:, half:] = 0.0
    multi_step_loss(model, batch, settings, generator()).total.backward()
    kept = model.mean_heads.output_bias.grad
    assert kept is not None
    before = kept.clone()
    model.zero_grad()
    batch.state[-1, half:] = 3.0
    multi_step_loss(model, batch, settings, generator()).total.backward()
    after = model.mean_heads.output_bias.grad
    assert after is not None
    assert torch.equal(before[0], after[0])
    assert not torch.equal(before[1], after[1])


@torch.no_grad()
def test_contacts_and_falls_are_of_the_next_row() -> None:
    model, batch = make(SETTINGS)
    parts = multi_step_loss(model, batch, SETTINGS, generator())
    # To the last row: an episode's last row is the only one that can be a fall.
    inputs = torch.cat([batch.state[:-1], batch.action[1:]], dim=-1)
    features = model.auxiliary_sequence(inputs).flatten(1, 2)
    contact, fall = model.contact_and_termination_logits(features)
    truth = batch.contact[1:].reshape(1, -1, 3).expand(2, -1, -1)
    assert parts.contact.item() == pytest.approx(
        functional.binary_cross_entropy_with_logits(contact, truth).item(), rel=1e-5
    )
    fell = batch.termination[1:].reshape(1, -1).expand(2, -1)
    assert parts.termination.item() == pytest.approx(
        functional.binary_cross_entropy_with_logits(fall, fell).item(), rel=1e-5
    )


@pytest.mark.parametrize("loss", ["huber", "mse", "sampled_mse", "gaussian_nll"])
@pytest.mark.parametrize("bootstrap", ["none", "poisson", "resample", "by_episode"])
def test_every_loss_trains_every_member(loss, bootstrap) -> None:
    settings = replace(SETTINGS, loss=loss, bootstrap=bootstrap)
    model, batch = make(settings)
    multi_step_loss(model, batch, settings, generator()).total.backward()
    gradient = model.mean_heads.output_bias.grad
    assert gradient is not None
    assert torch.isfinite(gradient).all()
    assert (gradient.abs().sum(dim=(1, 2)) > 0.0).all()


def test_the_paper_preset_has_the_published_numbers() -> None:
    paper = WORLD_MODEL_PRESETS["paper"]
    assert (paper.iterations, paper.batch_size, paper.learning_rate) == (2500, 1024, 1e-4)
    assert (paper.weight_decay, paper.history, paper.forecast) == (1e-5, 32, 8)
    assert (paper.members, paper.forecast_decay, paper.branches) == (5, 1.0, 1)
    assert paper.sequence_rows == 40


def test_a_batch_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ConfigError, match="don't divide among 5 members"):
        WorldModelSettings(batch_size=12, members=5, bootstrap="by_episode")


SEPARATE = replace(SMALL, trunks="separate", auxiliary="state_trunk")


@torch.no_grad()
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bootstrap", ["none", "by_episode"])
def test_members_with_trunks_of_their_own_forecast_as_in_a_loop(bootstrap, layers) -> None:
    settings = replace(SETTINGS, bootstrap=bootstrap, branches=2, branch_stride=4)
    _, batch = make(settings)
    model = WorldModel(replace(SEPARATE, layers=layers))
    ours = multi_step_loss(model, batch, settings, generator()).forecast.item()
    lanes = [slice(None)] * 2 if bootstrap == "none" else [slice(0, 2), slice(2, 4)]
    expected = [
        member_forecast_by_hand(model, own(batch, lane), member, history, 3)
        for member, lane in enumerate(lanes)
        for history in (12, 16)
    ]
    assert ours == pytest.approx(sum(expected) / len(expected), rel=1e-5)


def own(batch: SequenceBatch, lane: slice) -> SequenceBatch:
    return SequenceBatch(*(value[:, lane] for value in vars(batch).values()))


def member_forecast_by_hand(
    model: WorldModel, batch: SequenceBatch, member: int, history: int, steps: int
) -> float:
    memory = model.replay(torch.cat([batch.state[:history], batch.action[1 : history + 1]], -1))
    state, total = batch.state[history - 1], 0.0
    for step in range(steps):
        state = model.next_state(memory, state)[member]
        total += float((state - batch.state[history + step]).square().sum(-1).mean()) / steps
        if step + 1 < steps:
            inputs = torch.cat([state, batch.action[history + step + 1]], dim=-1)
            memory = model.step(inputs, memory)
    return total


def test_a_sequence_of_its_own_trains_no_other_members_trunk() -> None:
    settings = replace(SETTINGS, bootstrap="by_episode", history_loss_weight=1.0)
    _, batch = make(settings)
    model = WorldModel(SEPARATE)
    with torch.no_grad():
        before = dict(model.named_parameters())["state_trunk.first.weight_ih"].clone()
    batch.state[:, 4:] = torch.nan
    multi_step_loss(model, batch, settings, generator()).total.backward()
    weight = model.state_trunk.first.weight_ih
    assert weight.grad is not None
    assert torch.equal(weight, before)
    assert torch.isfinite(weight.grad[0]).all()
    assert torch.isnan(weight.grad[1]).any()


@torch.no_grad()
def test_an_extension_is_regressed_in_its_own_units() -> None:
    model = WorldModel(replace(SMALL, extension_size=2))
    model.extension_mean.copy_(torch.tensor([10.0, -1.0]))
    model.extension_std.copy_(torch.tensor([2.0, 0.5]))
    _, batch = make(SETTINGS)
    rows, count = batch.termination.shape
    batch = replace(batch, extension=torch.randn(rows, count, 2) + 5.0)
    inputs = torch.cat([batch.state[:-1], batch.action[1:]], dim=-1)
    features = model.auxiliary_sequence(inputs).flatten(1, 2)
    said = model.auxiliary(features)[2]
    error = (said - batch.extension[1:].flatten(0, 1)) / torch.tensor([2.0, 0.5])
    parts = multi_step_loss(model, batch, SETTINGS, generator())
    assert parts.extension.item() == pytest.approx(error.square().mean().item(), rel=1e-5)


@pytest.mark.parametrize("architecture", [SMALL, SEPARATE], ids=["shared", "separate"])
@pytest.mark.parametrize("loss", ["huber", "sampled_mse"])
def test_a_step_computes_everything_on_the_models_device(architecture, loss) -> None:
    """The meta device knows shapes alone, and refuses tensors that were left on the CPU."""
    settings = replace(SETTINGS, loss=loss, bootstrap="poisson", history_loss_weight=1.0)
    _, batch = make(settings)
    model = WorldModel(architecture).to("meta")
    total = multi_step_loss(model, batch.to(torch.device("meta")), settings, generator()).total
    assert total.device.type == "meta"
    total.backward()
    assert all(p.grad is None or p.grad.device.type == "meta" for p in model.parameters())
