"""rwmu-train --resume after kill -9, and --seeds: whole results, and nothing done twice."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors import safe_open

from rwmu_deploy.cli.command_line import EXIT_BAD_INPUT, EXIT_OK
from rwmu_train.cli import policy_stage
from rwmu_train.cli.train import main
from rwmu_train.policy.policy_checkpoint import load_policy

SMALL = [
    *("--threads", "1", "--robots", "8", "--set"),
    *("world_model.iterations=8", "world_model.batch_size=40", "world_model.validate_every=4"),
    *("world_model.history=12", "world_model.forecast=3", "world_model.hidden=16"),
    *("world_model.branches=2", "world_model.branch_stride=3"),
    *(
        "cloning.steps=20",
        "cloning.horizon_rows=20",
        "imagination.end_above_uncertainty=inf",
        "early_end=none",
    ),
    "imagination.most_out_of_range=1",
    *("ppo.steps_per_iteration=4", "ppo.checkpoint_every=1"),
]


@pytest.fixture(autouse=True)
def short_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_stage, "SCORED_ROBOTS", 4)
    monkeypatch.setattr(policy_stage, "SCORED_SECONDS", 0.4)


def iterations(run: Path) -> int:
    """PPO iterations in the run's checkpoint; -1 where there is none."""
    try:
        with safe_open(run / "ppo" / "resume.safetensors", "pt") as file:
            return json.loads(file.metadata()["policy_training"])["iteration"]
    except FileNotFoundError:
        return -1


def kill_when(words: list[str], happened: Callable[[], bool]) -> None:
    """Start the command in a process of its own, and kill it at that moment."""
    process = subprocess.Popen(
        [sys.executable, "-m", "rwmu_train.cli.train", *words],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    until = time.monotonic() + 100.0
    while not happened() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    said, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL, said


def test_a_run_that_is_killed_again_and_again_ends_whole(
    small_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    words = ["--data", str(small_folder), "--run", str(run), *SMALL, "ppo.iterations=12"]
    kill_when(words, (run / "config.json").exists)
    kill_when([*words, "--resume"], lambda: iterations(run) >= 0)
    model = (run / "world_model" / "world_model.safetensors").read_bytes()
    kill_when([*words, "--resume"], lambda: iterations(run) >= 3)
    assert not (run / "summary.json").exists()
    done = iterations(run)
    assert main([*words, "--resume"]) == EXIT_OK
    said = capsys.readouterr().out
    assert "world model: finished already, 8 iterations" in said
    assert f"policy in imagination: goes on after iteration {done}" in said
    assert "cloning" not in said
    summary = json.loads((run / "summary.json").read_text())
    assert list(summary["selection"]["imagined_score"]) == ["0", "10", "12"]
    assert "the simulator took no part" in summary["selection"]["rule"]
    assert (run / "world_model" / "world_model.safetensors").read_bytes() == model
    assert load_policy(run)
    assert not list(tmp_path.rglob("*.tmp"))

    files = {path: path.stat().st_mtime_ns for path in run.glob("*.*")}
    assert main([*words, "--resume"]) == EXIT_OK
    assert "is finished already" in capsys.readouterr().out
    assert files == {path: path.stat().st_mtime_ns for path in run.glob("*.*")}

    other = [*words, "--resume", "--lambda", "0.5"]
    assert main(other) == EXIT_BAD_INPUT
    assert "reward.uncertainty_weight 2.0; now it is 0.5" in capsys.readouterr().err
    assert main([*words, "--resume", "--seed", "1"]) == EXIT_BAD_INPUT
    assert "was begun with --seed 0; now it is 1" in capsys.readouterr().err
    assert main([*words, "--resume", "--seeds", "2"]) == EXIT_BAD_INPUT
    assert "was begun without --seeds" in capsys.readouterr().err


def test_seeds_share_a_world_model_and_their_spread_is_told(
    small_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    words = ["--data", str(small_folder), "--run", str(run), "--seed", "3", *SMALL]
    words += ["ppo.iterations=2"]
    assert main([*words, "--seeds", "2"]) == EXIT_OK
    said = capsys.readouterr().out
    for seed in (3, 4):
        assert f"seed {seed}: policy in imagination: chosen by imagined score: iteration" in said
    policies = [load_policy(run / f"seed_{seed}") for seed in (3, 4)]
    assert [facts.seed for _, facts in policies] == [3, 4]
    assert policies[0][1].world_model_sha256 == policies[1][1].world_model_sha256
    first, second = (network.mlp[0].weight for network, _ in policies)
    assert not (first == second).all()
    whole = json.loads((run / "summary.json").read_text())
    assert list(whole["seeds"]) == ["3", "4"]
    returns = [own["simulated"]["episode_return"] for own in whole["seeds"].values()]
    assert whole["over_seeds"]["episode_return"]["mean"] == pytest.approx(sum(returns) / 2)
    assert whole["over_seeds"]["episode_return"]["min"] == min(returns)

    # A third one later: the first two stay as they are.
    before = {path: path.stat().st_mtime_ns for path in run.glob("seed_[34]/*.*")}
    assert main([*words, "--seeds", "3", "--resume"]) == EXIT_OK
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert list(json.loads((run / "summary.json").read_text())["seeds"]) == ["3", "4", "5"]


def test_the_simulator_chooses_only_where_it_is_asked_to(
    small_folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = ["--data", str(small_folder), "--run", str(run), "--select", "sim", *SMALL]
    words += ["ppo.iterations=12"]
    assert main(words) == EXIT_OK
    selection = json.loads((run / "summary.json").read_text())["selection"]
    assert "the simulator took part" in selection["rule"]
    scores = {int(i): score for i, score in selection["simulated_return"].items()}
    assert set(scores) == {0, 10, 12}
    assert scores[selection["iteration"]] == max(scores.values())


def test_one_member_and_lambda_0_is_plain_mbpo_ppo(small_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["--data", str(small_folder), "--run", str(run), "--lambda", "0", *SMALL]
    assert main([*words, "ppo.iterations=2", "world_model.members=1"]) == EXIT_OK
    summary = json.loads((run / "summary.json").read_text())
    scores = summary["selection"]["imagined_score"].values()
    assert all(isinstance(score, float) for score in scores)  # text where not finite
    assert load_policy(run)
