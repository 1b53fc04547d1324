"""`rwmu-data import-bag`: transitions of a rosbag."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rwmu_deploy.cli.command_line import EXIT_OK
from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import default_robot, load_robot_spec
from rwmu_train.bags.bag_import import import_bag
from rwmu_train.bags.import_report import ImportReport, SeriesReport
from rwmu_train.bags.import_settings import ImportSettings
from rwmu_train.bags.topic_roles import ROLES, parse_topics
from rwmu_train.run_folder import write_json


def add_import_bag_command(commands: Any) -> None:
    """Add the subcommand to `rwmu-data`."""
    default = ImportSettings()
    parser = commands.add_parser("import-bag", help="turn a rosbag into transitions")
    add = parser.add_argument
    add("bag", type=Path, help="rosbag2 folder, .mcap, .db3 or ROS 1 .bag")
    add("--out", type=Path, required=True, help="folder for the data")
    add("--robot", default=default_robot(), help="name or robot.yaml (default %(default)s)")
    usual = ", ".join(f"{role.name}={role.defaults[0]}" for role in ROLES)
    add("--topics", nargs="+", default=[], metavar="ROLE=TOPIC", help=f"usual: {usual}")
    add("--base-frame", default=default.base_frame, help="the odometry's child frame")
    add("--imu-frame", help="the IMU's frame, if its axes are the base's")
    add("--command-joints", nargs="+", default=[], metavar="JOINT", help="order of an array")
    add("--torque", choices=("measured", "pd"), default=default.torque)
    add("--max-gap-s", type=float, default=default.max_gap_s, help="default %(default)s")
    add("--fall-tilt-rad", type=float, help="a base tilted further has fallen")
    add("--source", choices=("real", "sim"), default=default.source)
    add("--rows-per-file", type=int, default=default.rows_per_file, help="default %(default)s")
    add("--json", type=Path, metavar="FILE", help="write the report to FILE too")
    parser.set_defaults(command=_import_bag)


def _import_bag(options: argparse.Namespace) -> int:
    spec = load_robot_spec(options.robot)
    settings = ImportSettings(
        topics=parse_topics(options.topics),
        base_frame=options.base_frame,
        imu_frame=options.imu_frame,
        command_joints=tuple(options.command_joints),
        torque=options.torque,
        max_gap_s=options.max_gap_s,
        fall_tilt_rad=options.fall_tilt_rad,
        source=options.source,
        rows_per_file=options.rows_per_file,
    )
    if options.json is not None and not options.json.parent.is_dir():
        raise ConfigError(
            f"--json {options.json} lies in a folder that doesn't exist",
            fix="Name a file in a folder you may write.",
        )
    report = import_bag(options.bag, options.out, spec, settings)
    print_report(Console(), report)
    if options.json is not None:
        _write_report(options.json, report)
    return EXIT_OK


def print_report(console: Console, report: ImportReport) -> None:
    """Topics, then rows, then notes, one a line."""
    console.print(_series_table(report.series))
    table = Table(title=f"Transitions of {report.robot}", show_header=False)
    lines = [
        ("files", f"{len(report.files)} in {report.files[0].parent}"),
        ("rows", f"{report.rows} ({report.seconds:.2f} s)"),
        ("episodes", f"{report.episodes}: {report.falls} falls"),
        *((f"gaps: {reason}", str(count)) for reason, count in report.gaps.items()),
        ("left out", f"{report.left_out_share:.1%} of the rows"),
        *((f"left out: {reason}", str(count)) for reason, count in report.left_out.items()),
        ("velocity commands known", f"{report.velocity_command_known_share:.1%}"),
        *(
            (f"{one.topic}: {reason}", f"{count} messages")
            for one in report.series
            for reason, count in one.dropped.items()
        ),
        ("taken off times of receipt", f"{1e3 * report.receipt_lag_s:.1f} ms"),
        ("torque", report.torque_source),
        ("contact", report.contact_source),
        ("base velocity", report.base_velocity_source),
        ("attitude", report.attitude_source),
    ]
    for name, value in lines:
        table.add_row(Text(name), Text(value))
    console.print(table)
    for note in report.notes:
        console.print(Text(f"note: {note}", style="yellow"), soft_wrap=True)


def _series_table(series: tuple[SeriesReport, ...]) -> Table:
    table = Table(title="Topics", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("role", "topic", "messages", "rate", "pause", "time by", "lag"):
        table.add_column(name, overflow="fold", no_wrap=name in ("role", "topic"))
    for one in series:
        table.add_row(
            one.name,
            Text(one.topic),
            str(one.messages),
            _number(one.rate_hz, 1.0, "Hz"),
            _number(one.longest_pause_s, 1e3, "ms"),
            one.time_source,
            _number(one.median_lag_s, 1e3, "ms"),
        )
    return table


def _number(value: float | None, factor: float, unit: str) -> str:
    return "" if value is None else f"{factor * value:.4g} {unit}"


def _write_report(path: Path, report: ImportReport) -> None:
    try:
        write_json(path, report)
    except OSError as error:
        raise ConfigError(
            f"--json {path} can't be written: {error}; the transitions are in "
            f"{report.files[0].parent}",
            fix="Name a file in a folder you may write.",
        ) from error
