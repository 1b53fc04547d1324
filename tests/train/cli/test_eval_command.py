"""rwmu-eval world-model: a whole report from small data, and bad input in one line."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from rwmu_deploy.cli.command_line import EXIT_BAD_INPUT, EXIT_OK
from rwmu_deploy.collection.transition_segment import EpisodeSpan, SegmentOrigin, write_segment
from rwmu_train.cli.eval import main
from rwmu_train.evaluation.world_model.calibration_file import CALIBRATION, load_calibration
from rwmu_train.transitions.normaliser import released_normaliser
from rwmu_train.world_model.checkpoint import WorldModelFacts, save_world_model
from rwmu_train.world_model.ensemble import Architecture, WorldModel

ORIGIN = SegmentOrigin("sim", "none: drawn", "none: drawn", "none: drawn")


@pytest.fixture(scope="module")
def model_folder(small_dataset, tmp_path_factory) -> Path:
    """Small random weights, as if trained on the small data with 40 % held out."""
    columns = small_dataset.columns
    torch.manual_seed(0)
    sizes = (columns.state_size, columns.action.size, columns.contact.size, 3, 16, 8)
    model = WorldModel(Architecture(*sizes))
    facts = WorldModelFacts(
        spec=small_dataset.spec,
        architecture=model.architecture,
        normaliser=released_normaliser(small_dataset.spec),
        history=8,
        settings={"validation_share": 0.4, "seed": 0},
        data_sha256=small_dataset.file_sha256,
        iteration=1,
    )
    return save_world_model(tmp_path_factory.mktemp("model"), model, facts)


@pytest.fixture
def model(model_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model_folder, tmp_path / "model"))


def without_falls(folder: Path, spec, rows: np.ndarray) -> Path:
    rows = rows.copy()
    rows[:, -1] = 0.0
    spans = [EpisodeSpan(0, 449, "truncated", (0, 0, 0)), EpisodeSpan(450, 899, "gap", (0, 0, 0))]
    write_segment(folder, spec, rows, spans, ORIGIN)
    return folder


def run(*words: str | Path) -> int:
    return main(["world-model", *map(str, words)])


def test_a_report_says_everything_and_is_drawn(
    model, small_folder, small_dataset, spec, tmp_path, capsys
) -> None:
    other = without_falls(tmp_path / "other", spec, small_dataset.rows)
    out = tmp_path / "deep" / "out"
    code = run(
        *(model, "--data", small_folder, "--out", out, "--calibrate"),
        *("--off-data", f"other={other}", "--windows", "30"),
    )
    said = capsys.readouterr().out
    assert code == EXIT_OK
    assert "training held out: unseen" in said
    assert "horizon 142 instead of 368" in said
    report = json.loads((out / "world_model.json").read_text())
    assert (report["horizon"], report["history"], report["unseen"]) == (142, 8, True)
    for followed in ("mean", "member"):
        score = report["followed"][followed]
        assert len(score["error"]["total"]["absolute"]) == 142
        assert len(score["error"]) == 7
        assert set(score["coverage_after"]) == {"1", "8", "32", "100", "142"}
        assert set(score["off_data"]["sets"]) == {"in-data", "other"}
        assert "rollout" not in score
    assert len(report["contacts"]) == 8
    assert len(report["baselines"]["linear"]["total"]["relative"]) == 142
    height, width, _ = imread(out / "world_model.png").shape
    assert (height > width > 1000) is True
    assert set(load_calibration(model)) == {"mean", "member"}


def test_calibrating_twice_is_refused_before_any_work(model, small_folder, capsys) -> None:
    words = (model, "--data", small_folder, "--calibrate", "--windows", "6", "--horizon", "2")
    assert run(*words) == EXIT_OK
    before = (model / CALIBRATION).read_bytes()
    capsys.readouterr()
    assert run(*words) == EXIT_BAD_INPUT
    captured = capsys.readouterr()
    assert "not written over" in captured.err
    assert captured.out == ""
    assert (model / CALIBRATION).read_bytes() == before


def test_data_without_falls_are_judged_and_it_is_said(
    model, small_dataset, spec, tmp_path, capsys
) -> None:
    folder = without_falls(tmp_path / "calm", spec, small_dataset.rows)
    out = tmp_path / "out"
    words = ("--data", folder, "--windows", "10", "--horizon", "1", "--out", out)
    assert run(model, *words) == EXIT_OK
    said = capsys.readouterr().out
    assert "no falls in the judged rows" in said
    assert "none of these files was trained on" in said
    falls = json.loads((out / "world_model.json").read_text())["falls"]
    assert (falls["falls"], falls["average_precision"], falls["curve"]) == (0, None, None)


def test_the_seed_decides_the_windows(model, small_folder, capsys) -> None:
    said = []
    for seed in ("0", "0", "1"):
        words = ("--data", small_folder, "--windows", "8", "--horizon", "5", "--seed", seed)
        assert run(model, *words) == EXIT_OK
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert said[0] != said[2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--horizon", "0"], "--horizon is 0; allowed is 1 step up"),
        (["--windows", "1"], "--windows is 1; allowed is 2 to 2000"),
        (["--off-data", "field"], "--off-data field; allowed is NAME=DIR"),
        (["--off-data", "=here"], "--off-data =here"),
        (["--off-data", "a=here", "a=there"], "every name once"),
        (["--off-data", "in-data=here"], "none 'in-data'"),
        (["--off-data", "field=nowhere"], "there is no file or folder nowhere"),
        (["--robot", "spot"], "no robot 'spot'"),
        (["--split", "half"], "invalid choice: 'half'"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    model, small_folder, tmp_path, monkeypatch, capsys, words, said
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert run(model, "--data", small_folder, "--out", "out", *words) == EXIT_BAD_INPUT
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_a_model_of_another_robot_is_refused_by_name(model, small_folder, capsys) -> None:
    facts = model / "world_model.json"
    text = facts.read_text()
    facts.write_text(re.sub(r'"name": "anymal_d"', '"name": "anymal_c"', text))
    assert run(model, "--data", small_folder) == EXIT_BAD_INPUT
    assert "models anymal_c" in capsys.readouterr().err


def test_episodes_shorter_than_a_history_are_refused(model, spec, tmp_path, capsys) -> None:
    rows = np.random.default_rng(0).normal(size=(40, 66))
    rows[:, 57:] = 0.0
    spans = [EpisodeSpan(8 * i, 8 * i + 7, "truncated", (0, 0, 0)) for i in range(5)]
    write_segment(tmp_path / "short", spec, rows, spans, ORIGIN)
    assert run(model, "--data", tmp_path / "short") == EXIT_BAD_INPUT
    assert "no held-out episode is long enough" in capsys.readouterr().err
