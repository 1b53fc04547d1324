"""`rwmu-recover`: publish what a crashed log still has, and say what is lost.

Exit code 0: nothing was lost. 3: something was, and it says what. 1: a journal could not be
recovered, and stays as it is. 2: bad input.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rwmu_deploy.cli.command_line import EXIT_FAILED, EXIT_OK, CommandParser, run_command
from rwmu_deploy.collection.journal_recovery import RecoveredJournal, recover
from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.contract.whole_file import write_whole

EXIT_LOSSY = 3
COLUMNS = ("journal", "outcome", "rows", "gaps", "lost", "segment")


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""

    def run() -> int:
        parser = CommandParser(prog="rwmu-recover", description=__doc__)
        add_arguments(parser)
        options = parser.parse_args(arguments)
        found = recover_as_told(options)
        rows = [COLUMNS, *map(table_row, found)] if found else []
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            print("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip())
        print("\n".join(words(found)))
        return exit_code(found)

    return run_command(run)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes, under whichever name."""
    parser.add_argument("dir", type=Path, help="folder of a log, with transitions-*.journal")
    parser.add_argument(
        "--out",
        type=Path,
        help="folder for the segments (default: DIR, where done journals become *.recovered)",
    )
    parser.add_argument("--robot", help="name or robot.yaml, for journals that don't say it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to this file")


def recover_as_told(options: argparse.Namespace) -> list[RecoveredJournal]:
    """Recover, and write the document of `--json`.

    Raises:
        RwmuError: The folder, the robot or the JSON file can't be used.
    """
    robot = None if options.robot is None else load_robot_spec(options.robot)
    found = recover(options.dir, options.out, robot=robot)
    if options.json is not None:
        document = json.dumps(_document(found), indent=1) + "\n"
        try:
            write_whole(options.json, document.encode())
        except OSError as error:
            raise ConfigError(
                f"--json {options.json} can't be written: {error.strerror}",
                fix="Name a file in a folder you may write.",
            ) from error
    return found


def exit_code(found: Sequence[RecoveredJournal]) -> int:
    """What the command ends with."""
    if any(one.outcome in ("failed", "in use") for one in found):
        return EXIT_FAILED
    return EXIT_LOSSY if any(one.losses or one.lost_rows for one in found) else EXIT_OK


def table_row(one: RecoveredJournal) -> tuple[str, ...]:
    """Cells of `COLUMNS`."""
    segment = "-" if one.segment is None else one.segment.name
    counts = (f"{count:,}" for count in (one.rows, one.gap_ticks, one.lost_rows))
    return (one.journal.stem, one.outcome, *counts, segment)


def words(found: Sequence[RecoveredJournal]) -> list[str]:
    """What was lost, line by line, and the sum."""
    lines = [f"{one.journal.name}, {loss}" for one in found for loss in one.losses]
    lines += [f"{one.journal.name}: {one.problem}" for one in found if one.problem]
    if not found:
        return ["nothing to recover"]
    recovered = sum(one.rows for one in found if one.outcome == "recovered")
    lost = sum(one.lost_rows for one in found)
    bad = sum(len(one.losses) for one in found)
    lines.append(
        f"{recovered:,} rows recovered from {len(found)} journals; "
        + (f"lost: {lost:,} rows for sure, {bad} bad lines" if lost or bad else "nothing was lost")
    )
    return lines


def _document(found: Sequence[RecoveredJournal]) -> dict[str, Any]:
    return {
        "exit_code": exit_code(found),
        "rows_recovered": sum(one.rows for one in found if one.outcome == "recovered"),
        "rows_lost": sum(one.lost_rows for one in found),
        "bad_lines": sum(len(one.losses) for one in found),
        "journals": [one.to_dict() for one in found],
    }


if __name__ == "__main__":
    sys.exit(main())
