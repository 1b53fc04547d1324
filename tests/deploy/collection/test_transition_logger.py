"""From ticks to segments: rows, gaps, ticks beside them, and accounts that add up."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_ticks import (
    COLUMNS,
    DAMP,
    HOLD,
    RUN,
    SPEC,
    STOPPED,
    QuickDisk,
    is_complete,
    log_ticks,
    read_log,
    read_segment,
    tick,
    wait_until,
)

from rwmu_deploy.collection.disk import Disk
from rwmu_deploy.collection.tick_line import ticks_header
from rwmu_deploy.collection.transition_logger import TransitionLogger
from rwmu_deploy.contract.action import action_from_target
from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.errors import ConfigError, LogError
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_deploy.runtime.clock import ManualClock
from rwmu_deploy.runtime.control_loop import ControlLoop
from rwmu_deploy.simulation.simulated_robot import SimulatedRobot


def test_walking_robot_becomes_csv_with_the_actions_it_received(tmp_path):
    class Swing:
        def __init__(self):
            self.step = 0

        def action(self, observation):
            self.step += 1
            return 0.1 * np.sin(0.3 * self.step + np.arange(12))

    clock, robot = ManualClock(10.0), SimulatedRobot(SPEC, start_s=9.0)
    robot.advance(10.0)
    received, asked, states = [], [], []
    logger = TransitionLogger(tmp_path, SPEC, source="sim", bundle_sha256="ab", may_wait=True)
    loop = ControlLoop(
        SPEC,
        Swing(),
        robot,
        command_range=CommandRange((0, 0, 0), (1, 1, 1)),
        stand_up_s=0.1,
        on_tick=logger.on_tick,
    )
    loop.arm(10.0)
    for k in range(126):
        now_s = clock.advance(0.02)
        loop.set_velocity_command([0.5 if k < 60 else 1.0, 0.0, 0.0], now_s)
        robot.advance(now_s)
        report = loop.tick(now_s)
        assert robot._received is not None
        assert report.robot_state is not None
        received.append(robot._received[0].position_rad)
        asked.append(report.raw_action)
        states.append(report.robot_state.vector(SPEC))
    loop.stop("end")
    summary = logger.close()
    assert (summary.rows, summary.dropped, summary.failures) == (120, 0, 0)
    assert summary.gap_ticks == {"stand_up": 6}
    assert is_complete(summary)
    segment = read_segment(summary.segments[0], is_made=False)
    data = segment.rows.astype(np.float32)
    assert data.shape == (120, 66)
    actions = action_from_target(SPEC, np.array(received[5:125])).astype(np.float32)
    np.testing.assert_array_equal(data[:, COLUMNS.action.slice], actions)
    np.testing.assert_array_equal(data[:, :45], np.array(states[6:]).astype(np.float32))
    assert data[:, COLUMNS.contact.slice].max() == 1.0
    assert segment.spans == [(0, 53, "continues"), (54, 119, "truncated")]
    # Beside it, what the policy asked for; the first row's action is the last of standing up.
    assert segment.ticks[0]["raw_action[LF_HAA]"] == ""
    raw = [[float(line[f"raw_action[{name}]"]) for name in SPEC.joint_names]
           for line in segment.ticks[1:]]  # fmt: skip
    np.testing.assert_array_equal(np.array(raw, np.float32), np.array(asked[6:125], np.float32))
    assert [path.name for path in tmp_path.glob("*.journal")] == []


def test_feet_that_nobody_measured_are_estimated_before_a_row_is_written(tmp_path):
    feet = [f"{foot}_{kind}" for kind in ("height_m", "speed_mps") for foot in SPEC.foot_names]
    spec = replace(SPEC, extension_names=tuple(feet))
    logger = TransitionLogger(tmp_path, spec, source="real", may_wait=True)
    for index in range(10):
        logger.on_tick(tick(index))
    summary = logger.close()
    rows = np.loadtxt(summary.segments[0], delimiter=",", ndmin=2)
    height_m, speed_mps = np.split(rows[:, TransitionColumns.of(spec).extension.slice], 2, axis=1)
    assert len(rows) == 9
    np.testing.assert_allclose(height_m.min(axis=1), 0.0, atol=1e-9)
    assert (height_m < 0.1).all()
    assert ((speed_mps > 0.0) & (speed_mps < 2.0)).all()


def test_segments_hold_the_asked_number_of_rows_and_the_rest(tmp_path):
    summary = log_ticks(tmp_path, [tick(k) for k in range(1, 27)], rows_per_segment=10)
    segments = [read_segment(path) for path in summary.segments]
    assert [len(segment.rows) for segment in segments] == [10, 10, 5]
    assert summary.rows == 25
    assert [segment.spans[0][2] for segment in segments] == ["truncated"] * 3


def test_gap_and_fall_stand_in_the_sidecar(tmp_path):
    ticks = [tick(k) for k in range(1, 5)] + [tick(5, state=HOLD)]
    ticks += [tick(6), tick(7), tick(8, state=DAMP, fell=True, reasons=("tilt_roll: 1.2 rad",))]
    log_ticks(tmp_path, ticks)
    (segment,) = read_log(tmp_path)
    assert segment.spans == [(0, 2, "gap"), (3, 5, "terminated")]
    assert [line["state"] for line in segment.ticks] == ["RUN"] * 5 + ["DAMP"]
    assert segment.ticks[-1]["reasons"] == "tilt_roll: 1.2 rad"
    assert [line["time_s"] for line in segment.ticks[:2]] == ["0.020000", "0.040000"]
    assert {line["sensor_age_s"] for line in segment.ticks} == {"0.004000"}


def test_every_place_where_rows_are_missing_is_told_with_count_and_cause(tmp_path):
    ticks = [tick(0, phase="disarmed", state=DAMP), tick(1, phase="stand_up")]
    ticks += [tick(k) for k in (2, 3, 4)]
    ticks += [tick(k, state=HOLD, reasons=(f"sensor_age: {k} s",)) for k in (5, 6)]
    ticks += [tick(7, state=DAMP, reasons=("sensor_age: 0.11 s",)), tick(8), tick(9)]
    ticks += [tick(10, fresh=False), tick(11), tick(12, now_s=0.3, skipped=3)]
    ticks += [tick(13, now_s=0.32), tick(14, now_s=0.34, state=STOPPED, reasons=("bye",))]
    summary = log_ticks(tmp_path, ticks)
    (segment,) = read_log(tmp_path)

    def cause(name, ticks, *reasons):
        return {"cause": name, "ticks": ticks, "reasons": list(reasons)}

    assert segment.indices == [2, 3, 4, 9, 11, 13]
    assert segment.meta["gaps"] == [
        {
            "after_row": -1,
            "ticks": 2,
            "skipped_periods": 0,
            "causes": [cause("not_armed", 1, "test: 1 s, allowed is 0 s"), cause("stand_up", 1)],
        },
        {
            "after_row": 2,
            "ticks": 4,
            "skipped_periods": 0,
            "causes": [
                cause("hold", 2, "sensor_age: 5 s"),
                cause("damp", 1, "sensor_age: 0.11 s"),
                cause("after_damping", 1),
            ],
        },
        {"after_row": 3, "ticks": 1, "skipped_periods": 0,
         "causes": [cause("stale_measurement", 1)]},
        {"after_row": 4, "ticks": 1, "skipped_periods": 3, "causes": [cause("off_grid", 1)]},
        {"after_row": 5, "ticks": 1, "skipped_periods": 0, "causes": [cause("stopped", 1, "bye")]},
    ]  # fmt: skip
    assert is_complete(summary)
    assert summary.skipped_periods == 3
    ends = [end for _, _, end in segment.spans]
    assert ends == ["gap"] * 3 + ["truncated"], "the end of the loop is no gap"


def test_gap_at_a_segment_bound_stands_before_the_next_segments_first_row(tmp_path):
    ticks = [tick(k) for k in range(4)] + [tick(4, state=HOLD)] + [tick(k) for k in (5, 6)]
    log_ticks(tmp_path, ticks, rows_per_segment=3)
    first, second = read_log(tmp_path)
    assert [gap["after_row"] for gap in first.meta["gaps"]] == [-1]
    assert [(gap["after_row"], gap["ticks"]) for gap in second.meta["gaps"]] == [(-1, 1)]


def test_broken_off_episode_at_the_very_end_is_a_gap(tmp_path):
    log_ticks(tmp_path, [tick(1), tick(2), tick(3, state=DAMP), tick(4, state=DAMP)])
    (segment,) = read_log(tmp_path)
    assert segment.spans == [(0, 0, "gap")]
    assert segment.meta["gaps"][-1]["ticks"] == 2


def test_reasons_with_commas_quotes_and_newlines_stay_one_cell(tmp_path):
    nasty = 'policy_raised: a "b", c\nd \u00e9 ' + "x" * 1000
    log_ticks(tmp_path, [tick(1), tick(2), tick(3, state=DAMP, fell=True, reasons=(nasty, "e"))])
    (segment,) = read_log(tmp_path)
    assert set(segment.ticks[-1]) == set(ticks_header(SPEC).split(","))
    assert segment.ticks[-1]["reasons"].startswith('policy_raised: a "b", c\\nd \\xe9 xxx')
    assert segment.ticks[-1]["reasons"].endswith("x; e")
    assert len(segment.ticks[-1]["reasons"]) < 250


def test_run_without_a_row_leaves_nothing_behind(tmp_path):
    summary = log_ticks(tmp_path, [tick(1, state=DAMP)] * 3)
    assert (summary.rows, summary.segments, summary.gap_ticks) == (0, (), {"damp": 3})
    assert list(tmp_path.iterdir()) == []


def test_ticks_after_closing_are_not_taken(tmp_path):
    logger = TransitionLogger(tmp_path, SPEC, source="real")
    for k in (1, 2):
        logger.on_tick(tick(k))
    summary = logger.close()
    logger.on_tick(tick(3))
    assert summary.ticks == logger.close().ticks == 2


def test_segment_of_no_rows_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="segment"):
        TransitionLogger(tmp_path, SPEC, source="real", rows_per_segment=0)


def test_folder_that_cannot_be_made_is_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LogError, match="journal"):
        TransitionLogger(tmp_path / "file" / "log", SPEC, source="real")


def test_journal_of_a_crash_is_never_overwritten(tmp_path):
    left = tmp_path / "transitions-0.journal"
    left.write_text("precious")
    log_ticks(tmp_path, [tick(1), tick(2)])
    assert left.read_text() == "precious"


def test_summary_is_json(tmp_path):
    summary = log_ticks(tmp_path, [tick(1), tick(2)])
    document = json.loads(json.dumps(summary.to_dict()))
    assert document["segments"] == [str(tmp_path / "state_action_data_0.csv")]
    assert (document["ticks"], document["gap_ticks"]) == (2, {"first_tick": 1})


def test_everything_is_put_on_the_disk_once_a_second_and_at_every_stop(tmp_path):
    class CountingDisk(Disk):
        def __init__(self):
            self.calls: list[str] = []

        def write(self, descriptor, data):
            self.calls.append("stop" if b'"stopped"' in data else "write")
            return super().write(descriptor, data)

        def fdatasync(self, descriptor):
            self.calls.append("sync")
            super().fdatasync(descriptor)

        def remove(self, path):
            self.calls.append(f"remove {path.suffix}")
            super().remove(path)

        def fsync(self, descriptor):
            self.calls.append("fsync")
            super().fsync(descriptor)

    disk, clock = CountingDisk(), ManualClock()
    logger = TransitionLogger(
        tmp_path, SPEC, source="real", disk=disk, now_s=clock.now_s, may_wait=True
    )
    assert disk.calls == ["write", "sync", "fsync"], "the header, and the journal's name"
    seconds = 5
    for k in range(50 * seconds):
        logger.on_tick(tick(k))
        while logger._queue.qsize():
            pass
        clock.advance(0.02)
    wait_until(lambda: logger.status.rows == 50 * seconds - 1)
    # One for the header; after that, one with the first event after each full second.
    assert disk.calls.count("sync") in (seconds, seconds + 1)
    logger.on_tick(tick(50 * seconds, state=STOPPED))
    wait_until(lambda: disk.calls[-2:] == ["stop", "sync"])
    logger.close()
    calls = [call for call in disk.calls if call != "remove .tmp"]
    assert calls[-2:] == ["fsync", "remove .journal"], "rows are safe before their journal goes"


TICK_KINDS = st.sampled_from(
    [
        *[{"phase": "policy", "state": RUN}] * 8,
        {"phase": "policy", "state": RUN, "fresh": False},
        {"phase": "policy", "state": HOLD},
        {"phase": "policy", "state": DAMP},
        {"phase": "policy", "state": DAMP, "fell": True},
        {"phase": "stand_up", "state": RUN},
        {"phase": "disarmed", "state": DAMP},
        {"phase": "policy", "state": RUN, "late": True},
    ]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(TICK_KINDS, max_size=60), st.integers(1, 12), st.booleans())
def test_ticks_are_rows_and_gap_ticks_and_drops_exactly(
    tmp_path_factory, kinds, rows_per_segment, stops
):
    folder = tmp_path_factory.mktemp("log")
    index, now_s, ticks = 0, 1.0, []
    for kind in kinds:
        kind = dict(kind)
        index += 1
        skipped = 2 if kind.pop("late", False) else 0
        now_s += 0.02 * (1 + skipped)
        ticks.append(tick(index, now_s=now_s, skipped=skipped, **kind))
    if stops:
        ticks.append(tick(index + 1, now_s=now_s + 0.02, state=STOPPED))
    summary = log_ticks(folder, ticks, rows_per_segment=rows_per_segment, disk=QuickDisk())
    assert summary.ticks == len(ticks)
    assert is_complete(summary)
    assert summary.skipped_periods == 2 * sum("late" in kind for kind in kinds)
    assert (summary.dropped, summary.unpublished, summary.failures) == (0, 0, 0)
    segments = read_log(folder)
    assert summary.rows == sum(len(segment.rows) for segment in segments)
    told = sum(gap["ticks"] for segment in segments for gap in segment.meta["gaps"])
    last_row = max((index for segment in segments for index in segment.indices), default=None)
    after_last_segment = [t for t in ticks if last_row is None or t.tick_index > last_row]
    assert summary.ticks - summary.rows in (told, told + len(after_last_segment))
