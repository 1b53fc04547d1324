"""Import a bag: read topics, make rows, write segments, say what was done."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rwmu_deploy.collection.segment_buffer import SegmentBuffer
from rwmu_deploy.collection.segment_files import SegmentPaths
from rwmu_deploy.collection.transition_segment import SegmentOrigin, write_segment
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_deploy.runtime.foot_motion import SAYS as FOOT_MOTION
from rwmu_train.bags.bag_reader import TopicRequest, open_bag
from rwmu_train.bags.bag_rows import (
    ATTITUDE,
    BASE_VELOCITY,
    COMMAND_VELOCITY,
    CONTACT,
    JOINT_COMMAND,
    JOINT_STATE,
    BagRows,
    rows_of_series,
)
from rwmu_train.bags.import_report import INTERPOLATION, ImportReport, SeriesReport, report_series
from rwmu_train.bags.import_settings import ImportSettings
from rwmu_train.bags.message_parsers import (
    contact_parser,
    imu_parser,
    joint_command_parser,
    joint_state_parser,
    odometry_attitude_parser,
    odometry_velocity_parser,
    velocity_parser,
)
from rwmu_train.bags.topic_roles import choose_topics, unused_topics

_UNKNOWN = (math.nan, math.nan, math.nan)
_CLEARLY_LOCKED = 0.9


def import_bag(path: Path, out: Path, spec: RobotSpec, settings: ImportSettings) -> ImportReport:
    """Write a bag's transitions as the next segments of a folder, all of them or none.

    Args:
        path: A rosbag2 folder, .mcap, .db3 or .bag.
        out: Created if missing.
        spec: The robot that was recorded.
        settings: How to read it.

    Raises:
        BagError: The bag can't be read, lacks a topic, or gives no row.
        RobotSpecError: A topic lacks a joint of the robot, or it has extension columns that nobody
            knows to fill.
        RobotLinkError: A labelled table contradicts itself.
        LogError: The folder can't be written.
    """
    with open_bag(path) as bag:
        topics = choose_topics(settings.topics, bag.types)
        requests = _requests(spec, topics, bag.types, settings)
        series = bag.read(requests)
        types = dict(bag.types)
    found = rows_of_series(spec, series, settings)
    reports = tuple(report_series(name, series[name], found.timed[name]) for name in series)
    notes = _notes(spec, found, reports, types, settings)
    origin = _origin(path, topics, reports, found.receipt_lag_s, settings, notes)
    files = _write(out, spec, found, origin, settings.rows_per_file)
    return _report(path, spec, topics, found, reports, origin, files, notes)


def _requests(
    spec: RobotSpec,
    topics: Mapping[str, str],
    types: Mapping[str, str],
    settings: ImportSettings,
) -> list[TopicRequest]:
    joints, odometry, command = (topics[r] for r in ("joint_state", "odometry", "joint_command"))
    base_frame = settings.base_frame
    with_effort = settings.torque == "measured"
    velocity = odometry_velocity_parser(odometry, base_frame)
    if "imu" in topics:
        imu_frame = settings.imu_frame or base_frame
        attitude = TopicRequest(ATTITUDE, topics["imu"], imu_parser(topics["imu"], imu_frame))
    else:
        parser = odometry_attitude_parser(odometry, base_frame)
        attitude = TopicRequest(ATTITUDE, odometry, parser)
    targets = joint_command_parser(spec, command, types[command], settings.command_joints)
    requests = [
        TopicRequest(
            JOINT_STATE, joints, joint_state_parser(spec, joints, with_effort=with_effort)
        ),
        attitude,
        TopicRequest(BASE_VELOCITY, odometry, velocity),
        TopicRequest(JOINT_COMMAND, command, targets),
    ]
    if "command_velocity" in topics:
        topic = topics["command_velocity"]
        requests.append(TopicRequest(COMMAND_VELOCITY, topic, velocity_parser(types[topic])))
    if "contact" in topics:
        topic = topics["contact"]
        requests.append(TopicRequest(CONTACT, topic, contact_parser(spec, topic)))
    return requests


def _notes(
    spec: RobotSpec,
    found: BagRows,
    reports: tuple[SeriesReport, ...],
    types: Mapping[str, str],
    settings: ImportSettings,
) -> tuple[str, ...]:
    """What a user of the rows should know."""
    notes = [FOOT_MOTION] if spec.extension_names else []
    for one in reports:
        measured = one.name in (JOINT_STATE, ATTITUDE, BASE_VELOCITY)
        if measured and one.rate_hz is not None and one.rate_hz * spec.control_dt_s < 0.9:
            notes.append(
                f"{one.topic} comes at {one.rate_hz:.3g} Hz, less than once a row: values between "
                "messages are interpolated"
            )
    if found.locked_share < _CLEARLY_LOCKED:
        notes.append(
            f"targets keep in step with the control period in {found.locked_share:.0%} of the "
            "seconds only: elsewhere, several targets were in force before a row, and its action "
            "is one of them"
        )
    if COMMAND_VELOCITY not in found.timed:
        others = ", ".join(unused_topics("command_velocity", types))
        notes.append(
            "velocity commands are unknown: no topic /cmd_vel"
            + (f"; the bag has {others}" if others else "")
        )
    if settings.fall_tilt_rad is None:
        notes.append("no terminations: falls were not looked for")
    if settings.torque == "pd":
        notes.append(
            "torques follow from the actions, so they can't tell whether actions are aligned"
        )
    return tuple(notes)


def _origin(
    path: Path,
    topics: Mapping[str, str],
    reports: tuple[SeriesReport, ...],
    receipt_lag_s: float,
    settings: ImportSettings,
    notes: tuple[str, ...],
) -> SegmentOrigin:
    """The sidecar's account of where the numbers come from."""
    times = ", ".join(f"{one.name} {one.topic} by {one.time_source}" for one in reports)
    tilt = settings.fall_tilt_rad
    falls = [] if tilt is None else [f"termination where the base tilts beyond {tilt} rad"]
    parts = [
        f"imported from {path.name}: {times}",
        f"times of receipt less {1e3 * receipt_lag_s:.1f} ms",
        INTERPOLATION,
        f"gaps where messages are more than {settings.max_gap_s} s apart",
        f"orientation: {_attitude_source(topics)}",
        *falls,
        *notes,
    ]
    return SegmentOrigin(
        source=settings.source,
        torque_source=(
            f"measured: effort of {topics['joint_state']}"
            if settings.torque == "measured"
            else "estimated: kp (target - q) - kd dq with the robot's gains, within its effort "
            "limits"
        ),
        contact_source=(
            f"{topics['contact']}; bodies that it doesn't name are 0"
            if "contact" in topics
            else "none: all 0"
        ),
        base_velocity_source=(
            f"twist of {topics['odometry']} in its child frame '{settings.base_frame}', moved to "
            "the base's centre of mass"
        ),
        note="; ".join(parts),
    )


