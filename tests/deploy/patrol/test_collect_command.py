"""`rwmu-collect` on the simulated robot: it walks, stays inside, and goes on after a kill."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from rwmu_deploy.cli.collect import main
from rwmu_deploy.patrol.session_folder import read_progress
from rwmu_deploy.simulation.odometry_drift import OdometryDrift

SHIPPED = Path(__file__).resolve().parents[3] / "exports" / "anymal_d_flat"


def collect(folder, *words, seconds=20.0):
    return main(
        [
            *("--bundle", str(SHIPPED), "--out", str(folder), "--fast", "--monitor", "off"),
            *("--hours", str(seconds / 3600.0), "--json", str(folder.parent / "summary.json")),
            *words,
        ]
    )


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    folder = tmp_path_factory.mktemp("collect") / "session"
    assert collect(folder, "--excitation", "0.1") == 0
    return folder


def test_a_session_leaves_rows_path_and_book(session):
    summary = json.loads((session.parent / "summary.json").read_text())
    assert summary["walked_s"] == pytest.approx(20.0, abs=0.5)
    assert summary["way_m"] > 5.0
    assert summary["farthest_out_m"] < 0.0
    assert summary["log"]["dropped"] == 0
    assert summary["rows"] >= 1000
    progress = read_progress(session)
    assert progress is not None
    assert progress["rows"] == summary["rows"]
    meta = json.loads((session / "data" / "state_action_data_0.meta.json").read_text())
    assert meta["source"] == "sim"
    assert "sigma 0.1" in json.dumps(meta)


def test_it_can_be_watched_from_elsewhere(session, capsys):
    assert main(["watch", str(session), "--once"]) == 0
    assert "walked 0:20 min of 0:20 min" in capsys.readouterr().out


def test_watching_what_is_no_session_is_refused(tmp_path, capsys):
    assert main(["watch", str(tmp_path), "--once"]) == 2
    assert "holds no session" in capsys.readouterr().err


def test_a_session_that_is_done_is_over_at_once(session):
    before = sorted(path.name for path in (session / "data").glob("*.csv"))
    assert collect(session, "--excitation", "0.1") == 0
    assert json.loads((session.parent / "summary.json").read_text())["starts"] == 2
    rows = sorted(path.name for path in (session / "data").glob("*.csv"))
    assert set(before) <= set(rows)


def test_another_plan_in_its_folder_is_refused(session, capsys):
    assert collect(session, "--excitation", "0.2") == 2
    assert "plan.excitation.level was 0.1 and is now 0.2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--fence", "2", "2"), "a fence of 2 m x 2 m leaves"),
        (("--excitation", "0.9"), "excitation of 0.9"),
        (("--odometry-drift", "nan"), "odometry drift is nan"),
        (("--seed", "-1"), "seed is -1"),
        (("--variant", "feild"), "Did you mean 'field'?"),
        (("--plan", "nothing.yaml"), "plan nothing.yaml can't be read"),
    ],
)
def test_bad_input_is_refused_in_words(tmp_path, capsys, words, said):
    assert collect(tmp_path / "s", *words) == 2
    assert said in capsys.readouterr().err


def test_a_kill_in_the_middle_costs_no_row_and_no_number(tmp_path):
    """Killed in real time while it logs; the next start publishes what the journal still has."""
    folder = tmp_path / "session"
    command = [
        *(sys.executable, "-m", "rwmu_deploy.cli.collect", "--bundle", str(SHIPPED)),
        *("--out", str(folder), "--hours", "0.004", "--monitor", "off"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end_s = time.monotonic() + 60.0
    while (read_or_none(folder) or {}).get("rows", 0) < 100:
        assert time.monotonic() < end_s, "it did not begin to log"
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    said = read_or_none(folder)
    assert said is not None
    assert collect(folder, seconds=0.004 * 3600.0) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["recovered_rows"] >= said["rows"]
    assert summary["starts"] == 2
    assert summary["walked_s"] == pytest.approx(14.4, abs=0.5)
    numbers = sorted(
        int(path.stem.rsplit("_", 1)[1])
        for path in (folder / "data").glob("state_action_data_*.csv")
        if path.stem.count(".") == 0
    )
    assert numbers == list(range(len(numbers)))
    assert not list((folder / "data").glob("*.journal"))


def read_or_none(folder):
    return read_progress(folder) if (folder / "progress.json").exists() else None


def test_sigterm_ends_a_session_as_it_should(tmp_path):
    folder = tmp_path / "session"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "rwmu_deploy.cli.collect", "--bundle", str(SHIPPED)),
            *("--out", str(folder), "--monitor", "off"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    end_s = time.monotonic() + 60.0
    while (read_or_none(folder) or {}).get("rows", 0) < 50:
        assert time.monotonic() < end_s, "it did not begin to log"
        time.sleep(0.1)
    process.terminate()
    assert process.wait(20.0) == 128 + signal.SIGTERM
    assert not list((folder / "data").glob("*.journal"))


def test_drift_of_odometry_is_a_share_of_the_way():
    drift = OdometryDrift(0.02, 3, seed=1)
    position = np.zeros((3, 2))
    for _ in range(100):
        position[:, 0] += 0.1
        believed = drift.believed_m(position)
    error_m = np.linalg.norm(believed - position, axis=1)
    np.testing.assert_allclose(error_m, 0.02 * 9.9)
    # Carried back: that is no walking.
    position[:, 0] = 0.0
    np.testing.assert_allclose(
        np.linalg.norm(drift.believed_m(position) - position, axis=1), 0.02 * 9.9
    )
    assert math.isfinite(float(believed.sum()))
