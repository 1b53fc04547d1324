"""Imagined control steps a second: ours beside the released code's, as a PPO rollout takes them.

A step is all that follows an action: world model, uncertainty, contacts and falls, rewards, new
commands, pushes, resets, observation. The released code needs two checkouts: the world model is in
rsl_rl_rwm, the loop around it in robotic_world_model_lite. Its sizes are its own configuration's.

- `released`: its world model and its loop; untrained weights.
- `released_sizes`: ours with the same weights, which computes the same numbers. The released code
  also computes standard deviations at every step, which only a log uses; we don't.
- `default`: ours with the shipped world model.

All take turns in one process, so that a busy machine slows all alike; read the ratios. All meet
the same actions and the same resets: nobody falls, episodes end after 256 steps, ages differ.
The released code goes on after a reset with one row and an empty memory. We replay 32 rows, many
robots' at once and then none for long; that time is measured apart and spread over the episode.

    python benchmarks/imagination.py --robots 1024 4096 --rounds 5 --released rsl_rl_rwm \
        --released-environment robotic_world_model_lite
"""

from __future__ import annotations

import argparse
import copy
import importlib
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from unittest import mock

import torch
from torch import Tensor, nn

from rwmu_deploy.contract.asset_folder import asset_path
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_train.environment.captured_env import CapturedEnv
from rwmu_train.environment.chosen_robots import ListedRobots, MaskedRobots
from rwmu_train.environment.velocity_env import EnvSettings
from rwmu_train.imagination.imagined_dynamics import ImaginationSettings, ImaginedDynamics
from rwmu_train.imagination.imagined_env import imagined_env
from rwmu_train.imagination.warm_start import USES
from rwmu_train.presets import find_preset
from rwmu_train.task.velocity_task import find_task
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.dataset_loading import load_dataset
from rwmu_train.transitions.normaliser import StateNormaliser, released_normaliser
from rwmu_train.transitions.windows import gather, window_starts
from rwmu_train.world_model.checkpoint import load_world_model
from rwmu_train.world_model.ensemble import WorldModel, epistemic_uncertainty
from rwmu_train.world_model.precision import keep_freed_memory, product_dtype
from rwmu_train.world_model.released_layout import read_sizes
from rwmu_train.world_model.released_weights import model_of_released

STEPS = 24
"""Of a turn: as many as of a PPO rollout."""
ROWS = 10_000
"""Of which the released code draws histories, as many as its configuration loads."""
NEVER = 100.0
"""Taken off the logit of a fall."""


class Way(Protocol):
    """N imagined robots, stepped by one code."""

    def step(self, action: Tensor) -> Tensor:
        """Apply actions (N, A) and prepare the next observation; who was reset, shape (N,)."""
        ...

    def begin_episodes(self) -> None:
        """Of the cost of N resets, `USES` times, what steps don't show."""
        ...


