"""The differences of two bundles, for people and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rwmu_deploy.contract.bundle_files import is_sha256
from rwmu_deploy.contract.policy_bundle import PolicyBundle
from rwmu_train.export.action_difference import action_difference
from rwmu_train.export.bundle_difference import Difference

Side = tuple[Path, PolicyBundle]


def difference_document(a: Side, b: Side, found: Sequence[Difference]) -> dict[str, Any]:
    """Both bundles, every difference with every digit, and how differently they act."""
    acting = action_difference(a[1], b[1])
    return {
        "a": {"folder": str(a[0]), "sha256": a[1].sha256},
        "b": {"folder": str(b[0]), "sha256": b[1].sha256},
        "same": a[1].sha256 == b[1].sha256,
        "differences": [asdict(difference) for difference in found],
        "actions": None if acting is None else asdict(acting),
    }


def print_differences(console: Console, a: Side, b: Side, found: Sequence[Difference]) -> None:
    """Print one table, and how differently the two act."""
    for letter, (folder, bundle) in (("A", a), ("B", b)):
        console.print(f"{letter}  {bundle.sha256}  {folder}", markup=False, soft_wrap=True)
    if not found:
        console.print("The same bundle, byte by byte.")
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("topic", no_wrap=True)
    for column in ("what", "A", "B"):
        table.add_column(column, overflow="fold")
    for topic, rows in groupby(found, key=lambda difference: difference.topic):
        for i, row in enumerate(rows):
            shown = Text("" if i else topic, style="bold")
            table.add_row(shown, Text(row.what), *map(Text, _pair(row.a, row.b)))
    console.print(table)
    console.print(_acting(a[1], b[1]), markup=False, soft_wrap=True)


def _acting(a: PolicyBundle, b: PolicyBundle) -> str:
    acting = action_difference(a, b)
    if acting is None:
        return "They have other joints, so their actions can't be compared."
    if acting.largest == acting.largest_target_rad == 0.0:
        return f"On {acting.observations} golden observations both act alike, to the last digit."
    return (
        f"On {acting.observations} golden observations actions differ by up to "
        f"{acting.largest:.3g} ({acting.joint}), {acting.rms:.3g} rms; position targets by up to "
        f"{acting.largest_target_rad:.3g} rad."
    )


def _pair(a: Any, b: Any) -> tuple[str, str]:
    """Short texts of two values that differ; with every digit where short ones would agree."""
    short = _text(a, "{:.4g}"), _text(b, "{:.4g}")
    return short if short[0] != short[1] else (_text(a, "{!r}"), _text(b, "{!r}"))


def _text(value: Any, number: str) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return number.format(value)
    if isinstance(value, Mapping) and {"minimum", "maximum"} <= set(value):
        low, high = (_text(value[side], number) for side in ("minimum", "maximum"))
        rest = {name: entry for name, entry in value.items() if not name.endswith("imum")}
        return f"{low} to {high}, {_text(rest, number)}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(entry, number)}" for name, entry in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_text(entry, number) for entry in value) or "none"
    return f"{value[:16]}..." if is_sha256(value) else str(value)
