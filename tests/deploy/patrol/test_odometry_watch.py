"""Odometry that jumps, freezes or falls silent is not believed again until the origin is set."""

import math

import numpy as np
import pytest

from rwmu_deploy.patrol.odometry_watch import OdometryWatch

FORWARD = np.array([0.5, 0.0, 0.0])
STILL = np.zeros(3)


def walked(steps=50, origin=(2.0, 1.0, math.pi / 2)):
    watch = OdometryWatch()
    assert watch.set_origin(np.array(origin))
    pose = np.array(origin, dtype=float)
    for step in range(steps):
        now_s = 10.0 + 0.02 * step
        reading = watch.update(now_s, now_s, pose, FORWARD)
        pose = pose + np.array([0.0, 0.01, 0.0])
    return watch, reading, pose, now_s


def test_place_is_told_from_the_origin_and_in_its_direction():
    _, reading, _, _ = walked()
    assert reading.fault == ""
    assert reading.pose == pytest.approx([0.49, 0.0, 0.0], abs=1e-9)
    assert reading.walked_m == pytest.approx(0.49)


def test_before_the_origin_is_set_nothing_is_known():
    reading = OdometryWatch().update(1.0, 1.0, STILL, STILL)
    assert reading.fault == "the origin is not set"
    assert np.isnan(reading.pose).all()


def test_origin_that_is_not_finite_is_none():
    watch = OdometryWatch()
    assert not watch.set_origin(np.array([0.0, math.nan, 0.0]))
    assert watch.update(1.0, 1.0, STILL, STILL).fault == "the origin is not set"


@pytest.mark.parametrize(
    ("offset", "said"),
    [
        ([1.0, 0.0, 0.0], "odometry jumped by 1.00 m"),
        ([-2.0, -1.5, 0.0], "odometry jumped by 2."),
        ([0.0, 0.0, 1.0], "jumped by 1.00 rad"),
        ([0.0, 0.0, 2 * math.pi], ""),
        ([0.05, 0.0, 0.1], ""),
        ([math.nan, 0.0, 0.0], "not finite"),
    ],
)
def test_jump_is_a_fault_that_stays_until_the_origin_is_set(offset, said):
    watch, _, pose, now_s = walked()
    jumped = pose + offset
    reading = watch.update(now_s + 0.02, now_s + 0.02, jumped, FORWARD)
    assert said in reading.fault
    assert (reading.fault == "") == (said == "")
    if said:
        for step in range(2, 20):
            at_s = now_s + 0.02 * step
            assert said in watch.update(at_s, at_s, pose, FORWARD).fault
        watch.set_origin(pose)
        assert watch.update(now_s + 1.0, now_s + 1.0, pose, STILL).fault == ""


def test_position_that_stands_still_under_a_moving_robot_is_frozen():
    watch, _, pose, now_s = walked()
    faults = [
        watch.update(now_s + 0.02 * k, now_s + 0.02 * k, pose, FORWARD).fault for k in range(1, 40)
    ]
    assert faults[:25] == [""] * 25
    assert faults[26] == "odometry stands still at 0.50 m/s"


def test_robot_that_stands_may_stay_where_it_is():
    watch, _, pose, now_s = walked()
    for k in range(1, 500):
        reading = watch.update(now_s + 0.02 * k, now_s + 0.02 * k, pose, STILL)
    assert reading.fault == ""


def test_silence_is_a_fault():
    watch, _, pose, now_s = walked()
    assert watch.update(now_s + 0.5, now_s, pose, FORWARD).fault == ""
    assert "0.60 s old" in watch.update(now_s + 0.6, now_s, pose, FORWARD).fault
