"""Scores of policies in simulated robots."""

import pytest
import torch

from rwmu_deploy.simulation.robot_variant import FIELD, NOMINAL, RobotVariant
from rwmu_train.evaluation.simulated_score import SimulatedScore, score_in_simulation
from rwmu_train.task.velocity_task import find_task

TASK = find_task("anymal_d_flat")


def score(spec, variant: RobotVariant) -> SimulatedScore:
    return score_in_simulation(
        lambda observation: torch.zeros(len(observation), 12),
        spec,
        TASK,
        robots=6,
        seconds=1.0,
        threads=1,
        variant=variant,
    )


def test_a_score_says_on_which_robot_it_was_made(spec) -> None:
    nominal, field = score(spec, NOMINAL), score(spec, FIELD)
    assert nominal.to_dict()["variant"] == "nominal"
    assert field.to_dict()["variant"] == "field"
    assert nominal.episode_return != field.episode_return
    assert SimulatedScore(**nominal.to_dict()) == nominal  # type: ignore[arg-type]


def test_scores_without_a_variant_are_of_the_nominal_robot(spec) -> None:
    old = {key: value for key, value in score(spec, NOMINAL).to_dict().items() if key != "variant"}
    assert SimulatedScore(**old).variant == "nominal"  # type: ignore[arg-type]


def test_tracking_counts_what_the_robot_does_and_not_what_its_imu_says(spec) -> None:
    turning = RobotVariant("turning", angular_velocity_bias_radps=5.0)
    blind, seeing = score(spec, turning), score(spec, NOMINAL)
    assert blind.yaw_tracking == pytest.approx(seeing.yaw_tracking, abs=1e-4)
    assert blind.episode_return < seeing.episode_return - 0.01
