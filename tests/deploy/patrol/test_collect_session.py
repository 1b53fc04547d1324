"""A session waits where it must, says why, and goes on where it was."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.errors import ConfigError, LogError
from rwmu_deploy.patrol.autonomous_walk import WalkLimits
from rwmu_deploy.patrol.collect_plan import CollectPlan
from rwmu_deploy.patrol.collect_session import LOOK_S, CollectSession, Sight
from rwmu_deploy.patrol.command_scheduler import SchedulePlan
from rwmu_deploy.patrol.walking_area import Rectangle, WalkingArea

RANGE = CommandRange((-1.0, -0.5, -1.0), (1.0, 0.5, 1.0))
WALKING = Sight(
    pose=np.zeros(3), received_s=0.0, velocity=np.zeros(3), phase="policy", state="RUN"
)


class Told:
    """A session that is shown the same robot again and again."""

    def __init__(self, plan=None, progress=None):
        self.events = []
        self.session = CollectSession(
            plan or CollectPlan(), RANGE, progress=progress, on_event=self.events.append
        )
        self.now_s = 100.0

    def look(self, times=1, **changes):
        for _ in range(times):
            sight = replace(WALKING, received_s=self.now_s, **changes)
            decision = self.session.look(self.now_s, sight)
            self.now_s += LOOK_S
        return decision

    @property
    def kinds(self):
        return [event.kind for event in self.events]


def begun(**arguments):
    told = Told(**arguments)
    told.look()
    assert told.session.set_origin(np.zeros(3))
    return told


def test_without_an_origin_it_stands():
    told = Told()
    decision = told.look(20)
    assert (decision.mode, decision.reason) == ("stand", "the origin is not set")
    np.testing.assert_array_equal(decision.command, np.zeros(3))
    assert not told.session.set_origin(np.array([0.0, math.nan, 0.0]))
    told.session.set_origin(np.array([5.0, 3.0, 1.0]))
    assert told.look(pose=np.array([5.0, 3.0, 1.0])).mode == "walk"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"state": "HOLD", "reasons": ("sensor_stale",)}, "robot in HOLD, policy: sensor_stale"),
        ({"phase": "stand_up"}, "robot in RUN, stand_up"),
        ({"phase": "disarmed"}, "robot in RUN, disarmed"),
        ({"hold": "hold by topic"}, "hold by topic"),
        ({"battery": 0.19}, "battery low: 19 %"),
    ],
)
def test_it_stands_while_something_is_in_the_way_and_then_goes_on(changes, said):
    told = begun()
    told.look(5)
    decision = told.look(10, **changes)
    assert (decision.mode, decision.reason) == ("stand", said)
    assert told.look().mode == "walk"


def test_a_battery_at_its_floor_does_not_make_it_start_and_stop():
    told = begun()
    told.look(battery=0.19)
    assert told.look(battery=0.22).mode == "stand"
    assert told.look(battery=0.26).mode == "walk"
    assert told.look(battery=0.22).mode == "walk"


def test_a_battery_that_is_not_known_holds_nobody():
    assert begun().look(battery=math.nan).mode == "walk"


def test_a_robot_that_was_damped_needs_its_origin_again():
    told = begun()
    told.look(5)
    told.look(5, state="DAMP", reasons=("tilt_roll: 1 rad",))
    decision = told.look(5)
    assert decision.mode == "stand"
    assert decision.needs_origin
    assert decision.reason == "the robot was damped: set the origin again"
    assert told.kinds.count("damped") == 1
    told.session.set_origin(np.zeros(3))
    assert told.look().mode == "walk"


def test_odometry_that_freezes_jumps_or_falls_silent_makes_it_stand():
    told = begun()
    told.look(3)
    decision = told.look(pose=np.array([2.0, 0.0, 0.0]))
    assert decision.mode == "stand"
    assert "jumped" in decision.reason
    told.session.set_origin(np.zeros(3))
    told.look(2, pose=np.zeros(3))
    decision = told.look(10, velocity=np.array([0.5, 0.0, 0.0]))
    assert "stands still" in decision.reason
    told.session.set_origin(np.zeros(3))
    silent = replace(WALKING, received_s=told.now_s - 0.6)
    assert "old" in told.session.look(told.now_s, silent).reason


def test_every_event_is_told_once_however_long_it_lasts():
    told = begun()
    told.look(10)
    told.look(50, battery=0.1)
    told.look(10)
    assert told.kinds == ["stand", "origin", "walk", "stand", "walk"]


def test_it_goes_on_where_it_was():
    first = begun(plan=CollectPlan(limits=WalkLimits(10.0)))
    first.look(60, rows=300)
    progress = json.loads(json.dumps(first.session.progress()))
    assert progress["rows"] == 300
    second = begun(plan=CollectPlan(limits=WalkLimits(10.0)), progress=progress)
    assert second.session.starts == 2
    assert second.session.walk.walked_s == pytest.approx(first.session.walk.walked_s)
    assert second.session.progress()["coverage"] == pytest.approx(progress["coverage"], abs=0.01)
    modes = [second.look(rows=20).mode for _ in range(60)]
    assert modes.count("walk") == pytest.approx(41, abs=2)
    assert modes[-1] == "over"
    assert second.session.progress()["rows"] == 320


def test_a_start_draws_other_commands_than_the_one_before():
    first = begun()
    second = begun(progress=first.session.progress())
    drawn = [told.look(30).command for told in (first, second)]
    assert not np.allclose(*drawn)


def test_progress_of_other_bins_is_refused():
    progress = begun().session.progress()
    plan = CollectPlan(schedule=SchedulePlan(bins=(3, 3, 3)))
    with pytest.raises(LogError, match="progress has bins"):
        Told(plan=plan, progress=progress)


def test_a_fence_smaller_than_the_way_to_a_stop_is_refused():
    plan = CollectPlan(area=WalkingArea(Rectangle(2.0, 2.0)))
    with pytest.raises(ConfigError, match=r"a fence of 2 m x 2 m leaves"):
        Told(plan=plan)


def test_the_line_of_a_look_has_every_column():
    from rwmu_deploy.patrol.collect_session import PATH_COLUMNS

    told = begun()
    told.look(doubt=0.5)
    assert told.session.latest is not None
    line = told.session.latest.path_line()
    assert len(line) == len(PATH_COLUMNS)
    assert line[PATH_COLUMNS.index("mode")] == "walk"
    assert line[PATH_COLUMNS.index("doubt")] == "0.500"
