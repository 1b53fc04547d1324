"""A robot left alone: it walks, comes home, stands when it must, and ends when it is over."""

import math

import numpy as np
import pytest

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.patrol.autonomous_walk import AutonomousWalk, WalkLimits
from rwmu_deploy.patrol.command_scheduler import CommandScheduler, SchedulePlan
from rwmu_deploy.patrol.odometry_watch import OdometryReading
from rwmu_deploy.patrol.velocity_fence import FenceSettings, VelocityFence
from rwmu_deploy.patrol.walking_area import Rectangle, WalkingArea
from rwmu_deploy.patrol.walking_response import WalkingResponse

RANGE = CommandRange((-1.0, -0.5, -1.0), (1.0, 0.5, 1.0))
RESPONSE = WalkingResponse((0.95, 0.95, 1.0), (0.15, 0.15, 0.1), 0.04)
LOOK_S = 0.1


class Ghost:
    """A robot that follows its commands exactly as its response says, with a true odometry."""

    def __init__(self, seed=0, limits=None, length_m=6.0, width_m=5.0):
        area = WalkingArea(Rectangle(length_m, width_m))
        fence = VelocityFence(area, RESPONSE, RANGE, FenceSettings(look_s=LOOK_S))
        scheduler = CommandScheduler(RANGE, SchedulePlan(), seed)
        self.area = area
        self.walk = AutonomousWalk(
            fence, RESPONSE, scheduler, limits or WalkLimits(longest_s=3600.0)
        )
        self.pose, self.velocity = np.zeros(3), np.zeros(3)
        self.late = [np.zeros(3)] * 2
        self.now_s, self.walked_m, self.fault = 10.0, 0.0, ""

    def look(self, hold=""):
        place = OdometryReading(self.pose.copy(), self.walked_m, self.fault)
        decision = self.walk.update(self.now_s, place, self.velocity, hold)
        for _ in range(5):
            self.late = [*self.late[1:], decision.command]
            share = 1.0 - np.exp(-0.02 / np.array(RESPONSE.time_constant_s))
            goal = np.array(RESPONSE.gain) * self.late[0]
            self.velocity = self.velocity + share * (goal - self.velocity)
            vx, vy, wz = self.velocity
            cos, sin = math.cos(self.pose[2]), math.sin(self.pose[2])
            self.pose = self.pose + 0.02 * np.array([cos * vx - sin * vy, sin * vx + cos * vy, wz])
            self.walked_m += 0.02 * math.hypot(vx, vy)
            self.now_s += 0.02
        return decision


@pytest.mark.parametrize("seed", range(3))
def test_five_minutes_alone_never_come_near_the_edge_and_fill_the_commands(seed):
    ghost = Ghost(seed)
    depths = []
    for look in range(3000):
        decision = ghost.look()
        assert decision.mode in ("walk", "home")
        depths.append(ghost.area.depth_m(ghost.pose[:2]))
        if look % 100 == 0:
            ghost.walked_m = 0.0  # the origin is set again
    assert min(depths) >= 0.25
    assert ghost.walk.scheduler.coverage() > 0.9
    assert ghost.walk.events["refused"] > 20
    assert ghost.walk.walked_s == pytest.approx(299.9)


def test_commands_change_no_faster_than_their_ramp():
    ghost = Ghost()
    commands = np.array([ghost.look().command for _ in range(2000)])
    steps = np.abs(np.diff(commands, axis=0)).max(axis=0)
    assert (steps <= np.array([0.2, 0.2, 0.4]) + 1e-9).all()


@pytest.mark.parametrize("hold", ["the operator holds", "battery at 19 %"])
def test_whoever_holds_it_makes_it_stand_and_it_goes_on_afterwards(hold):
    ghost = Ghost()
    for _ in range(50):
        ghost.look()
    walked_s = ghost.walk.walked_s
    for _ in range(20):
        decision = ghost.look(hold)
        assert (decision.mode, decision.reason) == ("stand", hold)
    np.testing.assert_array_equal(decision.command, np.zeros(3))
    assert ghost.walk.walked_s == pytest.approx(walked_s + LOOK_S)
    assert ghost.look().mode == "walk"
    assert ghost.walk.events[hold] == 1


