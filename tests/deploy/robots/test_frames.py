"""Unitree's messages byte by byte: layout, checksum, and no message that was altered."""

import struct

import numpy as np
import pytest

from rwmu_deploy.contract.errors import RobotLinkError
from rwmu_deploy.robots.unitree.frames import (
    LOW_COMMAND,
    LOW_STATE,
    blank,
    checksum,
    opened,
    sealed,
)

COMMAND_FORMAT = "<2B2x" + "B3x5fI" * 35 + "5I"
STATE_FORMAT = "<2I2B2xI" + "13fh2x" + "B3x4f2hf7I" * 35 + "40B5I"


def slow_checksum(data: bytes) -> int:
    """Bit by bit, as a shift register: independent of tables and of zlib."""
    register = 0xFFFFFFFF
    for (word,) in struct.iter_unpack("<I", data[:-4]):
        for bit in reversed(range(32)):
            feed = (register >> 31) ^ (word >> bit & 1)
            register = (register << 1) & 0xFFFFFFFF
            if feed:
                register ^= 0x04C11DB7
    return register


def drawn(layout, rng):
    return np.frombuffer(rng.bytes(layout.itemsize), dtype=layout).reshape(()).copy()


def test_sizes_are_those_of_the_interface():
    assert LOW_COMMAND.itemsize == struct.calcsize(COMMAND_FORMAT) == 1004
    assert LOW_STATE.itemsize == struct.calcsize(STATE_FORMAT) == 2092


def test_every_field_of_a_command_lies_where_c_puts_it():
    frame = blank(LOW_COMMAND)
    frame["mode_pr"], frame["mode_machine"] = 1, 5
    values = np.arange(35 * 5, dtype=np.float32).reshape(35, 5)
    for place, name in enumerate(("q", "dq", "tau", "kp", "kd")):
        frame["motor_cmd"][name] = values[:, place]
    frame["motor_cmd"]["mode"] = 1
    motors = [entry for row in values for entry in (1, *row, 0)]
    packed = struct.pack(COMMAND_FORMAT, 1, 5, *motors, 0, 0, 0, 0, 0)
    assert frame.tobytes() == packed


def test_every_field_of_a_state_lies_where_c_puts_it():
    rng = np.random.default_rng(0)
    numbers = struct.unpack(STATE_FORMAT, rng.bytes(2092))
    frame = np.frombuffer(struct.pack(STATE_FORMAT, *numbers), dtype=LOW_STATE).reshape(())
    assert (frame["mode_pr"], frame["mode_machine"], frame["tick"]) == numbers[2:5]
    imu = np.array(numbers[5:9], dtype=np.float32)
    np.testing.assert_array_equal(frame["imu_state"]["quaternion"], imu)
    motor = numbers[19 : 19 + 15]
    first = frame["motor_state"][0]
    assert first["mode"] == motor[0]
    np.testing.assert_array_equal(first["q"], np.float32(motor[1]))
    np.testing.assert_array_equal(first["tau_est"], np.float32(motor[4]))
    np.testing.assert_array_equal(first["temperature"], motor[5:7])
    assert first["motorstate"] == motor[10]
    np.testing.assert_array_equal(frame["wireless_remote"], numbers[19 + 35 * 15 :][:40])
    assert frame["crc"] == numbers[-1]


@pytest.mark.parametrize("layout", [LOW_COMMAND, LOW_STATE], ids=["command", "state"])
def test_the_fast_checksum_is_the_slow_one(layout):
    """The slow one takes a while: some of each size here, 10,000 shorter ones below."""
    rng = np.random.default_rng(1)
    for _ in range(5):
        frame = drawn(layout, rng)
        assert checksum(frame) == slow_checksum(frame.tobytes())


def test_the_fast_checksum_is_the_slow_one_on_ten_thousand_frames():
    layout = np.dtype([("words", "<u4", 4), ("crc", "<u4")])
    rng = np.random.default_rng(2)
    for _ in range(10_000):
        frame = drawn(layout, rng)
        assert checksum(frame) == slow_checksum(frame.tobytes())


def test_a_checksum_by_hand():
    """One word of zeros after ones: 32 shifts of the register, as CRC-32/MPEG-2 of four zeros."""
    layout = np.dtype([("word", "<u4"), ("crc", "<u4")])
    assert checksum(blank(layout)) == 0xC704DD7B


@pytest.mark.parametrize("layout", [LOW_COMMAND, LOW_STATE], ids=["command", "state"])
def test_every_flipped_bit_is_found(layout):
    """10,000 drawn ones of the two, and those of the checksum itself."""
    rng = np.random.default_rng(3)
    whole = sealed(drawn(layout, rng))
    assert opened(whole, layout, "message").tobytes() == whole
    size = 8 * layout.itemsize
    bits = np.concatenate([rng.integers(0, size, 4_968), np.arange(size - 32, size)])
    for bit in bits:
        altered = bytearray(whole)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(RobotLinkError, match=r"message has checksum 0x"):
            opened(bytes(altered), layout, "message")


@pytest.mark.parametrize("size", [0, 1003, 1005, 2092])
def test_a_command_of_another_size_is_refused(size):
    with pytest.raises(RobotLinkError, match=f"LowCmd has {size} bytes; allowed is 1004"):
        opened(bytes(size), LOW_COMMAND, "LowCmd")


def test_a_message_of_zeros_is_no_message():
    """What a constructor leaves: its checksum is 0, and does not fit."""
    with pytest.raises(RobotLinkError, match="checksum"):
        opened(bytes(1004), LOW_COMMAND, "LowCmd")
