"""`rwmu-eval compare`: a verdict on new policies, by paired episodes."""

import json
from pathlib import Path

import numpy as np
import pytest

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_train.cli.eval import main
from rwmu_train.evaluation.policy.policy_comparison import (
    PolicyComparison,
    falls_in_words,
    overall,
)
from rwmu_train.policy.policy_checkpoint import PolicyFacts, save_policy
from rwmu_train.policy.policy_network import PolicyNetwork

SHIPPED = Path(__file__).resolve().parents[3] / "exports" / "anymal_d_flat"
QUICK = ("--robots", "3", "--seconds", "0.4")


def save(folder, spec):
    save_policy(
        folder,
        PolicyNetwork(spec, (8,)),
        PolicyFacts(
            robot=spec,
            task="anymal_d_flat",
            command_range=CommandRange((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0)),
            training_method="test",
            run_name=folder.name,
            seed=0,
        ),
    )
    return folder


def compared(ratio, falls, change, name="new"):
    return PolicyComparison(name, 1.0, ratio, falls, 0.02, 0.0, change)


@pytest.mark.parametrize(
    ("ratio", "change", "verdict"),
    [
        ((1.01, 1.09), (-0.02, 0.01), "better"),
        ((0.99, 1.03), (-0.01, 0.01), "as good"),
        ((0.90, 0.99), (-0.01, 0.01), "worse"),
        ((1.01, 1.09), (0.01, 0.03), "worse"),
        ((np.nan, np.nan), (-0.01, 0.01), "worse"),
        ((1.01, 1.09), (np.nan, np.nan), "worse"),
    ],
)
def test_better_earns_surely_more_and_does_not_surely_fall_more(ratio, change, verdict):
    assert compared(ratio, 0.02, change).verdict == verdict


def test_several_seeds_are_told_by_mean_and_least():
    first = PolicyComparison("a", 1.06, (1.0, 1.1), 0.01, 0.02, -0.01, (-0.02, 0.0))
    second = PolicyComparison("b", 1.02, (1.0, 1.1), 0.03, 0.02, 0.01, (0.0, 0.02))
    told = overall([first, second])
    assert told["return_ratio_mean"] == pytest.approx(1.04)
    assert told["return_ratio_least"] == 1.02
    assert told["falls_mean"] == pytest.approx(0.02)


def test_falls_come_with_their_interval():
    assert falls_in_words(0.02, 1000) == "2.0 % (1.3 to 3.1)"
    assert falls_in_words(0.0, 100).startswith("0.0 % (0.0 to 3.7")


def test_a_policy_beside_itself_is_as_good(tmp_path, capsys):
    run = SHIPPED
    out = tmp_path / "compare.json"
    code = main(["compare", str(run), str(run), *QUICK, "--json", str(out)])
    assert code == 0
    document = json.loads(out.read_text())
    (new,) = document["new"]
    assert new["return_ratio"] == pytest.approx(1.0)
    assert new["verdict"] == "as good"
    assert document["variant"] == "field"
    assert "as good" in capsys.readouterr().out


def test_a_folder_that_holds_no_policy_is_refused(tmp_path, spec, capsys):
    run = save(tmp_path / "old", spec)
    assert main(["compare", str(run), str(tmp_path / "none"), *QUICK]) == 2
    assert capsys.readouterr().err.startswith("error: ")
