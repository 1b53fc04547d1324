"""What `rwmu-data check` finds of known faults, and what it says of data without any.

Records a walking set and 20 clean sets in the simulated robot, nominal and field; spoils the
walking set in every way listed, one at a time, and counts the problems that name the fault.

    python benchmarks/check_faults.py --rows 10000 --json check_faults.json
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.contract.transition_columns import ColumnBlock
from rwmu_train.cli.data import main as rwmu_data
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.dataset_loading import load_dataset
from rwmu_train.transitions.verdict import judge

ROBOT = "anymal_d"
BUNDLE = Path(__file__).parents[1] / "exports" / "anymal_d_flat"
CLEAN = {
    "walking": ["--bundle", str(BUNDLE), "--noise", "0"],
    "disturbed": ["--bundle", str(BUNDLE), "--noise", "0", "0.2", "0.4"],
    "falling": ["--bundle", str(BUNDLE), "--noise", "0", "0.4", "0.8", "1.0"],
    "random": ["--behaviour", "random"],
    "squat": ["--behaviour", "squat"],
}
SEEDS = (1, 2)
VARIANTS = ("nominal", "field")
LEG_MAJOR = tuple(kind * 4 + leg for leg in range(4) for kind in range(3))


@dataclass(frozen=True)
class Fault:
    """Rows that are wrong in one way."""

    kind: str
    spoil: Callable[[TransitionDataset], np.ndarray]
    """Gives the rows, spoilt."""
    words: tuple[str, ...]
    """A problem that has all of them names the fault."""


def faults(data: TransitionDataset) -> Iterator[Fault]:
    """All single faults."""
    columns, names = data.columns, data.spec.joint_names
    position, velocity = columns.joint_position_offset_rad, columns.joint_velocity_radps
    state = (position, velocity, columns.joint_torque_nm)
    groups = {"all columns": (*state, columns.action), "actions": (columns.action,)}
    groups["states"] = state
    for where, blocks in groups.items():
        for i, j in itertools.combinations(range(len(names)), 2):
            order = list(range(len(names)))
            order[i], order[j] = j, i
            words = ("order", names[i], names[j])
            yield Fault(f"joint swap, {where}", _reordered(blocks, order), words)
        yield Fault(f"leg-major, {where}", _reordered(blocks, LEG_MAJOR), ("order",))
    for rows in (1, -1):
        everything = range(columns.action.start, columns.action.start + columns.action.size)
        yield Fault("all actions shifted", _rolled(everything, rows), ("time alignment",))
        for joint, column in enumerate(everything):
            words = ("time alignment", names[joint])
            yield Fault("one action shifted", _rolled([column], rows), words)
    for block in (position, velocity, columns.base_angular_velocity_radps):
        whole = range(block.start, block.start + block.size)
        yield Fault("degrees, block", _scaled(whole, 180.0 / np.pi), ("degrees",))
    for block, joint in itertools.product((position, velocity), range(len(names))):
        yield Fault(
            "degrees, one joint", _scaled([block.start + joint], 180.0 / np.pi), ("degrees",)
        )
    gravity = columns.projected_gravity.start
    for axes in ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)):
        flipped = [gravity + axis for axis in axes]
        yield Fault("gravity sign", _scaled(flipped, -1.0), ("gravity", "sign"))
    for block, joint in itertools.product(state, range(len(names))):
        words = (f"{block.name}[{names[joint]}]",)
        yield Fault("dead encoder", _frozen(block.start + joint, 0.0), (*words, "never change"))
        yield Fault("dies on the way", _frozen(block.start + joint, 0.9), (*words, "stand still"))


def _reordered(
    blocks: Sequence[ColumnBlock], order: Sequence[int]
) -> Callable[[TransitionDataset], np.ndarray]:
    def spoil(data: TransitionDataset) -> np.ndarray:
        rows = data.rows.copy()
        for block in blocks:
            rows[:, block.slice] = data.rows[:, block.slice][:, list(order)]
        return rows

    return spoil


def _rolled(columns: Sequence[int], by: int) -> Callable[[TransitionDataset], np.ndarray]:
    def spoil(data: TransitionDataset) -> np.ndarray:
        rows = data.rows.copy()
        rows[:, list(columns)] = np.roll(rows[:, list(columns)], by, axis=0)
        return rows

    return spoil


def _scaled(columns: Sequence[int], factor: float) -> Callable[[TransitionDataset], np.ndarray]:
    def spoil(data: TransitionDataset) -> np.ndarray:
        rows = data.rows.copy()
        rows[:, list(columns)] *= factor
        return rows

    return spoil


def _frozen(column: int, from_share: float) -> Callable[[TransitionDataset], np.ndarray]:
    def spoil(data: TransitionDataset) -> np.ndarray:
        rows = data.rows.copy()
        first = int(from_share * len(rows))
        rows[first:, column] = rows[first, column]
        return rows

    return spoil


def main() -> None:
    """Print a table, and write the same as JSON if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=10_000, help="of each set")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    console = Console()
    with TemporaryDirectory() as name:
        walking = record(Path(name) / "walking", CLEAN["disturbed"], options.rows, "nominal", 0)
        kinds = [fault.kind for fault in faults(load(walking))]
        with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
            results = pool.map(missed, [walking] * len(kinds), range(len(kinds)), chunksize=4)
            said = list(track(results, "faults", total=len(kinds), console=console))
        alarms = {
            f"{what}, {variant}, seed {seed}": list(judge(load(folder)).problems)
            for what, variant, seed in itertools.product(CLEAN, VARIANTS, SEEDS)
            for folder in [
                record(
                    Path(name) / f"{what}-{variant}-{seed}",
                    CLEAN[what],
                    options.rows,
                    variant,
                    seed,
                )
            ]
        }
    document = {
        "rows": options.rows,
        "faults": {
            kind: {
                "tried": kinds.count(kind),
                "found": sum(k == kind and s is None for k, s in zip(kinds, said, strict=True)),
            }
            for kind in dict.fromkeys(kinds)
        },
        "missed": [s for s in said if s is not None],
        "clean_sets": len(alarms),
        "false_alarms": {name: problems for name, problems in alarms.items() if problems},
    }
    _print(console, document)
    if options.json is not None:
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def record(folder: Path, words: list[str], rows: int, variant: str, seed: int) -> Path:
    """Record a set by the command that a user would type."""
    size = ["--rows", str(rows), "--robots", str(max(rows // 500, 4)), "--seed", str(seed)]
    assert rwmu_data(["record", *words, *size, "--variant", variant, "--out", str(folder)]) == 0
    return folder


def load(folder: Path) -> TransitionDataset:
    """Read a set."""
    return load_dataset(folder, load_robot_spec(ROBOT))


def missed(folder: Path, number: int) -> str | None:
    """Spoil a set with fault `number`; what was said if no problem names it, else None."""
    torch.set_num_threads(1)
    data = load(folder)
    fault = next(itertools.islice(faults(data), number, None))
    problems = judge(replace(data, rows=fault.spoil(data))).problems
    if any(all(word in problem for word in fault.words) for problem in problems):
        return None
    return f"{fault.kind} {fault.words}: {problems or 'no problem'}"


def _print(console: Console, document: dict) -> None:
    table = Table(title=f"rwmu-data check on {document['rows']} rows with one fault")
    for name in ("fault", "tried", "found"):
        table.add_column(name, justify="left" if name == "fault" else "right")
    for kind, counts in document["faults"].items():
        table.add_row(kind, str(counts["tried"]), str(counts["found"]))
    console.print(table)
    for text in document["missed"]:
        console.print(f"missed: {text}", markup=False)
    alarms = document["false_alarms"]
    console.print(f"false alarms: {len(alarms)} of {document['clean_sets']} clean sets")
    for name, problems in alarms.items():
        console.print(f"{name}: {problems}", markup=False)


if __name__ == "__main__":
    main()
