"""What the robot's loader says to a bundle that is broken or hostile.

Takes every file that the bundle's manifest lists, flips bits and cuts it; bends every ONNX file in
it in ways that a policy never needs, and makes all hashes agree again, as an attacker would; swaps
manifests; puts pipes, links and huge files there. Counts what is refused, and how many sessions of
onnxruntime were built before. Every group, and every bent bundle, is loaded in a process of its
own, which tells the longest load and by how much its memory grew.

    python benchmarks/bundle_corruption.py --flips 2000 --truncations 300 --json corruption.json
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from rich.console import Console
from rich.progress import track
from rich.table import Table

from rwmu_deploy.contract.bundle_files import (
    MANIFEST_NAME,
    MAX_FILE_BYTES,
    MAX_MANIFEST_BYTES,
    FileFacts,
)
from rwmu_deploy.contract.bundle_manifest import METADATA_KEY, facts_text, manifest_bytes
from rwmu_deploy.contract.errors import BundleError
from rwmu_deploy.contract.policy_bundle import PolicyBundle

BUNDLE = Path(__file__).parents[1] / "exports" / "anymal_d_flat"
HUGE_BYTES = 10_000_000_000
EXTERNAL_LOCATIONS = (
    "../secret",
    "/etc/hostname",
    "policy.onnx.data",
    "./a/../../b",
    "",
    MANIFEST_NAME,
)


@dataclass(frozen=True)
class Outcome:
    """What became of bundles that are broken in one way, in one file."""

    what: str
    file: str
    tried: int
    refused: int
    crashed: int
    """Ended in another error than `BundleError`."""
    sessions: int
    """Sessions of onnxruntime that were built."""
    worst_s: float
    memory_growth_mb: float
    """Largest resident memory of the process over that at its start."""
    said: str
    """The last refusal, or what was wrong instead."""


def main() -> None:
    """Print a table, and write the same as JSON if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    parser.add_argument("--flips", type=int, default=2000, help="of single bits, in each file")
    parser.add_argument("--truncations", type=int, default=300, help="of each file")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    console = Console(width=100)
    outcomes = measure(options.bundle, options.flips, options.truncations, console)
    _print(console, outcomes)
    if options.json is not None:
        document = {
            "bundle": options.bundle.name,
            "onnxruntime": onnxruntime.__version__,
            "groups": [asdict(outcome) for outcome in outcomes],
        }
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def measure(
    bundle: Path, flips: int, truncations: int, console: Console | None = None
) -> list[Outcome]:
    """Load a bundle untouched, then broken in every way; the first outcome is of the good one."""
    with TemporaryDirectory() as name:
        scene = _Scene(bundle, Path(name))
        scene.new()
        outcomes = [_load_elsewhere("untouched", "all", scene.again)]
        jobs = [*_damage(scene, flips, truncations), *_bent(scene)]
        for job in track(jobs, "broken bundles", console=console or Console(quiet=True)):
            if job.build is not None:
                # In another process than the load, so that its memory is not counted.
                assert _in_own_process(job.build) == 0, f"{job.what}, {job.file} can't be made"
            outcomes.append(_load_elsewhere(job.what, job.file, job.folders))
        return outcomes


@dataclass(frozen=True)
class _Job:
    what: str
    file: str
    folders: Callable[[], Iterator[Path]]
    """Bundles to load, one after the other."""
    build: Callable[[], object] | None = None


class _Scene:
    """A good bundle, and folders to break copies of it in."""

    def __init__(self, bundle: Path, folder: Path) -> None:
        self._bundle = bundle
        self._folder = folder
        document = json.loads((bundle / MANIFEST_NAME).read_text())
        self.names = [MANIFEST_NAME, *document["files"]]
        self.models = [name for name in document["files"] if name.endswith(".onnx")]

    def again(self) -> Iterator[Path]:
        """The copy that is there."""
        yield self._folder / "bundle"

    def new(self) -> Path:
        """A fresh copy; the one before is gone, so that the disk never fills."""
        copy = self._folder / "bundle"
        shutil.rmtree(copy, ignore_errors=True)
        return Path(shutil.copytree(self._bundle, copy))


