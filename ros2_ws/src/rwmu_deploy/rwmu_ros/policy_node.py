"""Lifecycle node that runs a policy bundle on a robot behind topics.

configure loads and verifies the bundle; activate arms the control loop, which then ticks in a
thread of its own; every way out of active sends damping first.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Twist
from rcl_interfaces.msg import SetParametersResult
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.utilities import try_shutdown
from std_msgs.msg import Empty, String
from std_srvs.srv import Trigger

from rwmu_deploy.contract.errors import RwmuError
from rwmu_deploy.contract.policy_bundle import PolicyBundle
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.runtime.data_guard import DataGuard, default_mode, guard_of
from rwmu_ros import quality_of_service
from rwmu_ros.message_conversion import velocity_command
from rwmu_ros.newest_message import NewestMessage
from rwmu_ros.node_parameters import PolicyNodeParameters, declare_parameters, read_parameters
from rwmu_ros.policy_run import PolicyRun
from rwmu_ros.process_setup import start_process
from rwmu_ros.run_report import diagnostics_message, write_summary
from rwmu_ros.stop_signals import StopSignals
from rwmu_ros.topic_link import TopicLink

_STATE_PERIOD_S = 0.1
_STATE_REPEAT_S = 1.0
_DIAGNOSTICS_PERIOD_S = 1.0
_AUTOSTART_PERIOD_S = 0.2
_SUCCESS, _FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class PolicyNode(LifecycleNode):
    """See the module. An executor of one thread spins it; the loop has its own thread."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("policy_node", **kwargs)
        declare_parameters(self)
        self.add_on_set_parameters_callback(self._refuse_change_after_configure)
        self.exit_code: int | None = None
        """Set when the process should end by itself."""
        self.summary: dict[str, Any] | None = None
        """Numbers of the latest run that ended."""
        self._settings: PolicyNodeParameters | None = None
        self._bundle: PolicyBundle | None = None
        self._guard: DataGuard | None = None
        self._link: TopicLink | None = None
        self._run: PolicyRun | None = None
        self._estop: str | None = None
        self._refusal = ""
        self._velocity = NewestMessage("cmd_vel", velocity_command)
        self._velocity_subscription: Any = None

        self._state_publisher = self.create_publisher(String, "~/state", quality_of_service.STATE)
        self._diagnostics_publisher = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_subscription(
            Empty, "~/estop", self._on_estop_message, quality_of_service.COMMAND
        )
        self.create_service(Trigger, "~/estop", self._on_estop_request)
        self._said: dict[str, Any] | None = None
        self._said_s = 0.0
        self.create_timer(_STATE_PERIOD_S, self._on_state_timer)
        self.create_timer(_DIAGNOSTICS_PERIOD_S, self._on_diagnostics_timer)
        self._autostart_began_s = time.monotonic()
        if self.get_parameter("autostart").value:
            self._autostart_timer = self.create_timer(_AUTOSTART_PERIOD_S, self._on_autostart)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read parameters, verify the bundle, subscribe."""
        try:
            parameters = read_parameters(self)
            bundle = PolicyBundle.load(
                parameters.bundle,
                robot=load_robot_spec(parameters.robot),
                expected_sha256=parameters.expected_sha256 or None,
            )
            mode = default_mode(bundle) if parameters.monitor == "auto" else parameters.monitor
            guard = guard_of(bundle, mode)
            self._link = TopicLink(self, bundle.spec, parameters)
        except RwmuError as error:
            self._report_refusal("configure", error)
            return _FAILURE
        self._settings, self._bundle, self._guard = parameters, bundle, guard
        self._velocity_subscription = self.create_subscription(
            Twist, parameters.cmd_vel_topic, self._on_velocity, quality_of_service.SENSOR
        )
        self._estop = None
        self.get_logger().info(
            f"bundle {bundle.name} verified, SHA-256 {bundle.sha256}; robot {bundle.spec.name}; "
            f"commands go to {self._link.command_topic}; monitor: {mode}"
        )
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Arm from the pose that is measured now."""
        assert self._bundle is not None, "rclpy configures first"
        assert self._link is not None, "rclpy configures first"
        assert self._settings is not None, "rclpy configures first"
        if self._estop:
            self.get_logger().error(
                f"activate refused: {self._estop}. Clean up and configure again."
            )
            return _FAILURE
        run = PolicyRun(self._bundle, self._link, self._settings, self._guard)
        try:
            run.begin()
        except RwmuError as error:
            self._report_refusal("activate", error)
            return _FAILURE
        self._run = run
        self._refusal = ""
        self.get_logger().info("armed: standing up, then the policy")
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
        self._release(reason)
        self._say_state()

    def _end_run(self, reason: str) -> None:
        run, self._run = self._run, None
        if run is None:
            return
        self.summary = {**run.end(reason), "cmd_vel": self._velocity.counts()}
        self._say_state()
        summary = self.summary
        self.get_logger().info(
            f"run ended by {reason}: {summary['ticks']} ticks, period error p99 "
            f"{summary['p99_period_error_ms']} ms, {summary['overruns']} overruns, "
            f"faults {summary['counters']}, log {summary['log']}"
        )
        assert self._settings is not None, "a run has parameters"
        if self._settings.summary_file:
            try:
                write_summary(Path(self._settings.summary_file), summary)
            except RwmuError as error:
                self.get_logger().error(str(error))

    def _release(self, reason: str) -> None:
        self._end_run(reason)
        if self._link is not None:
            self._link.close()
            self._link = None
        if self._velocity_subscription is not None:
            self.destroy_subscription(self._velocity_subscription)
            self._velocity_subscription = None
        self._bundle = None
        self._settings = None

    def _press_estop(self, source: str) -> None:
        self._estop = f"e-stop by {source}"
        if self._run is not None:
            self._run.stop(self._estop)
        self.get_logger().error(self._estop)
        self._say_state()

    def _on_estop_message(self, message: Empty) -> None:
        del message
        self._press_estop("topic")

    def _on_estop_request(
        self, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        del request
        self._press_estop("service")
        response.success = True
        response.message = "damping until this node is deactivated, cleaned up and configured"
        return response

    def _on_velocity(self, message: Twist) -> None:
        if self._velocity.offer(message, time.monotonic()) and self._run is not None:
            newest = self._velocity.newest
            assert newest is not None, "the message was accepted"
            self._run.set_velocity_command(newest.value)

    def _state(self) -> dict[str, Any]:
        run = self._run
        return {
            "active": run is not None,
            "configured": self._link is not None,
            "phase": run.loop.phase if run else "disarmed",
            "state": run.loop.state.name if run else "DAMP",
            "reasons": list(run.loop.reasons) if run else ["inactive"],
            "estop": self._estop,
            "dry_run": bool(self._settings and self._settings.dry_run),
        }

    def _say_state(self) -> None:
        self._said, self._said_s = self._state(), time.monotonic()
        self._state_publisher.publish(String(data=json.dumps(self._said)))

    def _on_state_timer(self) -> None:
        if self._state() != self._said or time.monotonic() - self._said_s >= _STATE_REPEAT_S:
            self._say_state()
        if self._run is not None and self._settings is not None:
            run_seconds = self._settings.run_seconds
            if run_seconds and self._run.elapsed_s >= run_seconds:
                self._end_run("run_seconds are over")
                self.exit_code = 0

    def _on_diagnostics_timer(self) -> None:
        numbers: dict[str, Any] = {"cmd_vel": self._velocity.counts()}
        if self._run is not None and self._link is not None:
            strangers = self._link.other_commanders()
            if strangers:
                self._run.stop(f"second commander: {', '.join(strangers)}")
            numbers |= self._run.numbers()
            numbers["refusals"] = {s.topic: s.last_refusal for s in self._link.sources}
        self._diagnostics_publisher.publish(
            diagnostics_message(
                self.get_clock().now(),
                self.get_fully_qualified_name(),
                self._bundle.spec.name if self._bundle else "",
                self._state(),
                numbers,
            )
        )

    def _on_autostart(self) -> None:
        if self._run is not None or self.exit_code is not None:
            self._autostart_timer.cancel()
            return
        if self._link is None:
            if self.trigger_configure() != _SUCCESS:
                self.exit_code = 1
            self._autostart_began_s = time.monotonic()
            return
        assert self._settings is not None, "a link has parameters"
        if self._link.latest_state() is not None and self.trigger_activate() == _SUCCESS:
            self._autostart_timer.cancel()
        elif time.monotonic() - self._autostart_began_s > self._settings.autostart_timeout_s:
            silent = [s.topic for s in self._link.sources if s.newest is None]
            refusals = [s.last_refusal for s in self._link.sources if s.last_refusal]
            self.get_logger().error(
                f"autostart gave up after {self._settings.autostart_timeout_s} s; "
                f"nothing usable from {', '.join(silent) or 'no topic'}; "
                f"{' '.join(refusals) or self._refusal or 'no message was refused'}"
            )
            self.exit_code = 1

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
        if str(error) != self._refusal:
            self._refusal = str(error)
            self.get_logger().error(f"{transition} refused: {error}")


def main(args: list[str] | None = None) -> int:
    """Run the node until a signal, a shutdown transition, or the end of `run_seconds`."""
    start_process(args)
    signals = StopSignals()
    node = PolicyNode()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    ending = "an exception"
    try:
        while signals.received is None and node.exit_code is None:
            executor.spin_once(timeout_sec=0.05)
        ending = signals.received or "the node's own end"
    finally:
        node.end(ending)
        executor.shutdown()
        node.destroy_node()
        try_shutdown()
    return node.exit_code or 0


if __name__ == "__main__":
    sys.exit(main())
