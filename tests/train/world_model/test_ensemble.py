import math
from dataclasses import replace

import pytest
import torch

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.world_model.ensemble import (
    Architecture,
    LearnedBounds,
    MemberHeads,
    Trunk,
    WorldModel,
    epistemic_uncertainty,
)

SMALL = Architecture(
    state_size=5, action_size=2, contact_size=3, members=4, hidden=8, head_hidden=6
)


@pytest.mark.parametrize("count", [1, 2])
def test_stepping_one_by_one_equals_a_whole_sequence(count: int) -> None:
    torch.manual_seed(0)
    trunk = Trunk(2, 7, 8, layers=count)
    inputs = torch.randn(2, 10, 3, 7)
    layers = trunk.sequence(inputs)
    memory = trunk.empty_memory(3)
    assert len(layers) == len(memory.layers) == count
    for t in range(10):
        memory = trunk.step(inputs[:, t], memory)
        for now, whole in zip(memory.layers, layers, strict=True):
            torch.testing.assert_close(now, whole[:, t])


def test_heads_read_the_last_layer() -> None:
    torch.manual_seed(0)
    trunk = Trunk(1, 7, 8, layers=2)
    memory = trunk.step(torch.randn(1, 3, 7), trunk.empty_memory(3))
    assert memory.features is memory.layers[1]


@pytest.mark.parametrize("layers", [0, 3])
def test_a_trunk_has_one_or_two_layers(layers: int) -> None:
    with pytest.raises(ConfigError, match=f"layers is {layers}; allowed is 1 to 2"):
        replace(SMALL, layers=layers)


def test_members_do_not_see_one_another() -> None:
    torch.manual_seed(0)
    heads = MemberHeads(4, 8, 6, 5)
    features = torch.randn(4, 3, 8)
    before = heads(features)
    features[1] += 1.0
    after = heads(features)
    assert torch.equal(before[[0, 2, 3]], after[[0, 2, 3]])
    assert not torch.equal(before[1], after[1])


def test_a_head_is_a_two_layer_perceptron() -> None:
    torch.manual_seed(0)
    heads = MemberHeads(2, 3, 4, 1)
    x = torch.randn(2, 5, 3)
    member = 1
    hidden = torch.relu(x[member] @ heads.hidden_weight[member] + heads.hidden_bias[member])
    expected = hidden @ heads.output_weight[member] + heads.output_bias[member]
    torch.testing.assert_close(heads(x)[member], expected)


def test_the_mean_is_the_state_plus_a_change() -> None:
    torch.manual_seed(0)
    model = WorldModel(SMALL)
    features, state = torch.randn(4, 3, 8), torch.randn(3, 5)
    shifted = model.mean(features, state + 2.0)
    torch.testing.assert_close(shifted, model.mean(features, state) + 2.0)


def test_uncertainty_is_zero_where_members_agree_and_by_hand_elsewhere() -> None:
    means = torch.zeros(2, 2, 3)
    means[1, 1] = torch.tensor([2.0, 0.0, 4.0])
    # Standard deviations of {0, 2} and {0, 4} with Bessel's correction: sqrt(2) and sqrt(8).
    assert epistemic_uncertainty(means).tolist() == pytest.approx([0.0, 2**0.5 + 8**0.5])
    assert epistemic_uncertainty(means, "variance").tolist() == pytest.approx([0.0, 10.0])


def test_one_member_never_disagrees() -> None:
    assert epistemic_uncertainty(torch.ones(1, 2, 3)).tolist() == [0.0, 0.0]


def test_an_unknown_reduction_is_refused() -> None:
    with pytest.raises(ConfigError, match="allowed are std_sum, variance"):
        epistemic_uncertainty(torch.zeros(2, 1, 1), "max")


def test_no_members_are_refused() -> None:
    with pytest.raises(ConfigError, match="members is 0"):
        Architecture(5, 2, 3, members=0)


