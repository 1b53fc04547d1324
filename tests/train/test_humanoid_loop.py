"""The whole loop for a robot with an extension and a scale for each joint, small."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rwmu_deploy.cli.run import run
from rwmu_deploy.cli.run_plan import RunPlan
from rwmu_deploy.cli.stop_signals import StopSignals
from rwmu_deploy.contract.policy_bundle import PolicyBundle
from rwmu_deploy.contract.robot_spec import RobotSpec, load_robot_spec
from rwmu_deploy.simulation.robot_batch import RobotBatch
from rwmu_train.environment.chosen_robots import ListedRobots
from rwmu_train.environment.simulated_dynamics import SimulatedDynamics
from rwmu_train.environment.velocity_env import EnvSettings, VelocityEnv
from rwmu_train.export.bundle_export import export_bundle
from rwmu_train.imagination.imagined_dynamics import ImaginedDynamics
from rwmu_train.offline_training import train_policy
from rwmu_train.policy.demonstrations import CloningSettings
from rwmu_train.policy.policy_checkpoint import load_policy
from rwmu_train.presets import find_preset, online_preset
from rwmu_train.reference.behaviours import find_behaviour
from rwmu_train.reference.online_ppo import train_online
from rwmu_train.reference.recorded_segments import recording_origin, write_recording
from rwmu_train.reference.recording import RecordingSettings, record
from rwmu_train.task.velocity_task import EpisodeTiming, ObservationNoise, RewardShape, find_task
from rwmu_train.transitions import TransitionDataset, check_dataset, choose_normaliser
from rwmu_train.transitions.dataset_loading import load_dataset
from rwmu_train.world_model.checkpoint import load_world_model
from rwmu_train.world_model.settings import WORLD_MODEL_PRESETS
from rwmu_train.world_model.training import train_world_model

TASK = find_task("g1_flat")
ROWS = 1000


@pytest.fixture(scope="module")
def humanoid() -> RobotSpec:
    return load_robot_spec(TASK.robot)


@pytest.fixture(scope="module")
def folder(humanoid: RobotSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Humanoids that are shaken until they fall."""
    folder = tmp_path_factory.mktemp("humanoid")
    settings = RecordingSettings(rows=ROWS, robots=10, action_noise=(0.3, 1.0), seed=0)
    stand = find_behaviour("stand").make(humanoid, 10, 0)
    origin = recording_origin("test", settings.variant, settings.seed)
    episodes = record([stand], humanoid, TASK, settings)
    write_recording(episodes, humanoid, folder, [origin], rows_per_file=ROWS)
    return folder


@pytest.fixture(scope="module")
def data(humanoid: RobotSpec, folder: Path) -> TransitionDataset:
    return load_dataset(folder, humanoid)


def test_recorded_rows_say_how_high_feet_are_and_which_bodies_touch(
    folder: Path, data: TransitionDataset
) -> None:
    assert check_dataset(folder, data.spec).problems == ()
    assert data.rows.shape == (ROWS, 156)
    fell = data.rows[:, data.columns.termination.start] > 0.5
    assert fell.any()
    contact = data.rows[:, data.columns.contact.slice]
    assert contact[~fell, -2:].mean() > 0.5, "feet"
    assert contact[fell, :-2].any(axis=1).all(), "pelvis or torso, and what fell with them"
    height_m, speed_mps = data.extensions[:, :2], data.extensions[:, 2:]
    standing = contact[:, -2:] > 0.5
    assert np.median(np.abs(height_m[standing])) < 0.02
    assert height_m.max() > 0.03
    assert (speed_mps >= 0.0).all()
    assert speed_mps[~standing].mean() > 2.0 * speed_mps[standing].mean()


