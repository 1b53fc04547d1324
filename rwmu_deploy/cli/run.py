"""`rwmu-run`: run a bundle's policy at 50 Hz on the simulated robot.

The robot settles, the loop arms, stands up, and walks with one velocity command.
`rwmu-run replay FILE` decides again from the recording of a fault.
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rwmu_deploy.cli.command_line import EXIT_FAILED, EXIT_OK, CommandParser, run_command
from rwmu_deploy.cli.replay_command import replay_command
from rwmu_deploy.cli.run_plan import (
    SETTLE_S,
    STAND_UP_S,
    RunPlan,
    flight_writer,
    own_robot,
    transition_log,
)
from rwmu_deploy.cli.stop_signals import StopSignals
from rwmu_deploy.collection.flight_writer import FlightSummary, FlightWriter
from rwmu_deploy.collection.log_summary import LogSummary
from rwmu_deploy.contract.errors import ConfigError, LogError
from rwmu_deploy.contract.whole_file import write_whole
from rwmu_deploy.runtime.clock import ManualClock, MonotonicClock
from rwmu_deploy.runtime.control_loop import ControlLoop
from rwmu_deploy.runtime.data_guard import MONITOR_MODES, default_mode, guard_of
from rwmu_deploy.runtime.loop_thread import FINAL_DAMPING_TICKS, LoopThread
from rwmu_deploy.runtime.run_record import RunRecord
from rwmu_deploy.runtime.safety_monitor import SafetyState
from rwmu_deploy.runtime.tick_report import TickReport
from rwmu_deploy.simulation.robot_variant import NOMINAL, VARIANTS, find_variant
from rwmu_deploy.simulation.simulated_robot import SimulatedRobot

_FINISHED = "run finished"


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    return run_command(lambda: _main(words))


def _main(arguments: list[str]) -> int:
    if arguments[:1] == ["replay"]:
        return replay_command(arguments[1:])
    options = _parser().parse_args(arguments)
    plan = _plan(options)
    if options.json is not None and not options.json.parent.is_dir():
        raise ConfigError(
            f"--json: there is no folder {options.json.parent}", fix="Create it first."
        )
    signals = StopSignals()
    with signals.caught():
        summary = run(plan, signals)
    print(_summary_line(summary))
    if options.json is not None:
        _write_summary(options.json, summary)
    if signals.number is not None:
        return 128 + signals.number
    return EXIT_OK if summary["healthy"] else EXIT_FAILED


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog="rwmu-run", description=__doc__)
    parser.add_argument("--robot", choices=["sim"], default="sim", help="what to run on")
    parser.add_argument("--bundle", type=Path, required=True, help="folder that rwmu-export made")
    parser.add_argument(
        "--seconds", type=float, default=20.0, help="time to walk, after standing up (default 20)"
    )
    parser.add_argument(
        "--command",
        type=float,
        nargs=3,
        metavar=("VX", "VY", "WZ"),
        default=(0.5, 0.0, 0.0),
        help="velocity command in m/s, m/s, rad/s (default 0.5 0 0); clipped to what was trained",
    )
    parser.add_argument(
        "--variant",
        default=NOMINAL.name,
        help=f"simulated robot, one of {', '.join(VARIANTS)} (default %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of what the variant draws (default %(default)s)"
    )
    parser.add_argument(
        "--monitor",
        choices=list(MONITOR_MODES),
        help="what the bundle's world model does when the robot leaves its data: nothing, say so, "
        "or shrink the command and stop (default: warn where the bundle has one)",
    )
    parser.add_argument("--log", type=Path, help="folder for transitions (CSV with sidecars)")
    parser.add_argument(
        "--record",
        type=Path,
        help="folder for recordings of faults, which `rwmu-run replay FILE` reads (default: "
        "flights in the folder of --log)",
    )
    parser.add_argument("--fast", action="store_true", help="don't wait for real time")
    parser.add_argument("--json", type=Path, help="write the summary to this file too")
    return parser


def _plan(options: argparse.Namespace) -> RunPlan:
    if not (math.isfinite(options.seconds) and options.seconds > 0.0):
        raise ConfigError(
            f"--seconds is {options.seconds}; allowed is a finite number above 0",
            fix="Give the time to walk in seconds.",
        )
    if not np.isfinite(options.command).all():
        raise ConfigError(
            f"--command is {options.command}; allowed are three finite numbers",
            fix="Give vx [m/s], vy [m/s] and wz [rad/s].",
        )
    if not options.seed >= 0:
        raise ConfigError(f"--seed is {options.seed}; allowed is 0 up", fix="Give such a number.")
    variant = find_variant(options.variant)
    # Only here: everything else runs with any policy, and starts faster without onnxruntime.
    from rwmu_deploy.contract.policy_bundle import PolicyBundle

    bundle = PolicyBundle.load(options.bundle)
    in_log = None if options.log is None else options.log / "flights"
    vx, vy, wz = bundle.command_range.clip(options.command).tolist()
    return RunPlan(
        spec=own_robot(bundle),
        policy=bundle,
        command_range=bundle.command_range,
        velocity_command=(vx, vy, wz),
        walk_s=options.seconds,
        fast=options.fast,
        log_folder=options.log,
        bundle_sha256=bundle.sha256,
        variant=variant,
        seed=options.seed,
        guard=guard_of(bundle, options.monitor or default_mode(bundle)),
        observation_range=bundle.observation_range,
        bundle=bundle.name,
        record_folder=options.record or in_log,
    )


def run(plan: RunPlan, signals: StopSignals) -> dict[str, Any]:
    """Run a plan to its end, to a signal, or to the first DAMP; returns the facts.

    Raises:
        RwmuError: A folder can't be used, or the robot can't be armed.
    """
    clock = ManualClock() if plan.fast else MonotonicClock()
    robot = SimulatedRobot(plan.spec, variant=plan.variant, seed=plan.seed)
    robot.advance(SETTLE_S)
    flights = flight_writer(plan)
    logger = transition_log(plan)
    log: LogSummary | None = None
    recorded: FlightSummary | None = None
    try:
        if flights is not None:
            flights.start()
        record = RunRecord()

        def on_tick(report: TickReport) -> None:
            # The one command of a run never ages: it is said again every tick.
            loop.set_velocity_command(plan.velocity_command, report.now_s)
            record.on_tick(report)
            if logger is not None:
                logger.on_tick(report)

        loop = ControlLoop(
            plan.spec,
            plan.policy,
            robot,
            command_range=plan.command_range,
            stand_up_s=STAND_UP_S,
            guard=plan.guard,
            observation_range=plan.observation_range,
            on_tick=on_tick,
            witness=None if flights is None else flights.recorder,
        )
        now_s = clock.now_s()
        robot.resume_at(now_s)
        loop.set_velocity_command(plan.velocity_command, now_s)
        loop.arm(now_s)
        drive = _Drive(plan, loop, robot, record, signals, flights)
        timing = drive.fast(clock) if isinstance(clock, ManualClock) else drive.real_time(clock)
    finally:
        log = logger.close() if logger is not None else None
        recorded = flights.close() if flights is not None else None
    healthy = record.state <= SafetyState.HOLD and _only_finished(loop.reasons)
    distance_m = float(np.linalg.norm(drive.final_position_m[:2]))
    return {
        "robot": plan.spec.name,
        "variant": plan.variant.name,
        "bundle_sha256": plan.bundle_sha256,
        "velocity_command": list(plan.velocity_command),
        "healthy": healthy,
        "state": record.state.name,
        "reasons": [] if healthy else list(record.reasons or loop.reasons),
        "fell": record.fell or drive.base_touched,
        "ticks": record.ticks,
        "phases": dict(record.phases),
        "states": dict(record.states),
        "monitor": dict(record.monitor_levels),
        "distance_m": distance_m,
        "mean_velocity": list(record.mean_velocity),
        "rms_velocity_error": list(record.rms_velocity_error),
        "faults": loop.counters,
        **timing,
        "log": None if log is None else log.to_dict(),
        "flights": None if recorded is None else _flight_facts(recorded),
    }


class _Drive:
    """Ticks a loop on the simulated robot until the run is over."""

    def __init__(
        self,
        plan: RunPlan,
        loop: ControlLoop,
        robot: SimulatedRobot,
        record: RunRecord,
        signals: StopSignals,
        flights: FlightWriter | None,
    ) -> None:
        self._loop = loop
        self._flights = flights
        self._robot = robot
        self._record = record
        self._signals = signals
        self._period_s = plan.spec.control_dt_s
        self._walk_ticks = max(1, round(plan.walk_s / self._period_s))
        self.final_position_m = robot.base_position_m
        self.base_touched = False

    def fast(self, clock: ManualClock) -> dict[str, Any]:
        """Without sleeping."""
        while not self._is_over():
            self._robot.advance(clock.now_s())
            self._observe()
            self._loop.tick(clock.now_s())
            clock.advance(self._period_s)
        self._expect_end()
        self._loop.stop(self._stop_reason())
        for _ in range(FINAL_DAMPING_TICKS):
            self._robot.advance(clock.now_s())
            self._loop.tick(clock.now_s())
            clock.advance(self._period_s)
        return {"real_time": False}

    def real_time(self, clock: MonotonicClock) -> dict[str, Any]:
        """With the loop's own thread."""
        thread = LoopThread(
            self._loop, self._period_s, clock=clock, before_tick=self._advance_in_real_time
        )
        thread.start()
        while not (self._is_over() or thread.join(self._period_s)):
            pass
        self._expect_end()
        thread.request_stop(self._stop_reason())
        thread.join()
        periods = thread.periods.errors()
        return {
            "real_time": True,
            "overruns": thread.overruns,
            "skipped_ticks": thread.skipped,
            "dropped_physics_s": self._robot.dropped_s,
            "period_error_median_s": periods.median_s,
            "period_error_p99_s": periods.p99_s,
            "period_error_max_s": periods.max_s,
        }

    def _advance_in_real_time(self, now_s: float) -> None:
        self._robot.advance_in_real_time(now_s)
        self._observe()

    def _observe(self) -> None:
        if self._loop.state <= SafetyState.HOLD:
            self.final_position_m = self._robot.base_position_m
            self.base_touched = self.base_touched or self._robot.fell

    def _is_over(self) -> bool:
        return (
            self._signals.number is not None
            or self._record.phases["policy"] >= self._walk_ticks
            or self._loop.state >= SafetyState.DAMP
        )

    def _expect_end(self) -> None:
        if self._flights is not None:
            self._flights.recorder.expect_end()

    def _stop_reason(self) -> str:
        if self._signals.number is not None:
            return f"signal: {signal.Signals(self._signals.number).name}"
        return _FINISHED