def _report(
    path: Path,
    spec: RobotSpec,
    topics: Mapping[str, str],
    found: BagRows,
    reports: tuple[SeriesReport, ...],
    origin: SegmentOrigin,
    files: list[Path],
    notes: tuple[str, ...],
) -> ImportReport:
    columns = TransitionColumns.of(spec)
    return ImportReport(
        bag=path,
        robot=spec.name,
        files=tuple(files),
        rows=len(found.rows),
        seconds=len(found.rows) * spec.control_dt_s,
        episodes=int(found.begins.sum()),
        falls=int(found.rows[:, columns.termination.start].sum()),
        gaps=found.gaps,
        left_out=found.left_out,
        left_out_share=found.left_out_share,
        velocity_command_known_share=float(np.isfinite(found.velocity_command[:, 0]).mean()),
        locked_share=found.locked_share,
        receipt_lag_s=found.receipt_lag_s,
        torque_source=origin.torque_source,
        contact_source=origin.contact_source,
        base_velocity_source=origin.base_velocity_source,
        attitude_source=_attitude_source(topics),
        series=reports,
        notes=notes,
    )


def _attitude_source(topics: Mapping[str, str]) -> str:
    if "imu" in topics:
        return f"orientation and angular velocity of {topics['imu']}"
    return f"pose and twist of {topics['odometry']}"


def _write(
    out: Path, spec: RobotSpec, found: BagRows, origin: SegmentOrigin, rows_per_file: int
) -> list[Path]:
    """Write segments; if one fails, those before it go too."""
    buffer = SegmentBuffer(TransitionColumns.of(spec))
    paths: list[Path] = []
    try:
        for index, row in enumerate(found.rows):
            vx, vy, wz = found.velocity_command[index].tolist()
            # One object for all unknown commands: NaN is unlike itself.
            command = (vx, vy, wz) if np.isfinite([vx, vy, wz]).all() else _UNKNOWN
            buffer.add(row, command, begins=bool(found.begins[index]))
            if len(buffer) == rows_per_file:
                paths.append(write_segment(out, spec, *buffer.take(), origin))
        if len(buffer):
            paths.append(write_segment(out, spec, *buffer.take(), origin))
    except BaseException:
        for path in paths:
            _remove(path)
        raise
    return paths


def _remove(csv: Path) -> None:
    paths = SegmentPaths.beside(csv)
    for path in (paths.csv, paths.meta, paths.episodes):
        path.unlink(missing_ok=True)
