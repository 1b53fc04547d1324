"""A progress bar over the cells of a study, and what the present cell is doing."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from rwmu_train.studies.cell import Cell


class StudyDisplay:
    """One bar; lines instead where there is no terminal. Use as a context."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._plain = not console.is_terminal
        self._progress = Progress(
            TextColumn("cells"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.1f}/{task.total:.0f}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[figures]}"),
            console=console,
            refresh_per_second=2,
        )
        self._bar = self._progress.add_task("cells", total=None, figures="", visible=False)
        self._done = self._total = 0
        self._said = ""

    def __enter__(self) -> StudyDisplay:
        if not self._plain:
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._plain:
            self._progress.stop()

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self._progress.console.print(line, markup=False)

    def begin(self, done: int, total: int) -> None:
        """So many cells are done already, of so many."""
        self._done, self._total = done, total
        if done:
            self.say(f"{done} of {total} are done already")
        self._progress.update(self._bar, completed=done, total=total, visible=True)

    def stage(self, cell: str, what: str, done: int, total: int) -> None:
        """A cell is at a step of a stage."""
        said = f"{cell}: {what}"
        if self._plain and said != self._said:
            self.say(said)
        self._said = said
        self._progress.update(self._bar, figures=f"{said} {done}/{total}")

    def end(self, cell: Cell, error: str | None) -> None:
        """A cell ended, well or with an error."""
        self._done += error is None
        outcome = "done" if error is None else f"failed: {error}"
        self.say(f"{cell.name} {outcome} ({self._done}/{self._total} cells)")
        self._progress.update(self._bar, completed=self._done, figures="")
