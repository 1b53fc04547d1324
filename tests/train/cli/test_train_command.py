"""Bad input to rwmu-train: one line that names it, exit code 2, and no run folder left behind."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from rwmu_deploy.cli.command_line import EXIT_BAD_INPUT, EXIT_OK
from rwmu_deploy.collection.transition_segment import EpisodeSpan, SegmentOrigin, write_segment
from rwmu_train.cli.train import main
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.dataset_loading import load_dataset
from rwmu_train.transitions.normaliser import released_normaliser
from rwmu_train.world_model.settings import WorldModelSettings
from rwmu_train.world_model.training import train_world_model

Refused = Callable[..., str]


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Run the command, hold what every refusal promises, and return its one line."""

    def run(*words: str | Path) -> str:
        folder = tmp_path / "refused_run"
        code = main([*map(str, words), "--run", str(folder)])
        said = capsys.readouterr().err
        assert code == EXIT_BAD_INPUT
        assert said.startswith("error: ")
        assert said.count("\n") == 1
        assert "Traceback" not in said
        assert not folder.exists()
        return said

    return run


@pytest.fixture
def data(small_folder: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(small_folder, tmp_path / "data"))


@pytest.fixture(scope="module")
def world_model(small_folder: Path, spec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    settings = WorldModelSettings(iterations=1, batch_size=8, validate_every=1)
    train_world_model(
        load_dataset(small_folder, spec), released_normaliser(spec), settings, folder, seed=0
    )
    return folder


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--preset", "quik"], "no preset 'quik'; allowed are paper, released, quick"),
        (["--train-variant", "field"], "--train-variant is for --method online-ppo"),
        (["--score-variant", "feild"], "no robot variant 'feild'; allowed are nominal, field"),
        (["--task", "anymal"], "no task 'anymal'; allowed are anymal_d_flat"),
        (["--device", "cuda:7"], "--device cuda:7 can't be used"),
        (["--stage", "policy"], "--stage policy needs --world-model DIR"),
        (["--data", "/no/such/folder"], "/no/such/folder"),
        (["--world-model", "/no/such/model"], "/no/such/model"),
        (["--iterations", "3"], "unrecognized arguments: --iterations"),
        (["--stage", "everything"], "invalid choice: 'everything'"),
        (["--normaliser", "batch"], "invalid choice: 'batch'"),
        (["--set", "world_model.loss"], "allowed is NAME=VALUE"),
        (["--set", "world_model.loss=l1"], "allowed is huber, mse, sampled_mse, gaussian_nll"),
        (["--set", "world_model.history=900"], "no episode has the 932 rows"),
        (["--set", "world_model.batch_size=30"], "is not a multiple of branches 4"),
        (["--set", "normaliser=batch"], "batch"),
        (["--set", "imagination.most_out_of_range=2"], "most_out_of_range is 2.0; allowed is 0"),
        (["--method", "online-ppo", "--set", "world_model.loss=huber"], "world_model"),
        (["--method", "online-ppo", "--select", "sim"], "--select sim is for --method mopo-ppo"),
        (["--method", "online-ppo", "--lambda", "0"], "--lambda is for --method mopo-ppo"),
        (["--start-from", "/any"], "--start-from is for --method online-ppo"),
        (["--method", "online-ppo", "--start-from", "/any"], "/any"),
        (["--method", "online-ppo", "--start-from", "gait"], "robot 'anymal_d' has no gait"),
        (["--world-model", "/any", "--normaliser", "fitted"], "/any is used as it is"),
        (["--seeds", "0"], "--seeds 0; allowed is 1 up"),
        (["--seeds", "2", "--stage", "world-model"], "--stage world-model trains none"),
        (["--seed", "-1"], "--seed -1; allowed is 0 up"),
        (["--lambda", "-1"], "lambda (reward.uncertainty_weight) is -1.0; allowed is 0 up"),
        (["--lambda", "nan"], "lambda (reward.uncertainty_weight) is nan; allowed is 0 up"),
        (["--set", "world_model.members=1"], "lambda is 2, but the world model has one member"),
        (
            ["--lambda", "0", "--set", "world_model.members=1"],
            "end_above_uncertainty is 4, but the world model has one member",
        ),
        (["--mix", "sim=0.8", "real=0.1"], "add up to 0.9; allowed is 1"),
        (["--mix", "sim=0.8", "real=0.2"], "names real, sim; the data are of sim"),
    ],
)
def test_settings_that_do_not_exist_are_named(refused: Refused, words, said: str) -> None:
    assert said in refused(*words)


def test_simulated_robots_are_not_on_a_gpu(refused: Refused, monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    said = refused("--method", "online-ppo", "--device", "cuda")
    assert "--device cuda can't be used: online-ppo trains on simulated robots" in said


def _drop_a_column(rows: list[list[str]]) -> None:
    for row in rows:
        del row[-1]


def _text(rows: list[list[str]]) -> None:
    rows[6][3] = "fast"


def _nan(rows: list[list[str]]) -> None:
    rows[6][3] = "nan"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_drop_a_column, "65 columns"),
        (_text, r"row 6 \(line 7\).*base_angular_velocity_radps\[x\].*fast"),
        (_nan, r"row 6 \(line 7\).*base_angular_velocity_radps\[x\].*nan"),
    ],
    ids=["65 columns", "text", "NaN"],
)
def test_a_csv_that_is_not_numbers_is_refused_where_it_is_wrong(
    refused: Refused, data: Path, spoil, said: str
) -> None:
    file = next(data.glob("*_0.csv"))
    rows = [line.split(",") for line in file.read_text().splitlines()]
    spoil(rows)
    file.write_text("\n".join(",".join(row) for row in rows) + "\n")
    for sidecar in data.glob("*.meta.json"):
        sidecar.unlink()  # whose hash would tell first
    message = refused("--data", data)
    assert re.search(said, message, re.IGNORECASE), message
    assert str(file) in message


