"""A session's folder: one process at a time, one plan for ever, and nothing lost but a line."""

import csv
import errno
import json
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from rwmu_deploy.contract.errors import LogError
from rwmu_deploy.patrol.autonomous_walk import WalkDecision
from rwmu_deploy.patrol.collect_session import (
    PATH_COLUMNS,
    SessionEvent,
    SessionLook,
    Sight,
)
from rwmu_deploy.patrol.odometry_watch import OdometryReading
from rwmu_deploy.patrol.session_folder import SessionFolder, read_progress, read_session
from rwmu_deploy.patrol.session_writer import SessionWriter

FACTS = {"robot": "anymal_d", "plan": {"seed": 0, "fence": {"margin_m": 0.3}}}
LOOK = SessionLook(
    1.5,
    Sight(np.zeros(3), 0.0, np.zeros(3), "policy", "RUN"),
    OdometryReading(np.array([1.0, 2.0, 0.5]), 3.0, ""),
    WalkDecision("walk", np.array([0.5, 0.0, 0.1]), ""),
)


def lines(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_what_is_noted_can_be_read(tmp_path):
    folder = SessionFolder(tmp_path / "s", FACTS)
    folder.note_look(LOOK)
    folder.note_event(SessionEvent(1.5, "stand", "battery low: 19 %, ask"))
    folder.save_progress({"walked_s": 1.0})
    folder.close()
    header, line = lines(folder.path / "path_0.csv")
    assert tuple(header) == PATH_COLUMNS
    assert line[1:4] == ["1.0000", "2.0000", "0.5000"]
    assert lines(folder.path / "events_0.csv")[1] == ["1.50", "stand", "battery low: 19 %, ask"]
    assert read_progress(folder.path) == {"walked_s": 1.0}
    assert read_session(folder.path) == FACTS
    assert folder.data.is_dir()


def test_two_sessions_in_one_folder_are_refused(tmp_path):
    folder = SessionFolder(tmp_path, FACTS)
    with pytest.raises(LogError, match="belongs to a session that runs"):
        SessionFolder(tmp_path, FACTS)
    folder.close()
    SessionFolder(tmp_path, FACTS).close()


def test_the_folder_of_a_killed_session_is_free(tmp_path):
    code = (
        "import sys, time; from pathlib import Path;"
        "from rwmu_deploy.patrol.session_folder import SessionFolder;"
        f"SessionFolder(Path(sys.argv[1]), {FACTS!r}); print('in', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"in\n"
    with pytest.raises(LogError, match="belongs to a session that runs"):
        SessionFolder(tmp_path, FACTS)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    SessionFolder(tmp_path, FACTS).close()


def test_every_start_has_a_path_of_its_own(tmp_path):
    for _ in range(3):
        SessionFolder(tmp_path, FACTS).close()
    assert sorted(path.name for path in tmp_path.glob("path_*.csv")) == [
        f"path_{number}.csv" for number in range(3)
    ]


def test_another_plan_is_refused_by_the_name_of_what_differs(tmp_path):
    SessionFolder(tmp_path, FACTS).close()
    other = {"robot": "anymal_d", "plan": {"seed": 0, "fence": {"margin_m": 0.4}}}
    with pytest.raises(LogError, match=r"plan\.fence\.margin_m was 0\.3 and is now 0\.4"):
        SessionFolder(tmp_path, other)
    SessionFolder(tmp_path, FACTS).close()


def test_a_progress_that_is_torn_is_not_overwritten(tmp_path):
    SessionFolder(tmp_path, FACTS).close()
    (tmp_path / "progress.json").write_text('{"walked_s": 1')
    with pytest.raises(LogError, match=r"progress\.json can't be read"):
        read_progress(tmp_path)


def test_a_folder_without_a_session_is_refused(tmp_path):
    with pytest.raises(LogError, match="holds no session"):
        read_session(tmp_path)


def test_a_folder_that_can_not_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LogError, match="can't be written to"):
        SessionFolder(tmp_path / "file" / "s", FACTS)


def test_a_disk_that_is_full_costs_lines_and_nothing_else(tmp_path, monkeypatch, caplog):
    folder = SessionFolder(tmp_path, FACTS)
    folder.save_progress({"walked_s": 1.0})

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr("rwmu_deploy.patrol.session_folder.write_whole", full)
    monkeypatch.setattr(folder, "_path_file", SimpleNamespace(write=full))
    folder.note_look(LOOK)
    folder.save_progress({"walked_s": 2.0})
    assert folder.failures == 2
    assert caplog.text.count("no space left") + caplog.text.count("No space left") == 1
    monkeypatch.undo()
    folder.close()
    assert read_progress(tmp_path) == {"walked_s": 1.0}


def test_the_writer_writes_in_order_and_closes_with_everything(tmp_path):
    writer = SessionWriter(SessionFolder(tmp_path, FACTS))
    for number in range(200):
        writer.note_event(SessionEvent(float(number), "walk", ""))
        writer.save_progress({"walked_s": float(number)})
    writer.close()
    times = [float(line[0]) for line in lines(tmp_path / "events_0.csv")[1:]]
    assert times == [float(number) for number in range(200)]
    assert read_progress(tmp_path) == {"walked_s": 199.0}
    assert writer.dropped == 0


def test_a_disk_that_hangs_holds_nobody_up(tmp_path):
    import threading

    folder = SessionFolder(tmp_path, FACTS)
    hangs = threading.Event()
    folder.note_event = lambda event: hangs.wait(30.0)  # type: ignore[method-assign]
    writer = SessionWriter(folder)
    for _ in range(3100):
        writer.note_event(SessionEvent(0.0, "walk", ""))
    assert 90 <= writer.dropped <= 100
    hangs.set()
    writer.close()


def test_the_session_file_is_json_that_people_can_read(tmp_path):
    SessionFolder(tmp_path, FACTS).close()
    assert json.loads((tmp_path / "session.json").read_text()) == FACTS
    assert os.linesep in (tmp_path / "session.json").read_text()
