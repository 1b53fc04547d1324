"""The remote's 40 bytes: each button its own bit, each stick its own place, silence is silence."""

import math

import pytest
from g1_frames import remote_bytes

from rwmu_deploy.contract.errors import RobotLinkError
from rwmu_deploy.robots.unitree.remote import BUTTONS, RemoteReading, read_remote


@pytest.mark.parametrize("bit", range(16))
def test_every_button_is_its_own_bit(bit):
    reading = read_remote(remote_bytes(1 << bit))
    assert reading is not None
    assert reading.pressed == {BUTTONS[bit]}


def test_the_documented_bits():
    reading = read_remote(remote_bytes(1 << 5 | 1 << 9))
    assert reading is not None
    assert reading.pressed == {"L2", "B"}
    assert reading.stops


@pytest.mark.parametrize("others", range(0, 1 << 16, 4099))
def test_the_stop_chord_stops_whatever_else_is_pressed(others):
    reading = read_remote(remote_bytes(others | 1 << 5 | 1 << 9))
    assert reading is not None
    assert reading.stops
    assert not reading.starts


def test_sticks_have_their_own_places():
    reading = read_remote(remote_bytes(left=(0.25, 0.5), right=(-0.75, 1.0)))
    assert reading is not None
    assert reading.left == (0.25, 0.5)
    assert reading.right == (-0.75, 1.0)


def test_velocity_has_the_signs_of_rep_103():
    """Forward, and to the left: y and the turn are against the sticks' x."""
    reading = RemoteReading(frozenset(), (0.5, 1.0), (-1.0, 0.0))
    command = reading.velocity_command((1.0, 0.4, 0.8), (-0.5, -0.4, -0.8))
    assert command == pytest.approx((1.0, -0.2, 0.8))
    back = RemoteReading(frozenset(), (-1.0, -1.0), (1.0, 0.0))
    assert back.velocity_command((1.0, 0.4, 0.8), (-0.5, -0.3, -0.8)) == pytest.approx(
        (-0.5, 0.4, -0.8)
    )


def test_silence_is_no_reading():
    assert read_remote(bytes(40)) is None


@pytest.mark.parametrize("size", [0, 39, 41])
def test_another_size_is_refused(size):
    with pytest.raises(RobotLinkError, match=f"the remote has {size} bytes; allowed is 40"):
        read_remote(bytes(size))


@pytest.mark.parametrize("value", [math.nan, math.inf, 1.5, -2.0])
def test_a_stick_that_is_none_is_refused(value):
    for data in (
        remote_bytes(left=(value, 0.0)),
        remote_bytes(left=(0.0, value)),
        remote_bytes(right=(value, 0.0)),
    ):
        with pytest.raises(RobotLinkError, match="sticks are at"):
            read_remote(data)
