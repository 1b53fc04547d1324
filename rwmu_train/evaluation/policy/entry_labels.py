"""What policies are called where there is little room."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath


def entry_labels(keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """A label for each policy's folder and variant: the fewest last parts that tell folders apart.

    Args:
        keys: Folder and variant of every entry.
    """
    keys = list(keys)
    parts = {name: PurePath(name).parts or (name,) for name, _ in keys}
    length = 1
    while len({each[-length:] for each in parts.values()}) < len(parts):
        length += 1
    return {
        (name, variant): f"{PurePath(*parts[name][-length:])}, {variant}" for name, variant in keys
    }
