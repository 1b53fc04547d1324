"""What the simulated robot's operator does, so that a session alone goes on."""

from dataclasses import replace

import numpy as np
import pytest

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.patrol.collect_plan import CollectPlan
from rwmu_deploy.patrol.collect_session import CollectSession
from rwmu_deploy.patrol.simulated_session import LEANS_S, SETTLE_S, SimulatedSession
from rwmu_deploy.runtime.control_loop import ControlLoop
from rwmu_deploy.simulation.odometry_drift import OdometryDrift
from rwmu_deploy.simulation.simulated_robot import SimulatedRobot

SPEC = load_robot_spec("anymal_d")
STAND_UP_S = 0.5
LEG = SPEC.joint_names.index("LH_HFE")


class LeaningRobot(SimulatedRobot):
    """Measures its left hind hip flexion so far beyond the range [rad], until it is put up."""

    beyond_rad: float | None = None

    def latest_state(self):
        state = super().latest_state()
        position_rad = state.joint_position_rad.copy()
        if self.beyond_rad is not None:
            position_rad[LEG] = SPEC.upper_rad[LEG] + self.beyond_rad
        return replace(state, joint_position_rad=position_rad)

    def reset(self):
        super().reset()
        self.beyond_rad = None


class Standing:
    """A policy that stands."""

    def action(self, observation):
        return np.zeros(12)


class Stage:
    """A robot, its loop and its session, driven tick by tick."""

    def __init__(self):
        self.now_s = 0.0
        self.looks = []
        self.robot = LeaningRobot(SPEC)
        reach = CommandRange((-1.0, -0.5, -1.0), (1.0, 0.5, 1.0))
        self.session = SimulatedSession(
            CollectSession(CollectPlan(), reach),
            self.robot,
            OdometryDrift(0.0, 1, 0),
            SPEC.control_dt_s,
            self.looks.append,
        )
        self.loop = ControlLoop(
            SPEC,
            Standing(),
            self.session,
            command_range=reach,
            stand_up_s=STAND_UP_S,
            on_tick=self.session.on_tick,
        )

    def run(self, seconds):
        for _ in range(round(seconds / SPEC.control_dt_s)):
            self.robot.advance(self.now_s)
            self.session.before_tick(self.loop, self.now_s)
            self.loop.tick(self.now_s)
            self.now_s += SPEC.control_dt_s


@pytest.fixture
def stage():
    one = Stage()
    one.run(SETTLE_S + STAND_UP_S + 1.0)
    assert one.loop.state.name == "RUN"
    assert one.session.put_up == 0
    return one


def test_a_robot_that_leans_on_a_leg_beyond_its_range_is_put_up(stage):
    stage.robot.beyond_rad = 0.3
    stage.run(LEANS_S)
    assert stage.loop.state.name == "HOLD"
    stage.run(SETTLE_S + STAND_UP_S + 1.0)
    assert stage.session.put_up == 1
    assert stage.loop.state.name == "RUN"
    assert any("leaning for 5 s" in str(look.sight.reasons) for look in stage.looks)


def test_a_leg_that_comes_back_by_itself_is_left_alone(stage):
    for _ in range(3):
        stage.robot.beyond_rad = 0.3
        stage.run(LEANS_S - 1.0)
        assert stage.loop.state.name == "HOLD"
        stage.robot.beyond_rad = None
        stage.run(1.0)
        assert stage.loop.state.name == "RUN"
    assert stage.session.put_up == 0
