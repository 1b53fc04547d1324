"""Messages become measurements exactly, or not at all."""

from __future__ import annotations

import math

import numpy as np
import pytest
from geometry_msgs.msg import Twist
from hypothesis import given, settings
from hypothesis import strategies as st
from nav_msgs.msg import Odometry
from rwmu_ros import message_conversion as conversion
from rwmu_ros.labelled_table import table_message
from sensor_msgs.msg import Imu, JointState
from std_msgs.msg import Float64MultiArray

from rwmu_deploy.contract.errors import RobotLinkError
from rwmu_deploy.contract.joint_map import JointMap
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.contract.robot_state import JointCommand, damping_command, position_command

SPEC = load_robot_spec("anymal_d")
LEG_MAJOR = [
    f"{leg}_{joint}" for leg in ("LF", "RF", "LH", "RH") for joint in ("HAA", "HFE", "KFE")
]


def joint_message() -> JointState:
    """Leg-major message whose numbers say where they belong: leg.joint in tenths."""
    position = [0.11, 0.12, 0.13, 0.21, 0.22, 0.23, 0.31, 0.32, 0.33, 0.41, 0.42, 0.43]
    return JointState(
        name=LEG_MAJOR,
        position=position,
        velocity=[10.0 * value for value in position],
        effort=[100.0 * value for value in position],
    )


def joint_map(message: JointState) -> JointMap:
    return JointMap(message.name, SPEC.joint_names, source="test")


