"""Recovery publishes what a crash left, says what it lost, and touches nothing too early."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from made_ticks import HOLD, SPEC, QuickDisk, indices_in, log_ticks, read_log, tick, wait_until

from rwmu_deploy.cli.recover import main
from rwmu_deploy.collection import journal_recovery
from rwmu_deploy.collection.journal_recovery import recover
from rwmu_deploy.collection.segment_files import SegmentPaths
from rwmu_deploy.collection.transition_journal import checked_line
from rwmu_deploy.collection.transition_logger import TransitionLogger
from rwmu_deploy.contract.errors import LogError

TICKS = [tick(k) for k in range(10)] + [tick(10, state=HOLD)] + [tick(k) for k in range(11, 21)]
ROWS = [*range(1, 10), *range(11, 21)]
TRAILING = [tick(k, state=HOLD) for k in range(21, 24)]


@pytest.fixture(scope="module")
def left(tmp_path_factory) -> Path:
    """A journal of 19 rows and a gap, as a crash would leave it."""
    folder = tmp_path_factory.mktemp("crashed")
    logger = TransitionLogger(
        folder, SPEC, source="real", note="flat", disk=QuickDisk(), may_wait=True
    )
    for each in [*TICKS, *TRAILING]:
        logger.on_tick(each)
    (journal,) = folder.glob("*.journal")
    wait_until(lambda: logger.status.rows == len(ROWS))
    wait_until(lambda: journal.read_bytes().splitlines()[-1].startswith(b"G,"))
    copy = tmp_path_factory.mktemp("left") / journal.name
    shutil.copy(journal, copy)
    logger.close()
    return copy


@pytest.fixture
def folder(left, tmp_path) -> Path:
    shutil.copy(left, tmp_path)
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def spoil(folder: Path, line: int) -> None:
    path = folder / "transitions-0.journal"
    lines = path.read_bytes().split(b"\n")
    lines[line] = lines[line][:50] + bytes([lines[line][50] ^ 1]) + lines[line][51:]
    path.write_bytes(b"\n".join(lines))


def test_segment_is_the_one_that_the_log_would_have_published(folder, tmp_path_factory):
    whole = tmp_path_factory.mktemp("whole")
    log_ticks(whole, TICKS + TRAILING, note="flat")
    (one,) = recover(folder)
    assert (one.outcome, one.rows, one.lost_rows, one.losses) == ("recovered", 19, 0, ())
    recovered, published = SegmentPaths.of(folder, 0), SegmentPaths.of(whole, 0)
    for kind in ("csv", "episodes", "ticks"):
        assert getattr(recovered, kind).read_bytes() == getattr(published, kind).read_bytes()
    mine, theirs = (json.loads(paths.meta.read_text()) for paths in (recovered, published))
    assert mine["note"] == "flat; recovered from transitions-0.journal"
    # The crash came within the last gap: how long it lasted was told once a second.
    assert [gap["after_row"] for gap in mine["gaps"]] == [-1, 8, 18]
    assert mine["gaps"][:2] == theirs["gaps"][:2]
    for changing in ("note", "gaps", "journal", "created_utc"):
        del mine[changing], theirs[changing]
    assert mine == theirs


def test_second_run_finds_nothing_to_do(folder):
    recover(folder)
    before = contents(folder)
    assert recover(folder) == []
    assert contents(folder) == before
    assert sorted(path.suffix for path in folder.glob("transitions*")) == [".recovered"]


def test_other_folder_leaves_the_journals_as_they_are(folder, tmp_path_factory):
    out, before = tmp_path_factory.mktemp("out"), contents(folder)
    assert [one.outcome for one in recover(folder, out)] == ["recovered"]
    assert [one.outcome for one in recover(folder, out)] == ["published before"]
    assert contents(folder) == before
    assert indices_in(out) == ROWS


@pytest.mark.parametrize("step", ["write_segment", "_put_aside"])
def test_recovery_that_dies_loses_nothing_and_is_done_again(folder, monkeypatch, step):
    class Died(BaseException):
        pass

    def die(*_, **__):
        raise Died

    before = contents(folder)
    with monkeypatch.context() as patch:
        patch.setattr(journal_recovery, step, die)
        with pytest.raises(Died):
            recover(folder)
    assert contents(folder)["transitions-0.journal"] == before["transitions-0.journal"]
    recover(folder)
    assert indices_in(folder) == ROWS


def test_altered_line_is_named_and_no_window_crosses_it(folder):
    spoil(folder, 5)
    (one,) = recover(folder)
    assert (one.outcome, one.rows, one.lost_rows) == ("recovered", 18, 1)
    (loss,) = one.losses
    assert loss.startswith("line 6 (byte ")
    assert "checksum" in loss
    (segment,) = read_log(folder)
    lost = [gap for gap in segment.meta["gaps"] if gap["causes"][0]["cause"] == "journal_damaged"]
    assert [gap["ticks"] for gap in lost] == [1]
    assert "1 bad lines" in segment.meta["note"]


@pytest.mark.parametrize("size", [1, 700, -1, -400])
def test_torn_last_line_is_lossy_and_the_rest_is_there(folder, size):
    path = folder / "transitions-0.journal"
    content = path.read_bytes()
    path.write_bytes(content[: size if size > 0 else len(content) + size])
    (one,) = recover(folder)
    assert len(one.losses) == 1
    assert "cut off" in one.losses[0]
    assert main([str(folder)]) == 0, "said once"


def test_row_that_was_published_before_the_crash_is_not_published_again(folder):
    recover(folder)
    (aside,) = folder.glob("*.recovered")
    aside.rename(folder / "transitions-0.journal")
    assert [one.outcome for one in recover(folder)] == ["published before"]
    assert indices_in(folder) == ROWS


def test_journal_of_a_live_log_is_refused_and_others_are_recovered(folder):
    logger = TransitionLogger(folder, SPEC, source="real", may_wait=True)
    before = (folder / "transitions-1.journal").read_bytes()
    found = recover(folder)
    assert [one.outcome for one in found] == ["recovered", "in use"]
    assert (folder / "transitions-1.journal").read_bytes() == before
    assert main([str(folder)]) == 1
    logger.close()
    assert recover(folder) == []


def test_journal_without_rows_is_cleared_away(folder):
    path = folder / "transitions-0.journal"
    for content in (b"", path.read_bytes().split(b"\n")[0] + b"\n"):
        path.write_bytes(content)
        assert [one.outcome for one in recover(folder)] == ["no rows"]
        assert contents(folder) == {}


def test_journal_that_cannot_be_read_stays_as_it_is(folder, capsys):
    spoil(folder, 0)
    (folder / "transitions-1.journal").write_bytes(b"\x00\xff\n" * 100)
    before = contents(folder)
    assert [one.outcome for one in recover(folder)] == ["failed", "failed"]
    assert contents(folder) == before
    assert main([str(folder)]) == 1
    assert "has no header" in capsys.readouterr().out


def test_full_disk_fails_and_the_journal_stays(folder, monkeypatch):
    def full(*_, **__):
        raise LogError("no space left", fix="Free the disk.")

    before = contents(folder)
    with monkeypatch.context() as patch:
        patch.setattr(journal_recovery, "write_segment", full)
        (one,) = recover(folder)
    assert (one.outcome, contents(folder)) == ("failed", before)
    assert "no space left" in one.problem
    assert [one.outcome for one in recover(folder)] == ["recovered"]


class TestSchema1:
    def write(self, folder: Path, robot_sha256: str, last: str = "G") -> None:
        origin = {"source": "real", "torque_source": "a", "contact_source": "b",
                  "base_velocity_source": "c"}  # fmt: skip
        header = {"schema": "rwmu.journal/1", "robot": "anymal_d", "origin": origin}
        lines = [f"H,{json.dumps(header | {'robot_sha256': robot_sha256})}"]
        lines += [f"R,{int(k == 0)},0.5,0,0," + ",".join([str(k)] + ["0"] * 65) for k in range(3)]
        journal = folder / "transitions-0.journal"
        journal.write_bytes(b"".join(map(checked_line, [*lines, last])))

    def test_old_journal_becomes_a_segment_without_ticks(self, tmp_path):
        self.write(tmp_path, SPEC.sha256)
        assert [one.outcome for one in recover(tmp_path)] == ["recovered"]
        paths = SegmentPaths.of(tmp_path, 0)
        assert not paths.ticks.exists()
        assert "ticks_sha256" not in json.loads(paths.meta.read_text())
        np.testing.assert_array_equal(np.loadtxt(paths.csv, delimiter=",")[:, 0], [0, 1, 2])
        assert paths.episodes.read_text().splitlines()[1].startswith("0,2,gap")

    def test_old_journal_of_another_robot_yaml_needs_to_be_told_which(self, tmp_path):
        self.write(tmp_path, "0" * 64)
        (one,) = recover(tmp_path)
        assert one.outcome == "failed"
        assert "--robot" in one.problem
        assert [one.outcome for one in recover(tmp_path, robot=SPEC)] == ["recovered"]

    def test_old_journal_that_says_it_is_published_is_not_published_again(self, tmp_path):
        self.write(tmp_path, SPEC.sha256, "P,state_action_data_0.csv")
        assert [one.outcome for one in recover(tmp_path)] == ["published before"]


class TestCommand:
    def test_clean_recovery_exits_with_0_and_says_so(self, folder, capsys, tmp_path):
        assert main([str(folder), "--json", str(tmp_path / "r.json")]) == 0
        said = capsys.readouterr().out
        assert "19 rows recovered from 1 journals; nothing was lost" in said
        document = json.loads((tmp_path / "r.json").read_text())
        assert (document["exit_code"], document["rows_recovered"]) == (0, 19)
        assert document["journals"][0]["segment"].endswith("state_action_data_0.csv")

    def test_lossy_recovery_exits_with_3_and_says_what_was_lost(self, folder, capsys):
        spoil(folder, 5)
        assert main([str(folder)]) == 3
        said = capsys.readouterr().out
        assert "transitions-0.journal, line 6 (byte " in said
        assert "lost: 1 rows for sure, 1 bad lines" in said

    def test_nothing_to_do_exits_with_0(self, tmp_path, capsys):
        assert main([str(tmp_path)]) == 0
        assert "nothing to recover" in capsys.readouterr().out

    @pytest.mark.parametrize(
        "words", [["nowhere"], [], ["{folder}", "--robot", "hal"], ["{folder}", "--json", "a/b/c"]]
    )
    def test_bad_input_exits_with_2_in_one_line(self, folder, words, capsys):
        assert main([word.format(folder=folder) for word in words]) == 2
        assert capsys.readouterr().err.count("\n") == 1
