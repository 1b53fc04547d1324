"""Progress bars of training, with the figures that mean something."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from rwmu_train.policy.ppo_runner import IterationReport
from rwmu_train.world_model.training import WorldModelProgress


class TrainingDisplay:
    """One bar a stage. Use as a context."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<22}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"),
            console=console,
            refresh_per_second=2,
        )
        # Without a terminal a bar says nothing until its end: print a line every tenth instead.
        self._plain = not console.is_terminal
        self._console = console
        self._said: dict[str, int] = {}

    def __enter__(self) -> TrainingDisplay:
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
        """Print a line above the bars."""
        self._progress.console.print(line, markup=False)

    def world_model_stage(self, iterations: int) -> Callable[[WorldModelProgress], None]:
        """A bar for the world model."""
        stage = self._stage("world model", iterations)
        held_out = "held-out error: not yet"

        def report(progress: WorldModelProgress) -> None:
            nonlocal held_out
            if progress.held_out_error is not None:
                held_out = f"held-out error {progress.held_out_error:.2f}"
            stage(progress.iteration, f"loss {progress.loss:.3f}  {held_out}")

        return report

    def collectors_stage(self, steps: int) -> Callable[[int, float], None]:
        """A bar for learning what the collectors of the data would do."""
        stage = self._stage("what collectors do", steps)
        return lambda step, loss: stage(step, f"squared action error {loss:.4f}")

    def cloning_stage(self, steps: int) -> Callable[[int, float], None]:
        """A bar for behaviour cloning."""
        stage = self._stage("cloning behaviour", steps)
        return lambda step, loss: stage(step, f"squared action error {loss:.4f}")

    def policy_stage(self, title: str, iterations: int) -> Callable[[IterationReport], None]:
        """A bar for PPO."""
        stage = self._stage(title, iterations)
        kept: dict[str, float] = {}
        shown = {
            "reward": ("reward", ".4f"),
            "length": ("episode", ".0f"),
            "fell": ("fell", ".0%"),
            "uncertainty": ("uncertainty", ".2f"),
            "out_of_range": ("out of range", ".2%"),
        }

        def report(r: IterationReport) -> None:
            found = {**r.episode, "reward": r.reward_per_step, "out_of_range": r.out_of_range}
            kept.update({name: value for name, value in found.items() if value is not None})
            figures = [
                f"{text} {kept[n]:{form}}" for n, (text, form) in shown.items() if n in kept
            ]
            stage(r.iteration, "  ".join([*figures, f"{r.steps_per_second:,.0f} steps/s"]))

        return report

    def _stage(self, title: str, total: int) -> Callable[[int, str], None]:
        """Its bar appears with the first report: a stage that is finished already has none."""
        bar: TaskID | None = None

        def report(done: int, figures: str) -> None:
            nonlocal bar
            if not self._plain:
                if bar is None:
                    bar = self._progress.add_task(title, total=total, figures="")
                self._progress.update(bar, completed=done, figures=figures)
            elif done * 10 // total > self._said.get(title, 0):
                self._said[title] = done * 10 // total
                self._console.print(f"{title}: {done}/{total}  {figures}", markup=False)

        return report
