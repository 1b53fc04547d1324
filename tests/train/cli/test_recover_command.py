"""rwmu-data recover: as rwmu-recover, with a table."""

import json
from pathlib import Path

import numpy as np
import pytest

from rwmu_deploy.collection.disk import Disk
from rwmu_deploy.collection.log_writer import LogWriter
from rwmu_deploy.collection.row_gap import RowGap
from rwmu_deploy.collection.tick_line import TickNote
from rwmu_deploy.collection.transition_row import TransitionRow
from rwmu_deploy.collection.transition_segment import SegmentOrigin
from rwmu_train.cli.data import main
from rwmu_train.transitions.dataset_loading import load_dataset


@pytest.fixture
def crashed(tmp_path: Path, spec) -> Path:
    """Five rows in a journal, without a segment."""
    origin = SegmentOrigin("real", "measured", "estimated", "estimated")
    writer = LogWriter(
        tmp_path, spec, origin, rows_per_segment=99, free_floor_bytes=1e8, disk=Disk(), now_s=0.0
    )
    note = TickNote(0.0, 0.004, "RUN", "policy", None, ())
    for k in range(5):
        values = np.zeros(66)
        values[:9] = k, 0, 0, 0, 0, 0, 0, 0, -1
        writer.take(TransitionRow(values, (0.5, 0.0, 0.0), k == 0, note), RowGap())
    journal = tmp_path / "transitions-0.journal"
    content = journal.read_bytes()
    writer.finish(RowGap())
    for path in tmp_path.iterdir():
        path.unlink()
    journal.write_bytes(content)
    return tmp_path


def test_crashed_log_becomes_data(crashed, spec, capsys) -> None:
    report = crashed / "report.json"
    assert main(["recover", str(crashed), "--json", str(report)]) == 0
    said = capsys.readouterr().out
    for word in ("transitions-0 ", "recovered ", "state_action_data_0.csv", "5 rows"):
        assert word in said
    assert json.loads(report.read_text())["rows_recovered"] == 5
    assert load_dataset(crashed, spec).row_count == 5
    assert main(["recover", str(crashed)]) == 0
    assert "nothing to recover" in capsys.readouterr().out


def test_loss_is_exit_code_3_and_said_in_words(crashed, capsys) -> None:
    journal = crashed / "transitions-0.journal"
    journal.write_bytes(journal.read_bytes()[:-9])
    assert main(["recover", str(crashed)]) == 3
    assert "line 6 (byte" in capsys.readouterr().out


def test_bad_input_is_one_line(tmp_path, capsys) -> None:
    assert main(["recover", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
