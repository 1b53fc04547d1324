"""rwmu-data split: what it says and what it leaves."""

import json
from pathlib import Path

import pytest

from rwmu_deploy.cli.command_line import EXIT_BAD_INPUT
from rwmu_train.cli.data import main
from rwmu_train.transitions.dataset_loading import load_dataset


def test_two_folders_that_the_loader_reads(small_folder: Path, spec, tmp_path, capsys) -> None:
    out, report = tmp_path / "out", tmp_path / "report.json"
    words = ["split", str(small_folder), "--validation", "0.3", "--out", str(out)]
    assert main([*words, "--json", str(report)]) == 0
    said = capsys.readouterr().out
    assert f"{out}/train: 600 rows (66.7%), 4 episodes" in said
    document = json.loads(report.read_text())
    for side, rows in (("train", 600), ("validation", 300)):
        assert load_dataset(out / side, spec).row_count == rows
        assert document[side]["rows"] == rows
        assert document[side]["folder"] == str(out / side)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--validation", "0"], "validation_share is 0.0"),
        (["--validation", "1"], "validation_share is 1.0"),
        (["--validation", "nan"], "validation_share is nan"),
        (["--validation", "a fifth"], "invalid float value"),
        (["--robot", "spot"], "no robot 'spot'"),
        (["--source", "dream"], "invalid choice: 'dream'"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    small_folder, tmp_path, capsys, words, said
) -> None:
    out = tmp_path / "out"
    assert main(["split", str(small_folder), "--out", str(out), *words]) == EXIT_BAD_INPUT
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_refused(small_folder, tmp_path, capsys) -> None:
    (tmp_path / "train").mkdir()
    assert main(["split", str(small_folder), "--out", str(tmp_path)]) == EXIT_BAD_INPUT
    assert "not empty: it holds train" in capsys.readouterr().err
    assert list((tmp_path / "train").iterdir()) == []
