"""A session on a terminal, drawn over itself; a line now and then where there is none."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from rwmu_deploy.patrol.session_view import one_line, view_lines

LINE_EVERY_S = 30.0


class TerminalView:
    """Shows a session's progress.

    Args:
        file: Where; standard output when None.
    """

    def __init__(self, file: TextIO | None = None) -> None:
        self._file = file or sys.stdout
        self._lines = 0
        self._said_s = -math.inf

    def show(self, progress: Mapping[str, Any], *, now_s: float, last: bool = False) -> None:
        """Draw it, over what was drawn before."""
        if self._file.isatty():
            lines = view_lines(progress)
            up = f"\x1b[{self._lines}A" if self._lines else ""
            self._file.write(up + "".join(f"\x1b[2K{line}\n" for line in lines))
            self._file.write("\x1b[J")
            self._lines = len(lines)
        elif last or now_s - self._said_s >= LINE_EVERY_S:
            self._said_s = now_s
            self._file.write(one_line(progress) + "\n")
        self._file.flush()
