"""Lifecycle node that runs a policy bundle on a robot behind topics.

configure loads and verifies the bundle; activate arms the control loop, which then ticks in a
thread of its own; every way out of active sends damping first.
"""

from __future__ import annotations

import gc
import logging
import sys
import time
from pathlib import Path
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from rwmu_deploy.contract.errors import RwmuError
from rwmu_deploy.contract.policy_bundle import PolicyBundle
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.runtime.data_guard import DataGuard, default_mode, guard_of
from rwmu_ros.arming_watch import ArmingWatch
from rwmu_ros.autostart import Autostart
from rwmu_ros.emergency_stop import EmergencyStop, EmergencyStopTopics
from rwmu_ros.locked_memory import lock_memory
from rwmu_ros.node_link import LinkKind, NodeLink
from rwmu_ros.node_parameters import PolicyNodeParameters, declare_parameters, read_parameters
from rwmu_ros.node_report import NodeReport
from rwmu_ros.policy_run import PolicyRun
from rwmu_ros.run_report import write_summary
from rwmu_ros.steady_timer import steady_timer
from rwmu_ros.topic_link import TopicLink
from rwmu_ros.velocity_topic import VelocityTopic

_RUN_SECONDS_PERIOD_S = 0.1
_START_PERIOD_S = 0.1
TOPICS = LinkKind(lambda node, spec, command_range, parameters: TopicLink(node, spec, parameters))
"""A robot behind topics of common types."""
_SUCCESS, _FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class PolicyNode(LifecycleNode):
    """See the module. An executor of one thread spins it; loop and e-stop have their own."""

    def __init__(self, *, link_kind: LinkKind = TOPICS, **kwargs: Any) -> None:
        super().__init__("policy_node", **kwargs)
        self._link_kind = link_kind
        declare_parameters(self)
        link_kind.declare(self)
        self.add_on_set_parameters_callback(self._refuse_change_after_configure)
        self.exit_code: int | None = None
        """Set when the process should end by itself."""
        self.summary: dict[str, Any] | None = None
        """Numbers of the latest run that ended."""
        self.refusal = ""
        """Why the latest transition was refused."""
        self.estop = EmergencyStop()
        self._log = logging.getLogger(self.get_logger().name)
        self._settings: PolicyNodeParameters | None = None
        self._bundle: PolicyBundle | None = None
        self._guard: DataGuard | None = None
        self._link: NodeLink | None = None
        self._watch: ArmingWatch | None = None
        self._velocity: VelocityTopic | None = None
        self._run: PolicyRun | None = None
        self._memory = "not locked"
        self._report = NodeReport(self)
        steady_timer(self, _RUN_SECONDS_PERIOD_S, self._end_when_time_is_up)
        steady_timer(self, _START_PERIOD_S, self._start_when_asked)
        self._autostart = Autostart(self) if self.get_parameter("autostart").value else None
        self._estop_topics = EmergencyStopTopics(self, self.estop)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read parameters, verify the bundle, subscribe, and begin to watch the sensors."""
        try:
            parameters = read_parameters(self)
            bundle = PolicyBundle.load(
                parameters.bundle,
                robot=load_robot_spec(parameters.robot),
                expected_sha256=parameters.expected_sha256 or None,
            )
            mode = default_mode(bundle) if parameters.monitor == "auto" else parameters.monitor
            guard = guard_of(bundle, mode)
            self._link = self._link_kind.open(self, bundle.spec, bundle.command_range, parameters)
        except RwmuError as error:
            self._report_refusal("configure", error)
            return _FAILURE
        self._settings, self._bundle, self._guard = parameters, bundle, guard
        if parameters.lock_memory:
            # Not at arming: it takes a second, and sensors get old meanwhile.
            self._memory = lock_memory()
        # Looking through all objects that are there by now would take longer than a tick.
        gc.collect()
        gc.freeze()
        self._velocity = VelocityTopic(self, parameters.cmd_vel_topic)
        self._watch = ArmingWatch(self, bundle.spec, self._link)
        self.estop.release()
        self._log.info(
            "bundle %s verified, SHA-256 %s; robot %s; commands go to %s; monitor: %s",
            bundle.name,
            bundle.sha256,
            bundle.spec.name,
            self._link.command_topic,
            mode,
        )
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Arm from the pose that is measured now."""
        assert self._bundle is not None, "rclpy configures first"
        assert self._link is not None, "rclpy configures first"
        assert self._settings is not None, "rclpy configures first"
        assert self._velocity is not None, "rclpy configures first"
        assert self._watch is not None, "rclpy configures first"
        run = PolicyRun(self._bundle, self._link, self._velocity, self._settings, self._guard)
        self.estop.guard(run)
        try:
            if self.estop.reason or self.estop.ending:
                self._log.error(
                    "activate refused: %s. Clean up and configure again.",
                    self.estop.reason or self.estop.ending,
                )
                return self._not_activated()
            run.begin(self._watch.healthy_s(), self._watch.interruption)
        except RwmuError as error:
            self._report_refusal("activate", error)
            return self._not_activated()
        self._watch.pause()
        self._run = run
        self.refusal = ""
        self._log.info(
            "armed: standing up, then the policy; scheduling: %s; memory: %s",
            run.scheduling,
            self._memory,
        )
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Damp, then fall silent."""
        self._end_run("deactivated")
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of bundle and topics."""
        self._release("cleaned up")
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Damp and let go, from any state."""
        self._release("shut down")
        self.exit_code = 0 if self.exit_code is None else self.exit_code
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Damp and go back to unconfigured after an exception in a transition."""
        self._release("an exception in a lifecycle transition")
        return super().on_error(state)

    def end(self, reason: str) -> None:
        """Damp and let go because the process ends."""
        self.estop.end(reason)
        self._release(reason)
        self._report.say_state()

    def destroy_node(self) -> None:
        """Give everything back, the e-stop last."""
        super().destroy_node()
        self._estop_topics.close()

    @property
    def is_configured(self) -> bool:
        return self._link is not None

    @property
    def is_active(self) -> bool:
        return self._run is not None

    @property
    def healthy_s(self) -> float:
        """Time for which the sensors have been healthy without interruption [s]."""
        return 0.0 if self._watch is None else self._watch.healthy_s()

    @property
    def autostart_timeout_s(self) -> float:
        return 0.0 if self._settings is None else self._settings.autostart_timeout_s

    @property
    def robot_name(self) -> str:
        """Empty before configure."""
        return self._bundle.spec.name if self._bundle else ""

    def state(self) -> dict[str, Any]:
        """What the state topic says."""
        run = self._run
        return {
            "active": run is not None,
            "configured": self._link is not None,
            "phase": run.loop.phase if run else "disarmed",
            "state": run.loop.state.name if run else "DAMP",
            "reasons": list(run.loop.reasons) if run else ["inactive"],
            "estop": self.estop.reason,
            "dry_run": bool(self._settings and self._settings.dry_run),
            "scheduling": run.scheduling if run else None,
            "memory": self._memory,
        }

    def numbers(self) -> dict[str, Any]:
        """What /diagnostics says beside the state."""
        numbers: dict[str, Any] = {}
        if self._velocity is not None:
            numbers["cmd_vel"] = self._velocity.counts()
        if self._link is not None:
            numbers["refusals"] = {s.topic: s.last_refusal for s in self._link.sources}
            numbers["qos_mismatches"] = len(self._link.mismatches)
            numbers["robot"] = self._link.numbers()
        if self._run is not None:
            numbers |= self._run.numbers()
        elif self._watch is not None:
            numbers["sensors_healthy_s"] = round(self._watch.healthy_s(), 2)
            numbers["sensors_interruption"] = self._watch.interruption
        return numbers

    def _not_activated(self) -> TransitionCallbackReturn:
        self.estop.guard(None)
        return _FAILURE

    def _end_run(self, reason: str) -> None:
        run, self._run = self._run, None
        if run is None:
            return
        self.summary = {**run.end(reason), "cmd_vel": self._velocity and self._velocity.counts()}
        self.estop.guard(None)
        if self._watch is not None:
            self._watch.resume()
        self._report.say_state()
        summary = self.summary
        self._log.info(
            "run ended by %s: %s ticks, period error p99 %s ms, %s overruns, faults %s, log %s",
            reason,
            summary["ticks"],
            summary["p99_period_error_ms"],
            summary["overruns"],
            summary["counters"],
            summary["log"],
        )
        assert self._settings is not None, "a run has parameters"
        if self._settings.summary_file:
            try:
                write_summary(Path(self._settings.summary_file), summary)
            except RwmuError as error:
                self._log.error("%s", error)

    def _release(self, reason: str) -> None:
        self._end_run(reason)
        for part in (self._watch, self._velocity, self._link):
            if part is not None:
                part.close()
        self._watch = self._velocity = self._link = None
        self._bundle = None
        self._settings = None

    def _start_when_asked(self) -> None:
        link = None if self.is_active else self._link
        if link is not None and link.asks_to_start(time.monotonic()):
            self.trigger_activate()

    def _end_when_time_is_up(self) -> None:
        if self._run is not None and self._settings is not None:
            run_seconds = self._settings.run_seconds
            if run_seconds and self._run.elapsed_s >= run_seconds:
                self._end_run("run_seconds are over")
                self.exit_code = 0

    def _refuse_change_after_configure(self, changes: list[Parameter]) -> SetParametersResult:
        if self._link is None:
            return SetParametersResult(successful=True)
        return SetParametersResult(
            successful=False,
            reason=f"{', '.join(change.name for change in changes)}: parameters are read at "
            "configure; deactivate and clean up first",
        )

    def _report_refusal(self, transition: str, error: RwmuError) -> None:
        # Autostart tries again and again; the same words once are enough.
        if str(error) != self.refusal:
            self.refusal = str(error)
            self._log.error("%s refused: %s", transition, error)


if __name__ == "__main__":
    from rwmu_ros.policy_process import main

    sys.exit(main())
