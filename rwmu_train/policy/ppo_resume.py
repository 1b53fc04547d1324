"""What an interrupted PPO training goes on from.

One file, written whole: actor, critic, their normalisers, the optimiser, the learning rate of the
adaptive schedule, torch's global generator (exploration and minibatches), and the choice among the
policies so far. What is not kept is where the robots were: their episodes, commands, pushes and
noise begin anew, drawn with a seed of the iteration (`environment_seed`). So a resumed run is one
that could have been, and not bit for bit the unbroken one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor

from rwmu_deploy.contract.errors import CheckpointError, ConfigError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.whole_file import write_whole
from rwmu_train.policy.policy_choice import PolicyChoice
from rwmu_train.policy.policy_network import PolicyNetwork
from rwmu_train.policy.ppo_runner import PpoRunner

RESUME = "resume.safetensors"
SCHEMA = 1
_KEY = "policy_training"
_MAY_CHANGE = (
    "ppo.iterations",
    "ppo.checkpoint_every",
    "timing.command_steps",
    "imagination.most_out_of_range",
)
_BEST, _START, _GENERATOR, _CUDA_GENERATOR = "best.", "start.", "generator", "cuda_generator"


@dataclass(frozen=True)
class PolicyProgress:
    """How far a training has come."""

    path: Path
    """The file that says so."""
    iteration: int
    """PPO iterations done."""
    learning_rate: float
    chosen_iteration: int | None
    """After which the best policy so far was taken; None where none is chosen."""
    scores: Mapping[int, float]
    """Score by iteration."""
    tensors: Mapping[str, Tensor]

    def restore(self, runner: PpoRunner) -> None:
        """Bring a runner, and torch's global generator, to where the training was.

        Raises:
            CheckpointError: The networks are of other sizes.
        """
        try:
            runner.restore(self.tensors, self.iteration, self.learning_rate)
            torch.set_rng_state(self.tensors[_GENERATOR])
            if _is_cuda(runner.device) and _CUDA_GENERATOR in self.tensors:
                torch.cuda.set_rng_state(self.tensors[_CUDA_GENERATOR], runner.device)
        except (RuntimeError, KeyError, ValueError, TypeError) as error:
            raise _not_usable(self.path, error) from None

    def restore_start(self, runner: PpoRunner) -> None:
        """Bring the actor's mean to where it was before the first iteration.

        Raises:
            CheckpointError: It is missing, or of other sizes.
        """
        try:
            runner.actor.mlp.load_state_dict(self._named(_START))
        except RuntimeError as error:
            raise _not_usable(self.path, error) from None

    def choice(
        self, spec: RobotSpec, hidden: tuple[int, ...], score: Callable[[PolicyNetwork], float]
    ) -> PolicyChoice:
        """The choice among the policies so far.

        Raises:
            CheckpointError: The best policy is missing, or of other sizes.
        """
        network = PolicyNetwork(spec, hidden)
        try:
            network.load_state_dict(self._named(_BEST))
        except RuntimeError as error:
            raise _not_usable(self.path, error) from None
        network.check_numbers()
        return PolicyChoice(
            network.eval(), score, iteration=self.chosen_iteration or 0, scores=self.scores
        )

    def _named(self, prefix: str) -> dict[str, Tensor]:
        return {
            name.removeprefix(prefix): value
            for name, value in self.tensors.items()
            if name.startswith(prefix)
        }


def environment_seed(seed: int, iteration: int) -> int:
    """Seed of robots, commands, pushes and noise of a training that goes on after `iteration`."""
    return seed + 1_000_003 * iteration


def save_progress(
    folder: Path,
    runner: PpoRunner,
    iteration: int,
    run: Mapping[str, Any],
    choice: PolicyChoice | None = None,
    start: Mapping[str, Tensor] | None = None,
) -> None:
    """Write the file whole, in place of the one before.

    Args:
        folder: Of the PPO run; made where it is missing.
        runner: After `iteration` iterations.
        iteration: Iterations done.
        run: What the run is of, as JSON values: settings, seed, hashes of data and world model.
        choice: Among the policies so far.
        start: The actor's mean before the first iteration, for those who go on near it.
    """
    tensors = runner.training_state() | _generators(runner.device)
    if choice is not None:
        best = choice.network.state_dict()
        tensors |= {_BEST + name: value.detach().clone() for name, value in best.items()}
    tensors |= {_START + name: value for name, value in (start or {}).items()}
    tensors = {name: value.cpu() for name, value in tensors.items()}
    document = {
        "schema": SCHEMA,
        "iteration": iteration,
        "learning_rate": runner.alg.learning_rate,
        "chosen_iteration": None if choice is None else choice.iteration,
        "scores": {} if choice is None else choice.scores,
        "run": run,
    }
    text = json.dumps(document)
    folder.mkdir(parents=True, exist_ok=True)
    metadata = {_KEY: text, "sha256": _hash(text, tensors)}
    write_whole(folder / RESUME, save(tensors, metadata))


def load_progress(folder: Path, run: Mapping[str, Any]) -> PolicyProgress | None:
    """What `save_progress` wrote; None where there is no file yet.

    Raises:
        ConfigError: The file is of other settings, seed, data or world model.
        CheckpointError: It is torn, altered, or not a policy's training state.
    """
    path = folder / RESUME
    if not path.is_file():
        return None
    try:
        document, tensors = _read(path)
        progress = PolicyProgress(
            path=path,
            iteration=int(document["iteration"]),
            learning_rate=float(document["learning_rate"]),
            chosen_iteration=document["chosen_iteration"],
            scores={int(i): float(score) for i, score in document["scores"].items()},
            tensors=tensors,
        )
        theirs = dict(document["run"])
    except (ValueError, KeyError, TypeError, AttributeError, OSError, SafetensorError) as error:
        raise _not_usable(path, error) from None
    _refuse_other_run(path, theirs, json.loads(json.dumps(run)))
    return progress


def _generators(device: str) -> dict[str, Tensor]:
    """States of torch's global generators; on a GPU, exploration is drawn from its own."""
    states = {_GENERATOR: torch.get_rng_state()}
    if _is_cuda(device):
        states[_CUDA_GENERATOR] = torch.cuda.get_rng_state(device)
    return states


def _is_cuda(device: str) -> bool:
    return torch.device(device).type == "cuda"


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    tensors = load(path.read_bytes())
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
    if _KEY not in metadata:
        raise ValueError("it is not the state of a policy's training")
    if metadata.get("sha256") != _hash(metadata[_KEY], tensors):
        raise ValueError("it was altered (SHA-256)")
    document = json.loads(metadata[_KEY])
    if document["schema"] != SCHEMA:
        raise ValueError(f"its schema is {document['schema']}; allowed is {SCHEMA}")
    return document, tensors


def _hash(text: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].contiguous().numpy().tobytes())
    return digest.hexdigest()


def _refuse_other_run(path: Path, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    for name in (*theirs, *ours):
        if name not in _MAY_CHANGE and theirs.get(name) != ours.get(name):
            raise ConfigError(
                f"{path} was trained with {name} {theirs.get(name)}; now it is {ours.get(name)}",
                fix="Resume with the same settings, seed, data and world model, or train in "
                "another folder.",
            )


def _not_usable(path: Path, error: Exception) -> CheckpointError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return CheckpointError(
        f"{path} can't be resumed from: {reason}", fix="Train again in another folder."
    )
