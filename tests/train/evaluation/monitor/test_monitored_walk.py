"""Simulated robots with monitors of their own, the real ones."""

from dataclasses import replace

import numpy as np
import pytest

from rwmu_deploy.contract.monitor_calibration import Threshold
from rwmu_deploy.contract.observation import observation_terms
from rwmu_deploy.runtime.uncertainty_monitor import MonitorLevel
from rwmu_deploy.simulation.robot_variant import FIELD, NOMINAL
from rwmu_train.evaluation.monitor.disturbances import DISTURBANCES, find_disturbance
from rwmu_train.evaluation.monitor.monitored_walk import (
    OVER,
    Course,
    monitored_walk,
    ordinary_distance,
)
from rwmu_train.evaluation.monitor.observation_distance import ObservationDistance

ONSET, STEPS = 50, 80
CALM = Course(NOMINAL, robots=3, steps=STEPS, seed=4)


def course(name: str, **changes) -> Course:
    return replace(CALM, disturbance=find_disturbance(name), onset_step=ONSET, **changes)


def test_a_robot_that_stands_is_ordinary(stands) -> None:
    told = []
    walk = monitored_walk(stands, CALM, (), lambda step, steps: told.append((step, steps)))
    assert told == [(step, STEPS) for step in range(1, STEPS + 1)]
    assert (walk.level == MonitorLevel.NORMAL).all()
    assert (walk.command_factor == 1.0).all()
    assert walk.statistics.shape == (STEPS, 3, 3)
    # 45 entries of 0.01 each, over a threshold of 1.
    np.testing.assert_allclose(walk.statistics[25:, :, 0], 0.45, rtol=1e-6)
    assert not walk.statistics[:25].any()
    assert walk.fall_step.tolist() == [-1] * 3
    assert walk.end_step.tolist() == [STEPS] * 3


@pytest.mark.parametrize("name", ["push", "encoder_bias"])
def test_what_is_abrupt_is_seen_in_the_first_measurement_after_it(stands, name: str) -> None:
    walk = monitored_walk(stands, course(name), ())
    signs = walk.statistics.max(axis=2) > 1.0
    assert not signs[: ONSET + 1].any()
    assert signs[ONSET + 1].all()


def test_a_push_is_as_large_as_said(stands, spec) -> None:
    speeds = []

    def looks(observation):
        (term,) = (t for t in observation_terms(spec) if t.name == "base_linear_velocity_mps")
        speeds.append(np.linalg.norm(observation[term.slice]))
        return np.zeros(spec.joint_count)

    monitored_walk(replace(stands, policy=looks), course("push", robots=1), ())
    assert speeds[ONSET] < 0.1
    # A control step later; the feet hold it back.
    assert 0.9 < speeds[ONSET + 1] < 1.6


@pytest.mark.parametrize("name", list(DISTURBANCES))
@pytest.mark.parametrize("variant", [NOMINAL, FIELD], ids=lambda variant: variant.name)
def test_before_the_onset_nothing_differs_and_after_it_something_does(
    stands, name: str, variant
) -> None:
    # Every step another action: a delay of a robot that stands still changes nothing.
    rng = np.random.default_rng(0)
    actions = 0.1 * rng.standard_normal((2 * ONSET, stands.spec.joint_count))
    walks = []
    for each in (replace(course(name), disturbance=None), course(name)):
        told = iter(actions)
        robot = replace(stands, policy=lambda observation, told=told: next(told))
        walks.append(
            monitored_walk(robot, replace(each, variant=variant, robots=1, steps=2 * ONSET), ())
        )
    calm, disturbed = (walk.statistics for walk in walks)
    # The noise of sensors goes on from there with other numbers; all else is one robot.
    np.testing.assert_array_equal(disturbed[: ONSET + 1], calm[: ONSET + 1])
    assert (disturbed[ONSET + 1 :] != calm[ONSET + 1 :]).any()


