import pytest
import torch
from torch import Tensor, nn

from rwmu_train.world_model.gru import GruLayer

GROUPS, STEPS, COUNT, INPUTS, HIDDEN = 3, 6, 4, 5, 8


@pytest.fixture
def layer() -> GruLayer:
    torch.manual_seed(0)
    return GruLayer(GROUPS, INPUTS, HIDDEN)


def torch_gru(layer: GruLayer, group: int) -> nn.GRU:
    """torch's own GRU with one group's weights."""
    gru = nn.GRU(INPUTS, HIDDEN)
    with torch.no_grad():
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            ours = getattr(layer, name)[group].T
            theirs = getattr(gru, f"{name}_l0")
            theirs.copy_(ours.reshape(theirs.shape))
    return gru


def gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


@pytest.mark.parametrize("group", range(GROUPS))
def test_every_group_is_torchs_gru_and_so_is_its_gradient(layer, group) -> None:
    gru = torch_gru(layer, group)
    inputs = torch.randn(GROUPS, STEPS, COUNT, INPUTS, requires_grad=True)
    theirs_in = inputs.detach()[group].clone().requires_grad_()
    weight = torch.randn(STEPS, COUNT, HIDDEN)
    ours, (theirs, _) = layer.sequence(inputs)[group], gru(theirs_in)
    torch.testing.assert_close(ours, theirs, rtol=0.0, atol=1e-6)
    (ours * weight).sum().backward()
    (theirs * weight).sum().backward()
    torch.testing.assert_close(gradient(inputs)[group], gradient(theirs_in), rtol=0, atol=1e-5)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        expected = gradient(getattr(gru, f"{name}_l0"))
        actual = gradient(getattr(layer, name))[group].T.reshape(expected.shape)
        torch.testing.assert_close(actual, expected, rtol=0.0, atol=2e-5)


def test_groups_do_not_see_one_another(layer) -> None:
    inputs = torch.randn(GROUPS, STEPS, COUNT, INPUTS)
    before = layer.sequence(inputs)
    inputs[1] += 1.0
    after = layer.sequence(inputs)
    assert torch.equal(before[[0, 2]], after[[0, 2]])
    assert not torch.equal(before[1], after[1])


def test_steps_have_the_gradient_of_the_sequence(layer) -> None:
    inputs = torch.randn(GROUPS, STEPS, COUNT, INPUTS)
    layer.sequence(inputs).square().sum().backward()
    expected = {name: gradient(p).clone() for name, p in layer.named_parameters()}
    layer.zero_grad()
    hidden, loss = torch.zeros(GROUPS, COUNT, HIDDEN), torch.zeros(())
    for t in range(STEPS):
        hidden = layer.step(inputs[:, t], hidden)
        loss = loss + hidden.square().sum()
    loss.backward()
    for name, parameter in layer.named_parameters():
        torch.testing.assert_close(gradient(parameter), expected[name], rtol=0.0, atol=2e-5)


def test_bfloat16_products_leave_hidden_states_in_float32_and_near(layer) -> None:
    inputs = torch.randn(GROUPS, STEPS, COUNT, INPUTS)
    exact = layer.sequence(inputs)
    layer.product_dtype = torch.bfloat16
    rough = layer.sequence(inputs)
    assert rough.dtype == torch.float32
    assert 0.0 < (rough - exact).abs().max() < 0.02
    rough.sum().backward()
    assert gradient(layer.weight_hh).dtype == torch.float32
