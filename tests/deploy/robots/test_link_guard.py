"""Each fault of the wire leads to its stated state, on the tick that is stated."""

import math
from dataclasses import fields, replace

import numpy as np
import pytest
from g1_frames import SPEC, healthy_frame, remote_bytes
from hypothesis import given, settings
from hypothesis import strategies as st

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.errors import ConfigError, RobotSpecError
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.robots.unitree.frames import sealed
from rwmu_deploy.robots.unitree.link_guard import LinkGuard
from rwmu_deploy.robots.unitree.link_limits import LinkLimits
from rwmu_deploy.runtime.safety_monitor import SafetyState

RUN, HOLD, DAMP, STOPPED = SafetyState
RANGE = CommandRange((-0.5, -0.4, -1.0), (1.0, 0.4, 1.0))
DT_S = SPEC.control_dt_s
CHORD = remote_bytes(1 << 5 | 1 << 9)


def frame_of(tick, /, **spoilt):
    """The frame of a tick; `spoilt` names fields of the frame, the IMU or a motor."""
    frame = healthy_frame(1000 + 20 * tick, spoilt.pop("remote", None))
    if "tick" in spoilt:
        frame["tick"] = spoilt.pop("tick")(tick)
    motor = spoilt.pop("motor", 3)
    for name, value in spoilt.items():
        if name in frame.dtype.names:
            frame[name] = value
        elif name in frame["motor_state"].dtype.names:
            frame["motor_state"][name][motor] = value
        else:
            frame["imu_state"][name] = value
    return frame


def good(tick):
    return sealed(frame_of(tick))


def spoilt(**values):
    return lambda tick: sealed(frame_of(tick, **values))


def altered(tick):
    return good(tick)[:-1] + b"\x00"


def feed(guard, tick, data, active=True):
    """One tick: the frame, if there is one, and the verdict."""
    if data is not None:
        guard.take(data, tick * DT_S)
    return max((v.state for v in guard.judge(tick * DT_S, active=active)), default=RUN)


def healthy_guard(active=True, **limits):
    guard = LinkGuard(SPEC, RANGE, LinkLimits(**limits))
    for tick in range(-5, 1):
        guard.take_battery(80.0, tick * DT_S)
        # Not active before its first frame: a guard that heard nothing is no link.
        state = feed(guard, tick, good(tick), active=active and tick > -5)
    assert state is RUN
    return guard


def first_ticks(guard, faulty, last, active=True):
    """First tick of each state that the worst verdict ever was, from tick 1 with the fault."""
    found = {}
    for tick in range(1, last + 1):
        state = feed(guard, tick, faulty(tick), active)
        found.setdefault(state.name, tick)
    return found


