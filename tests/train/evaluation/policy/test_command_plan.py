"""Commands of an evaluation, before anybody moves."""

from dataclasses import replace

import torch

from rwmu_train.evaluation.policy.command_plan import command_plan
from rwmu_train.task.velocity_task import find_task

TASK = find_task("anymal_d_flat")


def test_commands_are_of_the_tasks_range_and_some_ask_for_standing() -> None:
    task = replace(TASK, command_lower=(-0.5, 0.1, -1.0), command_upper=(0.5, 0.2, 2.0))
    plan = command_plan(task, 4000, 2, seed=0)
    standing = (plan == 0.0).all(2)
    assert 0.015 < standing.float().mean() < 0.025
    moving = plan[~standing]
    assert (moving >= torch.tensor(task.command_lower)).all()
    assert (moving <= torch.tensor(task.command_upper)).all()
    torch.testing.assert_close(moving.mean(0), torch.tensor([0.0, 0.15, 0.5]), atol=0.03, rtol=0)


def test_the_seed_decides_the_commands_and_longer_episodes_begin_alike() -> None:
    plan = command_plan(TASK, 5, 2, seed=1)
    assert torch.equal(plan, command_plan(TASK, 5, 2, seed=1))
    assert torch.equal(plan, command_plan(TASK, 5, 4, seed=1)[:, :2])
    assert not torch.equal(plan, command_plan(TASK, 5, 2, seed=2))
    assert not torch.equal(plan[:, 0], plan[:, 1])