def test_changes_add_to_what_the_robot_is() -> None:
    payload = find_disturbance("payload").becomes(FIELD)
    assert payload.payload_mass_kg == 6.0
    assert payload == replace(FIELD, payload_mass_kg=6.0)
    weak = find_disturbance("weak_actuator").becomes(FIELD)
    assert weak == replace(FIELD, weak_actuator_strength=0.5)
    assert find_disturbance("friction").becomes(NOMINAL).ground_friction == (0.3, 0.3)
    assert find_disturbance("delay").becomes(NOMINAL).actuation_delay_s == 0.04
    assert find_disturbance("encoder_bias").becomes(NOMINAL).encoder_bias_rad == 0.1
    assert find_disturbance("push").becomes(NOMINAL) is NOMINAL


def test_a_fall_ends_the_part_of_its_robot_only(stands) -> None:
    calls = iter(range(10**6))

    def falls(observation):
        # Three robots a step: the second one's action at step 40 is not a number.
        broken = next(calls) == 3 * 40 + 1
        return np.full(12, np.nan) if broken else np.zeros(12)

    plain = ObservationDistance(np.zeros(48), np.ones(48))
    walk = monitored_walk(replace(stands, policy=falls), CALM, (plain,))
    assert walk.fall_step.tolist() == [-1, 40, -1]
    assert walk.end_step.tolist() == [STEPS, 41, STEPS]
    assert (walk.level[41:, 1] == OVER).all()
    assert (walk.level[:, [0, 2]] != OVER).all()
    assert np.isnan(walk.statistics[41:, 1]).all()
    assert np.isnan(walk.distance[41:, 1]).all()
    assert np.isfinite(walk.distance[:, [0, 2]]).all()
    assert np.isfinite(walk.distance[:41, 1]).all()


def commands_asked(robot, walked: Course) -> np.ndarray:
    """What the policy of one robot was asked for, shape (T, 3)."""
    (term,) = (t for t in observation_terms(robot.spec) if t.name == "velocity_command")
    asked = []

    def listens(observation):
        asked.append(observation[term.slice].copy())
        return np.zeros(robot.spec.joint_count)

    monitored_walk(replace(robot, policy=listens), replace(walked, robots=1), ())
    return np.array(asked)


def test_only_a_monitor_that_acts_shrinks_the_command(stands) -> None:
    warns = commands_asked(stands, course("push"))
    acts = commands_asked(stands, course("push", acts=True))
    np.testing.assert_array_equal(acts[: ONSET + 2], warns[: ONSET + 2])
    # Seen at step ONSET + 1; from the next one on it shrinks by 2.0 a second.
    np.testing.assert_allclose(acts[ONSET + 2], 0.96 * warns[ONSET + 2], rtol=1e-5)
    np.testing.assert_allclose(acts[-1], 0.5 * warns[-1], rtol=1e-5)


def test_who_is_lost_without_a_reason_starts_afresh_and_with_one_stays_lost(
    stands, calibration
) -> None:
    nervous = replace(stands, calibration=replace(calibration, uncertainty=Threshold(0.3, 0.4)))
    walk = monitored_walk(nervous, course("delay"), ())
    lost = walk.level == MonitorLevel.LOST
    # After 25 rows, ten steps of it.
    assert np.flatnonzero(lost[:ONSET, 0]).tolist() == [34]
    assert (walk.level[35, :] == MonitorLevel.NORMAL).all()
    assert lost[69:].all()
    assert not lost[35:69].any()


def test_what_is_not_a_number_is_beyond_every_threshold(stands) -> None:
    def forecast(state, action, memory, step=stands.world_model.step):
        said, memory = step(state, action, memory)
        return replace(said, disagreement=said.disagreement * np.nan), memory

    class Broken(type(stands.world_model)):
        step = staticmethod(forecast)

    walk = monitored_walk(replace(stands, world_model=Broken()), CALM, ())
    # From then on the robot is lost, again and again.
    assert np.isposinf(walk.statistics[25:35, :, 0]).all()


def test_the_ordinary_distance_is_measured_while_walking(stands) -> None:
    found = ordinary_distance(stands, CALM)
    (term,) = (t for t in observation_terms(stands.spec) if t.name == "velocity_command")
    assert found.mean.shape == (48,)
    assert (found.std[term.slice] > 0.2).all()
    assert (found.std[-12:] == 0.0).all()
