"""Segments: the CSV and its sidecar say the same, appear whole, and lose no bit of a float32."""

import hashlib
import json
import math
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rwmu_deploy.collection.disk import Disk
from rwmu_deploy.collection.segment_files import segment_indices
from rwmu_deploy.collection.transition_segment import (
    EPISODE_HEADER,
    SCHEMA,
    EpisodeSpan,
    SegmentOrigin,
    write_segment,
)
from rwmu_deploy.contract.errors import LogError
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.contract.transition_columns import TransitionColumns

SPEC = load_robot_spec("anymal_d")
COLUMNS = TransitionColumns.of(SPEC)
ORIGIN = SegmentOrigin(
    source="real",
    torque_source="measured",
    contact_source="force above 1 N",
    base_velocity_source="legged odometry",
    bundle_sha256="ab" * 32,
    note="flat floor",
)
NAN = math.nan


def rows_of(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, COLUMNS.count)).astype(np.float32)


def one_span(count: int) -> list[EpisodeSpan]:
    return [EpisodeSpan(0, count - 1, "truncated", (0.5, 0.0, -0.25))]


def test_csv_text_of_two_rows_is_as_computed_by_hand(tmp_path: Path) -> None:
    rows = np.zeros((2, 66))
    rows[0, 0] = 0.1
    rows[0, 65] = 1.0
    rows[1, 1] = -2.5e-8
    path = write_segment(tmp_path, SPEC, rows, one_span(2), ORIGIN)
    first = ",".join(["0.100000001", *["0"] * 64, "1"])
    second = ",".join(["0", "-2.50000003e-08", *["0"] * 64])
    assert path.read_text() == f"{first}\n{second}\n"


def test_episodes_file_holds_rows_ends_and_commands(tmp_path: Path) -> None:
    spans = [
        EpisodeSpan(0, 1, "continues", (0.5, 0.0, 0.1)),
        EpisodeSpan(2, 2, "terminated", (NAN, NAN, NAN)),
    ]
    write_segment(tmp_path, SPEC, rows_of(3), spans, ORIGIN)
    assert (tmp_path / "state_action_data_0.episodes.csv").read_text() == (
        "first_row,last_row,end,vx_mps,vy_mps,wz_radps\n"
        "0,1,continues,0.5,0,0.100000001\n"
        "2,2,terminated,nan,nan,nan\n"
    )
    assert ",".join(EPISODE_HEADER) == "first_row,last_row,end,vx_mps,vy_mps,wz_radps"


def test_meta_names_robot_order_gains_origin_and_hashes(tmp_path: Path) -> None:
    path = write_segment(tmp_path, SPEC, rows_of(5), one_span(5), ORIGIN)
    meta = json.loads((tmp_path / "state_action_data_0.meta.json").read_text())
    episodes = (tmp_path / "state_action_data_0.episodes.csv").read_bytes()
    assert meta["schema"] == SCHEMA
    assert (meta["robot"], meta["robot_sha256"]) == ("anymal_d", SPEC.sha256)
    assert meta["joint_names"][:5] == ["LF_HAA", "LH_HAA", "RF_HAA", "RH_HAA", "LF_HFE"]
    assert len(meta["columns"]) == 66
    assert meta["columns"][33] == {"name": "joint_torque_nm[LF_HAA]", "unit": "N m"}
    assert (meta["control_dt_s"], meta["action_scale"], meta["rows"]) == (0.02, 0.5, 5)
    assert meta["default_position_rad"][4:6] == [0.4, -0.4]
    assert (meta["kp_nm_per_rad"][0], meta["kd_nms_per_rad"][0]) == (85.0, 0.6)
    assert (meta["source"], meta["torque_source"]) == ("real", "measured")
    assert (meta["contact_source"], meta["note"]) == ("force above 1 N", "flat floor")
    assert (meta["base_velocity_source"], meta["bundle_sha256"]) == ("legged odometry", "ab" * 32)
    assert meta["csv_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert meta["episodes_sha256"] == hashlib.sha256(episodes).hexdigest()
    assert meta["created_utc"].endswith("+00:00")


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        np.float32, (3, 66), elements=st.floats(width=32, allow_nan=False, allow_infinity=False)
    )
)
def test_any_float32_survives_bit_for_bit(tmp_path_factory, rows: np.ndarray) -> None:
    path = write_segment(tmp_path_factory.mktemp("s"), SPEC, rows, one_span(3), ORIGIN)
    read = np.array([line.split(",") for line in path.read_text().splitlines()], dtype=np.float64)
    np.testing.assert_array_equal(read.astype(np.float32).view(np.uint32), rows.view(np.uint32))


@pytest.mark.parametrize("count", [1, 31, 32, 33, 4095, 4096, 4097])
def test_every_row_is_there_whatever_the_block_size(tmp_path: Path, count: int) -> None:
    rows = rows_of(count)
    path = write_segment(tmp_path, SPEC, rows, one_span(count), ORIGIN)
    read = np.loadtxt(path, delimiter=",", ndmin=2)
    np.testing.assert_array_equal(read.astype(np.float32), rows)