def imu_message(w: float = 1.0, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Imu:
    message = Imu()
    message.header.frame_id = "base"
    message.orientation.w, message.orientation.x = w, x
    message.orientation.y, message.orientation.z = y, z
    return message


def odom_message(vx: float = 0.0, vy: float = 0.0, vz: float = 0.0) -> Odometry:
    message = Odometry(child_frame_id="base")
    linear = message.twist.twist.linear
    linear.x, linear.y, linear.z = vx, vy, vz
    return message


def test_leg_major_joints_land_in_the_policys_order() -> None:
    message = joint_message()
    reading = conversion.joint_reading(message, joint_map(message))
    # Policy order: HAA of LF, LH, RF, RH, then HFE, then KFE. Leg-major above: LF, RF, LH, RH.
    expected = [0.11, 0.31, 0.21, 0.41, 0.12, 0.32, 0.22, 0.42, 0.13, 0.33, 0.23, 0.43]
    assert reading.position_rad.tolist() == expected
    np.testing.assert_allclose(reading.velocity_radps, np.multiply(expected, 10.0))
    np.testing.assert_allclose(reading.torque_nm, np.multiply(expected, 100.0))


@given(order=st.permutations(range(12)))
@settings(max_examples=30, deadline=None)
def test_any_order_of_joints_gives_the_same_reading(order: list[int]) -> None:
    message = joint_message()
    shuffled = JointState(
        name=[message.name[i] for i in order],
        position=[message.position[i] for i in order],
        velocity=[message.velocity[i] for i in order],
        effort=[message.effort[i] for i in order],
    )
    reading = conversion.joint_reading(shuffled, joint_map(shuffled))
    reference = conversion.joint_reading(message, joint_map(message))
    assert reading.position_rad.tolist() == reference.position_rad.tolist()
    assert reading.torque_nm.tolist() == reference.torque_nm.tolist()


@pytest.mark.parametrize("field", ["position", "velocity", "effort"])
@pytest.mark.parametrize("size", [0, 11, 13])
def test_joint_message_of_wrong_size_is_refused(field: str, size: int) -> None:
    message = joint_message()
    setattr(message, field, [0.0] * size)
    with pytest.raises(RobotLinkError, match=f"12 names and {size} {field} values"):
        conversion.joint_reading(message, joint_map(message))


@pytest.mark.parametrize("field", ["position", "velocity", "effort"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_joint_message_that_is_not_finite_is_refused(field: str, value: float) -> None:
    message = joint_message()
    getattr(message, field)[7] = value
    with pytest.raises(RobotLinkError, match="joint states holds"):
        conversion.joint_reading(message, joint_map(message))


def test_quaternion_is_read_as_x_y_z_w() -> None:
    # Pitched nose down by 30 degrees about y: gravity tilts towards +x of the base.
    half = math.radians(15.0)
    message = imu_message(w=math.cos(half), y=math.sin(half))
    gravity = conversion.imu_reading(message, "base").projected_gravity
    np.testing.assert_allclose(gravity, [0.5, 0.0, -math.sqrt(0.75)], atol=1e-12)


def test_roll_to_the_right_tilts_gravity_to_the_right() -> None:
    half = math.radians(15.0)
    message = imu_message(w=math.cos(half), x=math.sin(half))
    gravity = conversion.imu_reading(message, "base").projected_gravity
    # y points to the left, so the right is -y.
    np.testing.assert_allclose(gravity, [0.0, -0.5, -math.sqrt(0.75)], atol=1e-12)


def test_heading_does_not_change_gravity() -> None:
    message = imu_message(w=math.cos(1.0), z=math.sin(1.0))
    gravity = conversion.imu_reading(message, "base").projected_gravity
    np.testing.assert_allclose(gravity, [0.0, 0.0, -1.0], atol=1e-12)


@pytest.mark.parametrize("field", ["orientation", "angular_velocity"])
def test_covariance_of_minus_one_means_missing(field: str) -> None:
    message = imu_message()
    getattr(message, f"{field}_covariance")[0] = -1.0
    with pytest.raises(RobotLinkError, match=f"no {field}"):
        conversion.imu_reading(message, "base")


@pytest.mark.parametrize("w", [0.0, 0.9, 1.1, math.nan, math.inf])
def test_orientation_that_is_no_unit_quaternion_is_refused(w: float) -> None:
    with pytest.raises(RobotLinkError, match="norm"):
        conversion.imu_reading(imu_message(w=w), "base")


def test_imu_of_another_frame_is_refused() -> None:
    message = imu_message()
    message.header.frame_id = "imu_link"
    with pytest.raises(RobotLinkError, match="'imu_link'; allowed is 'base'"):
        conversion.imu_reading(message, "base")


def test_odometry_in_the_world_frame_is_refused() -> None:
    message = odom_message(1.0)
    message.child_frame_id = "odom"
    with pytest.raises(RobotLinkError, match="'odom'; allowed is 'base'"):
        conversion.base_origin_velocity(message, "base")


def test_odometry_without_twist_is_refused() -> None:
    message = odom_message()
    message.twist.covariance[0] = -1.0
    with pytest.raises(RobotLinkError, match="no twist"):
        conversion.base_origin_velocity(message, "base")


def test_velocity_moves_from_origin_to_centre_of_mass_and_back() -> None:
    origin = conversion.base_origin_velocity(odom_message(1.0, 2.0, 3.0), "base")
    turning = np.array([0.0, 0.0, 2.0])
    com = conversion.velocity_at_com(SPEC, origin, turning)
    # wz x (cx, cy, cz) = (-wz cy, wz cx, 0), c from robot.yaml.
    np.testing.assert_allclose(
        com, [1.0 - 2.0 * 0.000679618, 2.0 - 2.0 * 0.015626211, 3.0], atol=1e-12
    )
    np.testing.assert_allclose(
        conversion.velocity_at_origin(SPEC, com, turning), origin, atol=1e-12
    )


def test_contacts_are_read_by_name_and_unsensed_ones_are_zero() -> None:
    feet = ["RH_FOOT", "LF_FOOT", "RF_FOOT", "LH_FOOT"]
    message = table_message(feet, ["contact"], np.array([[1.0], [0.0], [1.0], [0.0]]))
    contact = conversion.contact_reading(message, SPEC.contact_names)
    # Thighs LF, LH, RF, RH, then feet LF, LH, RF, RH.
    assert contact.tolist() == [0, 0, 0, 0, 0, 0, 1, 1]


@pytest.mark.parametrize("value", [0.5, 87.0, -1.0, math.nan])
def test_contact_that_is_a_force_is_refused(value: float) -> None:
    message = table_message(["LF_FOOT"], ["contact"], np.array([[value]]))
    with pytest.raises(RobotLinkError, match="allowed are 0 and 1"):
        conversion.contact_reading(message, SPEC.contact_names)


def test_contacts_of_strangers_are_refused() -> None:
    message = table_message(["left_toe"], ["contact"], np.array([[1.0]]))
    with pytest.raises(RobotLinkError, match="left_toe"):
        conversion.contact_reading(message, SPEC.contact_names)


def test_velocity_command_is_vx_vy_wz() -> None:
    message = Twist()
    message.linear.x, message.linear.y, message.linear.z = 0.1, 0.2, 9.0
    message.angular.x, message.angular.y, message.angular.z = 9.0, 9.0, 0.3
    assert conversion.velocity_command(message).tolist() == [0.1, 0.2, 0.3]
    assert conversion.twist_message([0.1, 0.2, 0.3]).angular.z == 0.3


def test_velocity_command_that_is_not_finite_is_refused() -> None:
    with pytest.raises(RobotLinkError, match="velocity command"):
        conversion.velocity_command(conversion.twist_message([0.0, math.nan, 0.0]))


def test_command_message_says_what_it_holds() -> None:
    message = conversion.command_message(SPEC, position_command(SPEC, SPEC.default_position_rad))
    rows, columns = message.layout.dim
    assert rows.label.split(",") == list(SPEC.joint_names)
    assert columns.label == "position_rad,kp_nm_per_rad,kd_nms_per_rad"
    assert (rows.size, rows.stride, columns.size, columns.stride) == (12, 36, 3, 3)
    # LF_HAA is first, LF_HFE fifth: default position, then kp 85 and kd 0.6.
    assert list(message.data[0:3]) == [0.0, 85.0, 0.6]
    assert list(message.data[12:15]) == [0.4, 85.0, 0.6]


def test_command_survives_the_way_there() -> None:
    command = position_command(SPEC, SPEC.default_position_rad + 0.01)
    received = conversion.command_of_message(conversion.command_message(SPEC, command), SPEC)
    for field in ("position_rad", "kp_nm_per_rad", "kd_nms_per_rad"):
        assert getattr(received, field).tolist() == getattr(command, field).tolist()


def test_damping_command_arrives_as_damping() -> None:
    command = damping_command(SPEC, SPEC.default_position_rad)
    received = conversion.command_of_message(conversion.command_message(SPEC, command), SPEC)
    assert received.is_damping
    assert received.kd_nms_per_rad.tolist() == [5.0] * 12


def test_command_in_another_order_of_joints_and_columns_is_the_same_command() -> None:
    order = [SPEC.joint_names.index(name) for name in LEG_MAJOR]
    position = np.arange(12.0)
    values = np.stack([np.full(12, 0.6), position[order], np.full(12, 85.0)], axis=1)
    columns = ["kd_nms_per_rad", "position_rad", "kp_nm_per_rad"]
    received = conversion.command_of_message(table_message(LEG_MAJOR, columns, values), SPEC)
    assert received.position_rad.tolist() == position.tolist()
    assert set(received.kp_nm_per_rad) == {85.0}
    assert set(received.kd_nms_per_rad) == {0.6}


def _broken(change: str) -> Float64MultiArray:
    message = conversion.command_message(SPEC, position_command(SPEC, SPEC.default_position_rad))
    rows, columns = message.layout.dim
    if change == "unlabelled":
        message.layout.dim = []
    elif change == "transposed":
        message.layout.dim = [columns, rows]
    elif change == "one value too few":
        message.data = message.data[:-1]
    elif change == "offset":
        message.layout.data_offset = 1
    elif change == "stride":
        rows.stride = 12
    elif change == "doubled joint":
        rows.label = rows.label.replace("LF_KFE", "LF_HAA")
    elif change == "other joint":
        rows.label = rows.label.replace("LF_KFE", "LF_KNEE")
    elif change == "no gains":
        columns.label = "position_rad,velocity_radps,effort_nm"
    elif change == "NaN":
        message.data[4] = math.nan
    elif change == "negative gain":
        message.data[4] = -85.0
    return message


@pytest.mark.parametrize(
    "change",
    [
        "unlabelled",
        "transposed",
        "one value too few",
        "offset",
        "stride",
        "doubled joint",
        "other joint",
        "no gains",
        "NaN",
        "negative gain",
    ],
)
def test_broken_command_is_refused(change: str) -> None:
    with pytest.raises(RobotLinkError):
        conversion.command_of_message(_broken(change), SPEC)


def test_command_needs_every_joint() -> None:
    values = np.ones((11, 3))
    message = table_message(SPEC.joint_names[:11], conversion.COMMAND_COLUMNS, values)
    with pytest.raises(RobotLinkError, match="joints"):
        conversion.command_of_message(message, SPEC)


def test_table_of_wrong_shape_is_not_sent() -> None:
    command = JointCommand(np.zeros(11), np.zeros(11), np.zeros(11))
    with pytest.raises(RobotLinkError, match="12 rows"):
        conversion.command_message(SPEC, command)
