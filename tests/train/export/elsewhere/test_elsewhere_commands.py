"""The commands: from elsewhere to a bundle, and from a run to elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from rwmu_deploy.contract.policy_bundle import PolicyBundle
from rwmu_deploy.contract.robot_spec import RobotSpec, spec_to_dict
from rwmu_train.cli.export import main
from rwmu_train.export.rsl_rl_import import StatedFacts, import_rsl_rl

Save = Callable[..., Path]
RANGE = ["--command-lower", "-1", "-1", "-1", "--command-upper", "1", "1", "1"]


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.fixture
def checkpoint(actor_state: dict[str, Tensor], saved: Save) -> Path:
    return saved({"actor_state_dict": actor_state, "iter": 1499, "infos": None})


@pytest.mark.usefixtures("quick_export")
def test_checkpoint_from_elsewhere_becomes_a_verified_bundle(
    checkpoint: Path,
    tmp_path: Path,
    robot: RobotSpec,
    stated: StatedFacts,
    capsys: pytest.CaptureFixture[str],
):
    out = tmp_path / "theirs"
    command = ["--onnx", "--rsl-rl", str(checkpoint), "--robot", "anymal_d", "--out", str(out)]
    names = ["--task", "velocity_flat", "--name", "a-lab"]
    assert main([*command, *RANGE, *names, "--activation", "elu"]) == 0
    assert "largest difference" in capsys.readouterr().out
    bundle = PolicyBundle.load(out, robot=robot)
    network = import_rsl_rl(checkpoint, robot, stated).network
    row = np.full(48, 0.3, dtype=np.float32)
    np.testing.assert_allclose(bundle.action(row), network.action(row), rtol=0, atol=1e-5)
    origin = bundle.manifest["provenance"]
    assert (origin["run_name"], origin["training_method"]) == ("a-lab", "rsl_rl_4-5")
    assert set(origin["data_sha256"]) == {"model_1499.pt"}
    assert bundle.manifest["task"] == "velocity_flat"


@pytest.mark.usefixtures("quick_export")
def test_run_leaves_for_isaac_lab_and_comes_back(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], robot: RobotSpec
):
    file, out = tmp_path / "model_0.pt", tmp_path / "back"
    order = ",".join(reversed(robot.joint_names))
    there = ["--rsl-rl-out", str(file), "--run", str(run_folder), "--rsl-rl-version", "3"]
    assert main([*there, "--joint-order", order]) == 0
    assert "actor_obs_normalization: True" in capsys.readouterr().out
    back = ["--onnx", "--rsl-rl", str(file), "--robot", "anymal_d", "--out", str(out)]
    assert main([*back, *RANGE, "--joint-order", order]) == 0
    direct = tmp_path / "direct"
    assert main(["--onnx", "--run", str(run_folder), "--out", str(direct)]) == 0
    weights = [
        json.loads((folder / "manifest.json").read_text())["provenance"]["weights_sha256"]
        for folder in (out, direct)
    ]
    assert weights[0] == weights[1]


@pytest.mark.usefixtures("quick_export")
def test_jit_is_one_file(run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "policy.pt"
    assert main(["--jit", str(file), "--run", str(run_folder)]) == 0
    assert "200" in capsys.readouterr().out
    assert tuple(torch.jit.load(str(file))(torch.zeros(1, 48)).shape) == (1, 12)
    assert main(["--jit", str(file), "--run", str(run_folder)]) == 2
    assert "is there already" in error_line(capsys)


def test_a_robot_without_gains_is_refused(
    checkpoint: Path, tmp_path: Path, robot: RobotSpec, capsys: pytest.CaptureFixture[str]
):
    document = spec_to_dict(robot)
    del document["joints"][4]["kd_nms_per_rad"]
    (tmp_path / "robot.yaml").write_text(json.dumps(document))
    command = ["--onnx", "--rsl-rl", str(checkpoint), "--robot", str(tmp_path / "robot.yaml")]
    assert main([*command, *RANGE, "--out", str(tmp_path / "theirs")]) == 2
    assert "joints[4] misses kd_nms_per_rad" in error_line(capsys)
    assert not (tmp_path / "theirs").exists()


def test_what_a_checkpoint_does_not_say_must_be_stated(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    command = ["--onnx", "--rsl-rl", str(checkpoint), "--out", str(tmp_path / "theirs")]
    assert main(command) == 2
    assert "needs --robot, --command-lower, --command-upper" in error_line(capsys)
    swapped = ["--command-lower", "1", "1", "1", "--command-upper", "-1", "-1", "-1"]
    assert main([*command, "--robot", "anymal_d", *swapped]) == 2
    assert "the first must not be above" in error_line(capsys)
    unknown = ["--command-lower", "nan", "0", "0", "--command-upper", "1", "1", "1"]
    assert main([*command, "--robot", "anymal_d", *unknown]) == 2
    assert "three finite numbers" in error_line(capsys)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--onnx", "--out", "o"], "one of --run, --rsl-rl and --stand"),
        (
            ["--onnx", "--out", "o", "--run", "r", "--rsl-rl", "c"],
            "one of --run, --rsl-rl and --stand",
        ),
        (["--onnx", "--out", "o", "--jit", "j", "--run", "r"], "allowed is one of --onnx"),
        (["--onnx", "--out", "o", "--run", "r", "--no-normaliser"], "--no-normaliser goes with"),
        (["--onnx", "--out", "o", "--run", "r", "--task", "t"], "--task goes with --rsl-rl"),
        (["--onnx", "--out", "o", "--run", "r", "--robot", "anymal_d"], "--robot goes with"),
        (["--onnx", "--out", "o", "--run", "r", "--joint-order", "a,b"], "--joint-order goes"),
        (["--onnx", "--out", "o", "--run", "r", "--fold-normaliser"], "--fold-normaliser goes"),
        (["--jit", "j", "--run", "r", "--rsl-rl-version", "3"], "--rsl-rl-version goes with"),
        (["--jit", "j", "--run", "r", "--out", "o"], "--out goes with --onnx"),
        (["--rsl-rl-out", "j", "--run", "r", "--rsl-rl-version", "4"], "invalid choice"),
        (["--verify-only", "b", "--rsl-rl", "c"], "--rsl-rl goes with"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    words: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert said in error_line(capsys)
    assert list(tmp_path.iterdir()) == []
