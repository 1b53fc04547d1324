"""A biped that steps where its command and its balance ask, from its model alone.

One foot stands and carries the robot: its leg's torques are those of the force on the sole that
holds the base level and at its height, as far as sole and friction can give it (virtual model
control; Pratt et al., "Virtual model control: an intuitive approach for bipedal locomotion", IJRR
20 (2001)). The other foot swings to where `foot_placement` puts it. Nothing else balances.

It is no policy for a robot: it knows which foot stands, and it has a clock. It shows a policy what
walking is. N = robots, J = joints, F = 2 feet, c = 6 joints of a leg.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import RobotSpecError
from rwmu_deploy.contract.leg_model import load_leg_model
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_deploy.contract.vector_product import cross, turned
from rwmu_train.gait.body_pose import BodyPose, body_pose
from rwmu_train.gait.foot_placement import (
    GRAVITY_MPS2,
    at_touchdown,
    capture_point,
    pendulum_rate,
    steady_offset,
)
from rwmu_train.gait.gait_settings import NAMES, GaitSettings

FloatArray = NDArray[np.float64]
_LEG_JOINTS = 6
_EARLIEST, _LATEST = 0.75, 1.6
"""Shares of a step's time: from when on touching the ground ends it, and when it ends anyway."""
_FORWARD_M = (-0.4, 0.5)
_OUTWARD_M = (0.13, 0.5)
"""Where the swinging foot may be put, from the standing one."""
_SOLE_HALF_M = (0.08, 0.02)
"""How far the centre of pressure may move along the sole and across."""
_LARGEST_YAW_NM = 8.0
_LARGEST_BEND_RAD = 0.8
"""Of one tick's correction of the swinging leg."""
_LARGEST_SPEED_RADPS = 15.0
_LOWERING_MPS = 0.4
"""Of a foot that finds no ground at the end of its step."""
_ARRIVES = 0.9
"""Share of the step's time after which the swinging foot only comes down."""