def main() -> None:
    """Print one JSON document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--robots", type=int, nargs="+", default=[1024, 4096])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--released", type=Path, help="checkout of rsl_rl_rwm")
    parser.add_argument(
        "--released-environment", type=Path, help="checkout of robotic_world_model_lite"
    )
    options = parser.parse_args()
    if (options.released is None) != (options.released_environment is None):
        parser.error("--released and --released-environment need each other")
    torch.manual_seed(0)
    keep_freed_memory()
    dataset = load_dataset(asset_path("data", "anymal_d_flat"), load_robot_spec("anymal_d"))
    on_cuda = torch.device(options.device).type == "cuda"
    document: dict[str, Any] = {
        "device": torch.cuda.get_device_name(options.device) if on_cuda else "cpu",
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
    }
    released = None
    if options.released is not None:
        released = load_released(options.released, options.released_environment, options.device)
    models = our_models(dataset, released)
    if released is not None:
        same = copy.deepcopy(models["released_sizes"][0]).to(options.device)
        document["largest_difference_from_released"] = largest_difference(same, released.model)
    for robots in options.robots:
        ways: dict[str, Way] = {}
        if released is not None:
            ways["released"] = ReleasedImagination(released, dataset, robots, options.device)
        for name, (model, normaliser) in models.items():
            for precision in precisions(options.device):
                ways[f"{name}_{precision}"] = OurImagination(
                    copy.deepcopy(model), normaliser, dataset, robots, precision, options.device
                )
        document[f"robots_{robots}"] = compare(ways, robots, options.rounds, options.device)
    print(json.dumps(document, indent=1))


def precisions(device: str) -> tuple[str, ...]:
    """Of matrix products: bfloat16 only where it is fast."""
    fast = product_dtype("auto", device) == torch.bfloat16
    return ("float32", "bfloat16") if fast else ("float32",)


@torch.inference_mode()
def compare(ways: dict[str, Way], robots: int, rounds: int, device: str) -> dict[str, Any]:
    """Steps a second of every way, and ratios within each round."""
    episode = find_preset("released").timing.episode_steps
    rates: dict[str, list[float]] = {name: [] for name in ways}
    beginning: dict[str, list[float]] = {name: [] for name in ways}
    resets = dict.fromkeys(ways, 0)
    for number in range(rounds + 1):
        actions = 0.1 * torch.randn(STEPS, robots, 12, device=device)
        for name, way in ways.items():
            begin_s, _ = timed(way.begin_episodes, device)
            steps_s, ended = timed(partial(take_steps, way, actions), device)
            if number == 0:
                continue
            begin_s /= USES * episode
            beginning[name].append(begin_s)
            rates[name].append(robots / (steps_s / STEPS + begin_s))
            resets[name] += int(torch.stack(ended).sum())
    found: dict[str, Any] = {
        "steps_per_s": {name: round(statistics.median(each)) for name, each in rates.items()},
        "share_of_time_in_histories": {
            name: round(statistics.median(beginning[name]) * statistics.median(each) / robots, 3)
            for name, each in rates.items()
        },
        "resets_per_step": {
            name: round(count / (rounds * STEPS * robots), 5) for name, count in resets.items()
        },
    }
    if "released" in ways:
        ratios = {
            name: [ours / theirs for ours, theirs in zip(each, rates["released"], strict=True)]
            for name, each in rates.items()
            if name != "released"
        }
        found["over_released"] = {
            name: {
                "median": round(statistics.median(each), 2),
                "all": [round(ratio, 2) for ratio in each],
            }
            for name, each in ratios.items()
        }
    return found


def take_steps(way: Way, actions: Tensor) -> list[Tensor]:
    """Who was reset in each of the steps (STEPS, N, A)."""
    return [way.step(each) for each in actions]


def timed(work: Callable[[], Any], device: str) -> tuple[float, Any]:
    """Seconds that work took, to its end on the device, and what it returned."""
    began = time.perf_counter()
    result = work()
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began, result


def our_models(
    dataset: TransitionDataset, released: Released | None
) -> dict[str, tuple[WorldModel, StateNormaliser]]:
    """World models that never predict a fall, with their normalisers, by name."""
    spec, columns = dataset.spec, dataset.columns
    if released is None:
        sizes = (columns.state_size, columns.action.size, columns.contact.size, 0)
        same = without_falls(WorldModel(find_preset("released").world_model.architecture(*sizes)))
    else:
        tensors = {name: each.cpu() for name, each in released.model.state_dict().items()}
        same = model_of_released(tensors, read_sizes(tensors, "the released code"))
    shipped, facts = load_world_model(asset_path("models", "anymal_d_flat"), spec)
    return {
        "released_sizes": (same, released_normaliser(spec)),
        "default": (without_falls(shipped), facts.normaliser),
    }


@torch.no_grad()
def largest_difference(ours: WorldModel, released: nn.Module) -> float:
    """Between two models' mean next states and uncertainties after histories of random rows."""
    a = ours.architecture
    rows = torch.randn(64, 32, a.state_size + a.action_size, device=ours.lowest_state.device)
    state = rows[..., : a.state_size]
    released.reset()  # pyright: ignore[reportCallIssue]
    mean, _, uncertainty, *_ = released(state, rows[..., a.state_size :])
    means = ours.next_state(ours.replay(rows.transpose(0, 1)), state[:, -1])
    return max(
        float((means.mean(dim=0) - mean).abs().max()),
        float((epistemic_uncertainty(means) - uncertainty).abs().max()),
    )


@torch.no_grad()
def without_falls(model: WorldModel) -> WorldModel:
    """The model, changed so that it never predicts a fall."""
    model.auxiliary_heads.output_bias[..., model.architecture.contact_size] -= NEVER
    return model


class OurImagination:
    """Our environment over a world model, with the timing and rewards of the preset `released`."""

    def __init__(
        self,
        model: WorldModel,
        normaliser: StateNormaliser,
        dataset: TransitionDataset,
        robots: int,
        precision: str,
        device: str,
    ) -> None:
        preset, task = find_preset("released"), find_task("anymal_d_flat")
        settings = replace(ImaginationSettings(), robots=robots, precision=precision)
        self._dynamics = ImaginedDynamics(
            model, dataset, normaliser, preset.world_model.history, settings, seed=0, device=device
        )
        task = replace(task, reward_weights={**task.reward_weights, "stand_still": -1.0})
        what = EnvSettings(preset.timing, preset.reward, preset.noise)
        self._env = imagined_env(dataset.spec, task, what, self._dynamics, seed=0)
        number = torch.arange(robots, device=device)
        self._env.episode_length_buf = number % preset.timing.episode_steps
        chosen = MaskedRobots if isinstance(self._env, CapturedEnv) else ListedRobots
        self._everyone = chosen.where(number >= 0)
        self.begin_episodes()

    def step(self, action: Tensor) -> Tensor:
        return self._env.step(action)[2]

    def begin_episodes(self) -> None:
        # The first reset encodes N histories; they last for the other uses, the last one in steps.
        for _ in range(USES - 1):
            self._dynamics.reset(self._everyone)
        self._dynamics.refill_starts()