def test_a_wide_robots_rows_are_formatted_in_small_parts(tmp_path: Path) -> None:
    """What is formatted at once holds the interpreter lock, and the control loop waits for it."""
    sizes: list[int] = []

    class Noting(Disk):
        def write(self, descriptor: int, data: bytes) -> int:
            sizes.append(len(data))
            return super().write(descriptor, data)

    wide = load_robot_spec("g1")
    rows = np.random.default_rng(0).normal(size=(500, TransitionColumns.of(wide).count))
    span = EpisodeSpan(0, 499, "truncated", (0.0, 0.0, 0.0))
    write_segment(tmp_path, wide, rows, [span], ORIGIN, disk=Noting())
    csv_bytes = (tmp_path / "state_action_data_0.csv").stat().st_size
    parts = [size for size in sizes if size < 2000 * len("-1.23456789e-05,")]
    assert sum(parts) >= csv_bytes
    assert len(parts) > 35


def test_segments_are_numbered_after_the_highest_one(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "on demand"
    names = [write_segment(folder, SPEC, rows_of(1), one_span(1), ORIGIN).name for _ in range(2)]
    assert names == ["state_action_data_0.csv", "state_action_data_1.csv"]
    (folder / "state_action_data_10.csv").write_text("another writer's\n")
    path = write_segment(folder, SPEC, rows_of(1), one_span(1), ORIGIN)
    assert path.name == "state_action_data_11.csv"
    assert segment_indices(folder) == [0, 1, 10, 11]


def test_sidecar_left_by_a_crash_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "state_action_data_0.meta.json").write_text("{}")
    (tmp_path / "state_action_data_0.episodes.csv").write_text("old")
    path = write_segment(tmp_path, SPEC, rows_of(1), one_span(1), ORIGIN)
    assert path.name == "state_action_data_0.csv"
    meta = json.loads((tmp_path / "state_action_data_0.meta.json").read_text())
    assert meta["csv_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_number_that_float32_cannot_hold_is_refused_by_name(tmp_path: Path, bad: float) -> None:
    rows = rows_of(4).astype(np.float64)
    rows[2, 21] = bad
    with pytest.raises(LogError, match=r"row 2, joint_velocity_radps\[LF_HAA\] is"):
        write_segment(tmp_path, SPEC, rows, one_span(4), ORIGIN)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shape", [(3, 65), (3, 67), (0, 66), (66,)])
def test_rows_of_another_shape_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(LogError, match="allowed is"):
        write_segment(tmp_path, SPEC, np.zeros(shape), one_span(3), ORIGIN)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "bounds",
    [
        [],
        [(0, 2)],
        [(0, 4)],
        [(1, 3)],
        [(0, 1), (3, 3)],
        [(0, 1), (1, 3)],
        [(2, 3), (0, 1)],
        [(0, 1), (2, 1), (2, 3)],
        [(0, 3), (4, 4)],
    ],
)
def test_spans_that_do_not_tile_the_rows_are_refused(
    tmp_path: Path, bounds: list[tuple[int, int]]
) -> None:
    spans = [EpisodeSpan(first, last, "gap", (0.0, 0.0, 0.0)) for first, last in bounds]
    with pytest.raises(LogError, match="cover"):
        write_segment(tmp_path, SPEC, rows_of(4), spans, ORIGIN)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [(0.1, NAN, 0.0), (math.inf, 0.0, 0.0), (0.1, 0.2)])
def test_half_known_command_is_refused(tmp_path: Path, command: tuple) -> None:
    with pytest.raises(LogError, match="velocity command"):
        write_segment(tmp_path, SPEC, rows_of(1), [EpisodeSpan(0, 0, "gap", command)], ORIGIN)


def test_unknown_end_is_refused(tmp_path: Path) -> None:
    span = EpisodeSpan(0, 0, "fell", (0.0, 0.0, 0.0))  # pyright: ignore[reportArgumentType]
    with pytest.raises(LogError, match="ends as 'fell'"):
        write_segment(tmp_path, SPEC, rows_of(1), [span], ORIGIN)


def test_full_disk_leaves_no_trace_and_keeps_earlier_segments(tmp_path: Path) -> None:
    write_segment(tmp_path, SPEC, rows_of(1), one_span(1), ORIGIN)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(LogError, match="can't be written"):
            write_segment(tmp_path, SPEC, rows_of(5000), one_span(5000), ORIGIN)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(LogError, match="can't be written"):
        write_segment(tmp_path / "data", SPEC, rows_of(1), one_span(1), ORIGIN)


_WRITER = """
import sys, numpy as np
from pathlib import Path
from rwmu_deploy.collection.transition_segment import EpisodeSpan, SegmentOrigin, write_segment
from rwmu_deploy.contract.robot_spec import load_robot_spec
spec = load_robot_spec("anymal_d")
for i in range(15):
    rows = np.full((3, 66), float(sys.argv[2]) + i)
    span = EpisodeSpan(0, 2, "truncated", (0.0, 0.0, 0.0))
    write_segment(Path(sys.argv[1]), spec, rows, [span], SegmentOrigin("sim", "", "", ""))
"""


def test_two_processes_share_a_folder_without_losing_a_segment(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[3]
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path), start], cwd=root)
        for start in ("100", "200")
    ]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    assert segment_indices(tmp_path) == list(range(30))
    firsts = {
        float(p.read_text().split(",")[0])
        for p in tmp_path.glob("*_[0-9]*.csv")
        if "episodes" not in p.name
    }
    assert firsts == {float(start + i) for start in (100, 200) for i in range(15)}
    for index in range(30):
        meta = json.loads((tmp_path / f"state_action_data_{index}.meta.json").read_text())
        csv = (tmp_path / f"state_action_data_{index}.csv").read_bytes()
        assert meta["csv_sha256"] == hashlib.sha256(csv).hexdigest()
    assert len(list(tmp_path.iterdir())) == 90
