"""T-01 to T-05: sensors that fall silent, freeze, lie or come in the wrong order.

Every tick is checked against the universal promises by the rig.
"""

from dataclasses import replace

import numpy as np
import pytest
from light_robot import with_value

from rwmu_deploy.runtime.safety_monitor import SafetyState
from rwmu_deploy.runtime.sensor_gate import SOURCES, SensorGate

RUN, HOLD, DAMP, STOPPED = SafetyState
TICK_S = 0.02
FIELDS = {field: 12 if "joint" in field else 3 for fields in SOURCES.values() for field in fields}


def state_at_age(age_s: float) -> SafetyState:
    """Section 3 of the fault matrix, in hand-made numbers."""
    if age_s > 0.1 + 2e-6:
        return DAMP
    return HOLD if age_s > 0.06 + 2e-6 else RUN


@pytest.mark.parametrize("source", SOURCES)
def test_silence_of_any_length_holds_and_damps_on_exactly_the_first_tick_past_the_limit(
    light_rig, source, trials
):
    for phase in range(10):
        rig = light_rig(seed=phase)
        rig.robot.lag_s = phase * 0.002
        rig.walk()
        for length in range(1, 61):
            rig.robot.sources[source].is_silent = True
            for missed in range(1, length + 1):
                expected = state_at_age(rig.robot.lag_s + missed * TICK_S)
                assert rig.tick().state is expected, (source, phase, length, missed)
            rig.robot.sources[source].is_silent = False
            assert rig.tick().state is expected, "nothing gets milder within a tick"
            if expected is HOLD:
                assert rig.tick(26).state is RUN
            elif expected is DAMP:
                assert rig.tick(26).state is DAMP
                rig.loop.disarm("test")
                rig.walk()
        trials("T-01", 60)


@pytest.mark.parametrize("share", [0.001, 0.01, 0.05, 0.2, 0.5])
def test_random_loss_breaks_no_promise_and_little_of_it_never_damps(
    light_rig, share, trials, count
):
    seeds = count(4, 20)
    for seed in range(seeds):
        rng, rig = np.random.default_rng(seed), light_rig(seed)
        rig.walk()
        for _ in range(3000):
            for source in rig.robot.sources.values():
                source.is_silent = rng.random() < share
            if rig.tick().state is DAMP:
                assert share > 0.01
                rig.loop.disarm("test")
                for source in rig.robot.sources.values():
                    source.is_silent = False
                rig.tick()
                rig.walk()
    trials("T-02", seeds)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("length", [5, 24, 25, 50])
def test_source_that_sends_the_same_bits_for_half_a_second_damps(
    light_rig, source, length, trials
):
    rig = light_rig()
    rig.walk()
    rig.robot.sources[source].is_frozen = True
    for same in range(1, length + 1):
        assert rig.tick().state is (DAMP if same >= 25 else RUN)
    if length >= 25:
        assert rig.loop.counters[f"sensor_frozen_{source}"] == 1
        assert f"sensor_frozen_{source}" in rig.report.reasons[0]
    trials("T-03", 1)


@pytest.mark.parametrize("joint", range(12))
@pytest.mark.parametrize("length", [5, 25, 50])
def test_one_encoder_at_rest_is_no_frozen_source(light_rig, joint, length, trials):
    rig = light_rig()
    rig.walk()
    rig.robot.bend = lambda state: with_value(state, "joint_position_rad", joint, 0.0)
    assert rig.tick(length).state is RUN
    trials("T-03", 1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -0.0, 5e-324, float(2**63)])
def test_value_that_no_robot_has_reaches_neither_policy_nor_robot(light_rig, value, trials):
    rig = light_rig()
    rig.walk()

    def answer(observation):
        assert (np.abs(observation) < 50.0).all()
        return np.zeros(12)

    rig.policy.answer = answer
    for field, entries in FIELDS.items():
        for entry in range(entries):
            tells_nothing = np.abs(value) < 1.0 and (field, entry) != ("projected_gravity", 2)
            for length in (1, 2, 3):
                before = rig.robot.latest_state()
                rig.robot.bend = lambda state, f=field, e=entry: with_value(state, f, e, value)
                for bad in range(1, length + 1):
                    report = rig.tick()
                    assert report.state is (DAMP if bad == 3 and not tells_nothing else RUN)
                    assert report.fresh is bool(tells_nothing)
                    if not tells_nothing and bad == 1:
                        assert report.robot_state is before
                rig.robot.bend = lambda state: state
                if rig.tick().state is DAMP:
                    rig.loop.disarm("test")
                    rig.walk()
                trials("T-04", 1)


def test_ten_thousand_samples_in_any_order_keep_the_newest_and_count_the_rest(
    spec, upright, trials
):
    """1, 4, 2, 3 keeps 4 (libfranka's case); equal ones are no news; the future isn't believed."""
    rng, gate = np.random.default_rng(7), SensorGate(spec)
    stamps = 10.0 + TICK_S * np.arange(10_000)
    swapped = np.flatnonzero(rng.random(9_999) < 0.05)
    for i in swapped:
        stamps[[i, i + 1]] = stamps[[i + 1, i]]
    doubled = rng.random(10_000) < 0.01
    stamps[1:][doubled[1:]] = stamps[:-1][doubled[1:]]
    odd = rng.random(10_000) < 0.02
    stamps[odd] += rng.choice([-3600.0, 3600.0], odd.sum())
    newest, faults = -np.inf, {}
    for i, stamp in enumerate(stamps):
        now_s = 10.0 + TICK_S * (i + 1)
        reading = gate.check(replace(upright, received_s=float(stamp)), now_s)
        expected = None
        if stamp > now_s + 0.02:
            expected = "sensor_stamp_in_future"
        elif stamp < newest:
            expected = "sensor_out_of_order"
        assert reading.fault == expected
        assert reading.fresh == (expected is None and stamp > newest)
        if expected is None:
            newest = max(newest, stamp)
        faults[reading.fault] = faults.get(reading.fault, 0) + 1
        assert reading.state.received_s == newest
    assert set(faults) == {None, "sensor_out_of_order", "sensor_stamp_in_future"}
    trials("T-05", len(stamps))
