"""Files of a folder, their sidecars, and the episodes they tell of."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rwmu_deploy.collection.segment_files import SegmentPaths
from rwmu_deploy.collection.transition_segment import EpisodeSpan, SegmentOrigin, write_segment
from rwmu_deploy.contract.errors import TransitionFileError
from rwmu_deploy.contract.robot_spec import spec_from_dict, spec_to_dict
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_train.transitions.dataset_loading import load_dataset
from rwmu_train.transitions.sidecar import read_sidecar
from rwmu_train.transitions.transition_files import find_transition_files, read_transition_file

STILL = (0.0, 0.0, 0.0)
SHIPPED = Path(__file__).parents[3] / "assets" / "data" / "anymal_d_flat"


def edit_meta(csv: Path, **changes: object) -> None:
    path = SegmentPaths.beside(csv).meta
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_segment_is_read_back_bit_for_bit_with_its_episodes(segment, spec, random_rows) -> None:
    rows = random_rows(6)
    rows[4, 65] = 1.0
    path = segment(
        rows,
        [
            EpisodeSpan(0, 1, "continues", (0.1, 0.2, 0.3)),
            EpisodeSpan(2, 2, "gap", (-1.0, 0.0, 0.0)),
            EpisodeSpan(3, 4, "terminated", STILL),
            EpisodeSpan(5, 5, "continues", (np.nan, np.nan, np.nan)),
        ],
    )
    file = read_transition_file(path, spec)
    np.testing.assert_array_equal(file.rows.view(np.uint32), rows.view(np.uint32))
    assert file.episode_start.tolist() == [0, 3, 5]
    assert file.episode_end.tolist() == [3, 5, 6]
    assert file.episode_end_kind == ("gap", "terminated", "gap")
    expected = np.array(
        [[0.1, 0.2, 0.3]] * 2 + [[-1, 0, 0]] + [[0, 0, 0]] * 2 + [[np.nan] * 3], dtype=np.float32
    )
    np.testing.assert_array_equal(file.velocity_command, expected)
    assert file.notes == ()
    assert file.meta is not None
    assert file.meta["source"] == "sim"


def test_without_a_sidecar_episodes_end_at_termination_flags(segment, spec, random_rows) -> None:
    rows = random_rows(7)
    rows[[2, 5], 65] = 1.0
    paths = SegmentPaths.beside(segment(rows))
    paths.meta.unlink()
    paths.episodes.unlink()
    file = read_transition_file(paths.csv, spec)
    assert file.episode_start.tolist() == [0, 3, 6]
    assert file.episode_end.tolist() == [3, 6, 7]
    assert file.episode_end_kind == ("terminated", "terminated", "gap")
    assert np.isnan(file.velocity_command).all()
    assert file.velocity_command.shape == (7, 3)
    assert "no sidecar" in file.notes[0]


def test_fall_in_mid_span_ends_the_episode_and_is_noted(segment, spec, random_rows) -> None:
    rows = random_rows(5)
    rows[1, 65] = 1.0
    file = read_transition_file(segment(rows), spec)
    assert file.episode_end.tolist() == [2, 5]
    assert file.episode_end_kind == ("terminated", "truncated")
    assert "1 falls in mid-span" in file.notes[0]


def test_termination_flag_other_than_0_or_1_is_refused(segment, spec, random_rows) -> None:
    rows = random_rows(3)
    rows[1, 65] = 0.5
    with pytest.raises(TransitionFileError, match=r"row 1 .* termination\[fell\] is 0.5"):
        read_transition_file(segment(rows), spec)


def test_leg_major_joint_order_is_refused_at_the_first_difference(
    segment, spec, random_rows
) -> None:
    path = segment(random_rows(2))
    legs = [name for leg in ("LF", "LH", "RF", "RH") for name in spec.joint_names if leg in name]
    edit_meta(path, joint_names=legs)
    with pytest.raises(TransitionFileError, match="index 1: file 'LF_HFE', robot 'LH_HAA'"):
        read_transition_file(path, spec)


def test_other_contact_order_is_refused(segment, spec, random_rows) -> None:
    path = segment(random_rows(2))
    meta = json.loads(SegmentPaths.beside(path).meta.read_text())
    meta["columns"][57], meta["columns"][58] = meta["columns"][58], meta["columns"][57]
    edit_meta(path, columns=meta["columns"])
    with pytest.raises(TransitionFileError, match="columns differs at index 57"):
        read_transition_file(path, spec)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("schema", "rwmu.transitions/2"),
        ("robot", "spot"),
        ("control_dt_s", 0.01),
        ("control_dt_s", None),
        ("action_scale", 0.25),
        ("default_position_rad", [0.0] * 12),
        ("default_position_rad", [0.0] * 11),
        ("joint_names", ["LF_HAA"]),
        ("joint_names", "LF_HAA"),
        ("columns", None),
        ("source", "dreamt"),
        ("rows", 3),
        ("csv_sha256", "00"),
        ("episodes_sha256", "00"),
    ],
)
def test_sidecar_of_other_data_is_refused(segment, spec, random_rows, key, value) -> None:
    path = segment(random_rows(2))
    read_transition_file(path, spec)
    edit_meta(path, **{key: value})
    with pytest.raises(TransitionFileError, match=key):
        read_transition_file(path, spec)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "\xff\x00"])
def test_unreadable_meta_is_refused(segment, spec, random_rows, content) -> None:
    path = segment(random_rows(2))
    SegmentPaths.beside(path).meta.write_bytes(content.encode("latin-1"))
    with pytest.raises(TransitionFileError, match=r"meta\.json"):
        read_transition_file(path, spec)


@pytest.mark.parametrize("key", ["joint_names", "csv_sha256", "source", "columns"])
def test_meta_without_a_key_is_refused(segment, spec, random_rows, key) -> None:
    path = segment(random_rows(2))
    meta_path = SegmentPaths.beside(path).meta
    meta = json.loads(meta_path.read_text())
    del meta[key]
    meta_path.write_text(json.dumps(meta))
    with pytest.raises(TransitionFileError, match=f"misses {key}"):
        read_transition_file(path, spec)


@pytest.mark.parametrize("gone", ["meta", "episodes"])
def test_half_a_sidecar_is_refused(segment, spec, random_rows, gone) -> None:
    path = segment(random_rows(2))
    getattr(SegmentPaths.beside(path), gone).unlink()
    with pytest.raises(TransitionFileError, match=rf"but no .*\.{gone}"):
        read_transition_file(path, spec)


def test_other_gains_are_noted(segment, spec, random_rows) -> None:
    path = segment(random_rows(2))
    edit_meta(path, kp_nm_per_rad=[50.0] * 12)
    assert "kp_nm_per_rad is not the robot's" in read_transition_file(path, spec).notes[0]


def test_other_safety_limits_do_not_matter(segment, spec, random_rows) -> None:
    path = segment(random_rows(2))
    document = spec_to_dict(spec)
    document["safety"]["recovery_s"] = 1.0
    other = spec_from_dict(document, source="test")
    assert other.sha256 != spec.sha256
    assert read_transition_file(path, other).notes == ()


def test_any_byte_cut_off_or_changed_is_noticed_through_the_sidecar(
    segment, spec, random_rows
) -> None:
    rows = np.round(random_rows(2) * 2) / 2  # few digits: fewer places to cut at
    paths = SegmentPaths.beside(segment(rows))
    rng = np.random.default_rng(0)
    for path in (paths.csv, paths.episodes):
        content = path.read_bytes()
        for size in range(len(content)):
            path.write_bytes(content[:size])
            with pytest.raises(TransitionFileError):
                read_transition_file(paths.csv, spec)
        for _ in range(100):
            changed = bytearray(content)
            changed[rng.integers(len(changed))] ^= 1 << rng.integers(8)
            path.write_bytes(changed)
            with pytest.raises(TransitionFileError):
                read_transition_file(paths.csv, spec)
        path.write_bytes(content)
    read_transition_file(paths.csv, spec)


@pytest.mark.parametrize(
    "lines",
    [
        ["0,1,truncated,0,0,0", "3,3,gap,0,0,0"],
        ["0,4,truncated,0,0,0"],
        ["0,2,truncated,0,0,0"],
        ["0,3,ended,0,0,0"],
        ["0,3,gap,0,0"],
        ["0,3,gap,0,0,inf"],
        ["0,3,gap,0,0,nan"],
        ["0,x,gap,0,0,0"],
        [],
    ],
)
def test_episodes_that_do_not_fit_the_rows_are_refused(segment, spec, random_rows, lines) -> None:
    paths = SegmentPaths.beside(segment(random_rows(4)))
    header = paths.episodes.read_text().splitlines()[0]
    paths.episodes.write_text("\n".join([header, *lines]) + "\n")
    sha256 = hashlib.sha256(paths.episodes.read_bytes()).hexdigest()
    edit_meta(paths.csv, episodes_sha256=sha256)
    with pytest.raises(TransitionFileError, match=r"episodes\.csv"):
        read_transition_file(paths.csv, spec)


def test_folder_is_read_in_numeric_order_and_holes_are_noted(tmp_path) -> None:
    for index in (10, 9, 2, 0):
        (tmp_path / f"state_action_data_{index}.csv").write_text("")
    for other in ("state_action_data_1.meta.json", "state_action_data_01.csv", ".x.csv.tmp"):
        (tmp_path / other).write_text("")
    paths, notes = find_transition_files(tmp_path)
    assert [path.stem.split("_")[-1] for path in paths] == ["0", "2", "9", "10"]
    assert "numbers 1, 3, 4, 5, 6, ... are missing" in notes[0]


def test_missing_and_empty_folders_are_refused(tmp_path) -> None:
    with pytest.raises(TransitionFileError, match="no file or folder"):
        find_transition_files(tmp_path / "nowhere")
    with pytest.raises(TransitionFileError, match="holds no file named"):
        find_transition_files(tmp_path)


_WRITER = """
import sys, numpy as np
from pathlib import Path
from rwmu_deploy.collection.transition_segment import EpisodeSpan, SegmentOrigin, write_segment
from rwmu_deploy.contract.robot_spec import load_robot_spec
spec = load_robot_spec("anymal_d")
rows = np.random.default_rng(0).normal(size=(200, 66))
rows[:, 57:] = 0
for i in range(25):
    span = EpisodeSpan(0, 199, "truncated", (0.0, 0.0, 0.0))
    write_segment(Path(sys.argv[1]), spec, rows, [span], SegmentOrigin("real", "", "", ""))
