"""In messages as in files, a joint is its name: all 66 swaps, and every joint in motion."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from rwmu_ros.labelled_table import table_message
from rwmu_ros.measurement_messages import MeasurementMessages, leg_major
from rwmu_ros.message_conversion import (
    COMMAND_COLUMNS,
    command_message,
    command_of_message,
    joint_reading,
)
from sensor_msgs.msg import JointState

from rwmu_deploy.contract.errors import RobotLinkError, RobotSpecError
from rwmu_deploy.contract.joint_map import JointMap
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.contract.robot_state import JointCommand, position_command
from rwmu_deploy.simulation.simulated_robot import SimulatedRobot

SPEC = load_robot_spec("anymal_d")
SWAPS = list(itertools.combinations(range(12), 2))


def swapped_names(i: int, j: int) -> list[str]:
    names = list(SPEC.joint_names)
    names[i], names[j] = names[j], names[i]
    return names


def joint_states(names: Sequence[str]) -> JointState:
    """Values that say of which joint they are: its number in SPEC, in tenths."""
    values = [0.1 * SPEC.joint_names.index(name) for name in names]
    return JointState(name=list(names), position=values, velocity=values, effort=values)


def test_all_66_swaps_in_joint_states_give_the_same_reading(trials) -> None:
    for i, j in SWAPS:
        message = joint_states(swapped_names(i, j))
        reading = joint_reading(message, JointMap(message.name, SPEC.joint_names, source="test"))
        for values in vars(reading).values():
            np.testing.assert_array_equal(values, 0.1 * np.arange(12.0))
    trials("T-22", len(SWAPS))


def test_all_66_swaps_in_joint_commands_give_the_same_command(trials) -> None:
    for i, j in SWAPS:
        names = swapped_names(i, j)
        position_rad = [0.01 * SPEC.joint_names.index(name) for name in names]
        values = np.stack([position_rad, np.full(12, 85.0), np.full(12, 0.6)], axis=1)
        command = command_of_message(table_message(names, COMMAND_COLUMNS, values), SPEC)
        np.testing.assert_array_equal(command.position_rad, 0.01 * np.arange(12.0))
    trials("T-22", len(SWAPS))


@pytest.mark.parametrize("name", SPEC.joint_names)
def test_every_unknown_name_is_refused_both_ways(name: str, trials) -> None:
    names = [f"{name}_2" if each == name else each for each in SPEC.joint_names]
    with pytest.raises(RobotSpecError, match=f"test has no joint {name}; it has"):
        JointMap(names, SPEC.joint_names, source="test")
    with pytest.raises(RobotLinkError, match=f"joints .*{name}_2"):
        command_of_message(table_message(names, COMMAND_COLUMNS, np.ones((12, 3))), SPEC)
    trials("T-22", 2)


def test_twelve_of_twelve_joints_move_and_report_themselves_through_messages(trials) -> None:
    """A command as a message, the robot, and its joint states leg by leg: three orders."""
    robot = SimulatedRobot(SPEC)
    # It hangs free: on the ground, four legs that carry a body move together.
    robot._model.mj.opt.gravity[:] = 0.0
    robot._data.qpos[2] = 2.0
    published = MeasurementMessages(SPEC, leg_major(SPEC.joint_names), "base")
    back = SPEC.joint_names[::-1]
    now_s = 0.0

    def reading_after(command: JointCommand) -> np.ndarray:
        nonlocal now_s
        message = command_message(SPEC, command)
        table = np.reshape(message.data, (12, 3))[::-1]
        shuffled = table_message(back, COMMAND_COLUMNS, table)
        for _ in range(15):
            robot.send(command_of_message(shuffled, SPEC))
            now_s += SPEC.control_dt_s
            robot.advance(now_s)
        states = published.joint_states(robot.latest_state(), Time())
        joint_map = JointMap(states.name, SPEC.joint_names, source="test")
        return joint_reading(states, joint_map).position_rad

    for joint in range(12):
        before_rad = reading_after(position_command(SPEC, SPEC.default_position_rad))
        target_rad = SPEC.default_position_rad.copy()
        target_rad[joint] += 0.2
        way_rad = reading_after(position_command(SPEC, target_rad)) - before_rad
        assert int(np.abs(way_rad).argmax()) == joint
        assert way_rad[joint] == pytest.approx(0.2, abs=0.05)
    trials("T-22", 12)
