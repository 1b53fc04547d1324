"""Counts of trials: how many a test makes, and what they add up to.

`pytest --soak` makes the nightly counts. Every run prints the fault matrix (row, trials) and
leaves it in reports/fault_matrix.json.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

REPORT = Path(__file__).resolve().parents[1] / "reports" / "fault_matrix.json"
_trials: Counter[str] = Counter()
_failed: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="as many trials as a night allows")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "soak: runs with --soak only")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--soak"):
        for item in items:
            item.add_marker(pytest.mark.timeout(7200))
    else:
        nightly = [item for item in items if item.get_closest_marker("soak")]
        items[:] = [item for item in items if item not in nightly]
        config.hook.pytest_deselected(items=nightly)


@pytest.fixture
def count(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """`count(60, 1000)`: trials of an ordinary run, trials of a night."""
    nightly = request.config.getoption("--soak")
    return lambda ordinary, night: night if nightly else ordinary


@pytest.fixture
def trials() -> Callable[[str, int], None]:
    """`trials("T-16", 60)`, at the end of a test: 60 trials of that row passed."""

    def passed(row: str, number: int) -> None:
        assert number > 0, "a test that tried nothing has shown nothing"
        _trials[row] += number

    return passed


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> object:
    report = yield
    if report.failed and "trials" in getattr(item, "fixturenames", ()):
        _failed.append(item.nodeid)
    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if not (_trials or _failed):
        return
    nightly = bool(config.getoption("--soak"))
    terminalreporter.section("fault matrix" + (", nightly counts" if nightly else ""))
    for row, number in sorted(_trials.items()):
        terminalreporter.write_line(f"{row:<12} {number:>9,} trials, 0 failures")
    for name in _failed:
        terminalreporter.write_line(f"FAILED       {name}")
    document = {
        "nightly": nightly,
        "written_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "trials": dict(sorted(_trials.items())),
        "failed_tests": _failed,
    }
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(document, indent=1) + "\n")