SILENCE = {"RUN": 1, "HOLD": 4, "DAMP": 6, "STOPPED": 51}
"""0.06 s is still RUN, 0.1 s HOLD, 1 s DAMP."""
KNEE_UPPER = 2.8798
FAULTS = {
    "silence": (lambda tick: None, SILENCE),
    "checksum": (altered, SILENCE),
    "wrong size": (lambda tick: good(tick)[:-4], SILENCE),
    "the same frame again": (lambda tick: good(0), SILENCE),
    "tick stands": (spoilt(tick=lambda tick: 1000), SILENCE),
    "tick a little back": (spoilt(tick=lambda tick: 900), SILENCE),
    "tick starts anew": (spoilt(tick=lambda tick: 20 * tick - 10_000 & 0xFFFFFFFF),
                         {"RUN": 1, "STOPPED": 3}),
    "equal measurements": (spoilt(dq=0.0, motor=slice(0, 29)), {"RUN": 1, "DAMP": 26}),
    "mode_machine 4": (spoilt(mode_machine=4), {"STOPPED": 1}),
    "mode_machine 0": (spoilt(mode_machine=0), {"STOPPED": 1}),
    "mode_pr 1": (spoilt(mode_pr=1), {"STOPPED": 1}),
    "NaN of a joint": (spoilt(q=math.nan), {"RUN": 1, "DAMP": 3, "STOPPED": 51}),
    "inf of a torque": (spoilt(tau_est=math.inf), {"RUN": 1, "DAMP": 3, "STOPPED": 51}),
    "quaternion of zeros": (spoilt(quaternion=0.0), {"RUN": 1, "DAMP": 3, "STOPPED": 51}),
    "winding 119 C": (spoilt(temperature=(84, 119)), {"RUN": 1}),
    "winding 120 C": (spoilt(temperature=(40, 120)), {"DAMP": 1}),
    "casing 85 C": (spoilt(temperature=(85, 40)), {"DAMP": 1}),
    "joint 0.14 rad out": (spoilt(q=KNEE_UPPER + 0.14), {"RUN": 1}),
    "joint 0.16 rad out": (spoilt(q=KNEE_UPPER + 0.16), {"HOLD": 1}),
    "joint 0.31 rad out": (spoilt(q=KNEE_UPPER + 0.31), {"DAMP": 1}),
    "joint 1e30": (spoilt(q=1e30), {"DAMP": 1}),
    "joint too fast": (spoilt(dq=10.1), {"DAMP": 1}),
    "tilted by 1.1 rad": (spoilt(quaternion=(math.cos(0.55), math.sin(0.55), 0.0, 0.0)),
                          {"DAMP": 1}),
    "turning too fast": (spoilt(gyroscope=(0.0, 0.0, 6.1)), {"DAMP": 1}),
    "remote silent": (spoilt(remote=bytes(40)), {"RUN": 1, "DAMP": 151}),
    "remote's stick NaN": (spoilt(remote=remote_bytes(left=(math.nan, 0.0))),
                           {"RUN": 1, "DAMP": 151}),
    "e-stop chord": (spoilt(remote=CHORD), {"STOPPED": 1}),
    "e-stop chord and NaN": (spoilt(remote=CHORD, q=math.nan), {"STOPPED": 1}),
    "e-stop chord, stick NaN": (
        spoilt(remote=remote_bytes(1 << 5 | 1 << 9, left=(math.nan, 0.0))), {"STOPPED": 1}),
    "e-stop chord in an old frame": (spoilt(remote=CHORD, tick=lambda tick: 900), {"STOPPED": 1}),
    "nothing": (good, {"RUN": 1}),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_leads_to_its_state_on_its_tick(name, trials):
    faulty, stated = FAULTS[name]
    assert first_ticks(healthy_guard(), faulty, 160) == stated
    trials("G1 wire", 1)


@pytest.mark.parametrize("name", [name for name in FAULTS if "STOPPED" in FAULTS[name][1]])
def test_stopped_is_for_good(name):
    guard = healthy_guard()
    faulty, stated = FAULTS[name]
    first_ticks(guard, faulty, stated["STOPPED"])
    assert first_ticks(guard, lambda tick: good(tick + 200), 10) == {"STOPPED": 1}
    assert "stopped" in {check.name for check in guard.arming_checks(0.2)}


@pytest.mark.parametrize("name", ["mode_machine 4", "silence", "tick starts anew", "checksum"])
def test_a_robot_that_is_not_armed_may_be_switched_off_and_on(name):
    """It refuses to be armed, and once healthy again, no longer."""
    guard = healthy_guard(active=False)
    assert guard.arming_checks(0.0) == []
    faulty, _ = FAULTS[name]
    first_ticks(guard, faulty, 2, active=False)
    first_ticks(guard, faulty, 60, active=False)
    assert guard.stopped is None
    if name != "tick starts anew":
        assert guard.arming_checks(1.2)
    for tick in range(61, 65):
        ticks = faulty(tick) if name == "tick starts anew" else good(tick)
        assert feed(guard, tick, ticks, active=False) is RUN
    guard.take_battery(80.0, 64 * DT_S)
    assert guard.arming_checks(64 * DT_S) == []


def test_the_e_stop_chord_ends_a_robot_that_is_not_armed_too():
    guard = healthy_guard(active=False)
    feed(guard, 1, sealed(frame_of(1, remote=CHORD)), active=False)
    assert guard.stopped is not None
    assert guard.stopped.fault == "remote_e_stop"


def test_what_was_wrong_before_arming_and_is_over_ends_nothing_after_it():
    guard = healthy_guard(active=False)
    feed(guard, 1, sealed(frame_of(1, mode_machine=4)), active=False)
    feed(guard, 2, good(2), active=False)
    assert guard.arming_checks(2 * DT_S) == []
    assert feed(guard, 3, good(3)) is RUN


def test_the_first_reason_to_stop_stays():
    guard = healthy_guard()
    feed(guard, 1, sealed(frame_of(1, mode_machine=4)))
    feed(guard, 2, sealed(frame_of(2, remote=CHORD)))
    assert guard.stopped is not None
    assert guard.stopped.fault == "low_state_of_other_robot"


def test_another_robot_between_two_ticks_is_noticed():
    """Ten frames come in a tick; the last alone would hide it."""
    guard = healthy_guard()
    guard.take(sealed(frame_of(1, mode_machine=4)), 0.01)
    assert guard.mode_machine == 4
    assert feed(guard, 2, good(2)) is STOPPED
    assert guard.mode_machine == 5


def test_three_frames_of_nan_between_two_ticks_are_noticed_once():
    guard = healthy_guard()
    for step in (2, 4, 6):
        frame = healthy_frame(1000 + step)
        frame["motor_state"]["q"][3] = math.nan
        guard.take(sealed(frame), 1e-3 * step)
    assert feed(guard, 1, good(1)) is DAMP
    assert feed(guard, 2, good(2)) is RUN
    assert guard.counters["low_state_not_finite"] == 3


def test_a_tick_that_wraps_goes_on():
    guard = LinkGuard(SPEC, RANGE)
    for step in range(10):
        frame = healthy_frame((2**32 - 100 + 20 * step) % 2**32)
        assert guard.take(sealed(frame), DT_S * step) is not None


def test_overtaken_frames_are_counted_and_end_nothing():
    guard = healthy_guard()
    for tick in range(1, 50):
        guard.take(good(tick), tick * DT_S)
        guard.take(good(tick - 1), tick * DT_S)
        assert guard.judge(tick * DT_S, active=True) == []
    assert guard.counters == {"low_state_behind": 49}


def test_a_hot_motor_must_cool_by_ten_degrees():
    guard = healthy_guard()
    course = [119, 120, 119, 111, 110, 119, 120]
    states = [
        feed(guard, tick, sealed(frame_of(tick, temperature=(40, winding))))
        for tick, winding in enumerate(course, start=1)
    ]
    assert states == [RUN, DAMP, DAMP, DAMP, RUN, RUN, DAMP]


def test_the_verdict_names_the_joint():
    guard = healthy_guard()
    guard.take(sealed(frame_of(1, temperature=(90, 40), motor=18)), DT_S)
    (verdict,) = guard.judge(DT_S, active=True)
    assert verdict.fault == "motor_hot"
    assert "left_elbow_joint has 90 C at its casing" in verdict.detail


@pytest.mark.parametrize(
    ("percent", "walks"), [(20.1, True), (20.0, False), (0.0, False), (math.nan, False)]
)
def test_a_low_battery_refuses_arming_and_makes_a_walking_robot_stand(percent, walks):
    """The state stays RUN: a humanoid that holds its joints falls."""
    guard = healthy_guard()
    guard.take_battery(percent, 0.0)
    assert guard.velocity_factor(0.0) == (1.0 if walks else 0.0)
    assert [check.name for check in guard.arming_checks(0.0)] == ([] if walks else ["battery"])
    assert feed(guard, 1, good(1)) is RUN


@pytest.mark.parametrize(
    ("said_s", "known"),
    [(-10.0, True), (-10.1, False), (1.0, False), (math.nan, False), (math.inf, False)],
)
def test_what_the_battery_said_long_ago_is_unknown(said_s, known):
    guard = healthy_guard()
    guard.take_battery(80.0, said_s)
    assert guard.velocity_factor(0.0) == (1.0 if known else 0.0)
    assert [check.name for check in guard.arming_checks(0.0)] == ([] if known else ["battery"])


def test_an_unknown_battery_or_remote_refuses_arming_unless_there_is_none():
    guard = LinkGuard(SPEC, RANGE)
    guard.take(sealed(frame_of(0, remote=bytes(40))), 0.0)
    assert {check.name for check in guard.arming_checks(0.0)} == {"remote", "battery"}
    assert guard.velocity_factor(0.0) == 0.0
    guard = LinkGuard(SPEC, RANGE, LinkLimits(needs_remote=False, needs_battery=False))
    guard.take(sealed(frame_of(0, remote=bytes(40))), 0.0)
    assert guard.arming_checks(0.0) == []
    assert guard.velocity_factor(0.0) == 1.0
    assert guard.judge(0.0, active=True) == []


def test_a_silent_remote_takes_the_velocity_away_first():
    guard = healthy_guard()
    factors = []
    for tick in range(1, 28):
        guard.take(sealed(frame_of(tick, remote=bytes(40))), tick * DT_S)
        factors.append(guard.velocity_factor(tick * DT_S))
        assert guard.velocity_command(tick * DT_S) is None
    assert factors == [1.0] * 25 + [0.0, 0.0]  # up to 0.5 s


def test_time_that_is_none_is_on_the_safe_side():
    guard = healthy_guard()
    for now_s in (math.nan, math.inf, -1.0):
        worst = max(v.state for v in guard.judge(now_s, active=False))
        assert worst is DAMP
        assert guard.arming_checks(now_s)
    for received_s in (math.nan, math.inf, -5.0):
        assert guard.take(good(1), received_s) is None
    assert guard.counters["low_state_received_before"] == 3


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.floats(width=32), min_size=29, max_size=29),
    field=st.sampled_from(["q", "dq", "tau_est"]),
)
def test_nothing_that_is_no_number_gets_through(values, field):
    frame = frame_of(1)
    frame["motor_state"][field][:29] = values
    state = healthy_guard().take(sealed(frame), DT_S)
    assert (state is None) == (not np.isfinite(values).all())


def test_another_robot_is_refused():
    with pytest.raises(RobotSpecError, match="robot anymal_d has 12 joints"):
        LinkGuard(load_robot_spec("anymal_d"), RANGE)


@pytest.mark.parametrize(
    "name", [f.name for f in fields(LinkLimits) if not isinstance(f.default, bool)]
)
@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0])
def test_a_limit_that_is_none_is_refused(name, value):
    with pytest.raises(ConfigError, match=f"{name} is"):
        replace(LinkLimits(), **{name: value})
