"""rwmu-data record: sets by name, and bad input in one line."""

from pathlib import Path

import numpy as np
import pytest

from rwmu_deploy.cli.command_line import EXIT_BAD_INPUT
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_train.cli.data import main
from rwmu_train.transitions.dataset import load_dataset

SMALL = ["--rows", "200", "--robots", "4"]


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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "expert"], "--policies is missing; only --set random needs none"),
        ([], "--policies is missing"),
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
