import math

import pytest

from rwmu_train.policy.policy_choice import PolicyChoice


@pytest.mark.parametrize(
    ("scores", "chosen"),
    [((1.0, 0.5, 2.0), 2), ((1.0, 0.5, 1.0), 0), ((1.0, math.nan, 0.5), 0), ((math.nan, 0.5), 1)],
)
def test_the_best_finite_score_is_chosen_and_the_start_counts(scores, chosen) -> None:
    choice = PolicyChoice(0, lambda network: scores[network])  # type: ignore[arg-type]
    for iteration in range(1, len(scores)):
        choice.offer(iteration, iteration)  # type: ignore[arg-type]
    assert (choice.iteration, choice.network) == (chosen, chosen)
