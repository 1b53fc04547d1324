"""The simulated robot speaks as the real one, and ignores what the real one ignores."""

from __future__ import annotations

import math

import numpy as np
import pytest
from g1_frames import SPEC

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.robot_state import gravity_in_base, position_command
from rwmu_deploy.robots.unitree.cdr import from_cdr, to_cdr
from rwmu_deploy.robots.unitree.frames import LOW_COMMAND, LOW_STATE, sealed
from rwmu_deploy.robots.unitree.link_guard import LinkGuard
from rwmu_deploy.robots.unitree.low_command import LowCommandWriter
from rwmu_deploy.robots.unitree.simulated_wire import SimulatedWire, quaternion_wxyz
from rwmu_deploy.simulation.simulated_robot import SimulatedRobot

COMMAND = position_command(SPEC, np.linspace(-0.2, 0.2, 29))


def message(machine=5, **changes):
    structure = LowCommandWriter(SPEC).frame(COMMAND, machine)
    frame = np.frombuffer(bytearray(structure), dtype=LOW_COMMAND).reshape(())
    for name, value in changes.items():
        frame[name] = value
    return to_cdr(sealed(frame), LOW_COMMAND)


def test_what_it_says_the_guard_takes_as_it_was_measured():
    robot = SimulatedRobot(SPEC, start_s=0.0)
    guard = LinkGuard(SPEC, CommandRange((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0)))
    state = robot.latest_state()
    data = SimulatedWire(SPEC, 5).low_state(state, 0.4, 1000)
    taken = guard.take(from_cdr(data, LOW_STATE, "LowState").tobytes(), 1.0)
    assert taken is not None
    for name in ("joint_position_rad", "joint_velocity_radps", "joint_torque_nm"):
        np.testing.assert_allclose(getattr(taken, name), getattr(state, name), atol=1e-5)
    np.testing.assert_allclose(taken.projected_gravity, state.projected_gravity, atol=1e-6)
    assert not guard.counters


def test_a_command_is_heard_as_it_was_meant():
    heard = SimulatedWire(SPEC, 5).command(message())
    assert heard is not None
    np.testing.assert_allclose(heard.position_rad, COMMAND.position_rad, atol=1e-6)
    np.testing.assert_allclose(heard.kp_nm_per_rad, COMMAND.kp_nm_per_rad, rtol=1e-6)
    np.testing.assert_allclose(heard.kd_nms_per_rad, COMMAND.kd_nms_per_rad, rtol=1e-6)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (message()[:-1] + b"\x00", "crc"),
        (b"", "crc"),
        (message(machine=4), "mode_machine"),
        (message(mode_pr=1), "mode_pr"),
    ],
)
def test_what_the_robot_ignores_is_counted(data, why):
    wire = SimulatedWire(SPEC, 5)
    assert wire.command(data) is None
    assert dict(wire.refused) == {why: 1}


def test_a_motor_that_is_not_enabled_gets_no_gains():
    structure = LowCommandWriter(SPEC).frame(COMMAND, 5)
    frame = np.frombuffer(bytearray(structure), dtype=LOW_COMMAND).reshape(())
    frame["motor_cmd"]["mode"][3] = 0
    heard = SimulatedWire(SPEC, 5).command(to_cdr(sealed(frame), LOW_COMMAND))
    assert heard is not None
    assert (heard.kp_nm_per_rad[3], heard.kd_nms_per_rad[3]) == (0.0, 0.0)
    assert heard.kp_nm_per_rad[4] > 0.0


@pytest.mark.parametrize("roll", [-0.6, 0.0, 0.3])
@pytest.mark.parametrize("pitch", [-0.4, 0.0, 0.9])
@pytest.mark.parametrize("yaw", [-2.0, 0.0, 1.0])
def test_orientation_has_the_gravity_and_the_heading_it_was_made_of(roll, pitch, yaw):
    gravity = np.array(
        [
            math.sin(pitch),
            -math.sin(roll) * math.cos(pitch),
            -math.cos(roll) * math.cos(pitch),
        ]
    )
    w, x, y, z = quaternion_wxyz(gravity, yaw)
    np.testing.assert_allclose(gravity_in_base(np.array((w, x, y, z))), gravity, atol=1e-9)
    assert math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)) == pytest.approx(yaw)
