"""What a policy earns in imagination does not depend on how it was trained."""

from dataclasses import replace

import pytest
import torch

from rwmu_train.imagination.imagined_dynamics import ImaginationSettings
from rwmu_train.studies.imagined_figures import imagined_figures
from rwmu_train.task.velocity_task import find_task
from rwmu_train.world_model.checkpoint import load_world_model


def stand(observation: torch.Tensor) -> torch.Tensor:
    return observation.new_zeros(len(observation), 12)


@pytest.fixture
def judge(small_dataset, five_members, spec):
    model, facts = load_world_model(five_members, spec)
    task = find_task("anymal_d_flat")

    def figures(settings=ImaginationSettings(), task=task, steps=10, policy=stand):  # noqa: B008
        return imagined_figures(
            policy, small_dataset, model, facts, task, settings, robots=20, steps=steps
        )

    return figures


def test_unit_and_limit_of_the_uncertainty_change_nothing(judge) -> None:
    penalised = ImaginationSettings(uncertainty_unit="data_median", end_above_uncertainty=0.0)
    assert judge(penalised) == judge()


def test_the_same_policy_is_judged_the_same_twice_and_another_otherwise(judge) -> None:
    assert judge() == judge()
    other = judge(policy=lambda observation: torch.full((len(observation), 12), 0.5))
    assert other != judge()


def test_the_reward_is_a_rate_that_a_known_reward_gives(judge) -> None:
    """A weight of -5 on actions that never change earns nothing."""
    task = replace(find_task("anymal_d_flat"), reward_weights={"action_rate": -5.0})
    still = judge(task=task, steps=1).imagined_reward_per_s
    longer = judge(task=task, steps=10)
    # The first step leaves the last action of the data; after that the action stays, and what a
    # robot does after its fall does not count.
    assert still < 0.0
    assert longer.imagined_reward_per_s == pytest.approx(still / 10.0, rel=1e-5)


def test_a_model_of_five_members_is_unsure(judge) -> None:
    assert judge().uncertainty > 0.0
