"""The sticks ask for a velocity inside the range, and start is a button that goes down."""

import math

import numpy as np
import pytest
from g1_frames import remote_bytes
from hypothesis import given, settings
from hypothesis import strategies as st

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.robots.unitree.link_limits import LinkLimits
from rwmu_deploy.robots.unitree.remote_watch import RemoteWatch, stop_pressed

RANGE = CommandRange((-0.5, -0.4, -1.0), (1.0, 0.4, 1.0))
START, L2, B = 1 << 2, 1 << 5, 1 << 9


def watch_of(*looks, command_range=RANGE):
    watch = RemoteWatch(LinkLimits(), command_range)
    for step, data in enumerate(looks):
        watch.take(data, 0.02 * step)
    return watch


@pytest.mark.parametrize(
    ("left", "right", "asked"),
    [
        ((0.0, 1.0), (0.0, 0.0), (1.0, 0.0, 0.0)),
        ((0.0, -1.0), (0.0, 0.0), (-0.5, 0.0, 0.0)),
        ((-1.0, 0.0), (0.0, 0.0), (0.0, 0.4, 0.0)),
        ((0.0, 0.0), (-1.0, 0.0), (0.0, 0.0, 1.0)),
        # Half of the way beyond the band of 0.05: 0.05 + 0.95 / 2.
        ((0.0, 0.525), (0.525, 0.0), (0.5, 0.0, -0.5)),
        ((0.05, -0.05), (0.05, 1.0), (0.0, 0.0, 0.0)),
        ((0.0, 1.0009765625), (0.0, 0.0), (1.0, 0.0, 0.0)),
    ],
)
def test_sticks_by_hand(left, right, asked):
    command = watch_of(remote_bytes(left=left, right=right)).velocity_command(0.0)
    np.testing.assert_allclose(command, asked, rtol=0.0, atol=1e-6)


@settings(max_examples=100, deadline=None)
@given(st.tuples(*[st.floats(-1.0, 1.0, width=32)] * 4))
def test_no_stick_asks_for_more_than_the_range(sticks):
    command = watch_of(remote_bytes(left=sticks[:2], right=sticks[2:])).velocity_command(0.0)
    assert command is not None
    assert (RANGE.lower <= command).all()
    assert (command <= RANGE.upper).all()


def test_a_policy_that_knows_one_speed_gets_it():
    one = CommandRange((0.5, 0.0, 0.0), (0.5, 0.0, 0.0))
    command = watch_of(remote_bytes(), command_range=one).velocity_command(0.0)
    assert command is not None
    assert command.tolist() == [0.5, 0.0, 0.0]


def test_an_old_look_asks_for_nothing():
    watch = watch_of(remote_bytes(left=(0.0, 1.0)))
    assert watch.velocity_command(0.5) is not None
    for now_s in (0.51, math.nan, math.inf):
        assert watch.velocity_command(now_s) is None


@pytest.mark.parametrize(
    ("looks", "starts"),
    [
        ((0, START), True),
        ((START,), False),
        ((0, START, START), True),
        ((None, START), False),
        ((0, START | L2 | B), False),
        ((L2 | B, START | L2 | B, START), False),
        ((0,), False),
    ],
)
def test_start_is_a_button_that_goes_down(looks, starts):
    looks = [bytes(40) if bits is None else remote_bytes(bits) for bits in looks]
    watch = watch_of(*looks)
    assert watch.take_start(0.02 * len(looks)) is starts
    assert watch.take_start(0.02 * len(looks)) is False


def test_a_start_of_long_ago_is_forgotten():
    assert watch_of(remote_bytes(), remote_bytes(START)).take_start(0.6) is False


@pytest.mark.parametrize("others", range(0, 1 << 16, 4099))
def test_the_chord_is_seen_whatever_the_sticks_are(others):
    assert stop_pressed(remote_bytes(others | L2 | B, left=(math.nan, math.inf)))
    assert not stop_pressed(remote_bytes(others & ~L2))