@dataclass(frozen=True)
class Released:
    """Of the released code."""

    model: nn.Module
    environment: type[Any]
    configuration: Any


def load_released(world_model: Path, environment: Path, device: str) -> Released:
    """Its world model with random weights that never predict a fall, and its environment."""
    with imports_from(environment / "scripts", "envs", "configs"):
        environment_class = importlib.import_module("envs").AnymalDFlatEnv
        configuration = importlib.import_module("configs").AnymalDFlatConfig()
    sizes = configuration.model_architecture_config
    with imports_from(world_model, "rsl_rl"):
        module = importlib.import_module("rsl_rl.modules.system_dynamics")
    policy = configuration.policy_architecture_config
    model = module.SystemDynamicsEnsemble(
        len(configuration.data_config.state_data_mean),
        policy.action_dim,
        sizes.extension_dim,
        sizes.contact_dim,
        sizes.termination_dim,
        device,
        ensemble_size=sizes.ensemble_size,
        history_horizon=sizes.history_horizon,
        architecture_config=sizes.architecture_config,
    )
    with torch.no_grad():
        for head in model.auxiliary_heads:
            head.termination_layers[-1].bias -= NEVER
    return Released(model, environment_class, configuration)


@contextmanager
def imports_from(folder: Path, *packages: str) -> Iterator[None]:
    """Find packages in a folder; afterwards their names mean again what they did before."""

    def of_packages() -> list[str]:
        return [name for name in sys.modules if name.split(".")[0] in packages]

    ours = {name: sys.modules.pop(name) for name in of_packages()}
    try:
        with mock.patch.object(sys, "path", [str(folder), *sys.path]):
            yield
    finally:
        for name in of_packages():
            del sys.modules[name]
        sys.modules.update(ours)


class ReleasedImagination:
    """The released environment, stepped as by its `PolicyTraining.learn`."""

    def __init__(
        self, released: Released, dataset: TransitionDataset, robots: int, device: str
    ) -> None:
        settings = released.configuration.environment_config
        self._env = released.environment(
            robots,
            settings.max_episode_length,
            settings.step_dt,
            settings.reward_term_weights,
            device,
            settings.uncertainty_penalty_weight,
            settings.observation_noise,
            settings.command_resample_interval_range,
            settings.event_interval_range,
        )
        histories = ReleasedHistories(dataset, released.configuration, device)
        self._env.set_dataset(histories)
        self._env.set_init_dataset(histories, released.configuration.data_config.init_data_ratio)
        self._env.set_system_dynamics(released.model)
        self._state, self._action = self._env.prepare_imagination()
        age = torch.arange(robots, device=device) % settings.max_episode_length
        self._env.episode_length_buf = age
        self._env.get_imagination_observation(self._state, self._action)

    def step(self, action: Tensor) -> Tensor:
        _, _, dones, _, state, past, _ = self._env.imagination_step(
            action, self._state, self._action
        )
        self._state, self._action = state[:, -1:], past[:, -1:]
        self._env.get_imagination_observation(self._state, self._action)
        return dones

    def begin_episodes(self) -> None:
        """Nothing: `step` shows all of it."""


class ReleasedHistories:
    """What the released environment asks of its data set, computed as there."""

    def __init__(self, dataset: TransitionDataset, configuration: Any, device: str) -> None:
        data, columns = configuration.data_config, dataset.columns
        self._state_mean = torch.tensor(data.state_data_mean, device=device)
        self._state_std = torch.tensor(data.state_data_std, device=device)
        self._action_mean = torch.tensor(data.action_data_mean, device=device)
        self._action_std = torch.tensor(data.action_data_std, device=device)
        history = configuration.model_architecture_config.history_horizon
        starts = window_starts(dataset, history)[:ROWS]
        rows = torch.from_numpy(gather(dataset, starts, history)).to(device)
        self._state, self._action = self.normalize(
            rows[..., columns.state], rows[..., columns.action.slice]
        )

    def sample_batch(self, count: int, *, normalized: bool) -> tuple[Tensor, Tensor]:
        assert normalized
        index = torch.randint(0, len(self._state), (count,))
        return self._state[index], self._action[index]

    def normalize(self, state: Any, action: Any) -> tuple[Any, Any]:
        return (
            None if state is None else (state - self._state_mean) / self._state_std,
            None if action is None else (action - self._action_mean) / self._action_std,
        )

    def denormalize(self, state: Any, action: Any) -> tuple[Any, Any]:
        return (
            None if state is None else state * self._state_std + self._state_mean,
            None if action is None else action * self._action_std + self._action_mean,
        )


if __name__ == "__main__":
    main()
