"""Bags of a robot whose every number is known: which rows come out, and where they end."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from written_bags import (
    FORMATS,
    Entry,
    Motion,
    command,
    edited,
    table,
    target_of_tick,
    with_fields,
    without,
)

from rwmu_deploy.contract.action import action_from_target
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_train.bags.bag_import import import_bag
from rwmu_train.bags.import_settings import ImportSettings

JITTER_FREE_ROWS = 49
"""Of 50 ticks of 0.02 s: before the first, no target was in force."""


def row_of_tick(spec: RobotSpec, motion: Motion, tick: int) -> np.ndarray:
    """The row that our logger would have written at tick `tick`, at tick * 0.02 s."""
    t = 0.02 * tick
    rate, roll = motion.rate_radps(t), motion.roll_rad(t)
    lever = np.array(spec.simulation.base_com_in_base_m)
    return np.concatenate(
        [
            motion.linear_mps(t) + np.cross(rate, lever),
            rate,
            [0.0, -np.sin(roll), -np.cos(roll)],
            motion.position_rad(t) - spec.default_position_rad,
            motion.velocity_radps(t),
            motion.torque_nm(t),
            action_from_target(spec, target_of_tick(spec, tick - 1)),
            np.zeros(9),
        ]
    )


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_gives_the_rows_that_a_logger_would_have_written(
    form: str, spec: RobotSpec, motion: Motion, imported: Callable[..., Any]
) -> None:
    found = imported(motion.entries(1.0), form)
    expected = [row_of_tick(spec, motion, tick) for tick in range(1, 50)]
    assert_allclose(found.dataset.rows, expected, atol=1e-5)
    assert found.dataset.episode_end_kind == ("truncated",)
    assert_allclose(found.dataset.velocity_command, [[0.3, 0.0, -0.1]] * 49, atol=1e-6)
    assert found.report.gaps == {}
    assert found.report.locked_share == 1.0


def test_the_three_formats_agree_to_the_last_bit(
    motion: Motion, imported: Callable[..., Any]
) -> None:
    entries = motion.entries(0.5)
    hashes = {imported(entries, form).dataset.file_sha256 for form in FORMATS}
    assert len(hashes) == 1


def test_a_row_holds_the_target_sent_a_tick_before_it_not_the_one_sent_at_it(
    spec: RobotSpec, columns: TransitionColumns, motion: Motion, imported: Callable[..., Any]
) -> None:
    actions = imported(motion.entries(0.5)).dataset.actions
    before = action_from_target(spec, target_of_tick(spec, 9))
    at = action_from_target(spec, target_of_tick(spec, 10))
    assert_allclose(actions[9], before, atol=1e-6)  # row 9 is tick 10
    assert np.abs(actions[9] - at).max() > 0.05


def test_between_two_messages_values_lie_on_the_line(
    columns: TransitionColumns, motion: Motion, imported: Callable[..., Any]
) -> None:
    """Messages at 0, 25, 50 ms; the row at 40 ms takes 2/5 of one and 3/5 of the other."""
    entries = motion.entries(0.5)
    kept = [e for e in entries if e.topic != "/joint_states"]
    kept += [e for e in motion.entries(0.5, rate_hz=40.0) if e.topic == "/joint_states"]
    found = imported(sorted(kept, key=lambda e: e.received_s))
    row = found.dataset.rows[1]
    expected = 0.4 * motion.velocity_radps(0.025) + 0.6 * motion.velocity_radps(0.05)
    assert_allclose(row[columns.joint_velocity_radps.slice], expected, atol=1e-6)
    assert any("/joint_states comes at 40 Hz" in note for note in found.report.notes)


def test_joints_are_taken_by_name_even_if_their_order_changes_in_the_bag(
    spec: RobotSpec, motion: Motion, imported: Callable[..., Any]
) -> None:
    rng = np.random.default_rng(0)

    def shuffled(entry: Entry) -> Entry:
        order = rng.permutation(spec.joint_count)
        fields = {k: np.asarray(v)[order] for k, v in entry.fields.items() if k != "header"}
        fields["name"] = [str(name) for name in fields["name"]] + ["gripper"]
        for key in ("position", "velocity", "effort"):
            fields[key] = np.append(fields[key], 99.0)
        return with_fields(entry, **fields)

    plain = imported(motion.entries(0.5))
    mixed = imported(edited(motion.entries(0.5), "/joint_states", shuffled))
    assert_allclose(mixed.dataset.rows, plain.dataset.rows, atol=0)


def test_joint_states_of_a_gripper_on_the_same_topic_are_left_aside(
    motion: Motion, imported: Callable[..., Any]
) -> None:
    entries = motion.entries(0.5)
    fields = {"name": ["gripper"], "position": [1.0], "velocity": [0.0], "effort": [0.0]}
    gripper = Entry("/joint_states", "sensor_msgs/msg/JointState", 0.1, fields, 0.1)
    found = imported(sorted([*entries, gripper], key=lambda e: e.received_s))
    assert_allclose(found.dataset.rows, imported(entries).dataset.rows, atol=0)
    assert found.report.series[0].dropped == {"about other joints": 1}


@pytest.mark.parametrize("topic", ["/joint_states", "/imu", "/odom", "/joint_command"])
def test_a_pause_of_a_topic_ends_the_episode_with_a_gap(
    topic: str,
    spec: RobotSpec,
    columns: TransitionColumns,
    motion: Motion,
    imported: Callable[..., Any],
) -> None:
    found = imported(without(motion.entries(1.0), topic, 0.401, 0.601))
    assert found.dataset.episode_end_kind == ("gap", "truncated")
    role = {"/joint_states": "joint_state", "/imu": "attitude", "/odom": "odometry"}
    ((reason, count),) = found.report.gaps.items()
    assert reason.startswith(role.get(topic, "joint_command"))
    assert count == 1
    # Sensors pause from 0.40 to 0.605 s. Targets pause from 0.40 to 0.62 s, and the one of tick 20
    # is held until it is 0.06 s old.
    last, first = (23, 32) if topic == "/joint_command" else (20, 31)
    rows, cut = found.dataset.rows, found.dataset.episode_end[0]
    for row, tick, sent in (
        (rows[cut - 1], last, min(last - 1, 20)),
        (rows[cut], first, first - 1),
    ):
        assert_allclose(row[:45], row_of_tick(spec, motion, tick)[:45], atol=1e-5)
        wanted = action_from_target(spec, target_of_tick(spec, sent))
        assert_allclose(row[columns.action.slice], wanted, atol=1e-6)
    assert sum(found.report.left_out.values()) == first - last - 1


def test_a_pause_up_to_the_allowed_gap_is_bridged(
    motion: Motion, imported: Callable[..., Any]
) -> None:
    entries = without(motion.entries(1.0), "/imu", 0.401, 0.451)
    assert imported(entries).dataset.episode_end_kind == ("truncated",)
    assert imported(entries, max_gap_s=0.04).dataset.episode_end_kind == ("gap", "truncated")


@pytest.mark.parametrize("topic", ["/joint_states", "/imu", "/odom"])
def test_a_message_that_is_not_a_number_ends_the_episode(
    topic: str, motion: Motion, imported: Callable[..., Any]
) -> None:
    def spoilt(entry: Entry) -> Entry:
        if entry.received_s != 0.4:
            return entry
        if topic == "/joint_states":
            return with_fields(entry, velocity=np.full(12, np.nan))
        if topic == "/imu":
            return with_fields(entry, orientation={"w": 0.0})
        return with_fields(entry, twist={"twist": {"linear": {"x": np.inf}}})

    found = imported(edited(motion.entries(1.0), topic, spoilt))
    assert found.dataset.episode_end_kind == ("gap", "truncated")
    ((reason, _),) = found.report.gaps.items()
    assert "not finite" in reason
    assert found.report.left_out == {reason: 1}
    assert np.isfinite(found.dataset.rows).all()


def test_a_bad_message_between_two_rows_parts_them_though_neither_needs_it(
    motion: Motion, imported: Callable[..., Any]
) -> None:
    def spoilt(entry: Entry) -> Entry:
        return with_fields(entry, velocity=[np.nan] * 12) if entry.received_s == 0.41 else entry

    found = imported(edited(motion.entries(1.0), "/joint_states", spoilt))
    assert found.dataset.row_count == JITTER_FREE_ROWS
    assert found.dataset.episode_length.tolist() == [20, 29]
    assert found.report.left_out == {}


@pytest.mark.parametrize(("gain", "reason"), [(0.0, "damp"), (0.5, "gains other than")])
def test_rows_under_damping_or_other_gains_are_no_transitions(
    gain: float, reason: str, spec: RobotSpec, motion: Motion, imported: Callable[..., Any]
) -> None:
    def other(entry: Entry) -> Entry:
        tick = round(entry.received_s / 0.02)
        target = target_of_tick(spec, tick)
        return command(entry.received_s, spec, target, gain) if 20 <= tick < 30 else entry

    found = imported(edited(motion.entries(1.0), "/joint_command", other))
    assert found.dataset.episode_length.tolist() == [20, 19]
    assert [reason in text for text in found.report.left_out] == [True]
    assert list(found.report.left_out.values()) == [10]


def test_a_clock_that_jumps_back_ends_the_episode(
    motion: Motion, imported: Callable[..., Any]
) -> None:
    """0.08 s back is within what a lag may be: only the order gives it away."""

    def stepped(entry: Entry) -> Entry:
        return replace(entry, stamp_s=entry.received_s - 0.08 * (entry.received_s >= 0.5))

    found = imported(edited(motion.entries(1.0), "/imu", stepped))
    assert found.dataset.episode_end_kind == ("gap", "truncated")
    assert list(found.report.gaps) == ["attitude: the header stamps jumped back"]
    by_name = {one.name: one for one in found.report.series}
    assert by_name["attitude"].dropped == {"stamp jumped back": 16}


def test_late_and_doubled_messages_are_sorted_and_dropped(
    motion: Motion, imported: Callable[..., Any]
) -> None:
    entries = motion.entries(0.5)
    joints = [i for i, entry in enumerate(entries) if entry.topic == "/joint_states"]
    late = edited(
        entries,
        "/joint_states",
        lambda e: replace(e, received_s=e.received_s + 0.012 * (e.stamp_s == 0.2)),
    )
    late.append(replace(entries[joints[10]], received_s=0.2571))
    found = imported(sorted(late, key=lambda e: e.received_s))
    assert_allclose(found.dataset.rows, imported(entries).dataset.rows, atol=0)
    assert found.report.series[0].dropped["sorted in"] == 1


def test_an_unset_or_foreign_clock_makes_receipt_count(
    motion: Motion, imported: Callable[..., Any]
) -> None:
    entries = motion.entries(0.5)
    plain = imported(entries)
    for stamp in (lambda t: None, lambda t: t - 5.0, lambda t: t - 1.6e9):
        found = imported(
            edited(entries, "/imu", lambda e: replace(e, stamp_s=stamp(e.received_s)))  # noqa: B023
        )
        by_name = {one.name: one.time_source for one in found.report.series}
        assert by_name["attitude"] == "receive time"
        assert by_name["joint_state"] == "header stamp"
        assert_allclose(found.dataset.rows, plain.dataset.rows, atol=0)
        assert "attitude /imu by receive time" in found.dataset.files[0].path.with_suffix(
            ".meta.json"
        ).read_text(encoding="utf-8")


def test_the_velocity_command_is_unknown_when_it_is_old_missing_or_not_recorded(
    motion: Motion, imported: Callable[..., Any]
) -> None:
    entries = motion.entries(1.5)
    found = imported(without(entries, "/cmd_vel", 0.22, 1.12))
    known = np.isfinite(found.dataset.velocity_command).all(axis=1)
    ticks = np.arange(1, 75)
    # The last one came at 0.20 s and is followed for 0.5 s; the next came at 1.15 s.
    assert known.tolist() == ((ticks <= 35) | (ticks >= 58)).tolist()
    none = imported([e for e in entries if e.topic != "/cmd_vel"])
    assert np.isnan(none.dataset.velocity_command).all()
    assert any("velocity commands are unknown" in note for note in none.report.notes)
    assert none.dataset.episode_end_kind == ("truncated",)


def test_torques_can_be_estimated_where_none_were_measured(
    spec: RobotSpec, columns: TransitionColumns, motion: Motion, imported: Callable[..., Any]
) -> None:
    entries = edited(motion.entries(0.5), "/joint_states", lambda e: with_fields(e, effort=[]))
    found = imported(entries, torque="pd")
    row = found.dataset.rows[9]  # tick 10, at 0.2 s
    torque = 85.0 * (
        target_of_tick(spec, 9) - motion.position_rad(0.2)
    ) - 0.6 * motion.velocity_radps(0.2)
    assert_allclose(row[columns.joint_torque_nm.slice], torque, atol=1e-4)
    meta = found.dataset.files[0].path.with_suffix(".meta.json").read_text(encoding="utf-8")
    assert "estimated: kp (target - q) - kd dq" in meta


def test_an_estimated_torque_stays_within_the_effort_limit(
    columns: TransitionColumns, motion: Motion, imported: Callable[..., Any]
) -> None:
    def far(entry: Entry) -> Entry:
        return with_fields(entry, position=np.asarray(entry.fields["position"]) - 2.0)

    found = imported(edited(motion.entries(0.5), "/joint_states", far), torque="pd")
    assert_allclose(found.dataset.rows[:, columns.joint_torque_nm.slice], 80.0)


def test_contacts_are_held_and_bodies_that_are_not_sensed_are_0(
    spec: RobotSpec, columns: TransitionColumns, motion: Motion, imported: Callable[..., Any]
) -> None:
    feet = ["RF_FOOT", "LF_FOOT"]
    contacts = [
        table("/contacts", 0.01 * i, feet, "contact", np.array([[float(i >= 20)], [1.0]]))
        for i in range(50)
    ]
    entries = sorted([*motion.entries(0.5), *contacts], key=lambda e: e.received_s)
    found = imported(entries)
    values = found.dataset.contacts
    names = columns.contact.labels
    assert values[:, names.index("LF_FOOT")].tolist() == [1.0] * len(values)
    assert values[:, names.index("RF_FOOT")].tolist() == [0.0] * 9 + [1.0] * (len(values) - 9)
    assert values.sum() == 2 * len(values) - 9
    assert "/contacts" in found.report.contact_source
    assert "none: all 0" in imported(motion.entries(0.5)).report.contact_source


def test_without_an_imu_the_odometry_gives_attitude_and_turn_rate(
    motion: Motion, imported: Callable[..., Any]
) -> None:
    entries = motion.entries(0.5)
    plain = imported(entries)
    for found in (
        imported([e for e in entries if e.topic != "/imu"]),
        imported(entries, topics={"imu": "none"}),
    ):
        assert_allclose(found.dataset.rows, plain.dataset.rows, atol=1e-6)
        assert found.report.attitude_source == "pose and twist of /odom"


def test_a_fall_is_the_last_row_of_its_episode_and_what_lies_is_left_out(
    motion: Motion, imported: Callable[..., Any]
) -> None:
    def tilted(entry: Entry) -> Entry:
        lies = 0.395 <= entry.received_s < 0.695
        roll = 1.4 if lies else 0.0
        wxyz = {"w": np.cos(roll / 2), "x": np.sin(roll / 2)}
        return with_fields(entry, orientation=wxyz)

    entries = edited(motion.entries(1.0), "/imu", tilted)
    found = imported(entries, fall_tilt_rad=1.0)
    assert found.dataset.episode_end_kind == ("terminated", "truncated")
    assert found.dataset.episode_length.tolist() == [20, 15]  # ticks 1 to 20, 35 to 49
    assert found.dataset.terminations[:, 0].sum() == 1.0
    assert found.report.falls == 1
    assert found.report.left_out == {"the robot lies after a fall": 14}
    assert found.report.gaps == {}
    silent = imported(entries)
    assert silent.report.falls == 0
    assert any("no terminations" in note for note in silent.report.notes)


def test_a_long_recording_becomes_several_files(
    motion: Motion, imported: Callable[..., Any]
) -> None:
    found = imported(motion.entries(1.0), rows_per_file=20)
    assert [file.row_count for file in found.dataset.files] == [20, 20, 9]
    assert found.report.rows == 49


def named_targets(spec: RobotSpec, entry: Entry, kind: str) -> Entry:
    """The tick's target as another type of message, joints in reverse."""
    tick = round(entry.received_s / 0.02)
    target = target_of_tick(spec, tick)[::-1]
    names = list(spec.joint_names)[::-1]
    fields: dict[str, Any] = {"data": target}
    if kind == "sensor_msgs/msg/JointState":
        fields = {"name": names, "position": target}
    elif kind == "trajectory_msgs/msg/JointTrajectory":
        fields = {"joint_names": names, "points": [{"positions": target}, {"positions": -target}]}
    return Entry("/joint_command", kind, entry.received_s, fields)


