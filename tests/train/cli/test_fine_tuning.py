"""`rwmu-train --resume-from`: a policy and its world model go on from where they were."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from rwmu_deploy.cli.command_line import EXIT_BAD_INPUT, EXIT_OK
from rwmu_deploy.collection.transition_segment import EpisodeSpan, SegmentOrigin, write_segment
from rwmu_train.cli import policy_stage
from rwmu_train.cli.export import main as export
from rwmu_train.cli.train import main
from rwmu_train.policy.demonstrations import CloningSettings, choose_demonstrations
from rwmu_train.policy.policy_checkpoint import load_policy
from rwmu_train.policy.teacher import load_teacher

SMALL = [
    *("--threads", "1", "--robots", "8", "--set"),
    *("world_model.iterations=4", "world_model.batch_size=40", "world_model.validate_every=2"),
    *("world_model.history=12", "world_model.forecast=3", "world_model.hidden=16"),
    *("world_model.branches=2", "world_model.branch_stride=3"),
    *("imagination.end_above_uncertainty=inf", "early_end=none"),
    *("imagination.most_out_of_range=1", "cloning.horizon_rows=50"),
    *("ppo.steps_per_iteration=4", "ppo.iterations=1", "cloning.trust_region_weight=0"),
]
FIELD = "field_data"


@pytest.fixture(autouse=True)
def short_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_stage, "SCORED_ROBOTS", 4)
    monkeypatch.setattr(policy_stage, "SCORED_SECONDS", 0.4)


@pytest.fixture(scope="module")
def begun(small_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, and data of a real robot beside it."""
    place = tmp_path_factory.mktemp("begun")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(policy_stage, "SCORED_ROBOTS", 4)
        patched.setattr(policy_stage, "SCORED_SECONDS", 0.4)
        words = ["--data", str(small_folder), "--run", str(place / "run"), *SMALL]
        assert main([*words, "cloning.steps=20"]) == EXIT_OK
    return place / "run"


@pytest.fixture(scope="module")
def field(spec, small_dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(FIELD)
    rows = 0.9 * small_dataset.rows[:450].astype(np.float64)
    rows[:, small_dataset.columns.projected_gravity.slice] = (0.0, 0.0, -1.0)
    rows[:, small_dataset.columns.contact.slice] = 1.0
    spans = [EpisodeSpan(150 * i, 150 * i + 149, "truncated", (0.2, 0, 0)) for i in range(3)]
    write_segment(folder, spec, rows, spans, SegmentOrigin("real", "none", "none", "none"))
    return folder


def tune(begun: Path, small_folder: Path, field: Path, run: Path, *words: str) -> int:
    return main(
        [
            *("--resume-from", str(begun), "--run", str(run)),
            *("--data", str(small_folder), "--data", str(field)),
            *("--mix", "sim=0.8", "real=0.2", *words),
        ]
    )


def test_world_model_and_policy_go_on_from_those_of_the_run(
    begun: Path, small_folder: Path, small_dataset, field: Path, tmp_path: Path
) -> None:
    run = tmp_path / "tuned"
    code = tune(begun, small_folder, field, run, *SMALL, "cloning.steps=1500")
    assert code == EXIT_OK
    summary = json.loads((run / "summary.json").read_text())
    assert summary["resumed_from"] == str(begun)
    assert summary["world_model_from"] == str(begun / "world_model")
    assert summary["mix"] == {"sim": 0.8, "real": 0.2}
    before = load_file(begun / "world_model" / "world_model.safetensors")
    after = load_file(run / "world_model" / "world_model.safetensors")
    moved = max(float((after[name] - before[name]).abs().max()) for name in before)
    fresh = max(float(value.abs().max()) for value in before.values())
    assert 0.0 < moved < fresh
    # It does what the old one does, where the data are.
    old, new = load_policy(begun)[0], load_policy(run)[0]
    chosen = choose_demonstrations(small_dataset, CloningSettings(best_share=1.0))
    observation = chosen.observation[::7]
    with torch.no_grad():
        gap = (old(observation) - new(observation)).square().mean().sqrt()
        size = old(observation).square().mean().sqrt()
    assert gap < 0.5 * size


def test_a_bundle_is_a_beginning_too(
    begun: Path, small_folder: Path, field: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle"
    assert export(["--onnx", "--run", str(begun), "--out", str(bundle)]) == EXIT_OK
    given = ["--world-model-from", str(begun / "world_model")]
    run = tmp_path / "tuned"
    code = tune(bundle, small_folder, field, run, *given, *SMALL, "cloning.steps=20")
    assert code == EXIT_OK
    assert json.loads((run / "summary.json").read_text())["resumed_from"] == str(bundle)


def test_a_bundle_whose_world_model_is_not_here_says_what_is_missing(
    begun: Path,
    small_folder: Path,
    field: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bundle = tmp_path / "bundle"
    assert export(["--onnx", "--run", str(begun), "--out", str(bundle)]) == EXIT_OK
    capsys.readouterr()
    code = tune(bundle, small_folder, field, tmp_path / "r", *SMALL, "cloning.steps=20")
    assert code == EXIT_BAD_INPUT
    said = capsys.readouterr().err
    assert "was trained in the world model of SHA-256" in said
    assert "--world-model-from" in said


def test_a_world_model_of_other_sizes_is_refused(
    begun: Path,
    small_folder: Path,
    field: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [*SMALL, "cloning.steps=20", "world_model.head_hidden=8"]
    assert tune(begun, small_folder, field, tmp_path / "r", *words) == EXIT_BAD_INPUT
    assert "the world model to begin from is" in capsys.readouterr().err


def test_going_on_with_another_teacher_is_refused(
    begun: Path,
    small_folder: Path,
    field: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = tmp_path / "tuned"
    words = [*SMALL, "cloning.steps=20"]
    assert tune(begun, small_folder, field, run, *words) == EXIT_OK
    other = [
        *("--world-model-from", str(begun / "world_model"), "--run", str(run), "--resume"),
        *("--data", str(small_folder), "--data", str(field), "--mix", "sim=0.8", "real=0.2"),
        *("--resume-from", str(run), *words),
    ]
    capsys.readouterr()
    assert main(other) == EXIT_BAD_INPUT
    assert "teacher_sha256" in capsys.readouterr().err


def test_a_folder_without_a_policy_is_refused(
    small_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", str(small_folder), "--run", str(tmp_path / "r")]
    assert main(["--resume-from", str(tmp_path), *words]) == EXIT_BAD_INPUT
    assert capsys.readouterr().err.startswith("error: ")


def test_a_teacher_answers_every_row(begun: Path, small_dataset, spec) -> None:
    settings = CloningSettings(best_share=1.0, horizon_rows=10)
    chosen = choose_demonstrations(small_dataset, settings)
    teacher = load_teacher(begun, spec)
    answered = teacher.answers(chosen)
    assert answered.observation is chosen.observation
    with torch.no_grad():
        np.testing.assert_allclose(
            answered.action[:7], teacher.act(chosen.observation[:7]), atol=1e-6
        )
    assert len(answered.action) == len(chosen.action)
