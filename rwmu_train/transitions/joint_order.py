"""Test that the joint columns are the robot's joints, by the feet that stand still.

States and actions in one and the same wrong order agree with each other in everything. But only
the right order, put through the robot's legs, explains why a foot in contact does not move while
the base does. J = joints, n = rows.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.simulation.foot_kinematics import FootKinematics
from rwmu_train.transitions.dataset import TransitionDataset

FloatArray = NDArray[np.float64]
Order = tuple[int, ...]
"""Column of each joint, in RobotSpec order."""

_SAMPLE_ROWS = 1000
_SCREEN_ROWS = 100
_SCREENED = 5
"""So many of the orders that look best on few rows are looked at on all."""
_FEWEST_ROWS = 200
_LARGEST_SPEED_MPS = 1.0
"""Slips and swings beyond this weigh no more."""
_SURE = 5.0
"""Standard errors by which another order must be better."""
_LEAST_GAIN = 0.025
"""And the share of the feet's speed. Where velocity was estimated from the feet, exchanging two
joints that hardly move gains up to 0.01; two ankles that are really exchanged cost 0.04 up."""
_LARGEST_SHARE = 0.5
"""Feet in contact must move slower than this share of how fast the legs move them."""
_SLOWEST_MPS = 0.03
"""Legs that move their feet slower than this tell nothing: the robot stands."""


class JointOrderTest:
    """Compares orders of the joint columns on the rows in which feet touch the ground."""

    def __init__(self, dataset: TransitionDataset) -> None:
        spec, columns = dataset.spec, dataset.columns
        contact = dataset.contacts[:, [spec.contact_names.index(foot) for foot in spec.foot_names]]
        rows = dataset.member_rows()
        rows = rows[contact[rows].any(axis=1)]
        rows = rows[:: max(1, len(rows) // _SAMPLE_ROWS)]
        sample = dataset.rows[rows].astype(np.float64)
        self._kinematics = FootKinematics(spec)
        self._default = spec.default_position_rad
        self._touches = contact[rows] > 0.5
        self._linear = sample[:, columns.base_linear_velocity_mps.slice]
        self._angular = sample[:, columns.base_angular_velocity_radps.slice]
        self._position = sample[:, columns.joint_position_offset_rad.slice]
        self._velocity = sample[:, columns.joint_velocity_radps.slice]
        self.row_count = len(rows)

    def foot_speed_mps(
        self, order: Order, *, every: int = 1, base_moves: bool = True
    ) -> FloatArray:
        """Mean speed of the feet in contact, were the columns in this order; shape (n / every,).

        Were the base not to move, it would be how fast the legs move their feet.
        """
        column, thin = list(order), slice(None, None, every)
        velocity = self._kinematics.foot_velocity_mps(
            self._linear[thin] * base_moves,
            self._angular[thin] * base_moves,
            self._position[thin][:, column] + self._default,
            self._velocity[thin][:, column],
        )
        speed = np.minimum(np.linalg.norm(velocity, axis=2), _LARGEST_SPEED_MPS)
        touches = self._touches[thin]
        return (speed * touches).sum(axis=1) / touches.sum(axis=1)

    def best(self, orders: Iterable[Order]) -> tuple[Order, FloatArray]:
        """The order under which feet in contact are slowest, and their speed."""
        every = max(1, self.row_count // _SCREEN_ROWS)
        ranked = sorted(
            orders, key=lambda order: float(self.foot_speed_mps(order, every=every).mean())
        )
        tried = [(order, self.foot_speed_mps(order)) for order in ranked[:_SCREENED]]
        return min(tried, key=lambda item: float(item[1].mean()))


def likely_joint_order(
    dataset: TransitionDataset, suspects: Sequence[Order] = ()
) -> tuple[str, ...] | None:
    """Names of the joints in the order in which the columns seem to be.

    Looks at all exchanges of two joints, the usual orders of legs and joint types, `suspects`, and
    on from the best of these.

    Returns:
        None if RobotSpec's order is as good as any, or if the data can't tell: hardly a foot
        touches the ground, the robot stands still, or feet slip under every order.
    """
    test = JointOrderTest(dataset)
    if test.row_count < _FEWEST_ROWS:
        return None
    names = dataset.spec.joint_names
    own: Order = tuple(range(len(names)))
    best, speed = own, test.foot_speed_mps(own)
    candidates = itertools.chain(_exchanges(own), _usual_orders(dataset.spec), suspects)
    while True:
        order, slower = test.best(candidates)
        if not _is_slower(slower, speed):
            break
        best, speed = order, slower
        candidates = _exchanges(best)
    swing = test.foot_speed_mps(best, base_moves=False)
    moves = swing.mean() >= _SLOWEST_MPS
    if best == own or not (moves and speed.mean() < _LARGEST_SHARE * swing.mean()):
        return None
    return tuple(names[best.index(column)] for column in range(len(names)))


def _is_slower(speed: FloatArray, than: FloatArray) -> bool:
    gain = than - speed
    least = max(_SURE * gain.std() / np.sqrt(len(gain)), _LEAST_GAIN * than.mean())
    return bool(gain.mean() > least)


def _exchanges(order: Order) -> Iterator[Order]:
    for i, j in itertools.combinations(range(len(order)), 2):
        changed = list(order)
        changed[i], changed[j] = changed[j], changed[i]
        yield tuple(changed)


def _usual_orders(spec: RobotSpec) -> Iterator[Order]:
    """Leg by leg and type by type, legs in any order; joints are named LEG_TYPE."""
    parts = [(leg, kind) for leg, _, kind in (n.partition("_") for n in spec.joint_names)]
    legs = list(dict.fromkeys(leg for leg, _ in parts))
    kinds = list(dict.fromkeys(kind for _, kind in parts))
    if len(legs) > 6 or sorted(parts) != sorted(itertools.product(legs, kinds)):
        return
    for chosen in itertools.permutations(legs):
        for listed in (
            [(leg, kind) for leg in chosen for kind in kinds],
            [(leg, kind) for kind in kinds for leg in chosen],
        ):
            yield tuple(listed.index(part) for part in parts)
