"""A robot whose every number is known, recorded and imported."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rwmu_deploy.contract.robot_spec import RobotSpec, load_robot_spec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_train.bags.bag_import import import_bag
from rwmu_train.bags.import_report import ImportReport
from rwmu_train.bags.import_settings import ImportSettings
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.dataset_loading import load_dataset

sys.path.insert(0, str(Path(__file__).parent))

from written_bags import Entry, Motion, write_bag


@dataclass(frozen=True)
class Imported:
    """A bag after import."""

    report: ImportReport
    dataset: TransitionDataset


@pytest.fixture(scope="session")
def spec() -> RobotSpec:
    return load_robot_spec("anymal_d")


@pytest.fixture(scope="session")
def columns(spec: RobotSpec) -> TransitionColumns:
    return TransitionColumns.of(spec)


@pytest.fixture(scope="session")
def motion(spec: RobotSpec) -> Motion:
    return Motion(spec)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def make(
        entries: Sequence[Entry],
        form: str = "mcap",
        name: str = "bag",
        silent: Sequence[Entry] = (),
    ) -> Path:
        return write_bag(tmp_path / name, form, entries, silent)

    return make


@pytest.fixture
def imported(
    tmp_path: Path, spec: RobotSpec, write: Callable[..., Path]
) -> Callable[..., Imported]:
    """Writes entries to a bag, imports it, and reads what was written."""

    def make(entries: Sequence[Entry], form: str = "mcap", **settings: Any) -> Imported:
        name = f"bag{len(list(tmp_path.iterdir()))}"
        path = write(entries, form, name)
        out = tmp_path / f"{name}_data"
        report = import_bag(path, out, spec, ImportSettings(**settings))
        return Imported(report, load_dataset(out, spec))

    return make
