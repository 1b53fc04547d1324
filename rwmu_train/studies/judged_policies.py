"""Cells that learn nothing from data: a given policy, and online PPO in the nominal robot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_train.policy.policy_checkpoint import load_policy
from rwmu_train.presets import OnlinePreset
from rwmu_train.reference.online_ppo import train_online
from rwmu_train.studies.cell import Figures, OnStage
from rwmu_train.studies.offline_cell import Judging
from rwmu_train.task.velocity_task import find_task


@dataclass(frozen=True)
class JudgeWork:
    """Judge a policy that is there."""

    task: str
    policy: Path
    weights_sha256: str
    judging: Judging

    def settings(self) -> Mapping[str, Any]:
        """All that the figures depend on."""
        return {
            "task": self.task,
            "policy_sha256": self.weights_sha256,
            "judging": self.judging,
        }

    def figures(self, folder: Path, seed: int, on_stage: OnStage | None) -> Figures:
        """Let it walk."""
        network, _ = load_policy(self.policy)
        return self.judging.figures(network, find_task(self.task))


@dataclass(frozen=True)
class OnlineWork:
    """Train with PPO in the nominal simulated robot, and judge."""

    task: str
    preset: OnlinePreset
    judging: Judging

    def settings(self) -> Mapping[str, Any]:
        """All that the figures depend on."""
        return {
            "task": self.task,
            "preset": self.preset,
            "judging": self.judging,
        }

    def figures(self, folder: Path, seed: int, on_stage: OnStage | None) -> Figures:
        """Train from random weights; the folder is then a run folder with stages."""
        say = on_stage or (lambda what, done, total: None)
        task, preset = find_task(self.task), self.preset
        policy = train_online(
            load_robot_spec(task.robot),
            task,
            preset.ppo,
            folder,
            robots=preset.robots,
            timing=preset.timing,
            noise=preset.noise,
            seed=seed,
            resume=True,
            on_iteration=lambda report: say("online PPO", report.iteration, preset.ppo.iterations),
        )
        say("judging", 0, 1)
        return self.judging.figures(policy, task)
