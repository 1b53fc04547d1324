import pytest
import torch

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.world_model.ensemble import (
    Architecture,
    MemberHeads,
    Trunk,
    TrunkMemory,
    WorldModel,
    epistemic_uncertainty,
)

SMALL = Architecture(
    state_size=5, action_size=2, contact_size=3, members=4, hidden=8, head_hidden=6
)


def test_stepping_one_by_one_equals_a_whole_sequence() -> None:
    torch.manual_seed(0)
    trunk = Trunk(7, 8)
    inputs = torch.randn(10, 3, 7)
    first, second = trunk.sequence(inputs)
    memory = TrunkMemory(torch.zeros(3, 8), torch.zeros(3, 8))
    for t in range(10):
        memory = trunk.step(inputs[t], memory)
        torch.testing.assert_close(memory.first, first[t])
        torch.testing.assert_close(memory.second, second[t])


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


def test_an_unknown_reduction_is_refused() -> None:
    with pytest.raises(ConfigError, match="allowed are std_sum, variance"):
        epistemic_uncertainty(torch.zeros(2, 1, 1), "max")


def test_no_members_are_refused() -> None:
    with pytest.raises(ConfigError, match="members is 0"):
        Architecture(5, 2, 3, members=0)
