from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from rwmu_deploy.contract.bundle_manifest import facts_text
from rwmu_deploy.contract.bundle_session import PolicySession
from rwmu_deploy.contract.errors import CheckpointError, ConfigError, TransitionFileError
from rwmu_deploy.contract.observation import build_observation
from rwmu_deploy.contract.policy_bundle import PolicyBundle
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_train.export import bundle_export
from rwmu_train.export.bundle_export import compare_with_run, export_bundle, verification_sets
from rwmu_train.export.check_observations import (
    golden_observations,
    observation_limits,
    standing_observation,
)
from rwmu_train.export.parity import ParityError, compare_policies, rounding_of
from rwmu_train.policy.policy_checkpoint import PolicyFacts, save_policy, weights_sha256
from rwmu_train.policy.policy_network import PolicyNetwork


@pytest.fixture(scope="module")
def model(bundle_folder: Path) -> onnx.ModelProto:
    return onnx.load_from_string((bundle_folder / "policy.onnx").read_bytes())


# The file.


def test_bundle_is_three_files_and_nothing_else_is_left(bundle_folder: Path):
    assert sorted(p.name for p in bundle_folder.iterdir()) == [
        "manifest.json",
        "policy.onnx",
        "verification.json",
    ]
    assert [p.name for p in bundle_folder.parent.iterdir()] == ["walker"]
    assert bundle_folder.stat().st_mode & 0o777 == 0o755


def test_model_is_one_float32_file_for_old_runtimes(model: onnx.ModelProto):
    onnx.checker.check_model(model, full_check=True)
    assert model.ir_version <= 10
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 18)]
    assert all(tensor.data_type == onnx.TensorProto.FLOAT for tensor in model.graph.initializer)
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    sizes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert sizes == {"obs": [1, 48], "actions": [1, 12]}


def test_model_says_nothing_about_the_machine_that_exported_it(bundle_folder: Path):
    content = (bundle_folder / "policy.onnx").read_bytes()
    for trace in (b"stack_trace", b"File ", b".py", str(Path.home()).encode() + b"/"):
        assert trace not in content


def test_metadata_for_other_runtimes_has_every_digit(model: onnx.ModelProto, robot: RobotSpec):
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert len(metadata) == len(model.metadata_props) == 7
    assert metadata["joint_names"].split(",") == list(robot.joint_names)
    for key, wanted in (
        ("joint_stiffness", robot.kp_nm_per_rad),
        ("joint_damping", robot.kd_nms_per_rad),
        ("default_joint_pos", robot.default_position_rad),
        ("action_scale", robot.action_scale),
    ):
        assert [float(text) for text in metadata[key].split(",")] == wanted.tolist()
    assert metadata["observation_names"].split(",")[0] == "base_linear_velocity_mps"


def test_metadata_document_is_the_manifest(model: onnx.ModelProto, bundle_folder: Path):
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    manifest = json.loads((bundle_folder / "manifest.json").read_text())
    assert metadata["rwmu"] == facts_text(manifest)


def test_manifest_states_where_the_policy_comes_from(bundle_folder: Path, network: PolicyNetwork):
    manifest = json.loads((bundle_folder / "manifest.json").read_text())
    assert manifest["bundle"] == "walker"
    assert manifest["provenance"]["run_name"] == "test-run"
    assert manifest["provenance"]["seed"] == 3
    assert manifest["provenance"]["weights_sha256"] == weights_sha256(network)
    assert manifest["network"]["hidden_sizes"] == [128, 128, 128]


def test_export_twice_gives_the_same_bytes(bundle_folder: Path, run_folder: Path, tmp_path: Path):
    again = export_bundle(run_folder, tmp_path / "walker")
    for path in bundle_folder.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes()


# Parity.