@pytest.mark.parametrize(
    "kind",
    [
        "sensor_msgs/msg/JointState",
        "trajectory_msgs/msg/JointTrajectory",
        "std_msgs/msg/Float64MultiArray",
    ],
)
def test_targets_may_come_as_other_messages(
    kind: str, spec: RobotSpec, motion: Motion, imported: Callable[..., Any]
) -> None:
    entries = motion.entries(0.5)
    other = edited(entries, "/joint_command", lambda e: named_targets(spec, e, kind))
    found = imported(other, command_joints=spec.joint_names[::-1])
    assert_allclose(found.dataset.rows, imported(entries).dataset.rows, atol=0)


def test_a_stamped_velocity_command_counts_like_a_plain_one(
    motion: Motion, imported: Callable[..., Any]
) -> None:
    def stamped(entry: Entry) -> Entry:
        kind = "geometry_msgs/msg/TwistStamped"
        return Entry("/cmd_vel", kind, entry.received_s, {"twist": entry.fields}, entry.received_s)

    entries = motion.entries(0.5)
    found = imported(edited(entries, "/cmd_vel", stamped))
    plain = imported(entries).dataset.velocity_command
    assert_allclose(found.dataset.velocity_command, plain, atol=0)


def test_frames_of_other_names_count_where_they_are_said_to_be_the_bases(
    motion: Motion, imported: Callable[..., Any]
) -> None:
    entries = motion.entries(0.5)
    other = edited(entries, "/odom", lambda e: with_fields(e, child_frame_id="trunk"))
    other = edited(other, "/imu", lambda e: with_fields(e, header={"frame_id": "/imu_link"}))
    found = imported(other, base_frame="trunk", imu_frame="imu_link")
    assert_allclose(found.dataset.rows, imported(entries).dataset.rows, atol=0)


def test_a_bag_imported_twice_stands_in_a_folder_twice_and_nothing_is_overwritten(
    tmp_path: Path, spec: RobotSpec, motion: Motion, write: Callable[..., Path]
) -> None:
    path, out = write(motion.entries(0.3)), tmp_path / "data"
    first = import_bag(path, out, spec, ImportSettings()).files
    second = import_bag(path, out, spec, ImportSettings()).files
    assert [file.name for file in (*first, *second)] == [
        "state_action_data_0.csv",
        "state_action_data_1.csv",
    ]
