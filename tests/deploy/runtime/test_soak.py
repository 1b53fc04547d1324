"""T-29: an hour of robot time with every kind of fault, each tick checked by the rig."""

import os
import resource
from pathlib import Path

import numpy as np
import pytest
from light_robot import with_value

from rwmu_deploy.contract.errors import RobotLinkError
from rwmu_deploy.runtime.safety_monitor import SafetyState

RUN, HOLD, DAMP, STOPPED = SafetyState
HOUR_TICKS = 180_000


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


class Trouble:
    """Begins a random fault in a share of all ticks, and ends it after a random time."""

    def __init__(self, rng, share):
        self._rng, self._share = rng, share
        self._left = 0
        self.begun = 0

    def disturb(self, rig):
        """What this tick gets: the number of skipped ticks before it."""
        self._left -= 1
        if self._left == 0:
            self.heal(rig)
        if self._left > 0 or self._rng.random() >= self._share:
            return 0
        self.begun += 1
        self._left = int(self._rng.integers(1, 12))
        rng, robot = self._rng, rig.robot
        kind = rng.integers(10)
        value = float(rng.choice([np.nan, np.inf, 1e30, -700.0, 3.0]))
        if kind <= 1:
            robot.sources[rng.choice(list(robot.sources))].is_silent = True
        elif kind == 2:
            robot.sources[rng.choice(list(robot.sources))].is_frozen = True
            self._left = int(rng.integers(5, 40))
        elif kind == 3:
            field = rng.choice(["joint_position_rad", "projected_gravity", "joint_torque_nm"])
            robot.bend = lambda state: with_value(state, field, int(rng.integers(3)), value)
        elif kind == 4:
            rig.policy.answer = lambda observation: np.full(12, value)
        elif kind == 5:
            rig.policy.answer = lambda observation: rng.normal(0.0, 30.0, 12)
        elif kind == 6:
            rig.policy.answer = lambda observation: 1 / 0
        elif kind == 7:
            rig.loop.set_velocity_command(rng.normal(0.0, 3.0, 3) * value, rig.clock.now_s())
        elif kind == 8:
            return int(rng.integers(1, 4))
        elif kind == 9 and rng.random() < 0.05:
            rig.loop.stop("button")
        return 0

    def heal(self, rig):
        rig.robot.bend = lambda state: state
        rig.policy.answer = lambda observation: np.zeros(12)
        for source in rig.robot.sources.values():
            source.is_silent = source.is_frozen = False


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_an_hour_of_mixed_faults_breaks_no_promise_and_leaks_nothing(light_rig, trials, caplog):
    caplog.set_level("CRITICAL")
    rng = np.random.default_rng(29)
    trouble = Trouble(rng, 0.01)
    ticks = seen = stops = 0
    states = dict.fromkeys(SafetyState, 0)
    memory_mb = files = None
    while ticks < HOUR_TICKS:
        rig = light_rig(int(rng.integers(2**31)))
        while ticks < HOUR_TICKS and rig.loop.state is not STOPPED:
            if rig.loop.state is DAMP and rng.random() < 0.1:
                trouble.heal(rig)
                rig.tick(2)
                rig.loop.disarm("the operator looks")
                try:
                    rig.loop.arm(rig.clock.now_s())
                except RobotLinkError:
                    continue
            skipped = trouble.disturb(rig)
            states[rig.tick(period_s=0.02 * (1 + skipped), skipped=skipped).state] += 1
            if rng.random() < 0.02:
                rig.loop.set_velocity_command(rng.uniform(-1, 1, 3), rig.clock.now_s())
            ticks += 1
            rig.policy.observations.clear()
            if ticks == HOUR_TICKS // 4:
                memory_mb, files = resident_mb(), len(os.listdir("/proc/self/fd"))
        stops += rig.loop.state is STOPPED
        seen += sum(rig.loop.counters.values())
    assert resident_mb() - memory_mb < 5.0
    assert len(os.listdir("/proc/self/fd")) == files
    assert seen > trouble.begun > 1000
    assert min(states[RUN], states[HOLD], states[DAMP], stops) > 0, states
    trials("T-29", ticks)
