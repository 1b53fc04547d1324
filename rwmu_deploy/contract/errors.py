"""Errors that name the thing, the value, what is allowed and the next step.

Everything that a file, a message or a user can get wrong raises a subclass of `RwmuError`.
`assert` is kept for our own mistakes.
"""

from __future__ import annotations


class RwmuError(Exception):
    """A problem that its reader can solve, in one line.

    Args:
        problem: What is wrong: the thing, its value, and what is allowed.
        fix: The next step, as an order ("Export again with ...").
    """

    def __init__(self, problem: str, *, fix: str) -> None:
        super().__init__(f"{problem.rstrip('.')}. {fix}")
        self.problem = problem
        self.fix = fix


class ConfigError(RwmuError):
    """A setting, preset or argument is not one of the allowed ones."""


class RobotSpecError(RwmuError):
    """A robot.yaml is missing, incomplete, or contradicts what it is used with."""


class TransitionFileError(RwmuError):
    """A transition CSV or its sidecar can't be read or trusted."""


class BagError(RwmuError):
    """A rosbag can't be read, or lacks what transitions need."""


class CheckpointError(RwmuError):
    """A policy or world-model checkpoint is missing, altered, or of another robot."""


class BundleError(RwmuError):
    """A bundle is missing, altered, or does not fit the robot."""


class RobotLinkError(RwmuError):
    """The robot can't be reached, or answers with something that can't be used."""


class FlightError(RwmuError):
    """A flight recording can't be read or trusted, or is of another bundle."""


class LogError(RwmuError):
    """Transitions can't be written."""
