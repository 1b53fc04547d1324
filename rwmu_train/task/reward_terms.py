"""Reward terms as pure functions, for the simulated and the imagined robot alike.

N = robots, J = joints, F = feet. Each term returns shape (N,), before its weight and before dt.
Weights and formulas: RWM (arXiv:2501.10100) table S6; Isaac Lab 2.3 velocity task; those of the
foot clearance: unitree_rl_lab e72a072.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.foot_columns import foot_columns
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.transition_columns import TransitionColumns

TRACKING_VARIANCE = 0.25
"""Squared width of the tracking kernels (Isaac Lab std 0.5; the papers' sigma = 0.25)."""
AIR_TIME_TARGET_S = 0.5
MOVING_COMMAND = 0.1
"""Commands with a smaller planar norm [m/s] ask for standing."""
CLEARANCE_M = 0.065
"""Height of a swinging foot's sole; the source's 0.1 is that of an ankle 0.035 above its sole."""
CLEARANCE_VARIANCE_M2 = 0.05
CLEARANCE_SPEED_MPS = 0.5
"""A foot that moves along the ground much faster than this swings: tanh(speed / 0.5)."""


@dataclass(frozen=True)
class StepRecord:
    """What happened to all robots in one control step."""

    columns: TransitionColumns
    state: Tensor
    """State after the step, shape (N, S)."""
    previous_state: Tensor
    """State before the step, shape (N, S)."""
    action: Tensor
    """Applied action, shape (N, J)."""
    previous_action: Tensor
    penalised_contact: Tensor
    """0 or 1 for bodies that should not touch the ground, shape (N, bodies)."""
    touchdown_air_time_s: Tensor
    """Time in the air of feet that touched down in this step, else 0. Shape (N, feet)."""
    touchdown: Tensor
    """1 where a foot touched down in this step, shape (N, feet)."""
    command: Tensor
    """vx, vy [m/s], wz [rad/s], shape (N, 3)."""
    foot_height_m: Tensor
    """Of the soles over the ground, shape (N, F); (N, 0) where nobody knows."""
    foot_speed_mps: Tensor
    """Of the soles along the ground, likewise."""
    posture_joint: Tensor
    """Indices of the joints that should stay near their default positions."""
    default_position_rad: Tensor
    dt_s: float


def linear_velocity_tracking(r: StepRecord) -> Tensor:
    """exp(-|v_xy - command_xy|^2 / 0.25)."""
    velocity = r.state[:, r.columns.base_linear_velocity_mps.slice]
    return torch.exp(-(r.command[:, :2] - velocity[:, :2]).square().sum(1) / TRACKING_VARIANCE)


def yaw_rate_tracking(r: StepRecord) -> Tensor:
    """exp(-(w_z - command_wz)^2 / 0.25)."""
    rate = r.state[:, r.columns.base_angular_velocity_radps.slice]
    return torch.exp(-(r.command[:, 2] - rate[:, 2]).square() / TRACKING_VARIANCE)


def vertical_velocity(r: StepRecord) -> Tensor:
    """v_z^2."""
    return r.state[:, r.columns.base_linear_velocity_mps.slice][:, 2].square()


def roll_pitch_rate(r: StepRecord) -> Tensor:
    """w_x^2 + w_y^2."""
    return r.state[:, r.columns.base_angular_velocity_radps.slice][:, :2].square().sum(1)


def joint_torque(r: StepRecord) -> Tensor:
    """Sum of squared torques."""
    return r.state[:, r.columns.joint_torque_nm.slice].square().sum(1)


def joint_acceleration(r: StepRecord) -> Tensor:
    """Sum of squared joint accelerations, from joint VELOCITIES."""
    velocity = r.columns.joint_velocity_radps.slice
    change = r.state[:, velocity] - r.previous_state[:, velocity]
    return (change / r.dt_s).square().sum(1)


def action_rate(r: StepRecord) -> Tensor:
    """Sum of squared changes of the action."""
    return (r.action - r.previous_action).square().sum(1)


def feet_air_time(r: StepRecord) -> Tensor:
    """Sum over feet at touch-down of (air time - 0.5 s), while asked to move."""
    moving = r.command[:, :2].norm(dim=1) > MOVING_COMMAND
    return ((r.touchdown_air_time_s - AIR_TIME_TARGET_S) * r.touchdown).sum(1) * moving


def undesired_contacts(r: StepRecord) -> Tensor:
    """Number of bodies touching that should not."""
    return r.penalised_contact.sum(1)


def flat_orientation(r: StepRecord) -> Tensor:
    """g_x^2 + g_y^2 of the projected gravity."""
    return r.state[:, r.columns.projected_gravity.slice][:, :2].square().sum(1)


def foot_clearance(r: StepRecord) -> Tensor:
    """exp(-sum over feet of (height - 0.065)^2 tanh(2 speed) / 0.05): moving feet are high."""
    low = (r.foot_height_m - CLEARANCE_M).square()
    swinging = torch.tanh(r.foot_speed_mps / CLEARANCE_SPEED_MPS)
    return torch.exp(-(low * swinging).sum(1) / CLEARANCE_VARIANCE_M2)


def joint_deviation(r: StepRecord) -> Tensor:
    """Sum of |joint offset| over the joints that walking leaves at rest."""
    offset = r.state[:, r.columns.joint_position_offset_rad.slice]
    return offset[:, r.posture_joint].abs().sum(1)


def stand_still(r: StepRecord) -> Tensor:
    """Sum of |joint offset| while the command is zero (a term of the released code)."""
    standing = r.command.norm(dim=1) < 0.05
    return r.state[:, r.columns.joint_position_offset_rad.slice].abs().sum(1) * standing


REWARD_TERMS: Mapping[str, Callable[[StepRecord], Tensor]] = {
    term.__name__: term
    for term in (
        linear_velocity_tracking,
        yaw_rate_tracking,
        vertical_velocity,
        roll_pitch_rate,
        joint_torque,
        joint_acceleration,
        action_rate,
        feet_air_time,
        undesired_contacts,
        flat_orientation,
        foot_clearance,
        joint_deviation,
        stand_still,
    )
}

TRACKING_TERMS = ("linear_velocity_tracking", "yaw_rate_tracking")


def refuse_unmeasured(spec: RobotSpec, weights: Mapping[str, float]) -> None:
    """Do nothing where a robot has what its reward terms measure.

    Raises:
        ConfigError: A term would be the same whatever the robot does.
    """
    for term, has_it, needed in (
        ("foot_clearance", foot_columns(spec) is not None, "foot columns in extension_names"),
        ("joint_deviation", bool(spec.posture_joints), "posture_joints"),
    ):
        if weights.get(term, 0.0) != 0.0 and not has_it:
            raise ConfigError(
                f"the reward has the term {term}, and {spec.name} states no {needed}",
                fix="Add them to robot.yaml, or take the term out of the task's reward table.",
            )


def weighted_terms(record: StepRecord, weights: Mapping[str, float]) -> dict[str, Tensor]:
    """Every named term times its weight and dt, each of shape (N,).

    Raises:
        ConfigError: A name is not a reward term.
    """
    unknown = sorted(set(weights) - set(REWARD_TERMS))
    if unknown:
        raise ConfigError(
            f"no reward term {', '.join(unknown)}; allowed are {', '.join(REWARD_TERMS)}",
            fix="Correct the task's reward table.",
        )
    return {
        name: REWARD_TERMS[name](record) * (weight * record.dt_s)
        for name, weight in weights.items()
        if weight != 0.0
    }
