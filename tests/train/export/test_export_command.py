from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rwmu_deploy.contract.policy_bundle import PolicyBundle
from rwmu_train.cli.export import main
from rwmu_train.export import bundle_export
from rwmu_train.policy.policy_checkpoint import PolicyFacts
from rwmu_train.policy.policy_network import PolicyNetwork


def _one_error_line(capsys: pytest.CaptureFixture[str]) -> str:
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.usefixtures("quick_export")
def test_export_prints_the_comparison_and_the_hash(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "walker"
    assert main(["--onnx", "--run", str(run_folder), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "200" in printed
    assert PolicyBundle.load(out).sha256 in printed


def test_second_export_to_the_same_folder_is_bad_input(
    run_folder: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["--onnx", "--run", str(run_folder), "--out", str(bundle_folder)]) == 2
    assert "exists already" in _one_error_line(capsys)


def test_mismatch_is_exit_code_1(
    run_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    facts: PolicyFacts,
):
    real = bundle_export.policy_to_onnx
    other = PolicyNetwork(facts.robot)
    monkeypatch.setattr(bundle_export, "policy_to_onnx", lambda _, metadata: real(other, metadata))
    assert main(["--onnx", "--run", str(run_folder), "--out", str(tmp_path / "walker")]) == 1
    assert "differs by" in _one_error_line(capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--onnx"],
        ["--onnx", "--run", "x"],
        ["--run", "x", "--out", "y"],
        ["--onnx", "--verify-only", "x"],
        ["--onnx", "--run", "none", "--out", "y"],
        ["--verify-only", "none"],
        ["inspect", "none"],
        ["inspect"],
        ["--nonsense"],
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    _one_error_line(capsys)
    assert list(tmp_path.iterdir()) == []


def test_verify_only_accepts_a_good_bundle_with_its_run_and_robot(
    bundle_folder: Path, run_folder: Path, capsys: pytest.CaptureFixture[str]
):
    arguments = ["--verify-only", str(bundle_folder), "--run", str(run_folder)]
    assert main([*arguments, "--robot", "anymal_d"]) == 0
    assert "16 golden vectors" in capsys.readouterr().out


def test_verify_only_refuses_an_altered_bundle(
    bundle_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    copy = Path(shutil.copytree(bundle_folder, tmp_path / "walker"))
    content = bytearray((copy / "policy.onnx").read_bytes())
    content[1000] ^= 1
    (copy / "policy.onnx").write_bytes(content)
    assert main(["--verify-only", str(copy)]) == 1
    assert "altered" in _one_error_line(capsys)
    assert main(["inspect", str(copy)]) == 1
    assert "altered" in _one_error_line(capsys)


def test_verify_only_refuses_another_robot_and_another_hash(
    bundle_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], robot
):
    manifest = json.loads((bundle_folder / "manifest.json").read_text())["robot"]
    manifest["joints"][0]["kp_nm_per_rad"] = 80.0
    (tmp_path / "robot.yaml").write_text(json.dumps(manifest))
    command = ["--verify-only", str(bundle_folder)]
    assert main([*command, "--robot", str(tmp_path / "robot.yaml")]) == 1
    assert "LF_HAA kp_nm_per_rad differs: bundle 85.0, robot 80.0" in _one_error_line(capsys)
    assert main([*command, "--expected-sha256", "0" * 64]) == 1
    assert "expected is 000" in _one_error_line(capsys)


def test_page_shows_joints_terms_commands_and_hash(
    bundle_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "140")
    assert main(["inspect", str(bundle_folder)]) == 0
    printed = capsys.readouterr().out
    wanted = ("RH_KFE", "joint_position_offset_rad", "rad/s", "wz_radps", "opset 18", "test-run")
    for text in (*wanted, PolicyBundle.load(bundle_folder).sha256):
        assert text in printed


def test_terminated_command_leaves_nothing(run_folder: Path, tmp_path: Path):
    """A real process, ended while the half-made bundle lies beside its final name."""
    root = Path(__file__).parents[3]
    program = (
        "import os, signal; from rwmu_train.export import bundle_export; "
        "from rwmu_train.cli.export import main; real = bundle_export.compare_policies\n"
        "def stop(*arguments):\n"
        f"    print(len(os.listdir({str(tmp_path)!r})))\n"
        f"    os.kill(os.getpid(), {int(signal.SIGTERM)})\n"
        "    return real(*arguments)\n"
        "bundle_export.compare_policies = stop\n"
        f"raise SystemExit(main(['--onnx', '--run', {str(run_folder)!r}, '--out', "
        f"{str(tmp_path / 'walker')!r}]))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout.strip() == "1"
    assert result.returncode == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []
