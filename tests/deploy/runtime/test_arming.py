"""Arming needs every check, and names every check that failed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rwmu_deploy.contract.errors import RobotLinkError
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.contract.robot_state import RobotState
from rwmu_deploy.runtime.arming import (
    ArmingCheck,
    ArmingFacts,
    HealthWatch,
    failed_checks,
    refuse_unless_fit,
)

SPEC = load_robot_spec("anymal_d")


def standing(received_s: float, **changes: np.ndarray) -> RobotState:
    # A living sensor never says the same for long.
    breath = 1e-6 * received_s
    state = RobotState(
        base_linear_velocity_mps=np.full(3, breath),
        base_angular_velocity_radps=np.full(3, breath),
        projected_gravity=np.array([0.0, 0.0, -1.0]),
        joint_position_rad=SPEC.default_position_rad,
        joint_velocity_radps=np.zeros(12),
        joint_torque_nm=np.full(12, breath),
        contact=np.array([0.0] * 4 + [1.0] * 4),
        received_s=received_s,
    )
    return replace(state, **changes)


FIT = ArmingFacts(
    healthy_s=1.0,
    interruption="",
    state=standing(0.0),
    stand_up_s=2.0,
    other_commanders=(),
    bundle_sha256="ab" * 32,
    log_fault=None,
)


BATTERY = ArmingCheck("battery", "12 %", "above 20 %", "Charge it.")


def names(facts: ArmingFacts) -> list[str]:
    return [check.name for check in failed_checks(SPEC, facts)]


def with_knee_at(position_rad: float) -> RobotState:
    position = SPEC.default_position_rad.copy()
    position[SPEC.joint_names.index("LF_KFE")] = position_rad
    return standing(0.0, joint_position_rad=position)


def test_a_fit_robot_passes_every_check() -> None:
    assert failed_checks(SPEC, FIT) == []
    refuse_unless_fit(SPEC, FIT)


@pytest.mark.parametrize(
    ("change", "check", "words"),
    [
        ({"healthy_s": 0.4, "interruption": "imu is silent"}, "sensors_healthy", "imu is silent"),
        ({"healthy_s": math.nan}, "sensors_healthy", "of 1 s"),
        ({"state": None}, "pose_within_reach", "no pose"),
        ({"stand_up_s": math.nan, "state": with_knee_at(-2.0)}, "pose_within_reach", "nan"),
        ({"other_commanders": ("/stranger",)}, "only_commander", "/stranger"),
        ({"bundle_sha256": None}, "bundle_verified", "Configure again"),
        ({"log_fault": "disk full"}, "log_ready", "disk full"),
        ({"robot_checks": (BATTERY,)}, "battery", "12 %; allowed is above 20 %. Charge it."),
    ],
)
def test_each_check_alone_forbids_arming(
    change: dict[str, object], check: str, words: str
) -> None:
    facts = replace(FIT, **change)  # pyright: ignore[reportArgumentType]
    failed = [one for one in failed_checks(SPEC, facts) if one.name == check]
    assert len(failed) == 1
    assert words in failed[0].sentence
    with pytest.raises(RobotLinkError, match=check):
        refuse_unless_fit(SPEC, facts)


def test_all_that_failed_are_named_at_once() -> None:
    facts = replace(FIT, healthy_s=0.4, other_commanders=("/a",), log_fault="read-only")
    with pytest.raises(RobotLinkError) as refused:
        refuse_unless_fit(SPEC, facts)
    said = str(refused.value)
    assert "3 checks failed" in said
    for words in ("healthy for 0.4 s of 1 s", "/a publishes", "read-only", "Then arm again."):
        assert words in said


def test_standing_up_may_take_a_quarter_of_a_joints_speed() -> None:
    # 8.5 rad/s / 4 = 2.125 rad/s = pi / 2 * distance / 2 s, at a distance of 2.7057 rad.
    start_rad = -0.8 + 2.7057
    for position_rad, fits in [(start_rad - 0.001, True), (start_rad + 0.001, False)]:
        # The knee's range ends at 0.8 rad; a wider one, so that the speed alone decides.
        joints = tuple(replace(j, lower_rad=-9.0, upper_rad=9.0) for j in SPEC.joints)
        wide = replace(SPEC, joints=joints)
        failed = failed_checks(wide, replace(FIT, state=with_knee_at(position_rad)))
        assert (failed == []) is fits
        assert fits or "2.1" in failed[0].sentence


def test_a_robot_in_a_far_pose_may_be_given_more_time() -> None:
    facts = replace(FIT, state=with_knee_at(-2.4), stand_up_s=0.5)
    assert names(facts) == ["pose_within_reach"]
    assert names(replace(facts, stand_up_s=2.0)) == []


@pytest.mark.parametrize("timeout_s", [0.0, -0.1, 0.11, math.inf, math.nan])
def test_a_robot_that_does_not_damp_by_itself_in_time_is_not_armed(timeout_s: float) -> None:
    spec = replace(SPEC, link_timeout_s=timeout_s)
    failed = failed_checks(spec, FIT)
    assert [check.name for check in failed] == ["link_timeout_declared"]
    assert "kill -9" in failed[0].fix


def watched(
    sample: Callable[[float], RobotState | None], ticks: int, period_s: float = 0.02
) -> tuple[HealthWatch, float]:
    watch = HealthWatch(SPEC)
    now_s = 0.0
    for tick in range(ticks):
        now_s = tick * period_s
        watch.look(sample(now_s), now_s)
    return watch, now_s


def test_health_is_the_time_since_the_first_healthy_look() -> None:
    watch, now_s = watched(standing, ticks=51)
    assert watch.healthy_s(now_s) == pytest.approx(1.0)


def test_nothing_measured_is_not_healthy() -> None:
    watch, now_s = watched(lambda now_s: None, ticks=100)
    assert watch.healthy_s(now_s) == 0.0
    assert "sensor_age" in watch.interruption


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"joint_position_rad": np.full(12, np.nan)}, "sensor_not_finite"),
        # Degrees for radians: 0.4 rad is 22.9 degrees, which no joint turns in rad.
        ({"joint_position_rad": np.degrees(SPEC.default_position_rad)}, "sensor_implausible"),
        # Gravity's sign, or a quaternion (w, x, y, z) = (1, 0, 0, 0) read as (x, y, z, w).
        ({"projected_gravity": np.array([0.0, 0.0, 1.0])}, "tilt_roll"),
        ({"projected_gravity": np.array([0.0, 0.0, 9.81])}, "sensor_implausible"),
        ({"joint_position_rad": np.full(11, 0.0)}, "sensor_wrong_size"),
        ({"joint_velocity_radps": np.full(12, 50.0)}, "joint_velocity"),
        ({"base_angular_velocity_radps": np.array([0.0, 0.0, 20.0])}, "base_angular_velocity"),
    ],
)
def test_one_bad_sample_begins_the_second_anew(change: dict[str, np.ndarray], words: str) -> None:
    watch, now_s = watched(
        lambda now_s: standing(now_s, **(change if 0.79 < now_s < 0.81 else {})), ticks=61
    )
    # 1.2 s in all, bad at 0.80 s, good again from 0.82 s on.
    assert watch.healthy_s(now_s) == pytest.approx(0.38)
    assert words in watch.interruption


def test_a_time_without_a_look_is_an_interruption() -> None:
    watch, now_s = watched(standing, ticks=51)
    watch.look(standing(now_s + 0.3), now_s + 0.3)
    assert watch.healthy_s(now_s + 0.3) == 0.0
    assert "nobody looked for 0.30 s" in watch.interruption


def test_health_is_over_when_nobody_looks_any_more() -> None:
    watch, now_s = watched(standing, ticks=51)
    assert watch.healthy_s(now_s + 0.1) > 1.0
    assert watch.healthy_s(now_s + 0.11) == 0.0
    assert watch.healthy_s(math.nan) == 0.0


def test_a_sensor_that_repeats_itself_is_not_healthy() -> None:
    watch, now_s = watched(lambda now_s: replace(standing(0.0), received_s=now_s), ticks=51)
    assert watch.healthy_s(now_s) == 0.0
    assert "frozen" in watch.interruption


@given(bad=st.sets(st.integers(0, 119), max_size=6))
@settings(max_examples=60, deadline=None)
def test_health_never_counts_time_before_a_bad_sample(bad: set[int]) -> None:
    watch = HealthWatch(SPEC)
    last_bad_s = -0.02
    for tick in range(120):
        now_s = tick * 0.02
        gravity = np.array([0.0, 0.0, 1.0 if tick in bad else -1.0])
        watch.look(standing(now_s, projected_gravity=gravity), now_s)
        last_bad_s = now_s if tick in bad else last_bad_s
        assert watch.healthy_s(now_s) == pytest.approx(max(0.0, now_s - last_bad_s - 0.02))
