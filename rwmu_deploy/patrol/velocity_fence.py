"""Lets a velocity command through only where the robot stays inside its area with it.

Section "real-world data collection" of RWM-U: a rectangle about the origin of odometry, commands
whose motion would leave it are drawn again, and after several the robot walks home. Ours looks
ahead with the robot's measured response, to where it would stand if it were told to stop just
after the next look, and widens its margin as odometry drifts.

Pure: pose, velocity, way and candidates are passed in. N = robots side by side, () for one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.patrol.walking_area import WalkingArea
from rwmu_deploy.patrol.walking_response import WalkingResponse

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
_HOME_DIRECTIONS = 16
CENTRED_M = 0.25
"""This near its middle a robot has come home."""
_DETOUR = 1.5
"""Of a way home over the straight one."""


@dataclass(frozen=True)
class FenceSettings:
    """How careful to be.

    Raises:
        ConfigError: A number is out of range.
    """

    margin_m: float = 0.3
    """Kept to the edge by a robot whose odometry is right: pushes, errors of the response."""
    drift_share: float = 0.02
    """Error of odometry over the way walked since the origin was set."""
    largest_drift_m: float = 0.5
    """Beyond it the origin has to be set again."""
    look_s: float = 0.2
    """Time until the next look, at the latest."""
    home_depth_share: float = 0.5
    """A robot on its way home is free again at this share of the deepest place."""
    home_speed_mps: float = 0.4
    """Of the command that leads home; raised where a robot does not get going at it."""

    def __post_init__(self) -> None:
        ranges = {
            "margin_m": (0.0, 10.0),
            "drift_share": (0.0, 0.5),
            "largest_drift_m": (0.0, 10.0),
            "look_s": (0.01, 1.0),
            "home_depth_share": (0.1, 0.9),
            "home_speed_mps": (0.05, 2.0),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(
                    f"fence {name} is {value}; allowed is {low:g} to {high:g}",
                    fix="Correct the number.",
                )


class VelocityFence:
    """Judges commands of robots inside an area.

    Args:
        area: Where they may walk.
        response: How they follow commands.
        command_range: What they may be told.
        settings: Margins.

    Raises:
        ConfigError: The area is so small that a robot in its middle could not stop inside it.
    """

    def __init__(
        self,
        area: WalkingArea,
        response: WalkingResponse,
        command_range: CommandRange,
        settings: FenceSettings,
    ) -> None:
        self.area = area
        self.settings = settings
        self._response = response
        self._range = command_range
        boundary = area.boundary
        self.fastest_mps = min(
            abs(limit) for side in (command_range.lower, command_range.upper) for limit in side[:2]
        )
        """Command that is allowed in every direction."""
        self.deepest_m = 0.5 * min(boundary.length_m, boundary.width_m)
        fastest_mps = max(
            abs(limit) * gain
            for side in (command_range.lower, command_range.upper)
            for limit, gain in zip(side[:2], response.gain[:2], strict=True)
        )
        stopping_m = response.stopping_distance_m(fastest_mps) + fastest_mps * settings.look_s
        needed_m = settings.margin_m + settings.largest_drift_m + stopping_m
        if not self.deepest_m > needed_m:
            raise ConfigError(
                f"a fence of {boundary.length_m:g} m x {boundary.width_m:g} m leaves "
                f"{self.deepest_m:.2f} m from its middle to its edge; needed are {needed_m:.2f} m "
                f"to stop from {fastest_mps:.2f} m/s ({stopping_m:.2f} m), for drift "
                f"({settings.largest_drift_m:g} m) and margin ({settings.margin_m:g} m)",
                fix="Fence off a larger area, or allow slower commands.",
            )
        if not area.depth_m(np.asarray(boundary.centre_m)) > needed_m:
            raise ConfigError(
                f"a keep-out zone comes within {needed_m:.2f} m of the middle of the fence, which "
                "is where robots walk home to",
                fix="Move the fence or the zone.",
            )

    def margin_m(self, walked_m: FloatArray | float) -> FloatArray:
        """Margin of a robot that has walked so far since its origin was set, shape (N,)."""
        settings = self.settings
        return settings.margin_m + np.minimum(
            settings.drift_share * np.asarray(walked_m), settings.largest_drift_m
        )

    def origin_is_old(self, pose: FloatArray, walked_m: FloatArray | float) -> BoolArray:
        """Whether robots have to go home now, for their origin to be set again, shape (N,).

        Beyond `largest_drift_m` odometry is not believed; the way home must not lead there.
        """
        way_home_m = _DETOUR * self._to_centre_m(pose)
        drift_m = self.settings.drift_share * (np.asarray(walked_m) + way_home_m)
        return ~(drift_m <= self.settings.largest_drift_m)

    def is_centred(self, pose: FloatArray) -> BoolArray:
        """Whether robots are in the middle, shape (N,)."""
        return self._to_centre_m(pose) <= CENTRED_M

    def is_outside(self, pose: FloatArray) -> BoolArray:
        """Whether robots are beyond the edge itself, shape (N,)."""
        return ~(self.area.depth_m(np.asarray(pose)[..., :2]) >= 0.0)

    def allows(
        self,
        pose: FloatArray,
        velocity: FloatArray,
        told: FloatArray,
        commands: FloatArray,
        walked_m: FloatArray | float,
    ) -> BoolArray:
        """Which commands keep robots inside.

        None does for a robot that is too near the edge already: it has to go home.

        Args:
            pose: x, y, yaw in the odometry's frame, shape (N, 3).
            velocity: vx, vy, wz, base frame, shape (N, 3).
            told: vx, vy, wz commanded now, shape (N, 3).
            commands: K candidates a robot, shape (N, K, 3).
            walked_m: Way since the origin was set, shape (N,).

        Returns:
            Shape (N, K).
        """
        depth = self._depths(pose, velocity, told, commands)
        return depth.min(axis=0) >= self.margin_m(walked_m)[..., None]

    def way_home(
        self,
        pose: FloatArray,
        velocity: FloatArray,
        told: FloatArray,
        walked_m: FloatArray | float,
        speed_mps: float | None = None,
    ) -> FloatArray:
        """The command that leads one robot towards the middle: the allowed one that gains most.

        It walks in any direction without turning. A robot that is too near the edge may do what
        leads it away. Nothing is left to do where no direction is allowed: then it is to stand.

        Args:
            pose: Shape (3,).
            velocity: Shape (3,).
            told: Shape (3,).
            walked_m: Way since the origin was set.
            speed_mps: Of the command; None: the settings'.

        Returns:
            vx, vy, wz, shape (3,).
        """
        angles = np.linspace(0.0, 2.0 * math.pi, _HOME_DIRECTIONS, endpoint=False)
        speed_mps = self.settings.home_speed_mps if speed_mps is None else speed_mps
        directions = speed_mps * np.stack([np.cos(angles), np.sin(angles), 0.0 * angles], axis=-1)
        commands = np.clip(directions, self._range.lower, self._range.upper)
        depth = self._depths(pose, velocity, told, commands)
        margin = self.margin_m(walked_m)
        now = self.area.depth_m(np.asarray(pose)[..., :2])
        # Momentum may take it on for a moment: what counts is where it stands in the end.
        leads_away = (now < margin) & (depth[-1] >= now) & (depth.min(axis=0) >= 0.0)
        allowed = (depth.min(axis=0) >= margin) | leads_away
        centre = np.asarray(self.area.boundary.centre_m)
        path, _ = self._paths(pose, velocity, told, commands, 1.0)
        left_m = np.linalg.norm(path[-1] - centre, axis=-1)
        left_m = np.where(allowed, left_m, np.inf)
        best = int(np.argmin(left_m))
        return commands[best] if np.isfinite(left_m[best]) else np.zeros(3)

    def _depths(
        self, pose: FloatArray, velocity: FloatArray, told: FloatArray, commands: FloatArray
    ) -> FloatArray:
        """Distance to the edge along the way to a stop, shape (T, N, K)."""
        path, _ = self._paths(pose, velocity, told, commands, self.settings.look_s)
        return self.area.depth_m(path)

    def _to_centre_m(self, pose: FloatArray) -> FloatArray:
        away = np.asarray(pose)[..., :2] - np.asarray(self.area.boundary.centre_m)
        return np.linalg.norm(away, axis=-1)

    def _paths(
        self,
        pose: FloatArray,
        velocity: FloatArray,
        told: FloatArray,
        commands: FloatArray,
        hold_s: float,
    ) -> tuple[FloatArray, FloatArray]:
        shape = np.shape(commands)
        pose, velocity, told = (
            np.broadcast_to(np.asarray(each)[..., None, :], shape)
            for each in (pose, velocity, told)
        )
        return self._response.path(pose, velocity, told, np.asarray(commands), hold_s)

    def is_home(self, pose: FloatArray) -> BoolArray:
        """Whether robots are deep enough inside to be free again, shape (N,)."""
        depth = self.area.depth_m(np.asarray(pose)[..., :2])
        return depth >= self.settings.home_depth_share * self.deepest_m
