"""Between a message as DDS carries it and the C structure that its checksum is of.

Plain CDR, little-endian: four bytes that say so, then the fields, each aligned to its own size as
counted from there. C aligns structures too, which CDR does not know: an 8-bit field that begins a
structure stands earlier there, once in each of these messages. Everything behind it lies 4 bytes
before its place in C, so a message is converted by cutting it twice, not field by field.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rwmu_deploy.contract.errors import RobotLinkError
from rwmu_deploy.robots.unitree.frames import LOW_COMMAND, LOW_STATE, Frame

HEADER = b"\x00\x01\x00\x00"
"""Plain CDR, little-endian."""
# Where the C structure has padding that CDR lacks, and the byte that stands before it.
_MODE_OF_FIRST_MOTOR = {LOW_COMMAND: 2, LOW_STATE: 70}
_C_ALIGNMENT = 4


def _fields(layout: np.dtype[Any]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """255 where a byte of the structure belongs to a field, 0 where it is padding."""
    mask = np.zeros(layout.itemsize, dtype=np.uint8)

    def mark(part: np.dtype[Any], start: int) -> None:
        if part.subdtype is not None:
            inner, shape = part.subdtype
            for index in range(int(np.prod(shape))):
                mark(inner, start + index * inner.itemsize)
        elif part.fields is not None:
            for inner, offset, *_ in part.fields.values():
                mark(inner, start + offset)
        else:
            mask[start : start + part.itemsize] = 255

    mark(layout, 0)
    return mask


_FIELDS = {layout: _fields(layout) for layout in _MODE_OF_FIRST_MOTOR}


def to_cdr(structure: bytes, layout: np.dtype[Any]) -> bytes:
    """The message that carries a C structure.

    Args:
        structure: As `frames.sealed` gives it.
        layout: `LOW_COMMAND` or `LOW_STATE`.
    """
    cut = _MODE_OF_FIRST_MOTOR[layout]
    # C puts the motor's mode at the next multiple of 4, and its first float 4 bytes behind it.
    mode = -(-cut // _C_ALIGNMENT) * _C_ALIGNMENT
    gap = b"\x00" * (mode - cut - 1)
    return b"".join(
        (
            HEADER,
            structure[:cut],
            structure[mode : mode + 1],
            gap,
            structure[mode + _C_ALIGNMENT :],
        )
    )


def from_cdr(data: bytes, layout: np.dtype[Any], name: str) -> Frame:
    """The C structure that a message carries, padding zero; its checksum is not looked at.

    Args:
        data: The message with its header.
        layout: `LOW_COMMAND` or `LOW_STATE`.
        name: What it is, for errors.

    Raises:
        RobotLinkError: Another size, or another encoding.
    """
    size = len(HEADER) + layout.itemsize - _C_ALIGNMENT
    if len(data) != size:
        raise RobotLinkError(
            f"{name} has {len(data)} bytes on the wire; allowed is {size}",
            fix="Look at which generation of messages the robot speaks.",
        )
    # The last two bytes are options, which say nothing about the fields.
    if data[:2] != HEADER[:2]:
        raise RobotLinkError(
            f"{name} is encoded as {data[:2].hex()}; allowed is {HEADER[:2].hex()}, little-endian "
            "plain CDR",
            fix="Set the sender's middleware to XCDR1.",
        )
    cut = len(HEADER) + _MODE_OF_FIRST_MOTOR[layout]
    mode = -(-_MODE_OF_FIRST_MOTOR[layout] // _C_ALIGNMENT) * _C_ALIGNMENT
    structure = b"".join(
        (
            data[len(HEADER) : cut],
            b"\x00" * (mode - _MODE_OF_FIRST_MOTOR[layout]),
            data[cut : cut + 1],
            b"\x00" * (_C_ALIGNMENT - 1),
            data[len(HEADER) + mode :],
        )
    )
    # A sender may leave anything in its padding; the checksum is of zeros there.
    clean = np.frombuffer(structure, dtype=np.uint8) & _FIELDS[layout]
    return clean.view(layout).reshape(())
