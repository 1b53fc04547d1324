"""A flight's file is what was recorded to the last bit, or it is refused in a sentence."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_loop import Drawn

from rwmu_deploy.collection.flight_file import MOST_BYTES, SCHEMA, flight_to_bytes, read_flight
from rwmu_deploy.contract.errors import FlightError
from rwmu_deploy.runtime.flight_record import Flight, TickRecord
from rwmu_deploy.runtime.tick_report import TickReport


@pytest.fixture(scope="module")
def flight(spec) -> Flight:
    """Ticks among many faults."""
    from rwmu_deploy.contract.robot_state import RobotState

    upright = RobotState(
        *(np.zeros(3) for _ in range(2)),
        np.array([0.0, 0.0, -1.0]),
        spec.default_position_rad.copy(),
        np.zeros(12),
        np.zeros(12),
        np.zeros(8),
        10.0,
    )
    return Drawn(spec, upright, 6, danger=0.05).run(120)


@pytest.fixture(scope="module")
def content(flight) -> bytes:
    return flight_to_bytes(flight)


@pytest.fixture
def write(tmp_path) -> Callable[[bytes], Path]:
    def written(content: bytes) -> Path:
        path = tmp_path / "flight-20261125T120000Z-0.npz"
        path.write_bytes(content)
        return path

    return written


def sealed(body: bytes) -> bytes:
    """A file whose hash fits: what a program of ours could have written."""
    return body + hashlib.sha256(body).hexdigest().encode()


def rewritten(content: bytes, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> bytes:
    """A file with another header or other arrays, and a hash that fits."""
    with np.load(io.BytesIO(content)) as archive:
        arrays = {name: archive[name] for name in archive.files}
    header = json.loads(arrays.pop("header").tobytes())
    change(header, arrays)
    target = io.BytesIO()
    text = json.dumps(header).encode()
    np.savez(target, header=np.frombuffer(text, dtype=np.uint8), **arrays)
    with zipfile.ZipFile(target, "a") as archive:
        archive.comment = b"0" * 64
    return sealed(target.getvalue()[:-64])


def bits(value: object) -> object:
    return (
        (value.dtype.str, value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value
    )


def test_every_field_of_every_tick_comes_back_to_the_last_bit(flight, content, write):
    read = read_flight(write(content))
    assert read.facts.spec == flight.facts.spec
    assert read.facts.command_range == flight.facts.command_range
    assert read.facts.observation_range == flight.facts.observation_range
    assert list(read.triggers) == list(flight.triggers)
    for before, after in zip(flight.ticks, read.ticks, strict=True):
        for name in TickRecord.__dataclass_fields__:
            if name in ("report", "memory", "calls", "velocity", "sample", "answer", "failures"):
                continue
            a, b = getattr(before, name), getattr(after, name)
            assert bits(a) == bits(b) or list(a) == list(b), name
        assert before.velocity.command.tobytes() == after.velocity.command.tobytes()
        assert before.velocity.received_s == after.velocity.received_s
        assert before.failures == after.failures
        for name in set(TickReport.__dataclass_fields__) - {"robot_state", "command"}:
            a, b = getattr(before.report, name), getattr(after.report, name)
            assert bits(a) == bits(b), name
        for name, values in vars(before.report.command).items():
            assert values.tobytes() == getattr(after.report.command, name).tobytes(), name
        assert (before.sample is None) == (after.sample is None)
        if before.sample is not None:
            for name, values in vars(before.sample).items():
                other = getattr(after.sample, name)
                if np.shape(values) == np.shape(other) and not np.isnan(other).all():
                    assert np.asarray(values).tobytes() == np.asarray(other).tobytes(), name


def test_samples_that_were_one_object_are_one_again(flight, content, write):
    read = read_flight(write(content))
    again: dict[int, int] = {}
    for before, after in zip(flight.ticks, read.ticks, strict=True):
        assert again.setdefault(id(before.sample), id(after.sample)) == id(after.sample)


def test_numpy_reads_it_without_pickle(flight, content):
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        header = json.loads(archive["header"].tobytes())
        assert archive["position_rad"].shape == (len(flight.ticks), 12)
    assert header["schema"] == SCHEMA
    assert header["robot"]["name"] == "anymal_d"


def test_a_change_of_any_byte_is_refused(content, write, count, trials):
    rng = np.random.default_rng(2)
    # The beginning, the end, and a sample of everything between: each with another bit.
    every = [*range(200), *range(len(content) - 400, len(content))]
    drawn = rng.integers(0, len(content), count(400, 20_000)).tolist()
    for place in [*every, *drawn]:
        altered = bytearray(content)
        altered[place] ^= 1 << int(rng.integers(8))
        with pytest.raises(FlightError, match="cut or altered"):
            read_flight(write(bytes(altered)))
    trials("replay", len(every) + len(drawn))


def test_a_file_that_was_cut_is_refused(content, write):
    for length in [*range(0, len(content), 997), len(content) - 1]:
        with pytest.raises(FlightError, match=r"bytes; allowed|cut or altered"):
            read_flight(write(content[:length]))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda h, a: h.update(schema="rwmu-flight-9"), "its schema is 'rwmu-flight-9'"),
        (lambda h, a: h.pop("triggers"), "triggers"),
        (lambda h, a: h["robot"].update(control_dt_s=-1.0), "control_dt_s is -1.0"),
        (lambda h, a: h["robot"]["safety"].update(recovery_s=0.0), "no check can be off"),
        (lambda h, a: h.update(ticks=5), "not i8(5,)"),
        (lambda h, a: h["events"].append({"tick": 9999}), "an event of no tick"),
        (lambda h, a: h["start"].update(kind="Nothing"), "Nothing"),
        (lambda h, a: h.update(command_range=[[0, 0, float("nan")], [1, 1, 1]]), "command range"),
        (lambda h, a: a.pop("now_s"), "its arrays are"),
        (lambda h, a: a.update(more=np.zeros(3)), "its arrays are"),
        (lambda h, a: a.update(position_rad=a["position_rad"].astype("f4")), "position_rad is"),
        (lambda h, a: a["position_rad"].__setitem__((3, 3), np.nan), "position_rad is not finite"),
        (lambda h, a: a["sample"].__setitem__(3, 9999), "sample has a number outside"),
        (lambda h, a: a["sample"].__setitem__(3, -2), "sample has a number outside"),
        (lambda h, a: a["state"].__setitem__(3, 7), "state has a number outside"),
        (lambda h, a: a["reasons"].__setitem__(3, 9999), "reasons has a number outside"),
        (lambda h, a: a["tick_index"].__setitem__(3, 77), "tick_index has a gap"),
        (
            lambda h, a: h.update(
                odd_samples=[{"sample": 0, "field": "contact", "shape": [10**9]}]
            ),
            "a sample has the shape",
        ),
        (lambda h, a: a.update(now_s=np.array([{}], dtype=object)), "pickle|Object arrays"),
    ],
)
def test_a_sealed_file_that_contradicts_itself_is_refused_in_a_sentence(
    content, write, spoil, said
):
    with pytest.raises(FlightError, match="can't be understood") as refusal:
        read_flight(write(rewritten(content, spoil)))
    assert any(part in str(refusal.value) for part in said.split("|")), refusal.value
    assert "\n" not in str(refusal.value)


def test_what_is_no_zip_is_refused_though_its_hash_fits(write):
    with pytest.raises(FlightError, match="can't be unpacked"):
        read_flight(write(sealed(b"not a zip, but long enough")))


def test_a_file_too_large_or_not_there_is_refused_before_it_is_read(tmp_path):
    huge = tmp_path / "flight-20261125T120000Z-0.npz"
    with huge.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(FlightError, match="bytes; allowed are"):
        read_flight(huge)
    for path in (tmp_path, tmp_path / "nothing.npz"):
        with pytest.raises(FlightError, match=r"can't be read|bytes; allowed"):
            read_flight(path)
