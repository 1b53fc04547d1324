"""How figures stand in a terminal: names to the left, numbers to the right."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text


def print_figures(
    console: Console, title: str, head: Sequence[str], lines: Sequence[Sequence[str]]
) -> None:
    """Print a table under its title; the first column is never cut off."""
    table = Table(
        title=Text(title),
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for place, heading in enumerate(head):
        # Text, so that no bracket in a folder's name is taken for a style.
        table.add_column(
            Text(heading),
            justify="right" if place else "left",
            no_wrap=place == 0,
            overflow="fold",
        )
    for line in lines:
        table.add_row(*map(Text, line))
    console.print(table)
