"""`rwmu-collect`: let a robot walk by itself inside a fence, and log what it does.

On the simulated robot:

    rwmu-collect --bundle BUNDLE --out SESSION --hours 1

A robot behind ROS 2 is run by `ros2 launch rwmu_deploy collect.launch.py`. Either way the session
can be watched from another terminal, and goes on where it was when it is started again:

    rwmu-collect watch SESSION
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rwmu_deploy.cli.collect_run import SAVE_S, CollectRun
from rwmu_deploy.cli.command_line import EXIT_FAILED, EXIT_OK, CommandParser, run_command
from rwmu_deploy.cli.run_plan import (
    RunPlan,
    own_robot,
)
from rwmu_deploy.cli.stop_signals import StopSignals
from rwmu_deploy.cli.terminal_view import TerminalView
from rwmu_deploy.collection.journal_recovery import recover
from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.patrol.collect_plan import CollectPlan, read_plan
from rwmu_deploy.patrol.collect_session import CollectSession
from rwmu_deploy.patrol.excitation import Excitation, excited
from rwmu_deploy.patrol.session_folder import SessionFolder, read_progress, read_session
from rwmu_deploy.patrol.session_writer import SessionWriter
from rwmu_deploy.patrol.walking_area import Rectangle
from rwmu_deploy.runtime.data_guard import MONITOR_MODES, default_mode, guard_of
from rwmu_deploy.simulation.odometry_drift import OdometryDrift
from rwmu_deploy.simulation.robot_variant import NOMINAL, VARIANTS, find_variant


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    return run_command(lambda: _watch(words[1:]) if words[:1] == ["watch"] else _collect(words))


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="rwmu-collect",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--robot", choices=["sim"], default="sim", help="what to collect on")
    add("--bundle", type=Path, required=True, help="folder that rwmu-export made")
    add("--out", type=Path, required=True, help="folder of the session; goes on if it was begun")
    add("--plan", type=Path, help="YAML file of area, commands and limits (docs/hardware.md)")
    add("--hours", type=float, help="time to walk, instead of the plan's")
    add(
        "--fence",
        type=float,
        nargs=2,
        metavar=("LENGTH", "WIDTH"),
        help="sides of the rectangle about the origin in m, instead of the plan's",
    )
    add(
        "--excitation", type=float, metavar="LEVEL", help="noise on actions, instead of the plan's"
    )
    add("--seed", type=int, help="of commands, noise and variant, instead of the plan's")
    add(
        "--variant",
        default=NOMINAL.name,
        help=f"simulated robot, one of {', '.join(VARIANTS)} (default %(default)s)",
    )
    add(
        "--odometry-drift",
        type=float,
        default=0.02,
        metavar="SHARE",
        help="error of the simulated robot's odometry over its way (default %(default)s)",
    )
    add("--monitor", choices=list(MONITOR_MODES), help="as of rwmu-run")
    add("--fast", action="store_true", help="don't wait for real time")
    add("--json", type=Path, help="write the summary to this file too")
    return parser


def _watch(words: list[str]) -> int:
    parser = CommandParser(prog="rwmu-collect watch", description="Show how a session is doing.")
    parser.add_argument("session", type=Path, help="its folder")
    parser.add_argument("--once", action="store_true", help="print it once")
    options = parser.parse_args(words)
    read_session(options.session)
    view = TerminalView()
    while True:
        progress = read_progress(options.session)
        if progress is None:
            print("the robot has not been seen yet")
        else:
            view.show(progress, now_s=time.monotonic())
        if options.once:
            return EXIT_OK
        time.sleep(SAVE_S)


def _collect(words: list[str]) -> int:
    options = _parser().parse_args(words)
    plan = _plan(options)
    if options.json is not None and not options.json.parent.is_dir():
        raise ConfigError(
            f"--json: there is no folder {options.json.parent}", fix="Create it first."
        )
    variant = find_variant(options.variant)
    # Only here: --help and `watch` start faster without onnxruntime.
    from rwmu_deploy.contract.policy_bundle import PolicyBundle

    bundle = PolicyBundle.load(options.bundle)
    spec, mode = own_robot(bundle), options.monitor or default_mode(bundle)
    facts = {
        "robot": bundle.spec.name,
        "bundle": bundle.name,
        "bundle_sha256": bundle.sha256,
        "plan": plan.to_dict(),
        "source": f"simulated, {variant.name}, odometry drift {options.odometry_drift:g}",
        "command_range": [list(bundle.command_range.lower), list(bundle.command_range.upper)],
    }
    drift = OdometryDrift(options.odometry_drift, 1, plan.seed)
    folder = SessionFolder(options.out, facts)
    writer = SessionWriter(folder)
    try:
        recovered = sum(journal.rows for journal in recover(folder.data))
        session = CollectSession(
            plan,
            bundle.command_range,
            progress=folder.progress(),
            on_event=writer.note_event,
        )
        run = RunPlan(
            spec=spec,
            policy=excited(bundle, plan.excitation, spec, plan.seed + 1000 * session.starts),
            command_range=bundle.command_range,
            velocity_command=(0.0, 0.0, 0.0),
            walk_s=plan.limits.longest_s,
            fast=options.fast,
            log_folder=folder.data,
            bundle_sha256=bundle.sha256,
            variant=variant,
            seed=plan.seed,
            guard=guard_of(bundle, mode),
            observation_range=bundle.observation_range,
            bundle=bundle.name,
            record_folder=folder.path / "flights",
            note=plan.excitation.says,
        )
        signals = StopSignals()
        with signals.caught():
            summary = CollectRun(run, session, drift, writer, signals).to_its_end()
    finally:
        writer.close()
    summary |= {
        "recovered_rows": recovered,
        "lines_lost": folder.failures + writer.dropped,
    }
    text = json.dumps(summary, indent=1)
    print(_said(summary))
    if options.json is not None:
        options.json.write_text(text + "\n")
    if signals.number is not None:
        return 128 + signals.number
    return EXIT_FAILED if summary["gave_up"] else EXIT_OK


def _plan(options: argparse.Namespace) -> CollectPlan:
    plan = CollectPlan() if options.plan is None else read_plan(options.plan)
    if options.hours is not None:
        plan = replace(plan, limits=replace(plan.limits, longest_s=3600.0 * options.hours))
    if options.fence is not None:
        length_m, width_m = options.fence
        old = plan.area.boundary
        sides = Rectangle(length_m, width_m, old.centre_m, old.yaw_rad)
        plan = replace(plan, area=replace(plan.area, boundary=sides))
    if options.excitation is not None:
        plan = replace(plan, excitation=Excitation(options.excitation))
    if options.seed is not None:
        plan = replace(plan, seed=options.seed)
    return plan


def _said(summary: dict[str, Any]) -> str:
    log = summary["log"]
    parts = [
        f"walked {summary['walked_s']:.0f} s, {summary['way_m']:.0f} m in {summary['starts']} "
        "starts",
        f"{summary['rows']:,} rows, {log['dropped']} dropped",
        f"coverage {summary['coverage']:.2f}",
        f"put up {summary['put_up']} times, on its mark {summary['origins_set']} times",
    ]
    if summary["gave_up"]:
        parts.append(f"gave up: {summary['gave_up']}")
    parts.append(f"rwmu-data session {summary['session']} makes the report")
    return "rwmu-collect: " + "; ".join(parts)


if __name__ == "__main__":
    sys.exit(main())
