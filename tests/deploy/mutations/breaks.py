"""Hand-made breaks of the code that keeps a robot safe. Each must make the suite fail."""

from __future__ import annotations

from typing import NamedTuple


class Break(NamedTuple):
    file: str
    """Below rwmu_deploy."""
    text: str
    """Stands there once."""
    broken: str
    tests: str
    """Test files, below tests/deploy, of which one must fail."""


_GATE = "runtime/sensor_gate.py"
_LIMITER = "runtime/command_limiter.py"
_MONITOR = "runtime/safety_monitor.py"
_TICKER = "runtime/ticker.py"
_LATE = "runtime/late_ticks.py"
_LOOP = "runtime/control_loop.py"
_VELOCITY = "runtime/velocity_command.py"

BREAKS = {
    "gate lets NaN through": Break(
        _GATE,
        "if not np.isfinite(values).all():\n"
        '                return "sensor_not_finite"\n'
        "            if not np.abs(values).max(initial=0.0) <= _PLAUSIBLE[field]:",
        "if np.abs(values).max(initial=0.0) > _PLAUSIBLE[field]:",
        "runtime/test_sensor_gate.py",
    ),
    "gate takes absurd values": Break(
        _GATE,
        "if not np.abs(values).max(initial=0.0) <= _PLAUSIBLE[field]:",
        "if False:",
        "runtime/test_sensor_faults.py",
    ),
    "gate believes the future": Break(
        _GATE,
        "if not sample.received_s <= now_s + FUTURE_TOLERANCE_S:",
        "if False:",
        "runtime/test_sensor_gate.py",
    ),
    "gate lets an older sample win": Break(
        _GATE,
        "elif sample.received_s < self._newest_s:",
        "elif False:",
        "runtime/test_sensor_gate.py",
    ),
    "gate never forgets bad samples": Break(
        _GATE,
        "self._bad_in_a_row = 0 if fresh else self._bad_in_a_row + 1",
        "self._bad_in_a_row += not fresh",
        "runtime/test_sensor_gate.py",
    ),
    "gate accepts gravity of any length": Break(
        _GATE,
        "return None if GRAVITY_NORM[0] <= norm <= GRAVITY_NORM[1] else",
        "return None if True else",
        "runtime/test_sensor_gate.py",
    ),
    "gate sees no frozen source": Break(
        _GATE,
        "frozen_s = 0.0 if self._good is None else",
        "frozen_s = 0.0 if True else",
        "runtime/test_sensor_faults.py",
    ),
    "gate looks at the first source only": Break(
        _GATE,
        "source = min(self._changed_s, key=lambda name: self._changed_s[name])",
        "source = next(iter(self._changed_s))",
        "runtime/test_sensor_faults.py",
    ),
    "limiter lets NaN through": Break(
        _LIMITER,
        "usable = np.where(np.isfinite(request), request, previous_rad)",
        "usable = request",
        "runtime/test_command_limiter.py",
    ),
    "limiter swaps the order of step and range": Break(
        _LIMITER,
        "position_rad = np.clip(stepped, self._lower_rad, self._upper_rad)",
        "position_rad = np.clip(np.clip(usable, self._lower_rad, self._upper_rad), "
        "previous_rad - self._step_rad, previous_rad + self._step_rad)",
        "runtime/test_command_limiter.py",
    ),
    "limiter has no step": Break(
        _LIMITER,
        "stepped = np.clip(usable, previous_rad - self._step_rad, previous_rad + self._step_rad)",
        "stepped = usable",
        "runtime/test_command_limiter.py",
    ),
    "limiter forgets the effort": Break(
        _LIMITER,
        "if measured is not None:",
        "if False:",
        "runtime/test_command_limiter.py",
    ),
    "monitor compares the wrong way": Break(
        _MONITOR,
        "if not value <= damp:",
        "if value > damp + 1e9:",
        "runtime/test_safety_monitor.py",
    ),
    "monitor lets NaN pass": Break(
        _MONITOR,
        "if not value <= damp:",
        "if value > damp:",
        "runtime/test_safety_monitor.py",
    ),
    "monitor lets the mildest verdict win": Break(
        _MONITOR,
        "worst = max((verdict.state",
        "worst = min((verdict.state",
        "runtime/test_safety_monitor.py",
    ),
    "monitor unlatches DAMP": Break(
        _MONITOR,
        "if before is not SafetyState.DAMP:",
        "if True:",
        "runtime/test_safety_monitor.py",
    ),
    "monitor forgets a stop": Break(
        _MONITOR,
        "return self._stopped or self._current",
        "return self._current",
        "runtime/test_safety_monitor.py",
    ),
    "monitor takes a verdict of STOPPED for a passing one": Break(
        _MONITOR,
        "if worst is SafetyState.STOPPED:",
        "if False:",
        "runtime/test_safety_monitor.py",
    ),
    "monitor recovers at once": Break(
        _MONITOR,
        "return now_s - self._healthy_since_s >= self._recovery_s - _TIME_TOLERANCE_S",
        "return True",
        "runtime/test_safety_monitor.py",
    ),
    "monitor adds up health in pieces": Break(
        _MONITOR,
        "self._current = SafetyDecision(worst, reasons)\n                "
        "self._healthy_since_s = None",
        "self._current = SafetyDecision(worst, reasons)",
        "runtime/test_safety_monitor.py",
    ),
    "monitor ignores roll": Break(
        _MONITOR,
        'judge("tilt_roll", abs(roll_rad),',
        'judge("tilt_roll", roll_rad,',
        "runtime/test_safety_monitor.py",
    ),
    "ticker catches up in a burst": Break(
        _TICKER,
        "self._index += 1 + skipped",
        "self._index += 1",
        "runtime/test_ticker.py",
    ),
    "ticker drifts": Break(
        _TICKER,
        "return self._start_s + self._index * self.period_s",
        "return self._start_s + self._index * self.period_s * (1 + 1e-6)",
        "runtime/test_ticker.py",
    ),
    "ticker takes a period of zero": Break(
        _TICKER,
        "period_s > 0.0 and",
        "period_s >= 0.0 and",
        "runtime/test_ticker.py",
    ),
    "late ticks in a row are not counted": Break(
        _LATE,
        "self._in_a_row = self._in_a_row + 1 if is_late else 0",
        "self._in_a_row = 0",
        "runtime/test_time_faults.py",
    ),
    "late ticks are forgotten at once": Break(
        _LATE,
        "if not self._late_s:",
        "if True:",
        "runtime/test_time_faults.py",
    ),
    "stop waits for the next tick": Break(
        _LOOP,
        "            self._monitor.stop(reason)\n"
        "            self._send_to_link(damping_command(self._spec, self._sent_rad))",
        "            self._monitor.stop(reason)",
        "runtime/test_control_loop.py",
    ),
    "a position can follow a stop": Break(
        _LOOP,
        "            allowed = self._look().state <= SafetyState.HOLD\n",
        "            allowed = self._monitor._current.state <= SafetyState.HOLD\n",
        "runtime/test_control_loop.py",
    ),
    "policy may fail for ever": Break(
        _LOOP,
        "if self._policy_bad_in_a_row >= BAD_IN_A_ROW:",
        "if False:",
        "runtime/test_policy_faults.py",
    ),
    "clock may go back": Break(
        _LOOP,
        "if not now_s >= self._newest_now_s:",
        "if False:",
        "runtime/test_time_faults.py",
    ),
    "loop frozen in mid-tick goes on": Break(
        "runtime/loop_thread.py",
        "        self._stop_if_silent()\n        self._tick_ended_s",
        "        self._tick_ended_s",
        "runtime/test_time_faults.py",
    ),
    "velocity command never goes stale": Break(
        _VELOCITY,
        "overdue_s = max(0.0, age_s - self._max_age_s)",
        "overdue_s = 0.0",
        "runtime/test_velocity_command.py",
    ),
    "gate's memory forgets what is frozen": Break(
        _GATE,
        "self._changed_s = dict(memory.changed_s)",
        "pass",
        "runtime/test_flight_memory.py",
    ),
    "loop's memory forgets its clock": Break(
        _LOOP,
        "self._newest_now_s = memory.newest_now_s",
        "pass",
        "runtime/test_flight_memory.py",
    ),
    "a stop gets in where no witness sees it": Break(
        _LOOP,
        "if self._look().state is SafetyState.RUN:\n            if self._phase",
        "if self.state is SafetyState.RUN:\n            if self._phase",
        "runtime/test_flight_replay.py",
    ),
    "recorder takes a stop for one look later": Break(
        "runtime/flight_recorder.py",
        "section.stop_look, section.stop_reason = section.looks, self._unseen_stop",
        "section.stop_look, section.stop_reason = section.looks + 1, self._unseen_stop",
        "runtime/test_flight_replay.py",
    ),
    "recorder takes a stop's command for the tick's": Break(
        "runtime/flight_recorder.py",
        "return None if self._stops else self._section",
        "return self._section",
        "runtime/test_flight_replay.py",
    ),
    "logger takes a refused row for data": Break(
        "collection/log_writer.py",
        "elif not self._append(lines):",
        "elif not self._append(lines) and False:",
        "collection/test_disk_trouble.py",
    ),
    "logger forgets the floor of free space": Break(
        "collection/log_writer.py",
        "if free_bytes >= self._free_floor_bytes:",
        "if True:",
        "collection/test_disk_trouble.py",
    ),
    "logger joins what a lost row parts": Break(
        "collection/log_writer.py",
        "begins = row.begins or gap.ticks > 0",
        "begins = row.begins",
        "collection/test_disk_trouble.py",
    ),
    "logger believes that a short write was whole": Break(
        "collection/disk.py",
        "data = data[count:]",
        'data = b""',
        "collection/test_disk_trouble.py",
    ),
    "logger goes on in a torn line": Break(
        "collection/transition_journal.py",
        'start = b"\\n" if self._torn else b""',
        'start = b""',
        "collection/test_disk_trouble.py",
    ),
    "logger never syncs": Break(
        "collection/transition_journal.py",
        "if not self._synced:",
        "if False:",
        "collection/test_power_loss.py",
    ),
    "logger takes the tick after a skipped one for a row": Break(
        "collection/transition_row.py",
        "and tick.skipped == 0",
        "and True",
        "collection/test_transition_row.py",
    ),
    "recovery believes any checksum": Break(
        "collection/journal_reader.py",
        'if len(crc) == 8 and b"%08x" % zlib.crc32(body) == crc:',
        "if len(crc) == 8:",
        "collection/test_journal.py",
    ),
    "recovery publishes rows twice": Break(
        "collection/journal_recovery.py",
        "if earlier is not None:",
        "if False:",
        "collection/test_journal_recovery.py",
    ),
    "recovery removes a journal before its rows are safe": Break(
        "collection/journal_recovery.py",
        "    name = _id_of(path, contents)\n",
        "    name = _id_of(path, contents)\n    path.unlink()\n",
        "collection/test_journal_recovery.py",
    ),
}
