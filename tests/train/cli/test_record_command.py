"""rwmu-data record: sets by name, and bad input in one line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rwmu_deploy.cli.command_line import EXIT_BAD_INPUT
from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_train.cli.data import main
from rwmu_train.policy.policy_checkpoint import PolicyFacts, save_policy
from rwmu_train.policy.policy_network import PolicyNetwork
from rwmu_train.transitions.dataset_loading import load_dataset

BUNDLE = Path(__file__).parents[3] / "exports" / "anymal_d_flat"
SMALL = ["--rows", "200", "--robots", "4"]


def sidecar(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "state_action_data_0.meta.json").read_text())


def test_the_random_set_needs_no_policy_and_is_noise_about_the_default_pose(
    spec, tmp_path: Path
) -> None:
    out = tmp_path / "data"
    assert main(["record", "--set", "random", "--out", str(out), *SMALL]) == 0
    dataset = load_dataset(out, spec)
    assert dataset.row_count == 200
    hfe = TransitionColumns.of(spec).action.labels.index("LF_HFE")  # which no limit cuts
    assert np.std(dataset.actions[:, hfe]) == pytest.approx(1.0, abs=0.15)
    assert np.mean(dataset.actions[:, hfe]) == pytest.approx(0.0, abs=0.2)


def test_the_same_seed_records_the_same_rows(spec, tmp_path: Path) -> None:
    files = []
    for name in ("one", "two"):
        out = tmp_path / name
        assert main(["record", "--set", "random", "--out", str(out), *SMALL]) == 0
        files.append((out / "state_action_data_0.csv").read_bytes())
    assert files[0] == files[1]


def test_field_robots_are_recorded_by_a_script(spec, tmp_path: Path) -> None:
    out = tmp_path / "data"
    words = ["record", "--behaviour", "squat", "--variant", "field", "--out", str(out), *SMALL]
    assert main(words) == 0
    assert load_dataset(out, spec).row_count == 200
    assert sidecar(out)["variant"]["name"] == "field"
    assert sidecar(out)["note"] == "squat; action noise (0.0,); seed 0"


def test_the_shipped_bundle_walks_beside_nothing_else(spec, tmp_path: Path) -> None:
    out = tmp_path / "data"
    words = ["--bundle", str(BUNDLE), "--noise", "0", "--rows", "400", "--robots", "4"]
    assert main(["record", "--out", str(out), *words]) == 0
    dataset = load_dataset(out, spec)
    assert not dataset.rows[:, TransitionColumns.of(spec).termination.start].any()
    assert np.abs(dataset.actions).std() > 0.1


def test_a_set_is_chosen_from_every_run(spec, tmp_path: Path) -> None:
    facts = PolicyFacts(spec, "flat", CommandRange((-1,) * 3, (1,) * 3), "none", "run", 0)
    for run in ("one", "two"):
        for stage in range(10):
            save_policy(tmp_path / run / f"stages/{run}_{stage}", PolicyNetwork(spec, [4]), facts)
    out = tmp_path / "data"
    runs = [str(tmp_path / run) for run in ("one", "two")]
    words = ["--set", "medium", "--policies", *runs, "--rows", "40", "--robots", "18"]
    assert main(["record", "--out", str(out), *words]) == 0
    said = [json.loads(path.read_text()) for path in sorted(out.glob("*.meta.json"))]
    assert [(meta["note"].partition(";")[0], meta["generation"]) for meta in said] == [
        *((f"one/one_{stage}", stage) for stage in (3, 4, 5)),
        *((f"two/two_{stage}", stage) for stage in (3, 4, 5)),
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "expert"], "is missing; only --set random needs none"),
        ([], "--policies, --bundle or --behaviour is missing"),
        (["--behaviour", "squad"], "Did you mean 'squat'?"),
        (["--behaviour", "stand", "--set", "expert"], "--behaviour stand stands beside"),
        (["--set", "random", "--bundle", "somewhere"], "--behaviour random stands beside"),
        (["--bundle", "/no/such/bundle"], "there is no bundle folder /no/such/bundle"),
        (["--behaviour", "stand", "--variant", "feild"], "Did you mean 'field'?"),
        (["--behaviour", "stand", "--seed", "-1"], "seed is -1"),
        (["--set", "expret"], "no data set 'expret'"),
        (["--set", "expert", "--policies", "/no/such/run"], "/no/such/run holds no policy"),
        (["--set", "random", "--noise", "-1"], "action noise (-1.0,)"),
        (["--set", "random", "--rows", "0"], "0 rows by"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    out = tmp_path / "data"
    assert main(["record", "--out", str(out), *words]) == EXIT_BAD_INPUT
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not out.exists()
