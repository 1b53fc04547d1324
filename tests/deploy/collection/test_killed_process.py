"""kill -9 at any moment: no row that was handed to the system is lost, none is invented."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from made_ticks import indices_in, read_log

from rwmu_deploy.cli.recover import EXIT_LOSSY, exit_code
from rwmu_deploy.collection.journal_recovery import recover

HELD_EVERY = 25


class ChildServer:
    """Starts logging processes, one at a time, and counts the rows that they acknowledged."""

    def __init__(self) -> None:
        here = Path(__file__).parent
        self._read, write = os.pipe()
        os.set_blocking(self._read, False)
        self._process = subprocess.Popen(
            [sys.executable, str(here / "logging_child.py"), str(write)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(write,),
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(here.parents[2]), *sys.path])},
        )
        os.close(write)

    def start(self, folder: Path, kill_at: int = 0) -> int:
        """Returns the process id."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"folder": str(folder), "kill_at": kill_at}) + "\n")
        self._process.stdin.flush()
        return int(self._answer())

    def wait(self) -> None:
        assert self._answer() == "dead"

    def acknowledged(self) -> int:
        """Rows since it was asked last."""
        rows = 0
        while True:
            try:
                found = os.read(self._read, 65536)
            except BlockingIOError:
                return rows
            rows += len(found)
            if not found:
                return rows

    def close(self) -> None:
        self._process.communicate()
        os.close(self._read)

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@pytest.fixture(scope="module")
def server() -> Iterator[ChildServer]:
    server = ChildServer()
    yield server
    server.close()


def row_ticks(count: int) -> list[int]:
    """The first ticks that make rows: the first tick of all does not, nor do held ones."""
    return [k for k in range(2, 2 * count + 100) if k % HELD_EVERY][:count]


def check_recovery(folder: Path, acknowledged: int) -> int:
    """All acknowledged rows are there, once, in order; returns how many lines were torn."""
    found = recover(folder)
    indices = indices_in(folder)
    assert indices == row_ticks(len(indices)), "in order, none twice, none left out or invented"
    assert acknowledged <= len(indices) <= acknowledged + 1
    torn = sum(len(one.losses) for one in found)
    assert torn <= 1, "only the line that was being written"
    assert exit_code(found) == (EXIT_LOSSY if torn else 0)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert recover(folder) == [], "nothing is left to do"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    told = sum(gap["ticks"] for segment in read_log(folder) for gap in segment.meta["gaps"])
    assert not indices or told >= indices[-1] - len(indices), "gaps are recovered too"
    return torn


def test_killed_at_a_random_moment(server, tmp_path, count, trials):
    rng = np.random.default_rng()
    kills, rows, with_journal = count(60, 1000), [], 0
    for kill in range(kills):
        folder = tmp_path / str(kill)
        process = server.start(folder)
        time.sleep(float(rng.uniform(0.045, 0.16)))
        os.kill(process, signal.SIGKILL)
        server.wait()
        with_journal += bool(list(folder.glob("*.journal")))
        acknowledged = server.acknowledged()
        rows.append(acknowledged)
        if folder.exists():
            check_recovery(folder, acknowledged)
    assert len(set(rows)) > kills // 4, "at different moments"
    assert with_journal > kills // 2, "while logging"
    trials("T-16", kills)


def test_killed_at_every_system_call(server, tmp_path, trials):
    """From the first open on, and around a segment's publication and the next journal's start."""
    moments = [*range(1, 51), *range(51, 101)]
    for moment in moments:
        folder = tmp_path / str(moment)
        server.start(folder, moment)
        server.wait()
        check_recovery(folder, server.acknowledged())
    trials("T-16", len(moments))
