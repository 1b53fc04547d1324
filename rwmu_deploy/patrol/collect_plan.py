"""What a session of collecting is to do: area, commands, noise, limits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.patrol.autonomous_walk import WalkLimits
from rwmu_deploy.patrol.command_scheduler import SchedulePlan
from rwmu_deploy.patrol.excitation import Excitation
from rwmu_deploy.patrol.velocity_fence import FenceSettings
from rwmu_deploy.patrol.walking_area import Rectangle, WalkingArea
from rwmu_deploy.patrol.walking_response import WalkingResponse

BATTERY_HYSTERESIS = 0.05


@dataclass(frozen=True)
class CollectPlan:
    """A session of collecting.

    Raises:
        ConfigError: A number is out of range.
    """

    area: WalkingArea = field(default_factory=lambda: WalkingArea(Rectangle(8.0, 6.0)))
    """About the origin: where the robot stood, and looked along x, when the origin was set."""
    fence: FenceSettings = field(default_factory=lambda: FenceSettings(margin_m=0.4))
    response: WalkingResponse = field(
        default_factory=lambda: WalkingResponse((1.1, 1.1, 1.1), (0.3, 0.3, 0.3), 0.1)
    )
    """How the robot follows commands; gains and times that are too large are on the safe side."""
    schedule: SchedulePlan = field(default_factory=SchedulePlan)
    excitation: Excitation = field(default_factory=Excitation)
    limits: WalkLimits = field(default_factory=lambda: WalkLimits(3600.0))
    battery_floor: float = 0.2
    """The robot stands with less charge than this share, where its battery is known."""
    seed: int = 0
    """Of commands and noise."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.battery_floor <= 0.9:
            raise ConfigError(
                f"battery_floor is {self.battery_floor}; allowed is 0 to 0.9",
                fix="Give the share of the charge.",
            )
        if not (isinstance(self.seed, int) and self.seed >= 0):
            raise ConfigError(f"seed is {self.seed}; allowed is 0 up", fix="Give such a number.")

    def to_dict(self) -> dict[str, Any]:
        """For JSON and YAML; infinities become None."""
        return _plain(asdict(self))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CollectPlan:
        """The plan of `to_dict`, or a part of it: the rest is as by default.

        Raises:
            ConfigError: There is an unknown name, or a value is out of range.
        """
        return _filled(cls, cls().to_dict(), values, "plan")


def read_plan(path: Path) -> CollectPlan:
    """A plan from a YAML file, in the names of `CollectPlan`.

    Raises:
        ConfigError: The file can't be read, or holds no plan.
    """
    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            f"plan {path} can't be read: {error}", fix="Give a YAML file, as docs/hardware.md has."
        ) from error
    if not isinstance(values, Mapping):
        raise ConfigError(
            f"plan {path} holds {type(values).__name__}; allowed are names with values",
            fix="See docs/hardware.md.",
        )
    return CollectPlan.from_dict(values)


def _filled(kind: Any, default: Mapping[str, Any], values: Mapping[str, Any], where: str) -> Any:
    names = [entry.name for entry in fields(kind)]
    for name in values:
        if name not in names:
            raise ConfigError(
                f"{where} has no '{name}'; allowed is {', '.join(names)}",
                fix="Correct or remove it.",
            )
    hints = get_type_hints(kind)
    filled: dict[str, Any] = {}
    for name in names:
        path = f"{where}.{name}"
        given = values[name] if name in values else default.get(name)
        if is_dataclass(hints[name]):
            if not isinstance(given, Mapping):
                raise ConfigError(
                    f"{path} is {given}; allowed are names with values", fix="Correct it."
                )
            filled[name] = _filled(hints[name], default.get(name) or {}, given, path)
        elif name == "keep_out":
            filled[name] = tuple(
                _filled(Rectangle, {}, rectangle, f"{path}[{number}]")
                for number, rectangle in enumerate(_sequence(given or (), path))
            )
        else:
            filled[name] = _value(given, default.get(name), path)
    try:
        return kind(**{name: value for name, value in filled.items() if value is not None})
    except TypeError as error:
        raise ConfigError(f"{where} is not whole: {error}", fix="Add what is missing.") from error


def _value(given: Any, default: Any, path: str) -> Any:
    """A number, a row of numbers, or None where the default is meant."""
    if isinstance(given, list | tuple):
        return tuple(_value(entry, None, path) for entry in given)
    if given is None and default is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise ConfigError(f"{path} is {given!r}; allowed are numbers", fix="Correct it.")
    return given


def _sequence(given: Any, path: str) -> list[Mapping[str, Any]]:
    if not isinstance(given, list | tuple) or not all(isinstance(e, Mapping) for e in given):
        raise ConfigError(
            f"{path} is {given!r}; allowed is a list of rectangles", fix="See docs/hardware.md."
        )
    return list(given)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