def test_parity_on_ten_thousand_random_observations(
    bundle_folder: Path, network: PolicyNetwork, trials
):
    bundle = PolicyBundle.load(bundle_folder)
    rng = np.random.default_rng(12)
    observations = rng.normal(scale=2.0, size=(10_000, 48)).astype(np.float32)
    exported = np.stack([bundle.action(row) for row in observations])
    trained = network.action(observations)
    assert np.abs(exported - trained).max() <= 1e-5
    # Some actions must be free and some clipped, or the test says little.
    clipped = (trained == network.action_upper.numpy()) | (trained == network.action_lower.numpy())
    assert 0.01 < clipped.mean() < 0.9
    trials("T-25", len(observations))


def test_report_counts_what_was_compared(bundle_folder: Path):
    report = json.loads((bundle_folder / "verification.json").read_text())
    counts = {name: entry["count"] for name, entry in report["compared"].items()}
    assert counts == {"golden": 16, "random": 10_000, "extreme": 256}
    for entry in report["compared"].values():
        assert entry["largest_difference"] <= entry["allowed_difference"]
    assert report["compared"]["golden"]["allowed_difference"] == 1e-5


@pytest.mark.parametrize("buffer", ["observation_mean", "observation_std", "action_upper"])
def test_policy_that_differs_by_one_number_is_a_mismatch(
    bundle_folder: Path, network: PolicyNetwork, facts: PolicyFacts, buffer: str
):
    session = _session(bundle_folder)
    sets = verification_sets(network, facts, None)
    compare_policies(network, session, sets)
    other = PolicyNetwork(facts.robot)
    other.load_state_dict(network.state_dict())
    getattr(other, buffer)[7] += 0.01
    with pytest.raises(ParityError, match="allowed is"):
        compare_policies(other, session, sets)


def test_answer_that_is_not_a_number_is_a_mismatch(
    bundle_folder: Path, network: PolicyNetwork, facts: PolicyFacts
):
    other = PolicyNetwork(facts.robot)
    other.load_state_dict(network.state_dict())
    with torch.no_grad():
        list(other.mlp.parameters())[-1][0] = torch.nan
    sets = {"golden": verification_sets(network, facts, None)["golden"]}
    with pytest.raises(ParityError, match="differs by nan"):
        compare_policies(other, _session(bundle_folder), sets)


def _session(bundle_folder: Path) -> PolicySession:
    content = (bundle_folder / "policy.onnx").read_bytes()
    return PolicySession(content, observation_size=48, action_size=12)


def test_bundle_of_another_run_is_a_mismatch(
    bundle_folder: Path, run_folder: Path, tmp_path: Path, facts: PolicyFacts
):
    assert compare_with_run(bundle_folder, run_folder)["random"].count == 10_000
    torch.manual_seed(99)
    save_policy(tmp_path / "run", PolicyNetwork(facts.robot), facts)
    with pytest.raises(ParityError, match="was exported from weights"):
        compare_with_run(bundle_folder, tmp_path / "run")


# The observations that are compared.


def test_golden_observations_are_zeros_standing_realistic_and_extreme(
    network: PolicyNetwork, facts: PolicyFacts
):
    golden = golden_observations(network, facts, None, np.random.default_rng(0))
    assert golden.shape == (16, 48)
    assert not golden[0].any()
    assert golden[1].tolist() == standing_observation(facts.robot).tolist()
    lower, upper = (limit.astype(np.float32) for limit in observation_limits(facts))
    assert ((golden >= lower) & (golden <= upper)).all()
    assert len(np.unique(golden, axis=0)) == 16


def test_golden_observations_of_a_touchy_policy_leave_room_for_other_processors(
    facts: PolicyFacts,
):
    torch.manual_seed(3)
    touchy = PolicyNetwork(facts.robot)
    with torch.no_grad():
        for parameter in touchy.mlp.parameters():
            parameter *= 3.0
    sets = verification_sets(touchy, facts, None)
    assert rounding_of(touchy, sets["random"]).max() > 1e-5
    assert rounding_of(touchy, sets["golden"]).max() <= 2e-6


