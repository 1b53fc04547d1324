"""rwmu-data import-bag: what it prints and writes; bad input is one line and leaves nothing."""

import contextlib
import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from written_bags import (
    FORMATS,
    Entry,
    Motion,
    edited,
    with_fields,
)

from rwmu_deploy.cli.command_line import EXIT_BAD_INPUT, EXIT_OK
from rwmu_deploy.collection import transition_segment
from rwmu_deploy.contract.errors import LogError
from rwmu_train.bags import bag_import
from rwmu_train.cli.data import main

Words = list[str]


@pytest.fixture
def refuse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Imports, expects a refusal in one line and no data, and returns the line."""

    def run(path: Path, words: Words | None = None, out: Path | None = None) -> str:
        out = out or tmp_path / "data"
        code = main(["import-bag", str(path), "--out", str(out), *(words or [])])
        error = capsys.readouterr().err
        assert code == EXIT_BAD_INPUT, error
        assert error.startswith("error: ")
        assert error.count("\n") == 1
        assert not list(tmp_path.rglob("state_action_data_*"))
        return error

    return run


def test_a_bag_of_our_own_topics_needs_no_option(
    tmp_path: Path,
    motion: Motion,
    write: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, report = tmp_path / "data", tmp_path / "report.json"
    path = write(motion.entries(0.5))
    words = ["import-bag", str(path), "--out", str(out), "--json", str(report)]
    assert main(words) == EXIT_OK
    printed = " ".join(capsys.readouterr().out.split())
    for said in ("24 (0.48 s)", "/joint_states", "200 Hz", "header", "no terminations"):
        assert said in printed
    document = json.loads(report.read_text(encoding="utf-8"))
    assert document["rows"] == 24
    assert document["episodes"] == 1
    assert document["series"][0]["rate_hz"] == pytest.approx(200.0)
    meta = json.loads((out / "state_action_data_0.meta.json").read_text(encoding="utf-8"))
    assert meta["source"] == "real"
    assert "twist of /odom in its child frame 'base'" in meta["base_velocity_source"]
    assert "orientation normalised linear" in meta["note"]
    assert "no terminations" in meta["note"]


def test_topics_of_other_names_are_named_by_role(
    tmp_path: Path, motion: Motion, write: Callable[..., Path]
) -> None:
    renamed = [
        Entry(f"/robot{e.topic}", e.type, e.received_s, e.fields, e.stamp_s)
        for e in motion.entries(0.5)
    ]
    roles = ("joint_state=robot/joint_states", "imu=/robot/imu", "odometry=/robot/odom")
    words = [*roles, "joint_command=/robot/joint_command", "command_velocity=/robot/cmd_vel"]
    path, out = write(renamed), str(tmp_path / "data")
    assert main(["import-bag", str(path), "--out", out, "--topics", *words]) == EXIT_OK


def test_a_missing_topic_is_named_with_all_that_the_bag_has(
    motion: Motion, write: Callable[..., Path], refuse: Callable[..., str]
) -> None:
    path = write([e for e in motion.entries(0.2) if e.topic != "/odom"])
    error = refuse(path)
    assert "no odometry /odom; it has" in error
    assert "/imu (sensor_msgs/msg/Imu)" in error
    assert "--topics odometry=/topic" in error


def test_an_imu_of_another_name_is_not_passed_over(
    motion: Motion, write: Callable[..., Path], refuse: Callable[..., str]
) -> None:
    entries = [
        Entry("/imu/raw", e.type, e.received_s, e.fields, e.stamp_s) if e.topic == "/imu" else e
        for e in motion.entries(0.2)
    ]
    assert "--topics imu=/topic, or imu=none" in refuse(write(entries))


BAD_MESSAGES: dict[str, tuple[str, dict[str, Any], str]] = {
    "no effort": ("/joint_states", {"effort": []}, "pass --torque pd"),
    "no velocity": ("/joint_states", {"velocity": []}, "0 velocity values"),
    "joint missing": ("/joint_states", {"name": ["LF_HAA"] + ["x"] * 11}, "more than once"),
    "all nan": ("/joint_states", {"effort": [float("nan")] * 12}, "no message of /joint_states"),
    "imu frame": ("/imu", {"header": {"frame_id": "imu_link"}}, "--imu-frame 'imu_link'"),
    "no orientation": ("/imu", {"orientation_covariance": [-1.0] + [0.0] * 8}, "imu=none"),
    "twist frame": ("/odom", {"child_frame_id": "odom"}, "allowed is 'base'"),
    "no layout": ("/joint_command", {"layout": {}}, "--command-joints LF_HAA"),
}


@pytest.mark.parametrize("case", BAD_MESSAGES)
def test_messages_that_make_a_topic_useless_are_refused_by_name(
    case: str, motion: Motion, write: Callable[..., Path], refuse: Callable[..., str]
) -> None:
    topic, fields, said = BAD_MESSAGES[case]
    path = write(edited(motion.entries(0.2), topic, lambda e: with_fields(e, **fields)))
    error = refuse(path)
    assert said in error
    assert topic in error


def test_a_joint_that_is_missing_is_named(
    motion: Motion, write: Callable[..., Path], refuse: Callable[..., str]
) -> None:
    def eleven(entry: Entry) -> Entry:
        fields = {k: list(v)[:-1] for k, v in entry.fields.items() if k != "header"}
        return with_fields(entry, **fields)

    error = refuse(write(edited(motion.entries(0.2), "/joint_states", eleven)))
    assert "topic /joint_states has no joint RH_KFE" in error


def test_a_topic_of_the_wrong_type_is_refused(
    motion: Motion, write: Callable[..., Path], refuse: Callable[..., str]
) -> None:
    error = refuse(write(motion.entries(0.2)), ["--topics", "imu=/odom"])
    assert (
        "/odom is of type nav_msgs/msg/Odometry; allowed for imu is sensor_msgs/msg/Imu" in error
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--topics", "imu"], "'imu'; allowed is role=/topic"),
        (["--topics", "lidar=/points"], "'lidar=/points'"),
        (["--topics", "imu=/a", "imu=/b"], "'imu=/b'"),
        (["--topics", "odometry=none"], "every row needs a odometry"),
        (["--max-gap-s", "nan"], "max_gap_s is nan"),
        (["--fall-tilt-rad", "60"], "fall_tilt_rad is 60.0"),
        (["--rows-per-file", "0"], "rows_per_file is 0"),
        (["--json", "/no/such/folder/report.json"], "--json /no/such/folder/report.json"),
        (["--robot", "spot"], "no robot 'spot'"),
    ],
)
def test_bad_options_are_refused_before_the_bag_is_read(
    words: Words, said: str, tmp_path: Path, refuse: Callable[..., str]
) -> None:
    assert said in refuse(tmp_path / "never_read.bag", words)


def test_what_is_no_bag_is_refused(tmp_path: Path, refuse: Callable[..., str]) -> None:
    assert "there is no file or folder" in refuse(tmp_path / "nothing.mcap")
    for name in ("notes.txt", "torn.bag", "torn.mcap", "torn.db3"):
        path = tmp_path / name
        path.write_text("not a bag, but long enough to be read as one " * 3, encoding="utf-8")
        error = refuse(path)
        assert f"{name} can't be read" in error
        assert "Give a rosbag2 folder, .mcap, .db3 or .bag" in error
    folder = tmp_path / "folder"
    folder.mkdir()
    assert "metadata" in refuse(folder)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.97])
def test_a_bag_that_was_cut_off_is_refused(
    form: str,
    share: float,
    motion: Motion,
    write: Callable[..., Path],
    refuse: Callable[..., str],
) -> None:
    path = write(motion.entries(1.0), form)
    data = path if path.is_file() else next(path.glob("*.mcap"), None) or next(path.glob("*.db3"))
    os.truncate(data, int(share * data.stat().st_size))
    assert "'mcap recover', 'ros2 bag reindex' or 'rosbag reindex'" in refuse(path)


def test_a_bag_that_lost_messages_in_its_middle_is_refused(
    motion: Motion, write: Callable[..., Path], refuse: Callable[..., str]
) -> None:
    path = write(motion.entries(0.5), "sqlite3")
    with contextlib.closing(sqlite3.connect(next(path.glob("*.db3")))) as database, database:
        database.execute("DELETE FROM messages WHERE id % 7 = 0")
    assert "its index says 335: it was cut off or damaged" in refuse(path)


@pytest.mark.parametrize("form", FORMATS)
def test_a_topic_without_messages_is_refused(
    form: str, motion: Motion, write: Callable[..., Path], refuse: Callable[..., str]
) -> None:
    entries = motion.entries(0.2)
    silent = Entry("/imu/data", "sensor_msgs/msg/Imu", -1.0)
    path = write(entries, form, "bag", silent=[silent])
    error = refuse(path, ["--topics", "imu=/imu/data"])
    assert "topic /imu/data has no message" in error


def test_a_bag_shorter_than_a_row_is_refused_with_reasons(
    motion: Motion, write: Callable[..., Path], refuse: Callable[..., str]
) -> None:
    path = write([e for e in motion.entries(0.2) if e.received_s < 0.012])
    error = refuse(path)
    assert "no row can be made of this bag" in error
    assert "joint_command: no message for longer than the allowed gap: 1" in error


def test_a_folder_that_can_not_be_written_is_refused(
    tmp_path: Path, motion: Motion, write: Callable[..., Path], refuse: Callable[..., str]
) -> None:
    occupied = tmp_path / "file"
    occupied.write_text("in the way", encoding="utf-8")
    assert "can't be written" in refuse(write(motion.entries(0.2)), out=occupied / "data")
    assert occupied.read_text(encoding="utf-8") == "in the way"


def test_a_disk_that_fills_up_on_the_way_leaves_none_of_the_files(
    motion: Motion,
    write: Callable[..., Path],
    refuse: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write(motion.entries(1.0))
    real, written = transition_segment.write_segment, []

    def fails_the_third_time(*arguments: Any) -> Path:
        if len(written) == 2:
            raise LogError("the disk is full", fix="Free it.")
        written.append(real(*arguments))
        return written[-1]

    monkeypatch.setattr(bag_import, "write_segment", fails_the_third_time)
    assert "the disk is full" in refuse(path, ["--rows-per-file", "10"])
    assert len(written) == 2
