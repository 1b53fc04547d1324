"""Whole training configurations by name: `paper`, `released`, `default`, `quick`, `biped`.

`fine_tune` goes on from what was trained before.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from rwmu_deploy.contract.named_choice import find_by_name
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_train.environment.early_end import EarlyEndLimits
from rwmu_train.imagination.imagined_dynamics import ImaginationSettings
from rwmu_train.policy.demonstrations import CloningSettings
from rwmu_train.policy.ppo_settings import PpoSettings
from rwmu_train.task.velocity_task import (
    EpisodeTiming,
    ObservationNoise,
    RewardShape,
    VelocityTask,
)
from rwmu_train.transitions.normaliser import has_released_normaliser
from rwmu_train.world_model.settings import WORLD_MODEL_PRESETS, WorldModelSettings

# Imagined episodes of the released code: 256 steps, commands every 100 to 120, pushes 48 to 96.
_IMAGINED_TIMING = EpisodeTiming(episode_steps=256, command_steps=(100, 120), push_steps=(48, 96))


@dataclass(frozen=True)
class OfflinePreset:
    """From logged transitions to a policy."""

    world_model: WorldModelSettings
    normaliser: str
    """Name of the state normaliser: `released` or `fitted`."""
    imagination: ImaginationSettings
    ppo: PpoSettings
    reward: RewardShape
    timing: EpisodeTiming = _IMAGINED_TIMING
    early_end: EarlyEndLimits | None = None
    """Where imagined episodes end besides predicted falls."""
    noise: ObservationNoise = field(default_factory=ObservationNoise)
    cloning: CloningSettings | None = None
    """Warm start from the data; None starts from random weights."""


PRESETS: dict[str, OfflinePreset] = {
    # RWM-U (arXiv:2504.16680), tables S10 and S11.
    "paper": OfflinePreset(
        world_model=WORLD_MODEL_PRESETS["paper"],
        normaliser="released",
        imagination=ImaginationSettings(robots=4096, precision="float32"),
        ppo=PpoSettings(iterations=2500, steps_per_iteration=100),
        reward=RewardShape(clip_at_zero=False, termination_penalty=0.0, uncertainty_weight=1.0),
    ),
    # robotic_world_model_lite 6351d01.
    "released": OfflinePreset(
        world_model=WORLD_MODEL_PRESETS["released"],
        normaliser="released",
        imagination=ImaginationSettings(robots=8192, precision="float32"),
        ppo=PpoSettings(iterations=500, steps_per_iteration=24),
        reward=RewardShape(clip_at_zero=False, termination_penalty=0.0, uncertainty_weight=1.0),
    ),
    # Two cores: start from the best that walked in the data, then improve on it in imagination.
    "quick": OfflinePreset(
        world_model=WORLD_MODEL_PRESETS["quick"],
        normaliser="released",
        imagination=ImaginationSettings(
            robots=1024, uncertainty_unit="data_median", end_above_uncertainty=4.0
        ),
        ppo=PpoSettings(
            iterations=20,
            steps_per_iteration=24,
            learning_rate=2.0e-5,
            critic_learning_rate=1.0e-3,
            entropy_coefficient=0.0,
            initial_std=0.2,
            # Cloned behaviour is good already: judge it well first, then change it in small steps.
            critic_warm_up_iterations=10,
            clip_value_loss=False,
            desired_kl=0.003,
        ),
        reward=RewardShape(
            clip_at_zero=True,
            termination_penalty=0.0,
            tracking_factor=2.0,
            uncertainty_weight=2.0,
        ),
        # Pushes as rare as in the data: a world model does not know what it has not seen.
        timing=EpisodeTiming(episode_steps=256, command_steps=(100, 120), push_steps=(150, 300)),
        early_end=EarlyEndLimits(undesired_contact=True),
        # Measurements as they were: a clone that is shown added noise has smaller gains.
        noise=ObservationNoise(scale=0.0),
        # A clone of what the newest policies in the data would do on average, also where they
        # stumbled, and PPO that is held near it.
        cloning=CloningSettings(
            best_of="collectors",
            best_share=0.25,
            answers="mean",
            horizon_rows=150,
            trust_region_weight=0.3,
        ),
    ),
}

# What we recommend from a million rows: the better world model, a longer clone, and more of PPO.
PRESETS["default"] = replace(
    PRESETS["quick"],
    world_model=WORLD_MODEL_PRESETS["default"],
    imagination=replace(PRESETS["quick"].imagination, near_fall_share=0.3),
    ppo=replace(
        PRESETS["quick"].ppo, iterations=100, learning_rate=1.0e-4, desired_kl=0.01, epochs=3
    ),
    reward=replace(PRESETS["quick"].reward, uncertainty_weight=0.5),
    timing=EpisodeTiming(episode_steps=256, command_steps=(50, 120), push_steps=(150, 300)),
    cloning=replace(PRESETS["quick"].cloning or CloningSettings(), steps=8000),
)

# A robot that has to balance: all rows teach, whoever collected them.
PRESETS["biped"] = replace(
    PRESETS["default"],
    ppo=replace(PRESETS["default"].ppo, iterations=30),
    cloning=replace(
        PRESETS["default"].cloning or CloningSettings(), best_share=1.0, answers="logged"
    ),
)

# From a policy and a world model that are there, with rows that a robot collected.
PRESETS["fine_tune"] = replace(
    PRESETS["default"],
    world_model=replace(WORLD_MODEL_PRESETS["default"], iterations=1000, learning_rate=2.0e-4),
    ppo=replace(PRESETS["default"].ppo, iterations=50),
    noise=ObservationNoise(),
    # The policy that is there answers where commands were followed best, and PPO is held near that
    # loosely: on another robot it stumbles or stands where it should walk, and must be free there.
    cloning=replace(
        PRESETS["default"].cloning or CloningSettings(),
        steps=4000,
        best_of="rows",
        best_share=0.3,
        answers="logged",
        trust_region_weight=0.05,
    ),
)


@dataclass(frozen=True)
class OnlinePreset:
    """PPO in the simulated robot, from random weights; see `online_preset`."""

    ppo: PpoSettings
    robots: int
    timing: EpisodeTiming
    noise: ObservationNoise = field(default_factory=ObservationNoise)


ONLINE = OnlinePreset(
    PpoSettings(
        iterations=600,
        initial_std=0.8,
        desired_kl=0.03,
        critic_learning_rate=1.0e-3,
        normalise_observation=True,
        checkpoint_every=50,
    ),
    512,
    # Falls come when a command is reversed: where that is rare, it is not learned.
    EpisodeTiming(command_steps=(50, 250)),
)
"""From random weights the quadruped earns 95 % of its plateau after 6.7 million steps, instead of
21 with 1024 robots, the papers' rates, no normaliser and rare commands (docs/results.md)."""


