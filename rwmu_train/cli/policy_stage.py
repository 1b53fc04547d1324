"""The policies of a run: each trained in imagination, chosen, scored and summarised once."""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rwmu_deploy.simulation.robot_variant import RobotVariant, find_variant
from rwmu_train.cli.train_run import finished_summary, on_begin, score_line
from rwmu_train.cli.training_display import TrainingDisplay
from rwmu_train.evaluation.simulated_score import SimulatedScore, score_in_simulation
from rwmu_train.imagined_ppo import PolicyCallbacks
from rwmu_train.offline_training import Judge, train_policy
from rwmu_train.policy.collectors_mean import MOST_DISAGREEMENT, MeanAnswers
from rwmu_train.policy.demonstrations import Demonstrations
from rwmu_train.policy.policy_choice import PolicyChoice
from rwmu_train.policy.policy_network import PolicyNetwork
from rwmu_train.policy.ppo_runner import IterationReport
from rwmu_train.policy.teacher import Teacher
from rwmu_train.presets import OfflinePreset
from rwmu_train.processes.process_share import ALONE, ProcessShare
from rwmu_train.run_folder import SUMMARY, write_json
from rwmu_train.task.velocity_task import VelocityTask
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.world_model.checkpoint import WorldModelFacts
from rwmu_train.world_model.ensemble import WorldModel

SIMULATED = "simulated_while_training.json"
SCORED_ROBOTS, SCORED_SECONDS = 100, 20.0
"""Of the final score, and of --select sim."""
GLANCE_ROBOTS, GLANCE_SECONDS = 50, 10.0
"""Of --eval-every."""
_COLLECTORS_SHOWN = 8
_SHA256 = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{56}\b")
SELECTION_SEED = 20_011
"""Not that of the final score, which would otherwise flatter the policy that was chosen by it."""


@dataclass(frozen=True)
class PolicyStage:
    """What all policies of a run share."""

    options: argparse.Namespace
    task: VelocityTask
    preset: OfflinePreset
    dataset: TransitionDataset
    model: WorldModel
    facts: WorldModelFacts
    model_folder: Path
    display: TrainingDisplay
    teacher: Teacher | None = None
    share: ProcessShare = ALONE
    """Of the processes that train together."""

    def train(
        self, about: Mapping[str, Any], seed: int, folder: Path, title: str
    ) -> tuple[dict[str, Any], bool]:
        """Do what is left of one seed.

        Args:
            about: What the summary says of data and world model.
            seed: Of the policy.
            folder: Where it goes.
            title: Of its progress bar.

        Returns:
            Its summary, also written, and whether it was there already.
        """
        began = time.monotonic()
        simulated = _ScoresWhileTraining(folder / SIMULATED)
        choice = self.choose(seed, folder, self._callbacks(folder, title, simulated))
        summary = finished_summary(folder, self._variant.name)
        if summary is not None:
            return summary, True
        policy_seconds = time.monotonic() - began
        selection = self._selection(choice)
        self.display.say(_selection_line(title, selection))
        score = score_in_simulation(
            choice.network,
            self.dataset.spec,
            self.task,
            robots=SCORED_ROBOTS,
            seconds=SCORED_SECONDS,
            variant=self._variant,
        )
        summary = {
            **about,
            "seed": seed,
            "policy_seconds": policy_seconds,
            "simulated_while_training": simulated.scores,
            "selection": selection,
            "simulated": score.to_dict(),
        }
        write_json(folder / SUMMARY, summary)
        return summary, False

    def choose(
        self, seed: int, folder: Path, callbacks: PolicyCallbacks | None = None
    ) -> PolicyChoice:
        """Train one seed without a summary: all that processes besides the first do."""
        return train_policy(
            self.dataset,
            self.model,
            self.facts,
            self.model_folder,
            self.task,
            self.preset,
            folder,
            seed=seed,
            resume=self.options.resume,
            judge=self._judge(),
            teacher=self.teacher,
            share=self.share,
            device=self.share.device(self.options.device),
            callbacks=callbacks,
        )

    @property
    def _variant(self) -> RobotVariant:
        return find_variant(self.options.score_variant)

    def _judge(self) -> Judge | None:
        if self.options.select != "sim":
            return None

        def simulated_return(candidate: PolicyNetwork) -> float:
            score = score_in_simulation(
                candidate,
                self.dataset.spec,
                self.task,
                robots=SCORED_ROBOTS,
                seconds=SCORED_SECONDS,
                seed=SELECTION_SEED,
                variant=self._variant,
            )
            return score.episode_return

        return Judge(f"return in the simulated robot ({self._variant.name})", simulated_return)

    def _selection(self, choice: PolicyChoice) -> dict[str, Any]:
        if self.options.select == "sim":
            rule = (
                f"best return in the simulated robot ({self._variant.name}), asked for with "
                "--select sim: the simulator took part"
            )
            scores = "simulated_return"
        else:
            rule = "best mean reward in imagination; the simulator took no part"
            scores = "imagined_score"
        return {"rule": rule, "iteration": choice.iteration, scores: choice.scores}

    def _callbacks(
        self, folder: Path, title: str, simulated: _ScoresWhileTraining
    ) -> PolicyCallbacks:
        display, every = self.display, self.options.eval_every
        begin = on_begin(folder, title, display.say)
        cloning = self.preset.cloning
        report_iteration = display.policy_stage(title, self.preset.ppo.iterations)

        def on_policy_begin(done: int) -> None:
            begin(done)
            simulated.keep_until(done)

        def on_iteration(report: IterationReport, policy: PolicyNetwork) -> None:
            report_iteration(report)
            if every > 0 and report.iteration % every == 0:
                score = score_in_simulation(
                    policy,
                    self.dataset.spec,
                    self.task,
                    robots=GLANCE_ROBOTS,
                    seconds=GLANCE_SECONDS,
                    variant=self._variant,
                )
                simulated.add(report.iteration, score)
                display.say(score_line(f"iteration {report.iteration}", score))

        return PolicyCallbacks(
            on_begin=on_policy_begin,
            on_demonstrations=lambda chosen: display.say(imitation_line(title, chosen)),
            on_collectors_step=None
            if cloning is None
            else display.collectors_stage(cloning.steps),
            on_mean_answers=lambda mean: display.say(_mean_line(title, mean)),
            on_cloning_step=None if cloning is None else display.cloning_stage(cloning.steps),
            on_iteration=on_iteration,
        )


