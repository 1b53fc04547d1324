"""The whole loop, small: CSV -> model -> policy -> bundle -> 500 ticks -> CSV -> loader."""

import math
from dataclasses import replace

import numpy as np

from rwmu_deploy.collection.transition_logger import TransitionLogger
from rwmu_deploy.contract.policy_bundle import PolicyBundle
from rwmu_deploy.runtime.clock import ManualClock
from rwmu_deploy.runtime.control_loop import ControlLoop
from rwmu_deploy.simulation.simulated_robot import SimulatedRobot
from rwmu_train.export.bundle_export import export_bundle
from rwmu_train.offline_training import train_policy
from rwmu_train.policy.demonstrations import CloningSettings
from rwmu_train.presets import PRESETS
from rwmu_train.reference.behaviours import follow
from rwmu_train.reference.recorded_segments import recording_origin, write_recording
from rwmu_train.reference.recording import RecordingSettings, record
from rwmu_train.task.velocity_task import find_task
from rwmu_train.transitions.dataset_loading import load_dataset
from rwmu_train.transitions.normaliser import released_normaliser
from rwmu_train.transitions.windows import window_starts
from rwmu_train.world_model.checkpoint import load_world_model
from rwmu_train.world_model.settings import WORLD_MODEL_PRESETS
from rwmu_train.world_model.training import train_world_model

TICKS = 500


def test_what_the_robot_logged_is_what_the_trainer_reads(spec, tmp_path) -> None:
    task = find_task("anymal_d_flat")

    # Logged transitions of a robot that stands and is shaken.
    settings = RecordingSettings(rows=3000, robots=10, action_noise=(0.2, 0.4), seed=0)
    stand = follow(lambda observation: observation.new_zeros(len(observation), 12))
    origin = recording_origin("test", settings.variant, settings.seed)
    episodes = record([stand], spec, task, settings)
    write_recording(episodes, spec, tmp_path / "data", [origin], rows_per_file=3000)
    dataset = load_dataset(tmp_path / "data", spec)

    # A tiny model and a tiny policy.
    tiny = replace(WORLD_MODEL_PRESETS["quick"], iterations=4, batch_size=40, validate_every=4)
    train_world_model(dataset, released_normaliser(spec), tiny, tmp_path / "model", seed=0)
    model, facts = load_world_model(tmp_path / "model", spec)
    quick = PRESETS["quick"]
    # After four steps the model is sure of nothing: let nothing end for it.
    preset = replace(
        quick,
        imagination=replace(
            quick.imagination, robots=16, end_above_uncertainty=math.inf, most_out_of_range=1.0
        ),
        early_end=None,
        ppo=replace(quick.ppo, iterations=3, critic_warm_up_iterations=1),
        cloning=CloningSettings(steps=300, batch_size=256),
    )
    choice = train_policy(
        dataset, model, facts, tmp_path / "model", task, preset, tmp_path / "run", seed=0
    )
    assert set(choice.scores) == {0, 3}

    # A bundle, and 500 ticks of walking on a clock that the test moves.
    bundle = PolicyBundle.load(
        export_bundle(tmp_path / "run", tmp_path / "bundle", data=tmp_path / "data"), robot=spec
    )
    clock, robot = ManualClock(0.0), SimulatedRobot(spec)
    logger = TransitionLogger(
        tmp_path / "log", spec, source="sim", bundle_sha256=bundle.sha256, may_wait=True
    )
    walked = []

    def on_tick(report) -> None:
        logger.on_tick(report)
        if report.phase == "policy":
            walked.append(report)

    loop = ControlLoop(spec, bundle, robot, command_range=bundle.command_range, on_tick=on_tick)
    robot.advance(clock.now_s())
    loop.arm(clock.now_s())
    while len(walked) < TICKS:
        loop.set_velocity_command(np.array([0.3, 0.0, 0.0]), clock.now_s())
        loop.tick(clock.now_s())
        clock.advance(spec.control_dt_s)
        robot.advance(clock.now_s())
    summary = logger.close()

    # Back in the trainer: every row, and the actions that were sent, bit for bit.
    logged = load_dataset(tmp_path / "log", spec)
    assert summary.rows == logged.row_count == TICKS
    assert logged.episode_end_kind == ("truncated",)
    sent = np.array([report.applied_action for report in walked[:-1]], dtype=np.float32)
    np.testing.assert_array_equal(logged.actions[1:], sent)
    seen = np.array([report.robot_state.vector(spec) for report in walked], dtype=np.float32)
    np.testing.assert_array_equal(logged.states, seen)
    np.testing.assert_allclose(logged.velocity_command, [[0.3, 0.0, 0.0]] * TICKS, atol=1e-6)
    assert len(window_starts(logged, 40)) == TICKS - 39
    step = replace(tiny, iterations=1, validate_every=1)
    _, after = train_world_model(
        logged, released_normaliser(spec), step, tmp_path / "again", seed=0
    )
    assert after.iteration == 1
