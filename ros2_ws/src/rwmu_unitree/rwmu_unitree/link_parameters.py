"""Parameters that the policy node has beside its own where it speaks to this robot."""

from __future__ import annotations

from dataclasses import dataclass

from rcl_interfaces.msg import IntegerRange, ParameterDescriptor
from rclpy.node import Node

from rwmu_deploy.contract.errors import ConfigError

_CHOICES = {
    "remote": ("stop", "ignore"),
    "battery": ("watch", "ignore"),
    "velocity": ("cmd_vel", "remote"),
}
_TEXTS = {
    "low_state_topic": ("/lowstate", "unitree_hg/LowState"),
    "battery_topic": ("/lf/bmsstate", "unitree_hg/BmsState"),
    "remote": ("stop", "stop: it must be heard, L2 and B stop for good; ignore: there is none"),
    "battery": ("watch", "watch: it must be heard and charged; ignore: there is none"),
    "velocity": ("cmd_vel", "Where velocity commands come from: cmd_vel, or the remote's sticks"),
}


@dataclass(frozen=True)
class LinkParameters:
    """Read once, at configure.

    Raises:
        ConfigError: A word that is none of its choices; or velocity from a remote that is ignored.
    """

    low_state_topic: str
    battery_topic: str
    mode_machine: int
    """Which hardware is expected."""
    remote: str
    battery: str
    velocity: str

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ConfigError(
                    f"parameter {name} is '{getattr(self, name)}'; allowed are "
                    f"{', '.join(choices)}",
                    fix="Choose one of them.",
                )
        if self.velocity == "remote" and self.remote == "ignore":
            raise ConfigError(
                "parameter velocity is 'remote', and remote is 'ignore'; allowed is only one of "
                "them",
                fix="Use the remote, or take velocity from cmd_vel.",
            )


def declare_link_parameters(node: Node) -> None:
    """Declare them on a node."""
    for name, (default, description) in _TEXTS.items():
        node.declare_parameter(name, default, ParameterDescriptor(description=description))
    number = ParameterDescriptor(description="Hardware: mode_machine of LowState to expect")
    number.integer_range = [IntegerRange(from_value=0, to_value=255, step=1)]
    node.declare_parameter("mode_machine", 5, number)


def read_link_parameters(node: Node) -> LinkParameters:
    """Their values as they are now.

    Raises:
        ConfigError: As `LinkParameters`.
    """
    texts = {name: str(node.get_parameter(name).value) for name in _TEXTS}
    return LinkParameters(mode_machine=int(node.get_parameter("mode_machine").value or 0), **texts)