class SteppingGait:
    """Ticks of N robots.

    Args:
        spec: The robot: two feet, each on a leg of six joints.
        settings: Its gait; numbers of shape () or (N,).
        count: N.

    Raises:
        RobotSpecError: It isn't such a robot.
    """

    def __init__(self, spec: RobotSpec, settings: GaitSettings, count: int) -> None:
        self._spec, self._legs = spec, load_leg_model(spec)
        links = self._legs.arrays
        chains = [links.joint[links.carried_by[link]] for link in self._legs.foot_link]
        if [len(chain) for chain in chains] != [_LEG_JOINTS, _LEG_JOINTS]:
            raise RobotSpecError(
                f"{spec.name} has legs of {[len(chain) for chain in chains]} joints; allowed are "
                "two of 6",
                fix="Start from a bundle or a run, or from random weights.",
            )
        # Joints of the legs from the base down, shape (F, c).
        self._leg = np.array(chains)
        self._is_soft = np.isin(np.array(spec.joint_names)[self._leg], settings.soft_joints)
        self._held = [spec.joint_names.index(name) for name in settings.held_joints]
        # +1 of a left foot, -1 of a right one.
        at_rest = body_pose(spec, self._legs, _state_at_rest(spec)).foot_m[0]
        self._side = np.sign(at_rest[:, 1] - at_rest[:, 1].mean())
        self._settings = {name: np.broadcast_to(getattr(settings, name), count) for name in NAMES}
        self._robots = np.arange(count)
        self._standing = np.zeros(count, dtype=np.intp)
        self._time_s = np.zeros(count)
        self._lifted_m = np.zeros((count, 3))
        self._begins = np.ones(count, dtype=bool)

    @property
    def feet_left_and_right(self) -> tuple[int, int]:
        """Indices of the two feet, in RobotSpec order."""
        return int(np.argmax(self._side)), int(np.argmin(self._side))

    def begin(self, index: NDArray[np.intp], standing: NDArray[np.intp]) -> None:
        """Robots (k,) are put down, and stand on these feet (k,)."""
        self._standing[index], self._time_s[index], self._begins[index] = standing, 0.0, True

    def act(self, state: FloatArray, touching: FloatArray, command: FloatArray) -> FloatArray:
        """Actions (N, J).

        Args:
            state: Shape (N, S).
            touching: 1 where a foot touches the ground, shape (N, F).
            command: vx, vy [m/s], wz [rad/s], shape (N, 3).
        """
        spec, body = self._spec, body_pose(self._spec, self._legs, state)
        self._advance(body, touching)
        target = np.tile(spec.default_position_rad, (len(state), 1))
        stands, swings = self._leg[self._standing], self._leg[1 - self._standing]
        np.put_along_axis(target, stands, self._standing_target(body, stands, command), axis=1)
        np.put_along_axis(target, swings, self._swinging_target(body, swings, command), axis=1)
        joints = self._held
        effort = (
            -self._settings["held_stiffness_nm_per_rad"][:, None] * body.position_rad[:, joints]
        )
        effort -= self._settings["held_damping_nms_per_rad"][:, None] * body.speed_radps[:, joints]
        target[:, joints] = body.position_rad[:, joints] + effort / spec.kp_nm_per_rad[joints]
        return (target - spec.default_position_rad) / spec.action_scale

    def _advance(self, body: BodyPose, touching: FloatArray) -> None:
        """The clocks, and which foot stands."""
        self._time_s += self._spec.control_dt_s
        share = self._time_s / self._settings["step_s"]
        landed = touching[self._robots, 1 - self._standing] > 0.5
        ends = ((share >= _EARLIEST) & landed) | (share > _LATEST)
        self._standing = np.where(ends, 1 - self._standing, self._standing)
        ends |= self._begins
        self._begins[:] = False
        self._time_s[ends] = 0.0
        self._lifted_m[ends] = self._between_feet(body)[ends]

    def _between_feet(self, body: BodyPose) -> FloatArray:
        """From the standing foot to the swinging one, shape (N, 3)."""
        robots, standing = self._robots, self._standing
        return body.foot_m[robots, 1 - standing] - body.foot_m[robots, standing]

    def _pendulum(self, body: BodyPose) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Rate (N,), capture point from the standing foot (N, 2), centre of mass (N, 3)."""
        zero = np.zeros(len(self._robots))
        com = turned(
            body.turn, np.stack([self._settings["com_x_m"], zero, self._settings["com_z_m"]], -1)
        )
        velocity = body.velocity_mps + cross(body.rate_radps, com)
        standing = body.foot_m[self._robots, self._standing]
        rate = pendulum_rate(np.maximum(com[:, 2] - standing[:, 2], 0.4))
        point = capture_point(com[:, :2], velocity[:, :2], rate)
        return rate, point - standing[:, :2], com

    def _steady(self, command: FloatArray, rate: FloatArray, side: FloatArray) -> FloatArray:
        step_s, width_m = self._settings["step_s"], self._settings["step_width_m"]
        offset = steady_offset(command[:, :2], width_m, side, rate, step_s)
        gain = np.stack(
            [self._settings["placement_gain_x"], self._settings["placement_gain_y"]], axis=-1
        )
        return offset * gain

    def _swinging_target(
        self, body: BodyPose, joints: NDArray[np.intp], command: FloatArray
    ) -> FloatArray:
        """Targets of the swinging leg's drives, shape (N, c)."""
        own, robots, spec = self._settings, self._robots, self._spec
        swinging = 1 - self._standing
        side, step_s = self._side[swinging], own["step_s"]
        rate, point, _ = self._pendulum(body)
        left_s = np.maximum(step_s - self._time_s, 0.0)
        place = at_touchdown(point, np.zeros_like(point), rate, left_s)
        place = place - self._steady(command, rate, side)
        outward = side * place[:, 1] + own["placement_outward_m"]
        goal = np.zeros_like(self._lifted_m)
        goal[:, 0] = np.clip(place[:, 0] + own["placement_x_m"], *_FORWARD_M)
        goal[:, 1] = side * np.clip(outward, *_OUTWARD_M)
        # Where the foot should be now, from the standing one, and how fast it should go.
        share, pace = _eased(self._time_s / (_ARRIVES * step_s))
        way = goal - self._lifted_m
        wanted = self._lifted_m + way * share[:, None]
        speed = way * (pace / (_ARRIVES * step_s))[:, None]
        rise, rise_mps = self._rise()
        wanted[:, 2] += rise
        standing = body.foot_m[robots, self._standing]
        # The standing foot rests on the ground; against the base it moves as the ground does.
        ground_mps = -body.velocity_mps - cross(body.rate_radps, standing)
        speed[:, :2] += ground_mps[:, :2]
        speed[:, 2] = ground_mps[:, 2] + rise_mps
        # The sole level, and half of the turn that this step makes ahead.
        heading = 0.5 * command[:, 2] * step_s * share
        turn = body.foot_turn[robots, swinging]
        ahead = np.stack([np.cos(heading), np.sin(heading), np.zeros_like(heading)], axis=-1)
        tilt = cross(turn[:, :, 2], np.broadcast_to([0.0, 0.0, 1.0], ahead.shape)).copy()
        tilt[:, 2] = cross(turn[:, :, 0], ahead)[:, 2]
        error = np.concatenate([wanted - self._between_feet(body), tilt], axis=1)
        motion = np.concatenate([speed, -body.rate_radps], axis=1)
        jacobian = body.jacobian[robots, swinging]
        bend, turn_radps = _solved(jacobian, error), _solved(jacobian, motion)
        bend = np.clip(bend, -_LARGEST_BEND_RAD, _LARGEST_BEND_RAD)
        turn_radps = np.clip(turn_radps, -_LARGEST_SPEED_RADPS, _LARGEST_SPEED_RADPS)
        kp, kd = spec.kp_nm_per_rad[joints], spec.kd_nms_per_rad[joints]
        soft = self._is_soft[swinging]
        stiffness = np.where(soft, kp, own["swing_stiffness_nm_per_rad"][:, None])
        damping = np.where(soft, 0.0, own["swing_damping_nms_per_rad"][:, None])
        slower = turn_radps - np.take_along_axis(body.speed_radps, joints, axis=1)
        effort = stiffness * bend + kd * turn_radps + damping * slower
        return np.take_along_axis(body.position_rad, joints, axis=1) + effort / kp

    def _rise(self) -> tuple[FloatArray, FloatArray]:
        """Height of the swinging sole over the ground and its speed, shapes (N,)."""
        step_s, lift_m = self._settings["step_s"], self._settings["lift_m"]
        share = np.clip(self._time_s / step_s, 0.0, 1.0)
        late_s = np.maximum(self._time_s - step_s, 0.0)
        rise = lift_m * np.sin(np.pi * share) - _LOWERING_MPS * late_s
        speed = lift_m * np.pi / step_s * np.cos(np.pi * share)
        return rise, np.where(late_s > 0.0, -_LOWERING_MPS, speed)

    def _standing_target(
        self, body: BodyPose, joints: NDArray[np.intp], command: FloatArray
    ) -> FloatArray:
        """Targets of the standing leg's drives, shape (N, c)."""
        own, robots = self._settings, self._robots
        rate, point, com = self._pendulum(body)
        foot = body.foot_m[robots, self._standing]
        side = self._side[self._standing]
        up = own["height_stiffness_n_per_m"] * (own["base_height_m"] + foot[:, 2])
        up -= own["height_damping_ns_per_m"] * body.velocity_mps[:, 2]
        vertical_n = np.clip(self._legs.total_mass_kg * GRAVITY_MPS2 + up, 50.0, 700.0)
        roll_nm = -own["roll_stiffness_nm_per_rad"] * body.roll_rad
        roll_nm -= own["roll_damping_nms_per_rad"] * body.rate_radps[:, 0]
        pitch_nm = own["pitch_stiffness_nm_per_rad"] * (own["pitch_rad"] - body.pitch_rad)
        pitch_nm -= own["pitch_damping_nms_per_rad"] * body.rate_radps[:, 1]
        # The centre of pressure follows the capture point's error.
        growth = np.exp(rate * self._time_s)[:, None]
        error = point - self._steady(command, rate, side) * growth
        length, width = _SOLE_HALF_M
        along = np.clip(own["sole_gain_x"] * error[:, 0], -length, length) * vertical_n
        across = np.clip(own["sole_gain_y"] * error[:, 1], -width, width) * vertical_n
        # Moment of the ground's force about the centre of mass: r x F + M.
        arm = foot - com
        depth = np.minimum(arm[:, 2], -0.3)
        largest = own["friction"] * vertical_n
        side_n = np.clip((arm[:, 1] * vertical_n + across - roll_nm) / depth, -largest, largest)
        ahead_n = np.clip((pitch_nm + arm[:, 0] * vertical_n + along) / depth, -largest, largest)
        force = np.stack([ahead_n, side_n, vertical_n], axis=-1)
        yaw_nm = own["yaw_damping_nms_per_rad"] * (command[:, 2] - body.rate_radps[:, 2])
        yaw_nm = np.clip(yaw_nm - cross(arm, force)[:, 2], -_LARGEST_YAW_NM, _LARGEST_YAW_NM)
        wrench = np.concatenate([force, np.stack([across, -along, yaw_nm], axis=-1)], axis=1)
        jacobian = body.jacobian[robots, self._standing]
        effort = -turned(np.swapaxes(jacobian, 1, 2), wrench)
        position = np.take_along_axis(body.position_rad, joints, axis=1)
        return position + effort / self._spec.kp_nm_per_rad[joints]


def _eased(share: FloatArray) -> tuple[FloatArray, FloatArray]:
    """From 0 to 1 without a jerk, and its slope; both at rest outside."""
    s = np.clip(share, 0.0, 1.0)
    return s**3 * (10.0 - 15.0 * s + 6.0 * s**2), 30.0 * s**2 * (1.0 - s) ** 2


def _solved(jacobian: FloatArray, wanted: FloatArray) -> FloatArray:
    """Joint motion (N, c) for a foot's (N, 6), damped near a straight knee."""
    across = np.swapaxes(jacobian, 1, 2)
    square = jacobian @ across + 1e-4 * np.eye(6)
    solved = np.linalg.solve(square, wanted[..., None])[..., 0]
    return turned(across, solved.astype(np.float64))


def _state_at_rest(spec: RobotSpec) -> FloatArray:
    columns = TransitionColumns.of(spec)
    state = np.zeros((1, columns.state_size))
    state[:, columns.projected_gravity.slice] = (0.0, 0.0, -1.0)
    return state
