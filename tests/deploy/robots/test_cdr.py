"""Messages as DDS carries them are the C structures that the checksum is of."""

from __future__ import annotations

import numpy as np
import pytest
from g1_frames import SPEC, drawn_frame, healthy_frame, on_the_wire

from rwmu_deploy.contract.errors import RobotLinkError
from rwmu_deploy.contract.robot_state import position_command
from rwmu_deploy.robots.unitree.cdr import from_cdr, to_cdr
from rwmu_deploy.robots.unitree.frames import LOW_COMMAND, LOW_STATE, opened, sealed
from rwmu_deploy.robots.unitree.low_command import LowCommandWriter


def test_places_by_hand():
    frame = healthy_frame(tick=0x01020304)
    frame["motor_state"]["mode"][0], frame["motor_state"]["q"][0] = 7, 1.0
    data = on_the_wire(frame)
    # Header 4, version 8, two modes, tick at the next multiple of 4.
    assert data[:4] == b"\x00\x01\x00\x00"
    assert data[12:14] == bytes((0, 5))
    assert data[16:20] == b"\x04\x03\x02\x01"
    # The IMU's thirteen floats and its temperature, and at once the first motor's mode.
    assert data[20 + 52 + 2] == 7
    assert np.frombuffer(data[76:80], "<f4")[0] == 1.0
    assert len(data) == 4 + 2092 - 4


def test_a_state_comes_back_as_it_was():
    rng = np.random.default_rng(1)
    for _ in range(50):
        frame = drawn_frame(rng)
        assert from_cdr(on_the_wire(frame), LOW_STATE, "LowState").tobytes() == frame.tobytes()


def test_a_command_comes_back_as_it_was():
    structure = LowCommandWriter(SPEC).frame(position_command(SPEC, np.linspace(-0.2, 0.2, 29)), 5)
    back = from_cdr(to_cdr(structure, LOW_COMMAND), LOW_COMMAND, "LowCmd")
    assert back.tobytes() == structure
    opened(back.tobytes(), LOW_COMMAND, "LowCmd")


def test_what_a_sender_left_in_its_padding_says_nothing():
    frame = healthy_frame()
    data = bytearray(on_the_wire(frame))
    # Behind the second motor's mode, which follows the 52 bytes behind the first one's.
    place = 76 + 52 + 1
    data[place : place + 3] = b"abc"
    assert from_cdr(bytes(data), LOW_STATE, "LowState").tobytes() == sealed(frame)


def test_each_bit_that_flips_on_the_wire_is_found_or_was_padding():
    rng = np.random.default_rng(4)
    frame = drawn_frame(rng)
    data = on_the_wire(frame)
    for bit in rng.integers(32, 8 * len(data), 500):
        bent = bytearray(data)
        bent[bit // 8] ^= 1 << (bit % 8)
        structure = from_cdr(bytes(bent), LOW_STATE, "LowState").tobytes()
        if structure != frame.tobytes():
            with pytest.raises(RobotLinkError, match="checksum"):
                opened(structure, LOW_STATE, "LowState")


@pytest.mark.parametrize("cut", [0, 3, 1000, 2091, 2093])
def test_another_size_is_refused(cut):
    data = (on_the_wire(healthy_frame()) + b"\0")[:cut]
    with pytest.raises(RobotLinkError, match=f"{cut} bytes on the wire; allowed is 2092"):
        from_cdr(data, LOW_STATE, "LowState")


@pytest.mark.parametrize("header", [b"\x00\x00", b"\x00\x07", b"\x01\x01"])
def test_another_encoding_is_refused(header):
    data = header + on_the_wire(healthy_frame())[2:]
    with pytest.raises(RobotLinkError, match=f"encoded as {header.hex()}"):
        from_cdr(data, LOW_STATE, "LowState")
