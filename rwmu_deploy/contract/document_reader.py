"""Values out of a parsed YAML or JSON document, and the name of what is wrong in it."""

from __future__ import annotations

import math
from typing import Any

from rwmu_deploy.contract.errors import RobotSpecError

COMPARE = "Compare it with a robot.yaml under assets/robots; there are no defaults."


class DocumentReader:
    """Reads a robot's document.

    Args:
        source: The document's name in messages.

    Raises:
        RobotSpecError: In every method, where a value is not what is wanted.
    """

    def __init__(self, source: str) -> None:
        self.source = source

    def error(self, key: str, value: Any, allowed: str) -> RobotSpecError:
        return RobotSpecError(
            f"{self.source}: {key} is {value!r}; allowed is {allowed}",
            fix=f"Correct {key} there.",
        )

    def mapping(self, value: Any, key: str, keys: set[str]) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.error(key or "the document", type(value).__name__, "a mapping")
        missing, unknown = sorted(keys - set(value)), sorted(set(value) - keys)
        if missing or unknown:
            said = [f"misses {', '.join(missing)}"] if missing else []
            said += [f"has unknown keys {', '.join(map(str, unknown))}"] if unknown else []
            raise RobotSpecError(
                f"{self.source}: {key or 'the document'} {' and '.join(said)}", fix=COMPARE
            )
        return value

    def sequence(self, value: Any, key: str) -> list[Any]:
        if not isinstance(value, list):
            raise self.error(key, value, "a list")
        return value

    def names(self, value: Any, key: str) -> tuple[str, ...]:
        names = tuple(str(name) for name in self.sequence(value, key))
        if len(set(names)) != len(names):
            raise self.error(key, names, "a list in which every name stands once")
        return names

    def name_pairs(self, value: Any, key: str) -> dict[str, str]:
        if not isinstance(value, dict):
            raise self.error(key, value, "a mapping from names to names")
        return {str(name): str(other) for name, other in value.items()}

    def number(self, value: Any, key: str) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.error(key, value, "a number")
        if not math.isfinite(value):
            raise self.error(key, value, "a finite number")
        return float(value)

    def vector(
        self, mapping: dict[str, Any], parent: str, key: str, allowed: str, size: int
    ) -> tuple[float, ...]:
        name = f"{parent}.{key}"
        vector = tuple(self.number(v, name) for v in self.sequence(mapping[key], name))
        if len(vector) != size:
            raise self.error(name, vector, allowed)
        return vector

    def numbers(
        self, value: Any, key: str, kind: type, text: set[str] | None = None
    ) -> dict[str, Any]:
        entry = self.mapping(value, key, set(kind.__dataclass_fields__))
        return {
            field: str(v) if text and field in text else self.number(v, f"{key}.{field}")
            for field, v in entry.items()
        }
