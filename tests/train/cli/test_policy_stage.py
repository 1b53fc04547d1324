import torch

from rwmu_train.cli.policy_stage import imitation_line
from rwmu_train.policy.demonstrations import Demonstrations


def test_whom_a_policy_imitates_is_told_by_name_and_a_few_letters_of_the_hash() -> None:
    rows = torch.zeros((1200, 2))
    who = ("runs/online/iteration_000400 " + "0a1b2c3d" * 8, "f" * 64, "stage 3; noise 0.1")
    line = imitation_line("policy", Demonstrations(rows, rows, who))
    assert line == (
        "policy: imitates 1,200 rows of 3 collectors: "
        "runs/online/iteration_000400 0a1b2c3d, ffffffff, stage 3"
    )


def test_of_many_collectors_the_first_eight_are_told() -> None:
    rows = torch.zeros((10, 2))
    line = imitation_line("policy", Demonstrations(rows, rows, tuple("abcdefghij")))
    assert line.endswith("10 collectors: a, b, c, d, e, f, g, h, ...")