class _ScoresWhileTraining:
    """For information only; in a file, so that a resumed training knows those before."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.scores: list[dict[str, Any]] = []
        if path.exists():
            self.scores = list(json.loads(path.read_bytes()))

    def keep_until(self, iteration: int) -> None:
        """Forget what was of iterations that are to be done again."""
        self.scores = [score for score in self.scores if score["iteration"] <= iteration]

    def add(self, iteration: int, score: SimulatedScore) -> None:
        self.scores.append({"iteration": iteration, **score.to_dict()})
        write_json(self._path, self.scores)


def imitation_line(title: str, chosen: Demonstrations) -> str:
    """Whose rows are imitated, with the first letters of hashes."""
    # The first words of a note say who; the rest, how.
    names = [_SHA256.sub(r"\1", name.partition(";")[0]) for name in chosen.collectors]
    more = ", ..." if len(names) > _COLLECTORS_SHOWN else ""
    shown = ", ".join(names[:_COLLECTORS_SHOWN]) + more
    return f"{title}: imitates {len(chosen.action):,} rows of {len(names)} collectors: {shown}"


def _mean_line(title: str, mean: MeanAnswers) -> str:
    """Whether collectors agree so well that their mean is imitated."""
    share = f"{mean.disagreement:.0%} of the variance of their answers lies between collectors"
    if mean.agree:
        return f"{title}: imitates their mean; {share}"
    return (
        f"{title}: imitates logged actions; {share}, allowed for imitating their mean is "
        f"{MOST_DISAGREEMENT:.0%}"
    )


def _selection_line(title: str, selection: Mapping[str, Any]) -> str:
    """Which policy was chosen, and among which."""
    kind = "simulated_return" if "simulated_return" in selection else "imagined_score"
    scores = ", ".join(f"{iteration}: {s:.4f}" for iteration, s in selection[kind].items())
    chosen = f"chosen by {kind.replace('_', ' ')}: iteration {selection['iteration']}"
    return f"{title}: {chosen} of {scores}"
