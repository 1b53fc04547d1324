"""A policy that stands and does nothing else, from the robot's model alone.

For a robot on two flat feet a linear-quadratic regulator about the pose in which they carry it;
one on four points stands by its drives alone, and every action is 0. It needs no training, and is
what a robot is hung up with first: if it does not stand, something between trainer and motors is
wrong, and no policy that walks will do better. It follows no commands.

J = joints, V = velocities of the model, O = observation size.
"""

# mujoco's compiled modules carry no types.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import mujoco
import numpy as np
import torch
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import RobotSpecError
from rwmu_deploy.contract.observation import observation_size, observation_terms
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.simulation.robot_model import RobotModel
from rwmu_train.policy.policy_network import PolicyNetwork
from rwmu_train.reference.stance import Stance, find_stance

FloatArray = NDArray[np.float64]
TILT_COST = 200.0
"""Of a squared angle [rad] of the base, beside `ACTION_COST` of a squared target [rad]."""
JOINT_COST = 5.0
LINEAR_VELOCITY_COST = 50.0
ANGULAR_VELOCITY_COST = 10.0
JOINT_VELOCITY_COST = 0.05
ACTION_COST = 20.0
_STEP = 1e-6
_FIX = "Give it a default pose near one in which it stands."


def standing_policy(spec: RobotSpec) -> PolicyNetwork:
    """A policy that stands.

    Raises:
        RobotSpecError: The robot can't stand near its default pose, or not by itself.
    """
    model = RobotModel(spec)
    stance = find_stance(model)
    size = observation_size(spec)
    weight, bias = np.zeros((spec.joint_count, size)), np.zeros(spec.joint_count)
    if stance.has_flat_feet:
        gain = _regulator(*_linearised(model, stance), _costs(model.mj.nv))
        weight, bias = _of_observation(model, stance, gain)
    # relu(x) - relu(-x) is x: a network that is a linear map.
    network = PolicyNetwork(spec, (2 * size,), "relu")
    first, last = (layer for layer in network.mlp if isinstance(layer, torch.nn.Linear))
    both = np.concatenate([np.eye(size), -np.eye(size)])
    with torch.no_grad():
        first.weight.copy_(torch.from_numpy(both))
        first.bias.zero_()
        last.weight.copy_(torch.from_numpy(np.concatenate([weight, -weight], axis=1)))
        last.bias.copy_(torch.from_numpy(bias))
    return network


def _linearised(model: RobotModel, stance: Stance) -> tuple[FloatArray, FloatArray]:
    """How a control step changes deviations of (position, velocity) without place and heading.

    Returns:
        Shapes (2 V - 4, 2 V - 4) and (2 V - 4, J); the second from deviations of the targets.
    """
    mj, data = model.mj, mujoco.MjData(model.mj)
    data.qpos[:] = stance.qpos
    data.ctrl[model.joint_actuator] = stance.target_rad
    mujoco.mj_forward(mj, data)
    size = 2 * mj.nv
    state, control = np.zeros((size, size)), np.zeros((size, mj.nu))
    mujoco.mjd_transitionFD(mj, data, _STEP, True, state, control, None, None)
    whole, effect = np.eye(size), np.zeros((size, mj.nu))
    for _ in range(model.steps_per(model.spec.control_dt_s)):
        whole, effect = state @ whole, state @ effect + control
    kept = _kept(mj.nv)
    return whole[np.ix_(kept, kept)], effect[kept][:, model.joint_actuator]


def _kept(nv: int) -> list[int]:
    """Without x, y and yaw, which matter to nothing, and height, which follows from the legs."""
    return [index for index in range(2 * nv) if index not in (0, 1, 2, 5)]


def _costs(nv: int) -> FloatArray:
    joints = nv - 6
    return np.array(
        [TILT_COST] * 2
        + [JOINT_COST] * joints
        + [LINEAR_VELOCITY_COST] * 3
        + [ANGULAR_VELOCITY_COST] * 3
        + [JOINT_VELOCITY_COST] * joints
    )


def _regulator(state: FloatArray, control: FloatArray, costs: FloatArray) -> FloatArray:
    """Gain of the linear-quadratic regulator, by Riccati's recursion; shape (J, 2 V - 4).

    Raises:
        RobotSpecError: Nothing regulates it.
    """
    cost = value = np.diag(costs)
    effort = ACTION_COST * np.eye(control.shape[1])
    gain = np.zeros(control.T.shape)
    for _ in range(5000):
        before = gain
        gain = np.linalg.solve(effort + control.T @ value @ control, control.T @ value @ state)
        value = cost + state.T @ value @ (state - control @ gain)
        value = 0.5 * (value + value.T)
        if np.abs(gain - before).max() <= 1e-9 * np.abs(gain).max():
            break
    if not np.abs(np.linalg.eigvals(state - control @ gain)).max() < 1.0 + 1e-5:
        raise RobotSpecError("no regulator keeps this robot standing", fix=_FIX)
    return gain.astype(np.float64)


def _of_observation(
    model: RobotModel, stance: Stance, gain: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Action = weight @ observation + bias; shapes (J, O) and (J,)."""
    spec, joints = model.spec, model.spec.joint_count
    term = {each.name: each for each in observation_terms(spec)}
    tilt, position, linear, angular, rate = np.split(gain, np.cumsum([2, joints, 3, 3]), axis=1)
    x, y, z = spec.simulation.base_com_in_base_m
    # Velocity of the origin = that of the centre of mass - omega x com.
    cross = -np.array([[0.0, z, -y], [-z, 0.0, x], [y, -x, 0.0]])
    weight = np.zeros((joints, observation_size(spec)))

    def put(name: str, block: FloatArray) -> None:
        weight[:, term[name].slice] = block

    # Gravity in the base frame is (pitch, -roll, -1) for small angles.
    gravity = np.zeros((joints, 3))
    gravity[:, 1], gravity[:, 0] = -tilt[:, 0], tilt[:, 1]
    put("projected_gravity", gravity)
    put("base_linear_velocity_mps", linear)
    put("base_angular_velocity_radps", angular + linear @ cross)
    put("joint_position_offset_rad", position)
    put("joint_velocity_radps", rate)
    w, qx, qy, qz = stance.qpos[3:7]
    leaning = np.array([2.0 * (w * qx + qy * qz), 2.0 * (w * qy - qx * qz)])
    offset_rad = stance.qpos[model.joint_qpos] - spec.default_position_rad
    bias_rad = (
        stance.target_rad - spec.default_position_rad + tilt @ leaning + position @ offset_rad
    )
    scale = spec.action_scale[:, None]
    return -weight / scale, bias_rad / scale[:, 0]