"""


def test_folder_that_is_being_written_can_be_read_at_any_moment(tmp_path, spec) -> None:
    root = Path(__file__).resolve().parents[3]
    rows = np.zeros((1, 66))
    span = EpisodeSpan(0, 0, "truncated", STILL)
    write_segment(tmp_path, spec, rows, [span], SegmentOrigin("real", "", "", ""))
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path)], cwd=root)
    sizes = []
    while writer.poll() is None:
        sizes.append(load_dataset(tmp_path, spec).row_count)
    assert writer.returncode == 0
    assert load_dataset(tmp_path, spec).row_count == 1 + 25 * 200
    assert sizes == sorted(sizes)
    assert len(sizes) > 1


def test_humanoid_of_156_columns_goes_through_the_same_table(spec, tmp_path) -> None:
    document = spec_to_dict(spec)
    joint = document["joints"][0]
    names = [f"joint_{i}" for i in range(29)]
    bodies = [f"body_{i}" for i in range(24)] + ["left_foot", "right_foot"]
    document |= {
        "name": "humanoid",
        "joints": [{**joint, "name": name} for name in names],
        "contact_names": bodies,
        "foot_names": bodies[-2:],
        "extension_names": ["left_height", "right_height", "left_speed", "right_speed"],
        "symmetry": {
            "left_right": {name: name for name in [*names, *bodies]},
            "left_right_negated": [],
        },
    }
    humanoid = spec_from_dict(document, source="test")
    columns = TransitionColumns.of(humanoid)
    assert (columns.state_size, columns.action.size, columns.count) == (96, 29, 156)
    rows = np.random.default_rng(0).normal(size=(20, 156)).astype(np.float32)
    rows[:, columns.contact.slice] = rows[:, columns.contact.slice] > 0.0
    rows[:, columns.termination.slice] = 0.0
    span = EpisodeSpan(0, 19, "truncated", (0.0, 0.0, 0.0))
    path = write_segment(tmp_path, humanoid, rows, [span], SegmentOrigin("sim", "", "", ""))
    data = load_dataset(path, humanoid)
    np.testing.assert_array_equal(data.rows, rows)
    assert data.extensions.shape == (20, 4)
    assert data.contacts.shape == (20, 26)
    with pytest.raises(TransitionFileError, match="has 156 columns; allowed is 66"):
        read_transition_file(path, spec)


def test_delay_of_a_variant_is_read_from_the_sidecar(segment, spec, random_rows) -> None:
    path = segment(random_rows(3))
    assert read_transition_file(path, spec).actuation_delay_s == 0.0
    edit_meta(path, variant={"name": "late", "actuation_delay_s": 0.04})
    assert load_dataset(path, spec).delay_rows == 2


@pytest.mark.parametrize("delay_s", [float("nan"), -0.02, 1e9, "late", None, [0.02]])
def test_delay_that_is_no_time_is_refused(segment, spec, random_rows, delay_s) -> None:
    path = segment(random_rows(3))
    edit_meta(path, variant={"name": "late", "actuation_delay_s": delay_s})
    with pytest.raises(TransitionFileError, match=r"variant\.actuation_delay_s is"):
        read_transition_file(path, spec)


@pytest.mark.parametrize("variant", ["field", 0.02, [1]])
def test_variant_that_is_no_document_is_refused(segment, spec, random_rows, variant) -> None:
    path = segment(random_rows(3))
    edit_meta(path, variant=variant)
    with pytest.raises(TransitionFileError, match="variant is"):
        read_transition_file(path, spec)


class TestLoggedSegments:
    def test_gaps_are_read_with_their_causes(self, logged, spec) -> None:
        sha256 = hashlib.sha256(logged.read_bytes()).hexdigest()
        sidecar = read_sidecar(logged, spec, csv_sha256=sha256, row_count=6)
        assert sidecar is not None
        (placed,) = sidecar.gaps
        assert (placed.after_row, placed.gap.ticks) == (2, 1)
        assert placed.gap.causes["hold"].reasons == ("sensor_age: 0.07 s, allowed is 0.06 s",)

    def test_other_segments_have_no_ticks_and_no_gaps(self, segment, random_rows, spec) -> None:
        path = segment(random_rows(3))
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        sidecar = read_sidecar(path, spec, csv_sha256=sha256, row_count=3)
        assert sidecar is not None
        assert sidecar.gaps == ()
        assert not SegmentPaths.beside(path).ticks.exists()

    def test_shipped_data_without_ticks_are_read(self, spec) -> None:
        assert load_dataset(SHIPPED, spec).row_count == 16_000

    def test_listed_ticks_that_are_missing_are_asked_for(self, logged, spec) -> None:
        SegmentPaths.beside(logged).ticks.unlink()
        with pytest.raises(TransitionFileError, match="Copy the missing file too"):
            read_transition_file(logged, spec)

    def test_ticks_of_another_robot_or_length_are_refused(self, logged, spec) -> None:
        path = SegmentPaths.beside(logged).ticks
        lines = path.read_text().splitlines(keepends=True)
        for other in (lines[:-1], [lines[0].replace("LF_HAA", "leg_1"), *lines[1:]]):
            path.write_text("".join(other))
            edit_meta(logged, ticks_sha256=hashlib.sha256(path.read_bytes()).hexdigest())
            with pytest.raises(TransitionFileError, match="header"):
                read_transition_file(logged, spec)

    @pytest.mark.parametrize(
        "gaps",
        [None, 3, [3], [{}], [{"after_row": 6, "ticks": 0, "skipped_periods": 0, "causes": []}]],
    )
    def test_gaps_that_make_no_sense_are_refused(self, logged, spec, gaps) -> None:
        edit_meta(logged, gaps=gaps)
        with pytest.raises(TransitionFileError, match="gaps is"):
            read_transition_file(logged, spec)

    def test_ticks_that_an_earlier_segment_left_behind_do_not_stay(
        self, segment, random_rows, spec, tmp_path
    ) -> None:
        (tmp_path / "data").mkdir()
        stale = tmp_path / "data" / "state_action_data_0.ticks.csv"
        stale.write_text("of a segment that a crash kept from appearing")
        assert read_transition_file(segment(random_rows(3)), spec).rows.shape == (3, 66)
        assert not stale.exists()
