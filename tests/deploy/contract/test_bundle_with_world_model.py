from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from rwmu_deploy.contract.bundle_files import FileFacts
from rwmu_deploy.contract.bundle_manifest import facts_text, manifest_bytes
from rwmu_deploy.contract.errors import BundleError
from rwmu_deploy.contract.policy_bundle import PolicyBundle

WORLD_MODEL = "world_model.onnx"


@pytest.fixture
def folder(monitored_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(monitored_bundle, tmp_path / "walker"))


def _reseal(
    folder: Path,
    *,
    facts: Callable[[dict], None] | None = None,
    model: Callable[[onnx.ModelProto], None] | None = None,
) -> None:
    """Change a bundle and make its hashes and metadata agree again."""
    document = json.loads((folder / "manifest.json").read_text())
    if facts is not None:
        facts(document)
    for name in ("policy.onnx", WORLD_MODEL):
        proto = onnx.load_from_string((folder / name).read_bytes())
        if facts is not None:
            (entry,) = [entry for entry in proto.metadata_props if entry.key == "rwmu"]
            entry.value = facts_text(document)
        if model is not None and name == WORLD_MODEL:
            model(proto)
        (folder / name).write_bytes(proto.SerializeToString())
        content = (folder / name).read_bytes()
        document["files"][name] = asdict(FileFacts.of(content))
    (folder / "manifest.json").write_bytes(manifest_bytes(document))


def test_a_bundle_without_one_has_neither_model_nor_calibration(exported_bundle: Path):
    bundle = PolicyBundle.load(exported_bundle)
    assert (bundle.world_model, bundle.monitor_calibration) == (None, None)


def test_a_bundle_with_one_has_both_and_the_same_policy(
    monitored_bundle: Path, exported_bundle: Path
):
    bundle = PolicyBundle.load(monitored_bundle)
    assert bundle.world_model is not None
    assert bundle.monitor_calibration is not None
    assert bundle.world_model.members == 2
    assert bundle.monitor_calibration.rows == 900 - 2 * 10
    assert bundle.monitor_calibration.recorded_by == "sim"
    observation = np.linspace(-1.0, 1.0, 48).astype(np.float32)
    plain = PolicyBundle.load(exported_bundle)
    assert bundle.action(observation).tolist() == plain.action(observation).tolist()


def test_its_forecasts_were_compared_over_a_closed_loop(monitored_bundle: Path):
    report = json.loads((monitored_bundle / "verification.json").read_text())
    compared = report["compared"]["world model"]
    assert compared["count"] == 200
    assert compared["largest_difference"] <= compared["allowed_difference"] == 1e-3


def test_what_was_sealed_again_unchanged_loads(folder: Path):
    _reseal(folder)
    assert PolicyBundle.load(folder).world_model is not None


def test_a_weight_that_was_changed_shows_in_the_golden_steps(folder: Path):
    def change(model: onnx.ModelProto) -> None:
        (weight,) = [w for w in model.graph.initializer if w.name == "mean_0_output_bias"]
        values = np.frombuffer(weight.raw_data, dtype=np.float32) + 0.01
        weight.raw_data = values.astype(np.float32).tobytes()

    _reseal(folder, model=change)
    with pytest.raises(BundleError, match=r"golden step 0: a forecast differs by 0\.00"):
        PolicyBundle.load(folder)


def test_a_world_model_beside_another_bundles_manifest_is_refused(folder: Path):
    def change(model: onnx.ModelProto) -> None:
        model.metadata_props[0].value = model.metadata_props[0].value.replace("walker", "runner")

    _reseal(folder, model=change)
    with pytest.raises(BundleError, match=r"world_model\.onnx state different facts"):
        PolicyBundle.load(folder)


def test_a_hostile_world_model_is_refused_before_any_session_exists(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    def change(model: onnx.ModelProto) -> None:
        model.graph.node[0].domain = "evil"

    _reseal(folder, model=change)
    monkeypatch.delattr(onnxruntime, "InferenceSession")
    with pytest.raises(BundleError, match=r"world_model\.onnx refused"):
        PolicyBundle.load(folder)


@pytest.mark.parametrize("name", ["manifest.json", WORLD_MODEL])
def test_a_bit_that_flipped_is_refused(folder: Path, name: str):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 4
    (folder / name).write_bytes(content)
    with pytest.raises(BundleError, match=r"altered|not as rwmu-export wrote it|different facts"):
        PolicyBundle.load(folder)


def test_facts_without_the_file_and_the_file_without_facts_are_refused(
    folder: Path, exported_bundle: Path, tmp_path: Path
):
    (folder / WORLD_MODEL).unlink()
    with pytest.raises(BundleError, match=r"misses world_model\.onnx"):
        PolicyBundle.load(folder)
    document = json.loads((folder / "manifest.json").read_text())
    del document["files"][WORLD_MODEL]
    (folder / "manifest.json").write_bytes(manifest_bytes(document))
    with pytest.raises(BundleError, match=r"world_model\.onnx where and only where monitor"):
        PolicyBundle.load(folder)


def _set(*path: str, value: object) -> Callable[[dict], None]:
    def change(document: dict) -> None:
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_set("monitor", "calibration", "rows", value=0), "rows"),
        (_set("monitor", "calibration", "drift_mean", value=[0.0]), "drift_mean"),
        (_set("monitor", "calibration", "jump", "caution", value=0.0), "monitor threshold"),
        (_set("monitor", "calibration", "quantile", value="most"), "wrong kind"),
        (_set("monitor", "golden", "mean", value=[[0.0] * 45]), "golden mean of shape"),
        (_set("monitor", "golden", "more", value=[]), "has golden"),
        (_set("monitor", "weights_sha256", value="latest"), "a hash that is none"),
        (_set("monitor", "data_sha256", value=[1]), "a hash that is none"),
        (_set("monitor", "note", value="hello"), "has the keys"),
        (_set("monitor", value=[]), "has the keys|wrong kind"),
    ],
)
def test_facts_that_no_monitor_can_use_are_refused_by_name(
    folder: Path, change: Callable[[dict], None], said: str
):
    _reseal(folder, facts=change)
    with pytest.raises(BundleError, match=said):
        PolicyBundle.load(folder)
