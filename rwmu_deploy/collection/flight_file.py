"""A flight as one file: a zip of numpy arrays with a JSON header, and a hash over every byte.

`numpy.load` reads it; the hash stands in the zip's comment, the last bytes of the file. There is
no pickle in it, and none is read.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import time
import zipfile
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.collection.flight_arrays import (
    Layout,
    SampleTable,
    ticks_from_arrays,
    ticks_to_arrays,
)
from rwmu_deploy.collection.flight_memory import memory_from_json, memory_to_json
from rwmu_deploy.contract.bundle_training_range import TrainingRange
from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.errors import FlightError, RwmuError
from rwmu_deploy.contract.robot_spec import spec_from_dict, spec_to_dict
from rwmu_deploy.runtime.flight_record import Flight, FlightFacts, Trigger

SCHEMA = "rwmu-flight-1"
MOST_BYTES = 64 * 2**20
"""A larger file is no flight: 32 s of a robot with 12 joints are about 1 MB."""
_MOST_UNPACKED = 256 * 2**20
_HASH_DIGITS = 64
_FIX = "Take another copy of the file."


def flight_to_bytes(flight: Flight, pause: Callable[[], object] = lambda: None) -> bytes:
    """The content of a flight's file.

    Args:
        flight: The flight.
        pause: Called about every half millisecond of work; what sleeps a little there leaves the
            interpreter to a control loop.
    """
    facts = flight.facts
    table = SampleTable()
    start = memory_to_json(flight.start, table.number)
    arrays, document = ticks_to_arrays(facts.spec, flight.ticks, table, pause)
    seen = facts.observation_range
    header = {
        "schema": SCHEMA,
        "written": {
            "utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "rwmu": _version("rwmu"),
            "numpy": np.__version__,
            "onnxruntime": _version("onnxruntime"),
            "python": platform.python_version(),
        },
        "robot": spec_to_dict(facts.spec),
        "bundle": facts.bundle,
        "bundle_sha256": facts.bundle_sha256,
        "source": facts.source,
        "command_range": [list(facts.command_range.lower), list(facts.command_range.upper)],
        "stand_up_s": facts.stand_up_s,
        "observation_range": None if seen is None else seen.to_dict(),
        "monitor": facts.monitor,
        "triggers": [[trigger.tick_index, trigger.why] for trigger in flight.triggers],
        "unfinished": flight.unfinished,
        "ticks": len(flight.ticks),
        "samples": len(table.samples),
        "start": start,
        **document,
    }
    text = json.dumps(header, allow_nan=False).encode()
    pause()
    content = io.BytesIO()
    packed = {"header": np.frombuffer(text, dtype=np.uint8), **arrays}
    np.savez_compressed(content, **packed)  # pyright: ignore[reportArgumentType]
    with zipfile.ZipFile(content, "a") as archive:
        archive.comment = b"0" * _HASH_DIGITS
    body = content.getvalue()[:-_HASH_DIGITS]
    return body + hashlib.sha256(body).hexdigest().encode()


def read_flight(path: Path) -> Flight:
    """Read and check a flight's file.

    Raises:
        FlightError: It can't be read, is no flight, was altered, or contradicts itself.
    """
    content = _content(path)
    body, stated = content[:-_HASH_DIGITS], content[-_HASH_DIGITS:]
    if hashlib.sha256(body).hexdigest().encode() != stated:
        raise FlightError(
            f"{path} is no flight recording, or was cut or altered: its hash does not fit",
            fix=_FIX,
        )
    try:
        return _flight(content)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RwmuError) as error:
        said = error.problem if isinstance(error, RwmuError) else f"{error}"
        raise FlightError(
            f"{path} can't be understood: {said[:300]}",
            fix=f"Replay it with the version of rwmu that wrote it; this one reads {SCHEMA}.",
        ) from None
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise FlightError(f"{path} can't be unpacked: {error}", fix=_FIX) from None


def _content(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if not _HASH_DIGITS < size <= MOST_BYTES:
            raise FlightError(
                f"{path} has {size} bytes; allowed are {_HASH_DIGITS + 1} to {MOST_BYTES}",
                fix=_FIX,
            )
        return path.read_bytes()
    except OSError as error:
        raise FlightError(
            f"{path} can't be read: {error.strerror}",
            fix="Give a flight-*.npz that a run left.",
        ) from None


def _flight(content: bytes) -> Flight:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    if not unpacked <= _MOST_UNPACKED:
        raise ValueError(f"it unpacks to {unpacked} bytes, allowed are {_MOST_UNPACKED}")
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        header = json.loads(archive["header"].tobytes())
        if header["schema"] != SCHEMA:
            raise ValueError(f"its schema is {header['schema']!r}")
        facts = _facts(header)
        layout = Layout(facts.spec, int(header["ticks"]), int(header["samples"])).table()
        arrays = {name: archive[name] for name in archive.files if name != "header"}
    _check_arrays(arrays, layout)
    ticks, samples = ticks_from_arrays(facts.spec, arrays, header)
    return Flight(
        facts=facts,
        start=memory_from_json(header["start"], samples),
        ticks=ticks,
        triggers=[Trigger(int(index), str(why)) for index, why in header["triggers"]],
        unfinished=str(header["unfinished"]),
        written={str(key): str(value) for key, value in header["written"].items()},
    )


def _check_arrays(
    arrays: Mapping[str, NDArray[Any]], layout: Mapping[str, tuple[str, tuple[int, ...]]]
) -> None:
    if set(arrays) != set(layout):
        raise ValueError(f"its arrays are {sorted(arrays)}")
    for name, (kind, shape) in layout.items():
        array = arrays[name]
        if array.dtype != np.dtype(kind) or array.shape != shape:
            raise ValueError(f"{name} is {array.dtype}{array.shape}, not {kind}{shape}")


def _facts(header: Mapping[str, Any]) -> FlightFacts:
    lower, upper = header["command_range"]
    seen, sha256 = header["observation_range"], header["bundle_sha256"]
    return FlightFacts(
        spec=spec_from_dict(header["robot"], source="its robot"),
        command_range=CommandRange(tuple(lower), tuple(upper)),
        stand_up_s=float(header["stand_up_s"]),
        observation_range=None if seen is None else TrainingRange.from_dict(seen),
        monitor=str(header["monitor"]),
        bundle=str(header["bundle"]),
        bundle_sha256=None if sha256 is None else str(sha256),
        source=str(header["source"]),
    )


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