def reseal(folder: Path, facts: Callable[[dict[str, Any]], None] | None = None) -> None:
    """Make size and hash of every file agree with the manifest, and facts with the metadata."""
    document = json.loads((folder / MANIFEST_NAME).read_text())
    if facts is not None:
        facts(document)
        for name in (name for name in document["files"] if name.endswith(".onnx")):
            model = onnx.load_from_string((folder / name).read_bytes())
            for entry in model.metadata_props:
                if entry.key == METADATA_KEY:
                    entry.value = facts_text(document)
            (folder / name).write_bytes(model.SerializeToString())
    for name in document["files"]:
        document["files"][name] = asdict(FileFacts.of((folder / name).read_bytes()))
    (folder / MANIFEST_NAME).write_bytes(manifest_bytes(document))


def _damage(scene: _Scene, flips: int, truncations: int) -> Iterator[_Job]:
    """Accidents: hashes stay what they were."""

    def flipped(name: str) -> Iterator[Path]:
        folder = scene.new()
        original = (folder / name).read_bytes()
        for bit in np.random.default_rng(0).integers(0, 8 * len(original), flips):
            changed = bytearray(original)
            changed[bit // 8] ^= 1 << (bit % 8)
            (folder / name).write_bytes(changed)
            yield folder

    def cut(name: str) -> Iterator[Path]:
        folder = scene.new()
        original = (folder / name).read_bytes()
        for end in np.random.default_rng(1).integers(0, len(original), truncations):
            (folder / name).write_bytes(original[:end])
            yield folder

    for name in scene.names:
        yield _Job("one bit flipped", name, partial(flipped, name))
    for name in scene.names:
        yield _Job("cut", name, partial(cut, name))


def _bent(scene: _Scene) -> Iterator[_Job]:
    """Bundles of one fault each; where hashes can agree, they do."""

    def job(what: str, name: str, build: Callable[..., object], *arguments: Any) -> _Job:
        return _Job(what, name, scene.again, partial(build, scene, name, *arguments))

    for name in scene.models:
        for what, change in _model_changes():
            yield job(what, name, _bent_model, change)
        for what, data in _hostile_models():
            yield job(what, name, _replaced, data)
    for name in (MANIFEST_NAME, *scene.models):
        yield job("of another bundle", name, _swapped, False)
        yield job("of another bundle, hashes agree", name, _swapped, True)
    for name in scene.names:
        for what, change in _strange_files():
            yield job(what, name, _strange, change)
    for what, data in _hostile_manifests():
        yield job(what, MANIFEST_NAME, _replaced, data)


def _bent_model(scene: _Scene, name: str, change: Callable[[onnx.ModelProto], object]) -> None:
    folder = scene.new()
    model = onnx.load_from_string((folder / name).read_bytes())
    change(model)
    (folder / name).write_bytes(model.SerializeToString())
    reseal(folder)


def _replaced(scene: _Scene, name: str, data: Callable[[], bytes]) -> None:
    folder = scene.new()
    (folder / name).write_bytes(data())
    if name != MANIFEST_NAME:
        reseal(folder)


def _swapped(scene: _Scene, name: str, hashes_agree: bool) -> None:
    """The file of a good bundle of the same robot with other facts."""
    folder = scene.new()
    kept = {each: (folder / each).read_bytes() for each in scene.names if each != name}
    reseal(folder, lambda document: document.update(task="another task"))
    PolicyBundle.load(folder)
    for each, data in kept.items():
        (folder / each).write_bytes(data)
    if hashes_agree:
        reseal(folder)


def _strange(scene: _Scene, name: str, change: Callable[[Path], object]) -> None:
    change(scene.new() / name)


def _model_changes() -> Iterator[tuple[str, Callable[[onnx.ModelProto], object]]]:
    def external(location: str) -> Callable[[onnx.ModelProto], None]:
        def change(model: onnx.ModelProto) -> None:
            weight = model.graph.initializer[0]
            weight.ClearField("raw_data")
            weight.data_location = TensorProto.EXTERNAL
            weight.external_data.add(key="location", value=location)

        return change

    for location in EXTERNAL_LOCATIONS:
        yield f"external data {location!r}", external(location)

    def with_node(operator: str, **attributes: Any) -> Callable[[onnx.ModelProto], None]:
        def change(model: onnx.ModelProto) -> None:
            node = helper.make_node(operator, [model.graph.input[0].name], ["y"], **attributes)
            model.graph.node.append(node)

        return change

    def branch() -> onnx.GraphProto:
        value = helper.make_tensor_value_info("b", TensorProto.FLOAT, [1])
        return helper.make_graph([helper.make_node("Relu", ["b"], ["c"])], "g", [value], [value])

    yield "custom operator", with_node("Evil")
    yield "custom domain", with_node("Relu", domain="com.evil")
    yield "operator Loop", with_node("Loop", body=branch())
    yield "operator Scan", with_node("Scan", body=branch(), num_scan_inputs=1)
    yield "operator If", with_node("If", then_branch=branch(), else_branch=branch())
    yield "subgraph below Elu", with_node("Elu", alpha=branch())

    def imported(model: onnx.ModelProto) -> None:
        model.opset_import.add(domain="com.evil", version=1)

    def function(model: onnx.ModelProto) -> None:
        node = helper.make_node("Relu", ["a"], ["b"])
        opsets = [helper.make_opsetid("", 18)]
        model.functions.append(helper.make_function("", "Elu", ["a"], ["b"], [node], opsets))

    def named_size(model: onnx.ModelProto) -> None:
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"

    def open_size(model: onnx.ModelProto) -> None:
        model.graph.output[0].type.tensor_type.shape.dim[0].Clear()

    def dimensions(*sizes: int) -> Callable[[onnx.ModelProto], None]:
        def change(model: onnx.ModelProto) -> None:
            model.graph.initializer[0].dims[:] = sizes

        return change

    def constant(model: onnx.ModelProto) -> None:
        value = helper.make_tensor("v", TensorProto.FLOAT, [1], [0.0])
        value.dims[:] = [50_000, 50_000]
        model.graph.node.append(helper.make_node("Constant", [], ["y"], value=value))

    def sparse(model: onnx.ModelProto) -> None:
        model.graph.sparse_initializer.add().dims.extend([50_000, 50_000])

    yield "custom domain imported", imported
    yield "local function", function
    yield "dimension 'batch'", named_size
    yield "dimension without a size", open_size
    yield "declared 10 GB", dimensions(50_000, 50_000)
    yield "declared 16 MB, holds less", dimensions(2048, 2048)
    yield "dimension of 2^62", dimensions(2**62, 4)
    yield "declared 10 GB in a constant", constant
    yield "declared 10 GB, sparse", sparse
    yield "training information", lambda model: model.training_info.add()


def _hostile_models() -> Iterator[tuple[str, Callable[[], bytes]]]:
    """As large as a file may be, all hashes right."""
    yield (
        "largest model of empty fields",
        lambda: b"\x08\x0a" + b"\x42\x00" * (MAX_FILE_BYTES // 2 - 1),
    )
    yield "largest model of nested groups", lambda: b"\x3b" * MAX_FILE_BYTES
    yield "largest model of zeros", lambda: bytes(MAX_FILE_BYTES)


def _strange_files() -> Iterator[tuple[str, Callable[[Path], object]]]:
    def instead(make: Callable[[Path], object]) -> Callable[[Path], object]:
        def change(path: Path) -> None:
            path.unlink()
            make(path)

        return change

    def listening(path: Path) -> None:
        # The name outlives the socket; a path relative to its folder fits into 108 characters.
        before = Path.cwd()
        os.chdir(path.parent)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
        os.chdir(before)

    yield "missing", instead(lambda path: None)
    yield "pipe", instead(os.mkfifo)
    yield "socket", instead(listening)
    yield "folder", instead(Path.mkdir)
    yield "link to nothing", instead(lambda path: path.symlink_to("nowhere"))
    yield "link to itself", instead(lambda path: path.symlink_to(path.name))
    yield "link to /dev/zero", instead(lambda path: path.symlink_to("/dev/zero"))
    yield "link to another file", instead(lambda path: path.symlink_to("/etc/passwd"))
    yield "file of 10 GB", lambda path: os.truncate(path, HUGE_BYTES)
    yield (
        "unlisted file beside",
        lambda path: path.with_suffix(".extra").write_bytes(b"x"),
    )


def _hostile_manifests() -> Iterator[tuple[str, Callable[[], bytes]]]:
    """As large as a manifest may be."""

    def listed(entry: str) -> bytes:
        count = (MAX_MANIFEST_BYTES - 10) // (len(entry) + 1)
        return ('{"a":[' + ",".join([entry] * count) + "]}").encode()

    yield "largest manifest of lists in lists", lambda: listed("[" * 400 + "]" * 400)
    yield "largest manifest of objects", lambda: listed("{}")
    yield "largest manifest of one number", lambda: listed("9" * (MAX_MANIFEST_BYTES - 12))
    yield "largest manifest of open brackets", lambda: b"[" * MAX_MANIFEST_BYTES
    canonical = {"a": [[0]] * (MAX_MANIFEST_BYTES // 16)}
    yield "largest manifest, as rwmu-export writes", lambda: manifest_bytes(canonical)


def _in_own_process(function: Callable[..., object], *arguments: Any) -> int | None:
    # Forked, so that what onnx and this script need is there already and counts for nothing.
    process = get_context("fork").Process(target=function, args=arguments)
    process.start()
    process.join()
    return process.exitcode


def _load_elsewhere(what: str, file: str, folders: Callable[[], Iterator[Path]]) -> Outcome:
    ours, theirs = get_context("fork").Pipe()
    code = _in_own_process(_load_all, what, file, folders, theirs)
    if ours.poll():
        return ours.recv()
    return Outcome(what, file, 1, 0, 1, 0, 0.0, 0.0, f"process ended with {code}")


def _load_all(
    what: str, file: str, folders: Callable[[], Iterator[Path]], answer: Connection
) -> None:
    tried = refused = crashed = sessions = 0
    worst_s, growth_mb, said = 0.0, 0.0, ""
    real = onnxruntime.InferenceSession

    def counted(*arguments: Any, **keywords: Any) -> onnxruntime.InferenceSession:
        nonlocal sessions
        sessions += 1
        return real(*arguments, **keywords)

    for folder in folders():
        tried += 1
        before_mb, began_s = _largest_memory_mb(), time.perf_counter()
        try:
            with mock.patch.object(onnxruntime, "InferenceSession", counted):
                PolicyBundle.load(folder)
            said = "loaded"
        except BundleError as error:
            refused += 1
            said = error.problem
        except Exception as error:  # noqa: BLE001  this is what is counted here
            crashed += 1
            said = f"{type(error).__name__}: {error}"
        worst_s = max(worst_s, time.perf_counter() - began_s)
        growth_mb = max(growth_mb, _largest_memory_mb() - before_mb)
    answer.send(
        Outcome(what, file, tried, refused, crashed, sessions, worst_s, growth_mb, said[:200])
    )


def _largest_memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def _print(console: Console, outcomes: Sequence[Outcome]) -> None:
    table = Table(title="Broken and hostile bundles, all files together")
    table.add_column("what", no_wrap=True)
    for name in ("tried", "refused", "crashed", "sessions", "worst s", "memory +MB"):
        table.add_column(name, justify="right")
    broken = outcomes[1:]
    for what in dict.fromkeys(each.what for each in outcomes):
        table.add_row(what, *_sums([each for each in outcomes if each.what == what]))
    table.add_section()
    table.add_row("all but the untouched one", *_sums(broken))
    console.print(table)
    for each in broken:
        if each.refused != each.tried or each.sessions:
            console.print(
                f"not refused in time: {each.what}, {each.file}: {each.said}", markup=False
            )


def _sums(outcomes: Sequence[Outcome]) -> Iterator[str]:
    for count in ("tried", "refused", "crashed", "sessions"):
        yield f"{sum(getattr(each, count) for each in outcomes):,}"
    yield f"{max(each.worst_s for each in outcomes):.3f}"
    yield f"{max(each.memory_growth_mb for each in outcomes):.0f}"


if __name__ == "__main__":
    main()
