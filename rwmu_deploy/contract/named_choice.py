"""Find a preset, a task or a data set by its name, and say what there is where a name is wrong."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TypeVar

from rwmu_deploy.contract.errors import ConfigError

T = TypeVar("T")


def find_by_name(table: Mapping[str, T], name: str, what: str) -> T:
    """An entry of a table.

    Raises:
        ConfigError: There is none of this name; all names and the nearest one are given.
    """
    if name not in table:
        near = difflib.get_close_matches(name, table, n=1)
        raise ConfigError(
            f"no {what} '{name}'; allowed are {', '.join(table)}",
            fix=f"Did you mean '{near[0]}'?" if near else "Name one of these.",
        )
    return table[name]