def test_limits_cover_what_the_robot_may_do(facts: PolicyFacts, robot: RobotSpec):
    lower, upper = observation_limits(facts)
    assert (lower[:3].tolist(), upper[:3].tolist()) == ([-3.0] * 3, [3.0] * 3)
    assert upper[3:6].tolist() == [robot.safety.base_angular_velocity_damp_radps] * 3
    assert (lower[9:12].tolist(), upper[9:12].tolist()) == ([-1.0] * 3, [1.0] * 3)
    np.testing.assert_allclose(upper[12:24], robot.upper_rad - robot.default_position_rad)
    np.testing.assert_allclose(upper[36:48], upper[12:24] / robot.action_scale)


@pytest.fixture
def recording(tmp_path: Path, robot: RobotSpec) -> Path:
    """Two CSVs without sidecars, 40 and 30 rows."""
    columns = TransitionColumns.of(robot)
    rng = np.random.default_rng(8)
    folder = tmp_path / "recording"
    folder.mkdir()
    for index, count in enumerate((40, 30)):
        rows = rng.normal(scale=0.3, size=(count, columns.count))
        rows[:, columns.contact.slice] = 1.0
        rows[:, columns.termination.slice] = 0.0
        np.savetxt(folder / f"state_action_data_{index}.csv", rows, delimiter=",", fmt="%.9g")
    return folder


@pytest.mark.usefixtures("quick_export")
def test_recorded_observations_are_compared_and_travel_along(
    run_folder: Path,
    recording: Path,
    tmp_path: Path,
    robot: RobotSpec,
    trials,
):
    folder = export_bundle(run_folder, tmp_path / "walker", data=recording)
    report = json.loads((folder / "verification.json").read_text())
    assert report["compared"]["recorded"]["count"] == 70
    columns = TransitionColumns.of(robot)
    row = np.loadtxt(recording / "state_action_data_0.csv", delimiter=",")[0].astype(np.float32)
    wanted = build_observation(
        columns, row[columns.state], np.zeros(3, np.float32), row[columns.action.slice]
    )
    assert np.array_equal(PolicyBundle.load(folder).golden_observations[2], wanted)
    trials("T-25", 70)


# What may not happen.


def _left_behind(parent: Path) -> list[str]:
    return sorted(path.name for path in parent.iterdir())


@pytest.mark.parametrize("name", ["..", "a b", "a\nb", "x" * 65, "bündel"])
def test_bundle_name_that_is_not_plain_is_refused(run_folder: Path, tmp_path: Path, name: str):
    with pytest.raises(ConfigError, match="bundle name"):
        export_bundle(run_folder, tmp_path / "sub" / name)


def test_existing_folder_is_refused_and_untouched(run_folder: Path, tmp_path: Path):
    out = tmp_path / "walker"
    out.mkdir()
    (out / "thesis.tex").write_text("mine")
    with pytest.raises(ConfigError, match="exists already"):
        export_bundle(run_folder, out)
    with pytest.raises(ConfigError, match="not a bundle, so it is never overwritten"):
        export_bundle(run_folder, out, overwrite=True)
    assert (out / "thesis.tex").read_text() == "mine"
    assert _left_behind(tmp_path) == ["walker"]


