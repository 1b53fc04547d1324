"""A loop that is restored is the one whose memory it has: no field is forgotten."""

from __future__ import annotations

import json

import numpy as np
import pytest
from drawn_loop import Drawn

from rwmu_deploy.collection.flight_arrays import SampleTable
from rwmu_deploy.collection.flight_memory import memory_from_json, memory_to_json
from rwmu_deploy.contract.robot_state import RobotState
from rwmu_deploy.runtime.control_loop import ControlLoop

# What is given to a loop, or works for it, and what it learns anew in every tick.
NOT_MEMORY = {
    "_spec",
    "_witness",
    "_policy",
    "_link",
    "_guard",
    "_conditions",
    "_on_tick",
    "_tick_lock",
    "_send_lock",
    "_fault_lock",
    "_command",  # read after it was sent, in the same tick
    "_velocity",  # restored from what was asked, at every tick's beginning
    "looks_left",
    "interrupt",
}


def same(a: object, b: object, where: str = "loop") -> None:
    """Everything that two objects hold is equal, to the last bit."""
    if isinstance(a, RobotState):
        assert a is b, where
    elif isinstance(a, np.ndarray):
        assert a.tobytes() == b.tobytes(), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            same(a[key], b[key], f"{where}.{key}")
    elif type(a).__module__.startswith(("rwmu_deploy", "drawn_loop")) and hasattr(a, "__dict__"):
        for name in vars(a).keys() - NOT_MEMORY:
            same(getattr(a, name), getattr(b, name), f"{where}.{name}")
    else:
        assert a == b, f"{where}: {a} is not {b}"


@pytest.fixture
def copy(spec):
    """A new loop with the memory of a drawn one, through JSON."""

    def copied(drawn: Drawn) -> ControlLoop:
        table = SampleTable()
        text = json.dumps(memory_to_json(drawn.loop.memory, table.number), allow_nan=False)
        loop = ControlLoop(
            spec,
            drawn,
            drawn,
            command_range=drawn.facts.command_range,
            stand_up_s=drawn.facts.stand_up_s,
            observation_range=drawn.facts.observation_range,
        )
        loop.restore(memory_from_json(json.loads(text), table.samples))
        return loop

    return copied


def test_every_field_of_a_loop_is_in_its_memory(spec, upright, copy, count):
    for seed in range(count(60, 1000)):
        drawn = Drawn(spec, upright, seed, danger=(0.0, 0.02, 0.05)[seed % 3])
        drawn.drive(1 + 2 * (seed % 40))
        same(drawn.loop, copy(drawn))


@pytest.mark.parametrize(
    ("part", "field"),
    [
        ("_gate", "_newest_s"),
        ("_gate", "_bad_in_a_row"),
        ("_gate", "_changed_s"),
        ("_monitor", "_healthy_since_s"),
        ("_late_ticks", "_in_a_row"),
        ("_ramp", "_tick"),
    ],
)
def test_a_field_that_is_not_restored_is_found(spec, upright, copy, part, field):
    drawn = Drawn(spec, upright, 7, danger=0.0)
    drawn.drive(5)
    loop = copy(drawn)
    setattr(getattr(loop, part), field, {"imu": -1.0} if field == "_changed_s" else -1.0)
    with pytest.raises(AssertionError, match=field):
        same(drawn.loop, loop)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda document: document["fields"].pop("gate"),
        lambda document: document["fields"].update(more=1.0),
        lambda document: document.update(kind="RobotSpec"),
        lambda document: document["fields"].update(phase={"unknown": 1}),
        lambda document: document["fields"]["gate"]["fields"].update(good={"sample": 99}),
        lambda document: document["fields"].update(sent_rad={"array": [0.0], "tuple": []}),
    ],
)
def test_memory_of_something_else_is_refused(spec, upright, spoil):
    drawn = Drawn(spec, upright, 7, danger=0.0)
    drawn.drive(5)
    table = SampleTable()
    document = memory_to_json(drawn.loop.memory, table.number)
    spoil(document)
    with pytest.raises((KeyError, TypeError, ValueError, IndexError)):
        memory_from_json(document, table.samples)
