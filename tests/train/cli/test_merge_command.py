"""rwmu-data merge: what it says and what it leaves."""

import json
from pathlib import Path

import pytest

from rwmu_deploy.cli.command_line import EXIT_BAD_INPUT
from rwmu_train.cli.data import main


def test_what_went_where_is_said_and_written_as_json(small_folder: Path, tmp_path, capsys) -> None:
    out, report = tmp_path / "out", tmp_path / "report.json"
    words = ["merge", str(small_folder), str(small_folder), "--out", str(out)]
    assert main([*words, "--skip-duplicates", "--json", str(report)]) == 0
    said = capsys.readouterr().out
    assert f"1 files, 900 rows copied to {out}" in said
    assert "skipped" in said
    document = json.loads(report.read_text())
    assert [file["to"] for file in document["files"]] == [str(out / "state_action_data_0.csv")]
    assert len(document["duplicates"]) == 1


def test_other_gains_are_told(small_folder: Path, tmp_path, capsys) -> None:
    old = small_folder / "state_action_data_0.meta.json"
    soft = tmp_path / "soft"
    soft.mkdir()
    for path in small_folder.iterdir():
        (soft / path.name).write_bytes(path.read_bytes())
    meta = json.loads(old.read_text())
    (soft / old.name).write_text(json.dumps({**meta, "kp_nm_per_rad": [1.0] * 12}))
    assert main(["merge", str(soft), "--out", str(tmp_path / "out")]) == 0
    assert "made with other gains" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("data", "out", "said"),
    [
        ("none", "out", "there is no file or folder"),
        ("empty", "out", "holds no file named"),
        ("small", "full", "not empty"),
        ("small", "file", "is a file"),
        ("small", "file/out", "can't be written"),
    ],
)
def test_bad_input_is_one_line(small_folder, tmp_path, capsys, data, out, said) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("")
    (tmp_path / "file").write_text("")
    place = small_folder if data == "small" else tmp_path / data
    assert main(["merge", str(place), "--out", str(tmp_path / out)]) == EXIT_BAD_INPUT
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