def test_file_or_link_at_the_output_is_never_overwritten(run_folder: Path, tmp_path: Path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file", "link"):
        with pytest.raises(ConfigError, match="never overwritten"):
            export_bundle(run_folder, tmp_path / name, overwrite=True)


@pytest.mark.usefixtures("quick_export")
def test_overwrite_replaces_a_bundle_whole(run_folder: Path, tmp_path: Path, facts: PolicyFacts):
    torch.manual_seed(5)
    save_policy(tmp_path / "other-run", PolicyNetwork(facts.robot, (8,)), facts)
    out = export_bundle(tmp_path / "other-run", tmp_path / "walker")
    before = PolicyBundle.load(out).sha256
    export_bundle(run_folder, out, overwrite=True)
    assert PolicyBundle.load(out).sha256 != before
    assert _left_behind(tmp_path) == ["other-run", "walker"]


def test_folder_that_cannot_be_written_is_one_clear_error(run_folder: Path, tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="can't write"):
        export_bundle(run_folder, tmp_path / "file" / "walker")


def test_run_without_a_policy_leaves_nothing(tmp_path: Path):
    with pytest.raises(CheckpointError, match="can't read"):
        export_bundle(tmp_path / "none", tmp_path / "walker")
    assert _left_behind(tmp_path) == []


def test_data_that_cannot_be_read_leave_nothing(run_folder: Path, tmp_path: Path):
    with pytest.raises(TransitionFileError):
        export_bundle(run_folder, tmp_path / "walker", data=tmp_path / "none")
    assert _left_behind(tmp_path) == []


def test_mismatch_leaves_nothing(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, facts: PolicyFacts
):
    """The exporter is made to export a policy whose normaliser was lost."""
    real = bundle_export.policy_to_onnx

    def forgetful(network: PolicyNetwork, metadata):
        bare = PolicyNetwork(facts.robot, network.hidden_sizes)
        bare.mlp.load_state_dict(network.mlp.state_dict())
        return real(bare, metadata)

    monkeypatch.setattr(bundle_export, "policy_to_onnx", forgetful)
    with pytest.raises(ParityError, match="differs by"):
        export_bundle(run_folder, tmp_path / "walker")
    assert _left_behind(tmp_path) == []


@pytest.mark.usefixtures("quick_export")
@pytest.mark.parametrize(
    ("module", "name", "call"),
    [
        (bundle_export, "compare_policies", 0),
        (os, "fsync", 1),
        (PolicyBundle, "load", 0),
        (os, "replace", 0),
    ],
)
@pytest.mark.parametrize("fault", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_interruption_or_full_disk_leaves_nothing(
    tmp_path: Path,
    facts: PolicyFacts,
    monkeypatch: pytest.MonkeyPatch,
    module: object,
    name: str,
    call: int,
    fault,
):
    torch.manual_seed(6)
    save_policy(tmp_path / "run", PolicyNetwork(facts.robot, (8,)), facts)
    _fail_at(monkeypatch, module, name, call, fault)
    with pytest.raises((KeyboardInterrupt, ConfigError, OSError)):
        export_bundle(tmp_path / "run", tmp_path / "walker")
    assert _left_behind(tmp_path) == ["run"]


@pytest.mark.usefixtures("quick_export")
@pytest.mark.parametrize("call", [0, 1])
def test_interrupted_overwrite_keeps_the_older_bundle(
    tmp_path: Path, facts: PolicyFacts, monkeypatch: pytest.MonkeyPatch, call: int
):
    torch.manual_seed(6)
    save_policy(tmp_path / "run", PolicyNetwork(facts.robot, (8,)), facts)
    out = export_bundle(tmp_path / "run", tmp_path / "walker")
    before = PolicyBundle.load(out).sha256
    save_policy(tmp_path / "run", PolicyNetwork(facts.robot, (9,)), replace(facts, seed=4))
    _fail_at(monkeypatch, os, "replace", call, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        export_bundle(tmp_path / "run", out, overwrite=True)
    assert PolicyBundle.load(out).sha256 == before
    assert _left_behind(tmp_path) == ["run", "walker"]


def _fail_at(monkeypatch: pytest.MonkeyPatch, module: object, name: str, call: int, fault) -> None:
    """The given call of a function fails, and only that one."""
    real = getattr(module, name)
    calls = 0

    def wrapped(*arguments, **keywords):
        nonlocal calls
        calls += 1
        if calls == call + 1:
            raise fault
        return real(*arguments, **keywords)

    monkeypatch.setattr(module, name, wrapped)