def _only_finished(reasons: Sequence[str]) -> bool:
    return all(reason == _FINISHED or reason.startswith("signal: ") for reason in reasons)


def _flight_facts(recorded: FlightSummary) -> dict[str, Any]:
    return {
        "files": [str(path) for path in recorded.files],
        "lost": recorded.lost,
        "failures": recorded.failures,
    }


def _summary_line(summary: dict[str, Any]) -> str:
    vx, vy, wz = summary["mean_velocity"]
    parts = [
        f"{summary['ticks']} ticks",
        f"ended in {summary['state']}" + (" after a fall" if summary["fell"] else ""),
        f"mean velocity {vx:.2f} {vy:.2f} {wz:.2f}",
        f"{summary['distance_m']:.1f} m",
    ]
    if summary["real_time"]:
        p99_ms = 1e3 * summary["period_error_p99_s"]
        parts.append(f"{summary['overruns']} overruns, period error p99 {p99_ms:.2f} ms")
    if summary["faults"].keys() - {"stop"}:
        faults = ", ".join(f"{k} {n}" for k, n in summary["faults"].items() if k != "stop")
        parts.append(f"faults: {faults}")
    if summary["log"] is not None:
        parts.append(f"{summary['log']['rows']} rows logged, {summary['log']['dropped']} dropped")
    if summary["flights"] is not None:
        parts += [f"recorded {path}" for path in summary["flights"]["files"]]
        if summary["flights"]["lost"]:
            parts.append(f"{summary['flights']['lost']} recordings lost")
    if not summary["healthy"]:
        parts.append("because of " + "; ".join(summary["reasons"]))
    return "rwmu-run: " + "; ".join(parts)


def _write_summary(path: Path, summary: dict[str, Any]) -> None:
    try:
        write_whole(path, (json.dumps(summary, indent=1) + "\n").encode())
    except OSError as error:
        raise LogError(f"{path} can't be written: {error}", fix="Give another path.") from error


if __name__ == "__main__":
    sys.exit(main())
