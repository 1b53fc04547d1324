"""T-12 in real time: whatever hangs, the first damping command is out 25 ms after the press."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest
from forked_processes import Fault, Forked
from policy_listener import CLEANUP, CONFIGURE, DEACTIVATE, PolicyListener, wait_until
from rclpy.context import Context

ALLOWED_S = 0.025
DAMPING_HZ = 45
REPORT = Path(__file__).resolve().parents[2] / "reports" / "estop_latency.json"
# What hangs in which node, and for how long; the watchdog would damp after 0.1 s of no tick.
HANGS = {"nothing": 0.0, "main thread": 1.5, "inference": 0.6, "disk": 1.5, "terminal": 1e9}
BEFORE_WATCHDOG_S = 0.06


class PressedNodes:
    """A policy node for each way to hang, and the means to press each one's e-stop."""

    def __init__(self, forked: Forked, context: Context, bundle: Path, folder: Path) -> None:
        self.spaces = {kind: f"p{index}" for index, kind in enumerate(HANGS)}
        self.faults = {kind: Fault(kind, seconds) for kind, seconds in HANGS.items()}
        self.nodes: dict[str, ForkServerProcess] = {}
        self._folder = folder
        forked.start("sensor_process")
        for kind, space in self.spaces.items():
            topics = ("joint_states", "imu", "odom", "contacts")
            self.nodes[kind] = forked.start(
                "policy_process",
                namespace=space,
                faults=[] if kind == "nothing" else [self.faults[kind]],
                bundle=bundle,
                stand_up_s=0.5,
                realtime_priority=20,
                log_dir=folder / space,
                log_source="sim",
                **{f"{topic}_topic": f"/{topic}" for topic in topics},
            )
        self.listener = PolicyListener(context, list(self.spaces.values()))
        wait_until(lambda: all(map(self.listener.is_connected, self.spaces.values())))

    def activate(self) -> None:
        """All nodes, from unconfigured to the policy in charge."""
        spaces = list(self.spaces.values())
        self.listener.transit(spaces, CONFIGURE)
        self.listener.run(spaces)

    def clear(self) -> None:
        """All nodes back to unconfigured, which also clears the e-stop."""
        for transition in (DEACTIVATE, CLEANUP):
            self.listener.transit(list(self.spaces.values()), transition)
        # A folder of a hundred recordings is full, and no robot is armed with it.
        for space in self.spaces.values():
            shutil.rmtree(self._folder / space / "flights")

    def press(self, kind: str, source: str, rng: random.Random) -> float:
        """Let things hang, press at a random moment, and return that moment."""
        space, pid = self.spaces[kind], self.nodes[kind].pid
        assert pid is not None
        if kind in ("main thread", "inference", "disk"):
            self.faults[kind].set_off()
        time.sleep(rng.uniform(0.0, BEFORE_WATCHDOG_S))
        pressed_s = time.monotonic()
        if source == "signal":
            os.kill(pid, signal.SIGUSR1)
        elif source == "topic":
            self.listener.press_topic(space)
        else:
            self.listener.press_service(space)
        return pressed_s


@pytest.fixture
def pressed_nodes(
    forked: Forked,
    ros_context: Context,
    standing_bundle: Path,
    tmp_path: Path,
    undisturbed: None,
) -> Iterator[PressedNodes]:
    nodes = PressedNodes(forked, ros_context, standing_bundle, tmp_path)
    yield nodes
    nodes.listener.close()


def test_first_damping_command_is_out_in_time_whatever_hangs(
    pressed_nodes: PressedNodes,
    count: Callable[[int, int], int],
    trials: Callable[[str, int], None],
) -> None:
    nodes, listener = pressed_nodes, pressed_nodes.listener
    rng = random.Random(12)
    wanted, stalled_presses = count(20, 1000), 0
    latencies: dict[str, list[float]] = defaultdict(list)
    sources = ("topic", "service", "signal")
    while sum(map(len, latencies.values())) < wanted:
        nodes.activate()
        pressed: dict[str, tuple[str, float]] = {}
        order = list(HANGS)
        rng.shuffle(order)
        for number, kind in enumerate(order):
            source = sources[(number + sum(map(len, latencies.values()))) % 3]
            pressed[kind] = (source, nodes.press(kind, source, rng))
        time.sleep(1.1)
        for kind, (source, pressed_s) in pressed.items():
            heard = [c for c in listener.commands[nodes.spaces[kind]] if c.at_s >= pressed_s]
            damping = [command.at_s for command in heard if command.damps]
            assert damping, (kind, source)
            first_s = damping[0]
            is_late = first_s - pressed_s > ALLOWED_S
            is_rare = sum(at_s < first_s + 1.0 for at_s in damping) < DAMPING_HZ
            if (is_late or is_rare) and listener.stalled(pressed_s, first_s + is_rare):
                stalled_presses += 1
                assert stalled_presses <= wanted, "this machine is too busy for real time"
                continue
            assert not is_late, (kind, source, first_s - pressed_s)
            assert not is_rare, (kind, source)
            assert all(c.damps for c in heard if c.at_s > first_s), (kind, source)
            latencies[f"{source}, {kind} hangs"].append(first_s - pressed_s)
        nodes.clear()
        listener.commands.clear()
    _report(latencies, stalled_presses)
    trials("T-12", sum(map(len, latencies.values())))


def _report(latencies: dict[str, list[float]], stalled_presses: int) -> None:
    every = [value for values in latencies.values() for value in values]
    rows = {"all": every, **dict(sorted(latencies.items()))}
    document = {
        "what": "ms from the press to the receipt of the first damping command",
        "left_out_because_the_machine_stalled": stalled_presses,
        **{
            name: {
                "presses": len(values),
                "min": round(min(values) * 1e3, 2),
                "median": round(statistics.median(values) * 1e3, 2),
                "max": round(max(values) * 1e3, 2),
            }
            for name, values in rows.items()
        },
    }
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(document, indent=1) + "\n")
