"""A loop's memory as JSON, exactly: floats keep their bits, samples become numbers of a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from rwmu_deploy.contract.robot_state import RobotState
from rwmu_deploy.runtime.late_ticks import LateMemory
from rwmu_deploy.runtime.loop_memory import LoopMemory
from rwmu_deploy.runtime.safety_monitor import SafetyDecision, SafetyMemory, SafetyState
from rwmu_deploy.runtime.sensor_gate import GateMemory
from rwmu_deploy.runtime.stand_up import RampMemory
from rwmu_deploy.runtime.velocity_command import VelocityMemory

_KINDS: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        GateMemory,
        LateMemory,
        LoopMemory,
        RampMemory,
        SafetyDecision,
        SafetyMemory,
        VelocityMemory,
    )
}


def memory_to_json(memory: LoopMemory, number_of: Callable[[RobotState], int]) -> Any:
    """What `memory_from_json` reads.

    Args:
        memory: The memory.
        number_of: A sample's number.
    """

    def plain(value: Any) -> Any:
        if isinstance(value, SafetyState):
            return {"state": value.name}
        if isinstance(value, RobotState):
            return {"sample": number_of(value)}
        if is_dataclass(value) and not isinstance(value, type):
            entries = {field.name: plain(getattr(value, field.name)) for field in fields(value)}
            return {"kind": type(value).__name__, "fields": entries}
        if isinstance(value, np.ndarray):
            return {"array": [plain(number) for number in value.tolist()]}
        if isinstance(value, tuple):
            return {"tuple": [plain(entry) for entry in value]}
        if isinstance(value, Mapping):
            return {"map": {key: plain(entry) for key, entry in value.items()}}
        if isinstance(value, float) and not math.isfinite(value):
            return {"float": str(value)}  # JSON has none of these
        assert value is None or isinstance(value, (str, bool, int, float)), type(value)
        return value

    return plain(memory)


def memory_from_json(document: Any, samples: list[RobotState]) -> LoopMemory:
    """Read what `memory_to_json` wrote.

    Raises:
        ValueError, KeyError, TypeError, IndexError: It is something else.
    """

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        if "kind" in value:
            kind = _KINDS[value["kind"]]
            return kind(**{name: read(entry) for name, entry in value["fields"].items()})
        (key, content), *others = value.items()
        if others:
            raise ValueError(f"memory with the keys {sorted(value)}")
        if key == "state":
            return SafetyState[content]
        if key == "sample":
            return samples[content]
        if key == "array":
            return np.array([read(number) for number in content], dtype=np.float64)
        if key == "tuple":
            return tuple(read(entry) for entry in content)
        if key == "map":
            return {name: read(entry) for name, entry in content.items()}
        if key == "float":
            return float(content)
        raise ValueError(f"memory with the key {key}")

    memory = read(document)
    if not isinstance(memory, LoopMemory):
        raise ValueError("memory of something else")
    return memory
