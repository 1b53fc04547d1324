"""How a simulated robot differs from its model file, by name.

`nominal` changes nothing. `field` stands in for a real robot: a policy that was trained on
nominal data meets masses, friction, drives and sensors that it has not seen. Its values are
choices of this project, of the size that public identification and randomisation ranges have.
N = robots, J = joints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.named_choice import find_by_name

FloatArray = NDArray[np.float64]

FRICTION_LEVELS = 9
"""Friction takes one of this many evenly spaced values, so that N robots share as many models."""
# Keeps what a variant draws apart from everything else that is drawn with the same seed.
_STREAM = 0x56415249


@dataclass(frozen=True)
class RobotVariant:
    """Differences from the model file. The defaults are none.

    Raises:
        ConfigError: A value is out of its range.
    """

    name: str
    payload_mass_kg: float = 0.0
    """A uniform cube, fixed where the robot's model has its site `payload`: one face lies on the
    site, the cube stands along the site's z axis."""
    payload_edge_m: float = 0.0
    ground_friction: tuple[float, float] | None = None
    """Range of the sliding friction of all contacts, drawn once a robot; None: the model's."""
    joint_damping_factor: float = 1.0
    """On the viscous damping of every joint, which is not the kd of its controller."""
    armature_factor: float = 1.0
    """On the rotor inertia of every joint."""
    weak_actuator_strength: float = 1.0
    """On gains and largest torque of one actuator a robot; the joints take turns."""
    actuation_delay_s: float = 0.0
    """Time from a command to the first physics step that it acts on."""
    encoder_bias_rad: float = 0.0
    """Half width of a constant, uniform error of every joint position. The joint's controller
    regulates the biased position too."""
    angular_velocity_bias_radps: float = 0.0
    """Half width of a constant, uniform error of each axis."""
    angular_velocity_noise_radps: float = 0.0
    """Standard deviation of white noise on each axis, new at every measurement."""
    gravity_bias: float = 0.0
    """As for angular velocity, on the gravity direction before it is brought to length 1."""
    gravity_noise: float = 0.0

    def __post_init__(self) -> None:
        for name, value in self.to_dict().items():
            if isinstance(value, float) and not 0.0 <= value < np.inf:
                raise self._error(name, "a finite number from 0 up")
        lower, upper = self.ground_friction or (1.0, 1.0)
        if not 0.0 < lower <= upper < np.inf:
            raise self._error("ground_friction", "a range above 0")

    def to_dict(self) -> dict[str, Any]:
        """All values, as they go into a sidecar."""
        return asdict(self)

    def draw(self, count: int, joint_count: int, seed: int) -> DrawnRobots:
        """Draw what differs from robot to robot; equal arguments give equal robots."""
        rng = np.random.default_rng([_STREAM, seed])
        friction = None
        if self.ground_friction is not None:
            friction = rng.choice(np.linspace(*self.ground_friction, FRICTION_LEVELS), count)
        encoder_bias_rad = _uniform(rng, self.encoder_bias_rad, (count, joint_count))
        angular_velocity_bias_radps = _uniform(rng, self.angular_velocity_bias_radps, (count, 3))
        gravity_bias = _uniform(rng, self.gravity_bias, (count, 3))
        # Last, so that a weak actuator changes nothing else that is drawn.
        weak_joint = (rng.integers(joint_count) + np.arange(count)) % joint_count
        strength = np.ones((count, joint_count))
        strength[np.arange(count), weak_joint] = self.weak_actuator_strength
        return DrawnRobots(
            ground_friction=friction,
            actuator_strength=strength,
            encoder_bias_rad=encoder_bias_rad,
            angular_velocity_bias_radps=angular_velocity_bias_radps,
            gravity_bias=gravity_bias,
        )

    def _error(self, name: str, allowed: str) -> ConfigError:
        return ConfigError(
            f"robot variant '{self.name}': {name} is {getattr(self, name)}; allowed is {allowed}",
            fix="Correct it.",
        )


@dataclass(frozen=True)
class DrawnRobots:
    """N robots of a variant."""

    ground_friction: FloatArray | None
    """Shape (N,); None: the model's."""
    actuator_strength: FloatArray
    """Factor on gains and largest torque, shape (N, J)."""
    encoder_bias_rad: FloatArray
    """Measured minus true joint position, shape (N, J)."""
    angular_velocity_bias_radps: FloatArray
    """Shape (N, 3)."""
    gravity_bias: FloatArray
    """Shape (N, 3)."""


NOMINAL = RobotVariant("nominal")
FIELD = RobotVariant(
    "field",
    # A box of instruments, an arm's base, a backpack: 6 to 9 % of the mass of the robots here.
    payload_mass_kg=3.0,
    payload_edge_m=0.12,
    ground_friction=(0.5, 0.9),
    joint_damping_factor=1.4,
    armature_factor=1.2,
    actuation_delay_s=0.02,
    encoder_bias_rad=0.02,
    angular_velocity_bias_radps=0.02,
    angular_velocity_noise_radps=0.02,
    gravity_bias=0.01,
    gravity_noise=0.005,
)
VARIANTS: Mapping[str, RobotVariant] = {variant.name: variant for variant in (NOMINAL, FIELD)}


def find_variant(name: str) -> RobotVariant:
    """A variant by name.

    Raises:
        ConfigError: There is no such variant.
    """
    return find_by_name(VARIANTS, name, "robot variant")


def _uniform(rng: np.random.Generator, half_width: float, shape: tuple[int, int]) -> FloatArray:
    return rng.uniform(-half_width, half_width, shape)
