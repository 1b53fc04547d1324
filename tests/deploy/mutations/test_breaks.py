"""Every hand-made break of the safety code is caught by the tests that are named beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))
from breaks import BREAKS, Break

REPOSITORY = Path(__file__).resolve().parents[3]
TESTS_FAILED = 1


@pytest.mark.parametrize("name", BREAKS)
def test_break_fits_the_code_and_its_tests_exist(name):
    found = BREAKS[name]
    assert (REPOSITORY / "rwmu_deploy" / found.file).read_text().count(found.text) == 1
    assert (REPOSITORY / "tests" / "deploy" / found.tests).is_file()


def test_every_part_is_broken_in_several_ways():
    parts = [found.file for found in BREAKS.values()]
    assert len(parts) >= 30
    for part in ("sensor_gate", "command_limiter", "safety_monitor", "ticker"):
        assert sum(part in file for file in parts) >= 3


def run_tests(tree: Path, tests: str) -> int:
    """Exit code of pytest on a tree of its own."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, "--rootdir", tree, tree / "tests" / "deploy" / tests],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        timeout=300,
    ).returncode


def copied_tree(folder: Path) -> Path:
    for name in ("rwmu_deploy", "tests", "assets/robots"):
        shutil.copytree(
            REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(REPOSITORY / "pyproject.toml", folder)
    return folder


@pytest.mark.soak
def test_unbroken_copy_passes(tmp_path):
    tree = copied_tree(tmp_path / "tree")
    for tests in sorted({found.tests for found in BREAKS.values()}):
        assert run_tests(tree, tests) == 0, tests


@pytest.mark.soak
@pytest.mark.parametrize("name", BREAKS)
def test_break_is_caught(name, tmp_path, trials):
    found: Break = BREAKS[name]
    tree = copied_tree(tmp_path / "tree")
    file = tree / "rwmu_deploy" / found.file
    file.write_text(file.read_text().replace(found.text, found.broken))
    assert run_tests(tree, found.tests) == TESTS_FAILED
    trials("breaks", 1)
