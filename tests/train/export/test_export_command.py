from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import onnx
import pytest
import yaml

from rwmu_deploy.contract.bundle_files import FileFacts
from rwmu_deploy.contract.bundle_manifest import facts_text, manifest_bytes
from rwmu_deploy.contract.policy_bundle import PolicyBundle
from rwmu_deploy.contract.robot_spec import robot_folder
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
        ["diff", "none", "none"],
        ["diff", "none"],
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


def test_disk_that_cannot_be_written_is_one_line_and_exit_code_2(
    run_folder: Path, capsys: pytest.CaptureFixture[str]
):
    """No one may make a folder in /proc, the superuser included."""
    assert main(["--onnx", "--run", str(run_folder), "--out", "/proc/walker"]) == 2
    assert "can't write /proc/walker" in _one_error_line(capsys)


@pytest.mark.usefixtures("quick_export")
def test_disk_that_ends_in_the_middle_of_a_file_leaves_nothing(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """The kernel itself refuses to write on, at 50 kB of a policy of 190 kB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        status = main(["--onnx", "--run", str(run_folder), "--out", str(tmp_path / "walker")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert status == 2
    assert re.search(r"can't write .*policy\.onnx: File too large", _one_error_line(capsys))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("gain", ["kp_nm_per_rad", "kd_nms_per_rad"])
def test_robot_yaml_without_a_gain_is_refused_because_there_is_no_safe_default(
    bundle_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], gain: str
):
    document = json.loads((bundle_folder / "manifest.json").read_text())["robot"]
    del document["joints"][7][gain]
    (tmp_path / "robot.yaml").write_text(json.dumps(document))
    command = ["--verify-only", str(bundle_folder), "--robot", str(tmp_path / "robot.yaml")]
    assert main(command) == 2
    assert f"joints[7] misses {gain}" in _one_error_line(capsys)


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
    other = yaml.safe_load((robot_folder("anymal_d") / "robot.yaml").read_text())
    other["joints"][0]["kp_nm_per_rad"] = 80.0
    (tmp_path / "robot.yaml").write_text(json.dumps(other))
    command = ["--verify-only", str(bundle_folder)]
    assert main([*command, "--robot", str(tmp_path / "robot.yaml")]) == 1
    assert "LF_HAA kp_nm_per_rad differs: trained with 85.0, robot 80.0" in _one_error_line(capsys)
    assert main([*command, "--expected-sha256", "0" * 64]) == 1
    assert "expected is 000" in _one_error_line(capsys)


def test_page_shows_everything_at_100_columns_and_in_a_pipe(
    bundle_folder: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["inspect", str(bundle_folder)]) == 0
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 100
    assert "…" not in printed
    bundle = PolicyBundle.load(bundle_folder)
    manifest = bundle.manifest
    wanted = [bundle.sha256, manifest["provenance"]["weights_sha256"], "opset 18", "test-run"]
    wanted += [file["sha256"] for file in manifest["files"].values()]
    wanted += [*bundle.spec.joint_names, "vx_mps", "vy_mps", "wz_radps", "xyzw", "±1.5"]
    wanted += [term["name"] for term in manifest["interface"]["observation"]["terms"]]
    wanted += [
        f"torch {manifest['provenance']['export_versions']['torch']}",
        "extreme",
        "verification.json",
    ]
    assert [text for text in wanted if text not in printed] == []
    (row,) = (line.split() for line in printed.splitlines() if "RH_KFE" in line)
    # Default, lower, upper, kp, kd, speed, effort.
    assert row[1:9] == ["RH_KFE", "0.8", "-0.8", "2.4", "85", "0.6", "8.5", "80"]


def test_json_of_the_page_has_every_digit(bundle_folder: Path, tmp_path: Path):
    assert main(["inspect", str(bundle_folder), "--json", str(tmp_path / "page.json")]) == 0
    document = json.loads((tmp_path / "page.json").read_text())
    bundle = PolicyBundle.load(bundle_folder)
    assert document["sha256"] == bundle.sha256
    assert document["manifest"] == json.loads((bundle_folder / "manifest.json").read_text())
    assert document["verification"]["compared"]["random"]["count"] == 10_000
    assert document["golden_replay"]["largest_difference"] == bundle.golden_difference


@pytest.mark.parametrize("report", ["[]", "{", '{"compared": {"random": {"count": "many"}}}'])
def test_report_that_the_export_did_not_write_is_one_line(
    bundle_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], report: str
):
    """All hashes agree, and the robot never reads it, but the page does."""
    copy = _resealed(bundle_folder, tmp_path / "walker", {}, report.encode())
    PolicyBundle.load(copy)
    assert main(["inspect", str(copy)]) == 1
    assert "verification.json is not as rwmu-export writes it" in _one_error_line(capsys)


@pytest.mark.parametrize("changes", [{"provenance": []}, {"network": {"hidden_sizes": 3}}])
def test_facts_that_no_robot_reads_are_checked_before_they_are_shown(
    bundle_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict
):
    copy = _resealed(bundle_folder, tmp_path / "walker", changes)
    PolicyBundle.load(copy)
    assert main(["inspect", str(copy)]) == 1
    _one_error_line(capsys)
    assert main(["diff", str(bundle_folder), str(copy)]) == 2
    _one_error_line(capsys)


def test_diff_says_0_for_the_same_1_for_another_and_2_for_a_refused_one(
    bundle_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    command = ["diff", str(bundle_folder)]
    assert main([*command, str(bundle_folder)]) == 0
    assert "same bundle" in capsys.readouterr().out

    other = _resealed(bundle_folder, tmp_path / "other", {"task": "rough"})
    assert main([*command, str(other), "--json", str(tmp_path / "diff.json")]) == 1
    printed = capsys.readouterr().out
    assert re.search(r"name +task +anymal_d_flat +rough", printed)
    assert "both act alike" in printed
    document = json.loads((tmp_path / "diff.json").read_text())
    assert not document["same"]
    assert document["differences"][0] == {
        "topic": "name",
        "what": "task",
        "a": "anymal_d_flat",
        "b": "rough",
    }
    assert document["actions"]["largest"] == 0.0

    content = bytearray((other / "policy.onnx").read_bytes())
    content[1000] ^= 1
    (other / "policy.onnx").write_bytes(content)
    for pair in ([bundle_folder, other], [other, bundle_folder], [other, other]):
        assert main(["diff", *map(str, pair)]) == 2
        assert f"bundle {other} is refused: " in _one_error_line(capsys)


def _resealed(bundle: Path, copy: Path, facts: dict, report: bytes | None = None) -> Path:
    """A copy with other facts or another report, whose hashes all agree."""
    shutil.copytree(bundle, copy)
    if report is not None:
        (copy / "verification.json").write_bytes(report)
    document = {**json.loads((copy / "manifest.json").read_text()), **facts}
    model = onnx.load_from_string((copy / "policy.onnx").read_bytes())
    for entry in model.metadata_props:
        if entry.key == "rwmu":
            entry.value = facts_text(document)
    (copy / "policy.onnx").write_bytes(model.SerializeToString())
    for name in document["files"]:
        document["files"][name] = asdict(FileFacts.of((copy / name).read_bytes()))
    (copy / "manifest.json").write_bytes(manifest_bytes(document))
    return copy


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