def online_preset(task: VelocityTask) -> OnlinePreset:
    """`ONLINE`, with the exploration that a task's reward leaves room for."""
    return replace(ONLINE, ppo=replace(ONLINE.ppo, initial_std=task.exploration_std))


def find_preset(name: str, spec: RobotSpec | None = None) -> OfflinePreset:
    """A preset by name; for a robot without a released normaliser, it fits one.

    Raises:
        ConfigError: There is no such preset.
    """
    preset = find_by_name(PRESETS, name, "preset")
    if spec is None or preset.normaliser != "released" or has_released_normaliser(spec):
        return preset
    return replace(preset, normaliser="fitted")


def with_budget(
    preset: OfflinePreset,
    *,
    world_model_iterations: int | None = None,
    policy_iterations: int | None = None,
    robots: int | None = None,
    uncertainty_weight: float | None = None,
    normaliser: str | None = None,
) -> OfflinePreset:
    """The preset with some numbers replaced; None keeps the preset's."""
    if world_model_iterations is not None:
        world_model = replace(preset.world_model, iterations=world_model_iterations)
        preset = replace(preset, world_model=world_model)
    if policy_iterations is not None:
        preset = replace(preset, ppo=replace(preset.ppo, iterations=policy_iterations))
    if robots is not None:
        preset = replace(preset, imagination=replace(preset.imagination, robots=robots))
    if uncertainty_weight is not None:
        reward = replace(preset.reward, uncertainty_weight=uncertainty_weight)
        preset = replace(preset, reward=reward)
    if normaliser is not None:
        preset = replace(preset, normaliser=normaliser)
    return preset