def test_learned_bounds_are_soft_and_each_members_own() -> None:
    bounds = LearnedBounds(2, 1)
    with torch.no_grad():
        bounds.lower[:, 0, 0] = torch.tensor([-5.0, 1.0])
        bounds.log_width[:, 0, 0] = torch.tensor([0.0, math.log(4.0)])
    far = bounds(torch.tensor([[[-50.0], [50.0]], [[-50.0], [50.0]]]))
    # Between -5 and -4, and between 1 and 5. The second softplus adds to the upper bound what is
    # left of it at the width: log(1 + exp(-width)).
    low, high = far[..., 0, 0].tolist(), far[..., 1, 0].tolist()
    assert low == pytest.approx([-5.0 + math.log1p(math.exp(-45.0)), 1.0], abs=1e-6)
    assert high == pytest.approx(
        [-4.0 + math.log1p(math.exp(-1.0)), 5.0 + math.log1p(math.exp(-4.0))], abs=1e-6
    )


def test_a_model_without_standard_deviation_says_so() -> None:
    model = WorldModel(replace(SMALL, log_std="none"))
    assert not any("log_std" in name for name in model.state_dict())
    with pytest.raises(ConfigError, match="predicts no standard deviation"):
        model.log_std(torch.zeros(4, 1, 8))


def test_an_unknown_kind_of_bounds_is_refused() -> None:
    with pytest.raises(ConfigError, match="allowed are fixed_bounds, learned_bounds, none"):
        Architecture(5, 2, 3, log_std="soft")  # type: ignore[arg-type]


def test_a_forecast_stays_in_the_datas_range_widened_by_a_tenth() -> None:
    torch.manual_seed(0)
    model = WorldModel(SMALL)
    with torch.no_grad():
        model.mean_heads.output_bias.fill_(100.0)
    memory, state = model.empty_memory(3), torch.zeros(3, 5)
    assert model.next_state(memory, state).min() > 90.0
    model.know_range(torch.full((5,), -1.0), torch.full((5,), 3.0))
    assert model.next_state(memory, state).unique().tolist() == pytest.approx([3.4])
    # Not a number stays one: it must not pass for a state at the limit.
    assert torch.isnan(model.next_state(memory, state * torch.nan)).all()


def test_a_model_without_residual_predicts_the_state_whole() -> None:
    torch.manual_seed(0)
    model = WorldModel(replace(SMALL, residual=False))
    features, state = torch.randn(4, 3, 8), torch.randn(3, 5)
    assert torch.equal(model.mean(features, state + 2.0), model.mean(features, state))


def test_members_with_trunks_of_their_own_share_nothing() -> None:
    torch.manual_seed(0)
    model = WorldModel(replace(SMALL, trunks="separate", auxiliary="state_trunk"))
    inputs = torch.randn(6, 3, 7)
    before = model.next_state(model.replay(inputs), torch.zeros(3, 5))
    for parameter in model.parameters():
        with torch.no_grad():
            parameter[2] += 1.0
    after = model.next_state(model.replay(inputs), torch.zeros(3, 5))
    assert torch.equal(before[[0, 1, 3]], after[[0, 1, 3]])
    assert not torch.equal(before[2], after[2])


@pytest.mark.parametrize("auxiliary", ["own_trunk", "state_trunk"])
@pytest.mark.parametrize("trunks", ["shared", "separate"])
def test_memory_after_a_replay_is_that_of_single_steps(trunks, auxiliary) -> None:
    torch.manual_seed(0)
    model = WorldModel(replace(SMALL, trunks=trunks, auxiliary=auxiliary))
    inputs = torch.randn(6, 3, 7)
    memory = model.empty_memory(3)
    for now in inputs:
        memory = model.step(now, memory)
    replayed = model.replay(inputs)
    torch.testing.assert_close(memory.state.features, replayed.state.features)
    torch.testing.assert_close(
        model.auxiliary_features(memory), model.auxiliary_sequence(inputs)[:, -1]
    )
