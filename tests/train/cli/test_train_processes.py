"""rwmu-train in processes of its own: two that train as one, one that is killed and resumes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rwmu_deploy.cli.command_line import EXIT_OK
from rwmu_train.cli.train import main
from rwmu_train.policy.policy_checkpoint import load_policy, weights_sha256

TINY = [
    *("--stage", "world-model", "--threads", "1", "--set"),
    *("world_model.iterations=8", "world_model.batch_size=40", "world_model.validate_every=4"),
    *("world_model.history=12", "world_model.forecast=3"),
    *("world_model.branches=2", "world_model.branch_stride=3"),
]
WEIGHTS = Path("world_model", "world_model.safetensors")


def start(words: list[str], **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "rwmu_train.cli.train", *words],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def on_two_processes(first: list[str], second: list[str]) -> list[tuple[int, str, str]]:
    """Exit code, stdout and stderr of both, started as torchrun starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    shared |= {"GLOO_SOCKET_IFNAME": "lo"}
    processes = [start(w, RANK=str(rank), **shared) for rank, w in enumerate((first, second))]
    try:
        said = [process.communicate(timeout=120) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(p.returncode, *texts) for p, texts in zip(processes, said, strict=True)]


def test_two_processes_train_as_one(small_folder: Path, tmp_path: Path) -> None:
    words = [*TINY, "world_model.bootstrap=poisson", "world_model.loss=sampled_mse"]
    words += ["world_model.precision=float32"]  # bfloat16 rounds the shares more coarsely
    words += ["--data", str(small_folder)]
    assert main([*words, "--run", str(tmp_path / "one")]) == EXIT_OK
    two = [*words, "--run", str(tmp_path / "two")]
    first, second = on_two_processes(two, two)
    assert (first[0], second[0]) == (EXIT_OK, EXIT_OK), first[2] + second[2]
    assert "Run folder" in first[1]
    assert second[1] == ""
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two"}
    ours, theirs = (load_file(tmp_path / run / WEIGHTS) for run in ("two", "one"))
    # Adam turns rounding of near-zero gradients into steps of up to the learning rate (1e-3).
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-4, atol=2e-4, msg=name)
        assert float((ours[name] - value).abs().mean()) < 1e-6, name
    summaries = [json.loads((tmp_path / r / "summary.json").read_text()) for r in ("one", "two")]
    errors = [summary["held_out"]["error_by_step"] for summary in summaries]
    assert errors[1] == pytest.approx(errors[0], rel=1e-4)


def test_one_process_that_fails_ends_both_with_one_message(
    small_folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = [*TINY, "--run", str(run), "--data"]
    first, second = on_two_processes([*words, str(small_folder)], [*words, "/no/such/folder"])
    assert first[0] != EXIT_OK
    assert second[0] != EXIT_OK
    said = first[2] + second[2]
    assert said.count("error:") == 1, said
    assert "/no/such/folder" in said
    assert "Traceback" not in said
    assert not (run / WEIGHTS).exists()
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_loss_that_explodes_is_said_once_and_keeps_the_last_good_model(
    small_folder: Path, tmp_path: Path
) -> None:
    words = [*TINY, "world_model.final_learning_rate=1e30", "--data", str(small_folder)]
    words[words.index("world_model.validate_every=4")] = "world_model.validate_every=1"
    run = tmp_path / "run"
    first, second = on_two_processes(*[[*words, "--run", str(run)]] * 2)
    said = first[2] + second[2]
    assert said.count("error:") == 1, said
    assert "the last good checkpoint is kept" in said
    assert "Traceback" not in said
    assert all(value.isfinite().all() for value in load_file(run / WEIGHTS).values())


def test_a_training_killed_at_any_moment_resumes_as_an_unbroken_one(
    small_folder: Path,
    tmp_path: Path,
    trials,
) -> None:
    words = [*TINY, "--data", str(small_folder)]
    words[words.index("world_model.iterations=8")] = "world_model.iterations=60"
    words[words.index("world_model.validate_every=4")] = "world_model.validate_every=7"
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = start([*words, "--run", str(killed)])
    until = time.monotonic() + 100.0
    while not (killed / "world_model" / "resume.safetensors").exists():
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert main([*words, "--run", str(killed), "--resume"]) == EXIT_OK
    assert main([*words, "--run", str(whole)]) == EXIT_OK
    for name in ("world_model.safetensors", "resume.safetensors"):
        paths = (run / "world_model" / name for run in (killed, whole))
        ours, theirs = (load_file(path) for path in paths)
        for tensor, value in theirs.items():
            torch.testing.assert_close(ours[tensor], value, rtol=0, atol=0, msg=tensor)
    trials("T-26", 1)


def test_two_processes_train_model_and_policies_together(
    small_folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = [*TINY, "ppo.iterations=4", "ppo.steps_per_iteration=4", "ppo.hidden=16"]
    words += ["imagination.robots=8", "imagination.end_above_uncertainty=inf"]
    words += ["imagination.most_out_of_range=1", "early_end=none", "cloning.steps=10"]
    words += ["cloning.horizon_rows=20"]
    words += ["--stage", "all", "--seeds", "2", "--data", str(small_folder), "--run", str(run)]
    first, second = on_two_processes(words, words)
    assert (first[0], second[0]) == (EXIT_OK, EXIT_OK), first[2] + second[2]
    assert second[1] == ""
    summary = json.loads((run / "summary.json").read_text())
    assert set(summary["seeds"]) == {"0", "1"}
    zero, one = (weights_sha256(load_policy(run / f"seed_{i}")[0]) for i in (0, 1))
    assert zero != one


def test_two_processes_train_in_the_simulated_robot(tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["--method", "online-ppo", "--robots", "8", "--run", str(run)]
    words += ["--policy-iterations", "3", "--set", "ppo.checkpoint_every=1"]
    first, second = on_two_processes(words, words)
    assert (first[0], second[0]) == (EXIT_OK, EXIT_OK), first[2] + second[2]
    assert [path.name for path in sorted((run / "stages").iterdir())] == [
        f"iteration_{i:06d}" for i in (1, 2, 3)
    ]
    more = [*words[:-3], "4", *words[-2:], "--resume"]
    first, second = on_two_processes(more, more)
    assert (first[0], second[0]) == (EXIT_OK, EXIT_OK), first[2] + second[2]
    assert (run / "stages" / "iteration_000004").is_dir()


def test_robots_that_processes_cannot_share_are_refused(tmp_path: Path) -> None:
    words = ["--method", "online-ppo", "--robots", "7", "--run", str(tmp_path / "run")]
    first, second = on_two_processes(words, words)
    said = first[2] + second[2]
    assert said.count("error: 7 robots can't be divided among 2 processes") == 1, said


def test_several_processes_without_a_common_folder_are_refused() -> None:
    first, second = on_two_processes(["--stage", "all"], ["--stage", "all"])
    said = first[2] + second[2]
    assert said.count("error: 2 processes were started, which need one folder") == 1, said