def test_an_altered_csv_does_not_match_its_sidecar(refused: Refused, data: Path) -> None:
    file = next(data.glob("*_0.csv"))
    file.write_text(file.read_text().replace("0", "1", 1))
    assert file.name in refused("--data", data)


def test_refused_files_are_left_out_only_when_asked_to(
    refused: Refused, data: Path, tmp_path: Path
) -> None:
    torn = data / "state_action_data_7.csv"
    torn.write_text("1,2\n")
    assert torn.name in refused("--data", data)
    run = tmp_path / "run"
    budget = ["--world-model-iterations", "1", "--stage", "world-model"]
    words = ["--data", str(data), "--leave-out-refused", "--run", str(run)]
    assert main([*budget, *words]) == EXIT_OK
    summary = json.loads((run / "summary.json").read_text())
    assert len(summary["refused"]) == 1
    assert torn.name in summary["refused"][0]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("robot", "anymal_c", "robot"),
        ("control_dt_s", 0.01, "control_dt_s"),
        ("joint_names", None, "joint_names differs at index 0"),
    ],
    ids=["robot", "time step", "joint order"],
)
def test_data_of_another_robot_are_refused(
    refused: Refused, data: Path, world_model: Path, key: str, value, said: str
) -> None:
    sidecar = next(data.glob("*.meta.json"))
    document = json.loads(sidecar.read_text())
    document[key] = document["joint_names"][::-1] if value is None else value
    sidecar.write_text(json.dumps(document))
    words = ["--stage", "policy", "--world-model", world_model]
    message = refused("--data", data, *words)
    assert said in message
    assert sidecar.name in message


def test_data_without_an_episode_as_long_as_the_models_history_are_refused(
    refused: Refused, small_dataset: TransitionDataset, world_model: Path, tmp_path: Path
) -> None:
    rows = small_dataset.rows[:60].astype(float)
    spans = [EpisodeSpan(30 * i, 30 * i + 29, "truncated", (0, 0, 0)) for i in range(2)]
    origin = SegmentOrigin("sim", "none: drawn", "none: drawn", "none: drawn")
    write_segment(tmp_path / "short", small_dataset.spec, rows, spans, origin)
    words = ["--stage", "policy", "--world-model", world_model]
    assert "no episode has 32 rows of history" in refused("--data", tmp_path / "short", *words)


def test_an_altered_world_model_is_refused(
    refused: Refused, data: Path, world_model: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(world_model, tmp_path / "copy"))
    weights = next(copy.glob("world_model.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert str(copy / "world_model.safetensors") in refused(
        "--stage", "policy", "--data", data, "--world-model", copy
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda robot: robot["joints"][0].update(kp_nm_per_rad=40.0),
            "joint LF_HAA kp_nm_per_rad",
        ),
        (lambda robot: robot["joints"].reverse(), "models anymal_d (RH_KFE, "),
        (lambda robot: robot.update(action_scale=0.25), "action_scale differs"),
        (lambda robot: robot.update(control_dt_s=0.01), "control_dt_s differs"),
        (lambda robot: robot["contact_names"].reverse(), "contact_names differs"),
    ],
    ids=["gain", "joint order", "action scale", "time step", "contact order"],
)
def test_a_world_model_of_another_robot_is_refused(
    refused: Refused, data: Path, world_model: Path, tmp_path: Path, change, said: str
) -> None:
    copy = Path(shutil.copytree(world_model, tmp_path / "copy"))
    facts = copy / "world_model.json"
    document = json.loads(facts.read_text())
    change(document["robot"])
    facts.write_text(json.dumps(document))
    assert said in refused("--stage", "policy", "--data", data, "--world-model", copy)


def test_a_run_folder_in_use_is_not_written_over(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "mine"
    run.mkdir()
    (run / "config.json").write_text("{}")
    assert main(["--data", str(data), "--run", str(run)]) == EXIT_BAD_INPUT
    assert "holds a run already" in capsys.readouterr().err
    assert [path.name for path in run.iterdir()] == ["config.json"]


def test_resume_needs_the_run_that_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--resume"]) == EXIT_BAD_INPUT
    assert "--resume needs --run DIR" in capsys.readouterr().err


def test_a_world_model_trained_by_command_is_the_one_in_the_run_folder(
    data: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = ["--stage", "world-model", "--data", str(data), "--run", str(run)]
    assert main([*words, "--world-model-iterations", "2"]) == 0
    summary = json.loads((run / "summary.json").read_text())
    assert np.isfinite(summary["held_out"]["error_by_step"]).all()
    assert {path.name for path in run.iterdir()} >= {"config.json", "summary.json", "world_model"}


def test_settings_by_name_and_notes_on_the_data_are_in_the_run_folder(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    words = ["--stage", "world-model", "--data", str(data), "--run", str(run), "--set"]
    own = ["world_model.iterations=1", "world_model.batch_size=40", "world_model.loss=mse"]
    assert main([*words, *own]) == EXIT_OK
    settings = json.loads((run / "config.json").read_text())["settings"]["world_model"]
    assert (settings["loss"], settings["batch_size"]) == ("mse", 40)
    said = capsys.readouterr().out.replace("\n", " ")
    assert "channels never change: projected_gravity[x]" in said
    assert said.index("never change") < said.index("world model: 1/1")
    notes = json.loads((run / "summary.json").read_text())["notes"]
    assert any("projected_gravity[x]" in note for note in notes)
