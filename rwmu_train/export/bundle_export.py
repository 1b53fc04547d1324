"""From a run folder to a bundle that has been verified before it has its name."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.bundle_files import (
    MANIFEST_NAME,
    MODEL_NAME,
    REPORT_NAME,
    WORLD_MODEL_NAME,
    FileFacts,
    is_plain_name,
)
from rwmu_deploy.contract.bundle_manifest import (
    METADATA_KEY,
    SCHEMA_VERSION,
    facts_text,
    interface_facts,
    manifest_bytes,
)
from rwmu_deploy.contract.bundle_session import PolicySession
from rwmu_deploy.contract.bundle_world_model import WorldModelSession
from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.policy_bundle import PolicyBundle
from rwmu_deploy.contract.robot_spec import spec_to_dict
from rwmu_deploy.contract.whole_file import sync_folder
from rwmu_train.export.check_observations import (
    extreme_observations,
    golden_observations,
    random_observations,
)
from rwmu_train.export.monitor_export import Monitor, MonitorSource, make_monitor
from rwmu_train.export.onnx_export import policy_metadata, policy_to_onnx
from rwmu_train.export.parity import (
    TOLERANCE,
    Comparison,
    ParityError,
    compare_policies,
)
from rwmu_train.export.recorded_observations import read_recorded_observations
from rwmu_train.policy.policy_checkpoint import (
    PolicyFacts,
    installed_versions,
    load_policy,
    weights_sha256,
)
from rwmu_train.policy.policy_network import PolicyNetwork

RANDOM_COUNT = 10_000
EXTREME_COUNT = 256
_SEED = 0


def export_bundle(
    run_folder: str | Path,
    out_folder: str | Path,
    *,
    data: str | Path | None = None,
    overwrite: bool = False,
    monitor: MonitorSource | None = None,
    on_rows: Callable[[int, int], None] | None = None,
) -> Path:
    """Export a trained policy, verify it, and only then give it its name.

    Args:
        run_folder: Folder with policy.safetensors and policy.json.
        out_folder: The bundle; its last part becomes the bundle's name.
        data: Transition CSV or folder; its observations are compared too, and some of them
            travel along as golden vectors.
        overwrite: Replace the bundle that is there. Another kind of folder is never replaced.
        monitor: World model and held-out walking that tell the robot when it has left its data.
        on_rows: Told how many rows more of the walking were followed, of how many.

    Returns:
        The bundle's folder.

    Raises:
        CheckpointError: The run folder's policy can't be trusted.
        TransitionFileError: The data can't.
        ConfigError: The output folder can't be written or may not be replaced.
        ParityError: The exported policy answers otherwise than the trained one.
    """
    network, facts = load_policy(run_folder)
    return export_policy(
        network,
        facts,
        out_folder,
        data=data,
        overwrite=overwrite,
        monitor=monitor,
        on_rows=on_rows,
    )


def export_policy(
    network: PolicyNetwork,
    facts: PolicyFacts,
    out_folder: str | Path,
    *,
    data: str | Path | None = None,
    overwrite: bool = False,
    monitor: MonitorSource | None = None,
    on_rows: Callable[[int, int], None] | None = None,
) -> Path:
    """Export a policy as `export_bundle` does, wherever it comes from.

    Raises:
        TransitionFileError: The data can't be trusted.
        ConfigError: The output folder can't be written or may not be replaced.
        ParityError: The exported policy answers otherwise than the given one.
    """
    out = Path(out_folder).absolute()
    _check_output(out, overwrite)
    recorded = None if data is None else read_recorded_observations(Path(data), facts)
    on_board = None if monitor is None else make_monitor(monitor, facts.robot, on_rows)
    with _temporary_sibling(out) as folder:
        _write_bundle(folder, out.name, network, facts, recorded, on_board)
        # The last judge is the loader that the robot uses.
        PolicyBundle.load(folder, robot=facts.robot)
        _publish(folder, out)
    return out


def compare_with_run(
    bundle_folder: str | Path, run_folder: str | Path, *, data: str | Path | None = None
) -> dict[str, Comparison]:
    """Hold a bundle that exists against the run that it should come from.

    Raises:
        BundleError: The bundle can't be trusted.
        CheckpointError: The run folder's policy can't.
        ParityError: It is another policy, or answers otherwise.
    """
    bundle = PolicyBundle.load(bundle_folder)
    network, facts = load_policy(run_folder)
    stated, ours = (
        bundle.manifest["provenance"]["weights_sha256"],
        weights_sha256(network),
    )
    if stated != ours:
        raise ParityError(
            f"bundle {bundle.name} was exported from weights {stated[:16]}..., "
            f"{run_folder} holds {ours[:16]}...",
            fix="Name the run that it was exported from, or export again.",
        )
    recorded = None if data is None else read_recorded_observations(Path(data), facts)
    return compare_policies(network, bundle, verification_sets(network, facts, recorded))


def verification_sets(
    network: PolicyNetwork, facts: PolicyFacts, recorded: NDArray[np.float32] | None
) -> dict[str, NDArray[np.float32]]:
    """The observations that every export is compared on, by name."""
    rng = np.random.default_rng(_SEED)
    sets = {
        "golden": golden_observations(network, facts, recorded, rng),
        "random": random_observations(facts, RANDOM_COUNT, rng),
        "extreme": extreme_observations(facts, EXTREME_COUNT, rng),
    }
    return sets if recorded is None else {**sets, "recorded": recorded}


def _write_bundle(
    folder: Path,
    name: str,
    network: PolicyNetwork,
    facts: PolicyFacts,
    recorded: NDArray[np.float32] | None,
    monitor: Monitor | None,
) -> None:
    sets = verification_sets(network, facts, recorded)
    document = manifest_facts(name, network, facts, sets["golden"])
    document["monitor"] = monitor and monitor.facts.to_dict()
    model = policy_to_onnx(network, policy_metadata(facts.robot, document))
    session = PolicySession(
        model,
        observation_size=network.observation_size,
        action_size=network.action_size,
    )
    compared = compare_policies(network, session, sets)
    files = {MODEL_NAME: model}
    if monitor is not None:
        files[WORLD_MODEL_NAME] = monitor.to_onnx({METADATA_KEY: facts_text(document)})
        on_board = WorldModelSession(files[WORLD_MODEL_NAME], facts.robot)
        compared["world model"] = monitor.compare(on_board)
    files[REPORT_NAME] = _report_bytes(compared)
    listed = {key: asdict(FileFacts.of(content)) for key, content in files.items()}
    files[MANIFEST_NAME] = manifest_bytes({**document, "files": listed})
    for file_name, content in files.items():
        _write_synced(folder / file_name, content)


def manifest_facts(
    name: str, network: PolicyNetwork, facts: PolicyFacts, golden: NDArray[np.float32]
) -> dict[str, Any]:
    """What a bundle's manifest says, but for its files, and of a bundle without a monitor.

    Args:
        name: The bundle's.
        network: The policy.
        facts: Its facts.
        golden: Observations that travel along, shape (16, O).
    """
    observation_range, action_range = facts.observation_range, facts.action_range
    return {
        "monitor": None,
        "schema_version": SCHEMA_VERSION,
        "bundle": name,
        "task": facts.task,
        "robot": spec_to_dict(facts.robot),
        "robot_sha256": facts.robot.sha256,
        "interface": interface_facts(facts.robot),
        "network": {
            "hidden_sizes": list(network.hidden_sizes),
            "activation": network.activation,
            "normaliser": "inside the model",
            "action_clip": "inside the model",
            "observation_mean": network.observation_mean.double().tolist(),
            "observation_std": network.observation_std.double().tolist(),
        },
        "command_range": {
            "lower": list(facts.command_range.lower),
            "upper": list(facts.command_range.upper),
        },
        "training_range": {
            "observation": observation_range and observation_range.to_dict(),
            "action": action_range and action_range.to_dict(),
        },
        "golden": {
            "observations": golden.astype(np.float64).tolist(),
            "actions": network.action(golden).tolist(),
        },
        "provenance": {
            "run_name": facts.run_name,
            "training_method": facts.training_method,
            "seed": facts.seed,
            "data_sha256": dict(facts.data_sha256),
            "world_model_sha256": facts.world_model_sha256,
            "weights_sha256": weights_sha256(network),
            "training_versions": dict(facts.versions),
            "export_versions": installed_versions(),
        },
    }


def _report_bytes(comparisons: dict[str, Comparison]) -> bytes:
    report = {
        "tolerance": TOLERANCE,
        "random_seed": _SEED,
        "compared": {name: asdict(entry) for name, entry in comparisons.items()},
    }
    return (json.dumps(report, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def _check_output(out: Path, overwrite: bool) -> None:
    if not is_plain_name(out.name):
        raise ConfigError(
            f"bundle name is {out.name!r}; allowed are up to 64 of A-Z a-z 0-9 . _ -",
            fix="Give --out a folder with such a name.",
        )
    if not (out.exists() or out.is_symlink()):
        return
    if not overwrite:
        raise ConfigError(
            f"{out} exists already",
            fix="Give another folder, or add --overwrite to replace it.",
        )
    ours = {MANIFEST_NAME, MODEL_NAME, WORLD_MODEL_NAME, REPORT_NAME}
    if out.is_symlink() or not out.is_dir() or not {p.name for p in out.iterdir()} <= ours:
        raise ConfigError(
            f"{out} is not a bundle, so it is never overwritten",
            fix="Give another folder.",
        )


@contextlib.contextmanager
def _temporary_sibling(out: Path) -> Iterator[Path]:
    """A new folder on the same disk that is gone afterwards, whatever happens."""
    with _writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".partial", dir=out.parent))
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write_synced(path: Path, content: bytes) -> None:
    with _writing(path), path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _publish(folder: Path, out: Path) -> None:
    """Move the verified folder to its name; an older bundle comes back if that fails."""
    with _writing(out):
        sync_folder(folder)
        if not out.exists():
            os.replace(folder, out)
            sync_folder(out.parent)
            return
        with tempfile.TemporaryDirectory(
            prefix=f".{out.name}.", suffix=".replaced", dir=out.parent
        ) as aside:
            os.replace(out, Path(aside) / "bundle")
            try:
                os.replace(folder, out)
            except BaseException:
                os.replace(Path(aside) / "bundle", out)
                raise
            sync_folder(out.parent)


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"can't write {path}: {error.strerror}",
            fix="Give --out a folder that can be written.",
        ) from error
