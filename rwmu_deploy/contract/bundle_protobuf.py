"""Read the protobuf wire format of untrusted bytes, one level at a time.

Only fields that the caller names may occur; lengths are checked against what is there before
anything is sliced, nothing is copied, and the number of fields is bounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rwmu_deploy.contract.errors import BundleError

MAX_FIELDS = 100_000
"""Fields in one model, all levels together; an ordinary policy has about 500."""

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_FIX = "Export the bundle again with rwmu-export --onnx."


@dataclass(frozen=True)
class FieldRule:
    """A field that may occur in a message."""

    name: str
    wire_types: tuple[int, ...]
    repeated: bool = False


def one(name: str, wire_type: int = BYTES) -> FieldRule:
    """A field that may occur once; parsers would merge a message that occurs twice."""
    return FieldRule(name, (wire_type,))


def many(name: str, *wire_types: int) -> FieldRule:
    """A field that may occur any number of times."""
    return FieldRule(name, wire_types or (BYTES,), repeated=True)


@dataclass(frozen=True)
class Message:
    """The fields of one message: integers for VARINT, memory views for everything else."""

    where: str
    fields: Mapping[str, list[int | memoryview]]

    def views(self, name: str) -> list[memoryview]:
        """All occurrences of a field with bytes."""
        return [value for value in self.fields.get(name, []) if isinstance(value, memoryview)]

    def view(self, name: str) -> memoryview | None:
        """The only occurrence of a field with bytes, or None."""
        return next(iter(self.views(name)), None)

    def texts(self, name: str) -> list[str]:
        """All occurrences of a text field."""
        return [self._text(view, name) for view in self.views(name)]

    def text(self, name: str) -> str:
        """The only occurrence of a text field, "" if it is absent."""
        return next(iter(self.texts(name)), "")

    def integer(self, name: str, absent: int = 0) -> int:
        """The only occurrence of an integer field."""
        value = next(iter(self.fields.get(name, [])), absent)
        assert isinstance(value, int), name
        return value

    def integers(self, name: str, at_most: int) -> list[int]:
        """All integers of a repeated field, packed or not."""
        found: list[int] = []
        for value in self.fields.get(name, []):
            if isinstance(value, int):
                found.append(value)
                continue
            position = 0
            while position < len(value) and len(found) <= at_most:
                number, position = _varint(value, position, f"{self.where}.{name}")
                found.append(number)
        if len(found) > at_most:
            raise refused(f"{self.where}.{name} has more than {at_most} entries")
        return found

    def _text(self, view: memoryview, name: str) -> str:
        try:
            return str(view, "utf-8")
        except UnicodeDecodeError:
            raise refused(f"{self.where}.{name} is not UTF-8") from None


class WireReader:
    """Reads the messages of one model and counts its fields."""

    def __init__(self) -> None:
        self._fields_left = MAX_FIELDS

    def message(self, data: memoryview, rules: Mapping[int, FieldRule], where: str) -> Message:
        """Fields of one message; nested messages stay bytes.

        Args:
            data: The message.
            rules: Field number -> what may stand there.
            where: The message's place, for errors.

        Raises:
            BundleError: A field that no rule names, a wrong wire type, a doubled field, a length
                beyond the end, or too many fields.
        """
        fields: dict[str, list[int | memoryview]] = {}
        position = 0
        while position < len(data):
            tag, position = _varint(data, position, where)
            number, wire_type = tag >> 3, tag & 7
            rule = rules.get(number) if tag < 2**32 else None
            if rule is None:
                raise refused(f"{where} has field {number}, which no bundle needs")
            if wire_type not in rule.wire_types:
                raise refused(f"{where}.{rule.name} has wire type {wire_type}")
            if rule.name in fields and not rule.repeated:
                raise refused(f"{where}.{rule.name} stands there twice")
            self._fields_left -= 1
            if self._fields_left < 0:
                raise refused(f"the model has more than {MAX_FIELDS} fields")
            value: int | memoryview
            if wire_type == VARINT:
                value, position = _varint(data, position, where)
            else:
                length = {FIXED64: 8, FIXED32: 4}.get(wire_type, -1)
                if length < 0:
                    length, position = _varint(data, position, where)
                if not length <= len(data) - position:
                    raise refused(
                        f"{where}.{rule.name} claims {length} bytes, "
                        f"{len(data) - position} are left"
                    )
                value = data[position : position + length]
                position += length
            fields.setdefault(rule.name, []).append(value)
        return Message(where, fields)


def refused(problem: str) -> BundleError:
    """The error of a model that may not be loaded."""
    shown = problem if len(problem) <= 300 else problem[:300] + "..."
    return BundleError(shown, fix=_FIX)


def _varint(data: memoryview, position: int, where: str) -> tuple[int, int]:
    """An unsigned integer of at most 64 bits, and the position behind it."""
    value = 0
    for index in range(10):
        if position >= len(data):
            raise refused(f"{where} ends inside a number")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            if value >= 2**64:
                raise refused(f"{where} has a number above 64 bits")
            return value, position
    raise refused(f"{where} has a number longer than 10 bytes")