def test_from_rows_to_a_damped_robot_whose_log_is_rows_again(
    humanoid: RobotSpec, data: TransitionDataset, tmp_path: Path
) -> None:
    preset = find_preset("quick", humanoid)
    assert preset.normaliser == "fitted", "there are no released numbers for this robot"
    tiny = replace(
        WORLD_MODEL_PRESETS["quick"], iterations=2, batch_size=20, validate_every=2, hidden=32
    )
    normaliser = choose_normaliser(preset.normaliser, data)
    train_world_model(data, normaliser, tiny, tmp_path / "model", seed=0)
    model, facts = load_world_model(tmp_path / "model", humanoid)
    assert model.architecture.extension_size == 4
    # After two steps the model is sure of nothing: let nothing end for it.
    imagination = replace(
        preset.imagination, robots=8, end_above_uncertainty=math.inf, most_out_of_range=1.0
    )
    imagined = ImaginedDynamics(
        model,
        data,
        facts.normaliser,
        facts.history,
        imagination,
        seed=0,
        data_median_uncertainty=1.0,
    )
    extension = imagined.step(imagined.reset(ListedRobots(torch.arange(8)))[1]).extension
    assert extension.shape == (8, 4)
    assert len(np.unique(extension[:, 0].numpy())) == 8

    preset = replace(
        preset,
        imagination=imagination,
        early_end=None,
        ppo=replace(preset.ppo, iterations=1, steps_per_iteration=4, hidden=(16,)),
        cloning=CloningSettings(steps=20, batch_size=64),
    )
    train_policy(data, model, facts, tmp_path / "model", TASK, preset, tmp_path / "run", seed=0)
    folder = export_bundle(tmp_path / "run", tmp_path / "bundle")
    bundle = PolicyBundle.load(folder, robot=humanoid)
    scales = bundle.manifest["robot"]["joints"]
    assert [joint["action_scale"] for joint in scales] == humanoid.action_scale.tolist()

    # It falls, and its fall is one DAMP and rows that the trainer reads.
    plan = RunPlan(
        spec=humanoid,
        policy=bundle,
        command_range=bundle.command_range,
        velocity_command=(0.3, 0.0, 0.0),
        walk_s=3.0,
        fast=True,
        log_folder=tmp_path / "log",
        bundle_sha256=bundle.sha256,
    )
    summary = run(plan, StopSignals())
    assert summary["state"] == "DAMP"
    assert summary["states"]["DAMP"] == 1
    assert summary["phases"]["policy"] > 20
    logged = load_dataset(tmp_path / "log", humanoid)
    assert logged.row_count == summary["log"]["rows"] > 20
    assert logged.extensions[:, 2:].max() > 0.01


def share_of_rewarded_steps(spec: RobotSpec, noise: float) -> float:
    """Of the first half second of 32 robots that a fresh policy shakes."""
    reward = RewardShape(clip_at_zero=False, termination_penalty=0.0, tracking_factor=2.0)
    settings = EnvSettings(EpisodeTiming(), reward, ObservationNoise())
    generator = torch.Generator().manual_seed(0)
    with RobotBatch(spec, 32, seed=0, threads=1) as batch:
        env = VelocityEnv(spec, TASK, settings, SimulatedDynamics(batch), seed=0)
        rewards = [
            env.step(noise * torch.randn(32, 29, generator=generator))[1] for _ in range(25)
        ]
    return (torch.stack(rewards) > 0.0).float().mean().item()


def test_the_tasks_exploration_leaves_a_reward_to_learn_from(humanoid: RobotSpec) -> None:
    """Clipped at 0, as online PPO has it, what costs more than it earns teaches nothing."""
    assert online_preset(TASK).ppo.initial_std == TASK.exploration_std
    assert share_of_rewarded_steps(humanoid, TASK.exploration_std) > 0.5
    assert share_of_rewarded_steps(humanoid, 0.8) < 0.1


def test_online_ppo_trains_a_policy_of_the_humanoid(humanoid: RobotSpec, tmp_path: Path) -> None:
    settings = replace(online_preset(TASK).ppo, iterations=1)
    train_online(humanoid, TASK, settings, tmp_path, robots=16, seed=0)
    policy, facts = load_policy(tmp_path)
    assert (facts.robot, facts.task) == (humanoid, "g1_flat")
    assert policy.observation_size == 99
