"""What happens to a robot that walks, one thing at a time. No monitor was fitted with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from rwmu_deploy.contract.named_choice import find_by_name
from rwmu_deploy.simulation.robot_variant import FIELD, RobotVariant


@dataclass(frozen=True)
class Disturbance:
    """One thing that happens."""

    name: str
    words: str
    becomes: Callable[[RobotVariant], RobotVariant] = lambda robot: robot
    """The robot that a robot becomes, and stays."""
    push_mps: float = 0.0
    """Change of the base's horizontal velocity, in a random direction, once."""

    @property
    def lasts(self) -> bool:
        """Whether the robot stays another one; a push is over at once."""
        return self.push_mps == 0.0


def _payload(robot: RobotVariant) -> RobotVariant:
    # Of the size of the field robot's, so that both make one.
    return replace(
        robot,
        payload_mass_kg=robot.payload_mass_kg + 3.0,
        payload_edge_m=FIELD.payload_edge_m,
    )


DISTURBANCES: Mapping[str, Disturbance] = {
    each.name: each
    for each in (
        Disturbance("payload", "3 kg of payload", _payload),
        Disturbance(
            "friction",
            "ground friction 0.3",
            lambda robot: replace(robot, ground_friction=(0.3, 0.3)),
        ),
        Disturbance(
            "weak_actuator",
            "one actuator at 50 %",
            lambda robot: replace(robot, weak_actuator_strength=0.5),
        ),
        Disturbance(
            "delay",
            "40 ms from command to torque",
            lambda robot: replace(robot, actuation_delay_s=0.04),
        ),
        Disturbance(
            "encoder_bias",
            "encoders off by up to 0.1 rad",
            lambda robot: replace(robot, encoder_bias_rad=0.1),
        ),
        Disturbance("push", "a push of 1.5 m/s", push_mps=1.5),
    )
}


def find_disturbance(name: str) -> Disturbance:
    """A disturbance by name.

    Raises:
        ConfigError: There is none of this name.
    """
    return find_by_name(DISTURBANCES, name, "disturbance")