def test_odometry_that_can_not_be_believed_makes_it_stand():
    ghost = Ghost()
    for _ in range(20):
        ghost.look()
    ghost.fault = "odometry jumped by 2.00 m"
    ghost.pose = np.full(3, math.nan)
    decisions = [ghost.look() for _ in range(20)]
    assert {d.mode for d in decisions} == {"stand"}
    np.testing.assert_array_equal(decisions[-1].command, np.zeros(3))


def test_old_origin_leads_it_home_where_it_stands_until_the_origin_is_set():
    ghost = Ghost()
    ghost.pose = np.array([1.5, -1.0, 2.0])
    ghost.walked_m = 24.0
    decisions = [ghost.look() for _ in range(200)]
    assert decisions[0].mode == "home"
    assert not decisions[0].needs_origin
    assert decisions[-1].mode == "stand"
    assert decisions[-1].needs_origin
    assert "set it again" in decisions[-1].reason
    assert np.linalg.norm(ghost.pose[:2]) < 0.4
    assert 0.02 * ghost.walked_m <= 0.55
    # Odometry of a standing robot creeps: it doesn't run after its own origin.
    ghost.pose = np.array([0.3, 0.1, 2.0])
    assert ghost.look().mode == "stand"
    ghost.walked_m = 0.0
    assert ghost.look().mode == "walk"


def test_robot_that_stays_on_the_spot_is_led_home_faster():
    ghost = Ghost()
    ghost.pose, ghost.walked_m = np.array([1.5, -1.0, 2.0]), 24.0
    speeds = []
    for _ in range(400):
        place = ghost.pose
        decision = ghost.look()
        if np.linalg.norm(decision.command[:2]) < 0.45:  # a policy that takes no small steps
            ghost.pose, ghost.velocity = place, np.zeros(3)
            ghost.late = [np.zeros(3)] * 2
        speeds.append(np.linalg.norm(decision.command[:2]))
    assert speeds[10] == pytest.approx(0.4)
    assert max(speeds) == pytest.approx(0.4 * 1.25)
    assert decision.mode == "stand"
    assert decision.needs_origin


def test_robot_beyond_the_edge_has_to_be_damped():
    ghost = Ghost()
    ghost.pose = np.array([3.01, 0.0, 0.0])
    decision = ghost.look()
    assert decision.mode == "outside"
    assert "3.01 m, 0.00 m" in decision.reason


def test_robot_pushed_into_the_margin_comes_home_and_walks_on():
    ghost = Ghost()
    ghost.pose = np.array([2.85, 0.0, 2.0])
    modes = [ghost.look().mode for _ in range(300)]
    assert modes[0] in ("home", "walk")
    assert modes[-1] == "walk"
    assert "outside" not in modes


@pytest.mark.parametrize(
    "limits", [WalkLimits(longest_s=5.0), WalkLimits(longest_s=100.0, farthest_m=1.0)]
)
def test_walk_is_over_after_its_time_or_its_way(limits):
    ghost = Ghost(limits=limits)
    modes = [ghost.look().mode for _ in range(300)]
    assert modes[-1] == "over"
    assert ghost.walk.walked_s <= 5.0 + LOOK_S or ghost.walk.way_m <= 1.1
    np.testing.assert_allclose(ghost.velocity, 0.0, atol=1e-6)


@pytest.mark.parametrize("wrong", [{"longest_s": 0.0}, {"longest_s": math.nan}])
def test_limit_that_is_none_is_refused(wrong):
    with pytest.raises(ConfigError, match="walk longest_s is"):
        WalkLimits(**wrong)
