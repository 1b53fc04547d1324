"""Frames of a robot that stands still and healthy, to spoil one thing of."""

import struct

import numpy as np

from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.robots.unitree.cdr import to_cdr
from rwmu_deploy.robots.unitree.frames import LOW_STATE, blank, sealed
from rwmu_deploy.robots.unitree.motor_order import MOTOR_NAMES

SPEC = load_robot_spec("g1")


def remote_bytes(bits=0, left=(0.0, 0.0), right=(0.0, 0.0)):
    data = bytearray(40)
    data[0] = 0x55  # a header, so that nobody touching it is no silence
    struct.pack_into("<H", data, 2, bits)
    struct.pack_into("<3f", data, 4, left[0], right[0], right[1])
    struct.pack_into("<f", data, 20, left[1])
    return bytes(data)


def healthy_frame(tick=1000, remote=None):
    """Default pose, upright, 40 degrees warm; a little noise that differs from tick to tick."""
    frame = blank(LOW_STATE)
    frame["mode_machine"], frame["tick"] = 5, tick
    default = dict(zip(SPEC.joint_names, SPEC.default_position_rad, strict=True))
    motors = frame["motor_state"]
    motors["q"][:29] = [default[name] for name in MOTOR_NAMES]
    motors["dq"][:29] = 1e-3 * np.sin(tick + np.arange(29))
    motors["temperature"][:29] = 40
    frame["imu_state"]["quaternion"] = (1.0, 0.0, 0.0, 0.0)
    frame["imu_state"]["accelerometer"] = (0.0, 0.0, 9.81)
    remote = remote_bytes() if remote is None else remote
    frame["wireless_remote"] = np.frombuffer(remote, dtype=np.uint8)
    return frame


def on_the_wire(frame):
    """As DDS carries it, sealed."""
    return to_cdr(sealed(frame), LOW_STATE)


def drawn_frame(rng):
    """Every kind of field drawn; padding is zero, as the sender's is."""
    frame = healthy_frame()
    for part in ("q", "dq", "ddq", "tau_est", "vol"):
        frame["motor_state"][part] = rng.normal(size=35)
    for part in ("mode", "motorstate"):
        frame["motor_state"][part] = rng.integers(0, 255, 35)
    frame["motor_state"]["temperature"] = rng.integers(-40, 200, (35, 2))
    frame["imu_state"]["gyroscope"] = rng.normal(size=3)
    frame["wireless_remote"] = rng.integers(0, 255, 40)
    return frame
