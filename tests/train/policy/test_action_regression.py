import torch

from rwmu_train.policy.action_regression import fit_actions
from rwmu_train.policy.demonstrations import CloningSettings


def test_the_weight_of_least_squares_is_found() -> None:
    # Answers 2 and 4 to the inputs 1 and 2: the weight is 2.
    observation, action = torch.tensor([[1.0], [2.0]]), torch.tensor([[2.0], [4.0]])
    weight = torch.zeros(1, requires_grad=True)
    settings = CloningSettings(steps=300, batch_size=8, learning_rate=0.1)
    told: list[tuple[int, float]] = []
    errors = fit_actions(
        [weight],
        lambda index: observation[index] * weight,
        action,
        settings,
        torch.Generator().manual_seed(0),
        lambda step, error: told.append((step, error)),
    )
    torch.testing.assert_close(weight.detach(), torch.tensor([2.0]), atol=1e-3, rtol=0.0)
    assert told == list(enumerate(errors, start=1))
    assert len(errors) == 300
