from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from rwmu_deploy.contract.bundle_manifest import facts_text, manifest_bytes, read_manifest
from rwmu_deploy.contract.errors import BundleError
from rwmu_deploy.contract.observation import observation_terms
from rwmu_deploy.contract.policy_bundle import PolicyBundle
from rwmu_deploy.contract.robot_spec import RobotSpec, load_robot_spec

FILES = ("policy.onnx", "manifest.json", "verification.json")


@pytest.fixture(scope="module")
def robot() -> RobotSpec:
    return load_robot_spec("anymal_d")


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for every session of onnxruntime that is built."""
    built: list[int] = []
    real = onnxruntime.InferenceSession

    def counted(*arguments, **keywords):
        built.append(1)
        return real(*arguments, **keywords)

    monkeypatch.setattr(onnxruntime, "InferenceSession", counted)
    return built


def _refused(folder: Path, match: str | None, **arguments) -> None:
    with pytest.raises(BundleError, match=match):
        PolicyBundle.load(folder, **arguments)


# What a good bundle is.


def test_bundle_carries_the_robot_and_the_command_range(exported_bundle: Path, robot: RobotSpec):
    bundle = PolicyBundle.load(exported_bundle)
    assert bundle.spec == robot
    assert bundle.name == "walker"
    assert bundle.command_range.lower == (-1.0, -0.5, -1.5)
    assert bundle.command_range.upper == (1.0, 0.5, 1.5)
    assert bundle.observation_range is not None
    assert bundle.observation_range.size == 48
    assert bundle.action_range is None


def test_hash_is_that_of_the_manifest(exported_bundle: Path):
    manifest = (exported_bundle / "manifest.json").read_bytes()
    assert PolicyBundle.load(exported_bundle).sha256 == hashlib.sha256(manifest).hexdigest()


def test_manifest_numbers_are_the_exact_ones(exported_bundle: Path, robot: RobotSpec):
    document = json.loads((exported_bundle / "manifest.json").read_text())
    for stated, joint in zip(document["robot"]["joints"], robot.joints, strict=True):
        assert stated | {"action_scale": document["robot"]["action_scale"]} == vars(joint)


def test_manifest_names_every_term_with_unit_frame_noise_and_place(
    exported_bundle: Path, robot: RobotSpec
):
    document = json.loads((exported_bundle / "manifest.json").read_text())
    stated = document["interface"]["observation"]["terms"]
    for entry, term in zip(stated, observation_terms(robot), strict=True):
        assert (entry["name"], entry["start"], entry["size"]) == (term.name, term.start, term.size)
        assert (entry["unit"], entry["frame"]) == (term.unit, term.frame)
        assert entry["training_noise"] == term.noise


def test_action_is_the_trainers_on_all_golden_vectors(exported_bundle: Path, trials):
    bundle = PolicyBundle.load(exported_bundle)
    assert bundle.golden_observations.shape == (16, 48)
    assert bundle.golden_actions.shape == (16, 12)
    assert not bundle.golden_observations[0].any()
    for observation, expected in zip(
        bundle.golden_observations, bundle.golden_actions, strict=True
    ):
        action = bundle.action(observation)
        assert action.dtype == np.float64
        np.testing.assert_allclose(action, expected, rtol=0, atol=1e-5)
    trials("T-25", 16)


def test_golden_vectors_tell_entries_apart(exported_bundle: Path):
    """Swapping any two joints in the observation changes some golden answer."""
    bundle = PolicyBundle.load(exported_bundle)
    swapped = bundle.golden_observations.copy()
    swapped[:, [12, 13]] = swapped[:, [13, 12]]
    answers = np.stack([bundle.action(row) for row in swapped])
    assert np.abs(answers - bundle.golden_actions).max() > 1e-3


def test_no_action_passes_a_joint_limit(exported_bundle: Path, robot: RobotSpec):
    bundle = PolicyBundle.load(exported_bundle)
    for row in np.random.default_rng(0).normal(scale=100.0, size=(200, 48)):
        target = robot.default_position_rad + robot.action_scale * bundle.action(
            row.astype(np.float32)
        )
        assert (target >= robot.lower_rad - 1e-15).all()
        assert (target <= robot.upper_rad + 1e-15).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_observation_that_is_not_finite_gives_nan_not_a_full_scale_action(
    exported_bundle: Path, bad: float
):
    bundle = PolicyBundle.load(exported_bundle)
    for entry in range(48):
        observation = np.zeros(48, dtype=np.float32)
        observation[entry] = bad
        assert np.isnan(bundle.action(observation)).all()


@pytest.mark.parametrize("shape", [(47,), (49,), (1, 48), ()])
def test_observation_of_another_shape_is_refused(
    exported_bundle: Path, shape: tuple[int, ...], trials
):
    with pytest.raises(BundleError, match=r"allowed is \(48,\) float32"):
        PolicyBundle.load(exported_bundle).action(np.zeros(shape, dtype=np.float32))
    trials("T-23", 1)


def test_observation_of_another_number_type_is_refused(exported_bundle: Path, trials):
    with pytest.raises(BundleError, match="float64"):
        PolicyBundle.load(exported_bundle).action(np.zeros(48))  # pyright: ignore[reportArgumentType]
    trials("T-23", 1)


def test_robot_side_needs_neither_torch_nor_onnx(exported_bundle: Path):
    program = (
        "import sys; from rwmu_deploy.contract.policy_bundle import PolicyBundle; "
        f"PolicyBundle.load({str(exported_bundle)!r}); "
        "sys.exit(bool({'torch', 'onnx', 'pandas', 'rclpy'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    result = subprocess.run([sys.executable, "-c", program], env=environment, check=False)
    assert result.returncode == 0


# Files that are altered, missing, mixed or strange.


@pytest.mark.parametrize("name", FILES)
def test_every_flipped_bit_is_refused(bundle_copy: Path, name: str, trials, count):
    original = (bundle_copy / name).read_bytes()
    rng = np.random.default_rng(10)
    flips = count(700, 10_000)
    for bit in rng.integers(0, 8 * len(original), flips):
        changed = bytearray(original)
        changed[bit // 8] ^= 1 << (bit % 8)
        (bundle_copy / name).write_bytes(changed)
        _refused(bundle_copy, None)
    (bundle_copy / name).write_bytes(original)
    PolicyBundle.load(bundle_copy)
    trials("T-21", flips)


@pytest.mark.parametrize("name", FILES)
def test_every_truncation_is_refused(bundle_copy: Path, name: str, trials):
    original = (bundle_copy / name).read_bytes()
    ends = np.random.default_rng(11).integers(0, len(original) - 1, 100)
    for end in [0, *ends, len(original) - 1]:
        (bundle_copy / name).write_bytes(original[:end])
        _refused(bundle_copy, None)
    trials("T-21", len(ends) + 2)


@pytest.mark.parametrize("name", FILES)
def test_missing_file_is_named(bundle_copy: Path, name: str):
    (bundle_copy / name).unlink()
    _refused(bundle_copy, name)


def test_unlisted_file_is_named(bundle_copy: Path):
    (bundle_copy / "policy.onnx.data").write_bytes(b"x")
    _refused(bundle_copy, r"policy\.onnx\.data, which no manifest lists")


def test_missing_folder_says_how_to_make_one(tmp_path: Path):
    _refused(tmp_path / "none", "rwmu-export --onnx")


def test_pipe_instead_of_a_file_is_refused_without_waiting(bundle_copy: Path):
    (bundle_copy / "policy.onnx").unlink()
    os.mkfifo(bundle_copy / "policy.onnx")
    _refused(bundle_copy, "not a regular file")


def test_folder_instead_of_a_file_is_refused(bundle_copy: Path):
    (bundle_copy / "manifest.json").unlink()
    (bundle_copy / "manifest.json").mkdir()
    _refused(bundle_copy, "manifest.json")


def test_file_above_the_limit_is_refused(bundle_copy: Path):
    with (bundle_copy / "policy.onnx").open("r+b") as file:
        file.truncate(20_000_000)
    _refused(bundle_copy, "more than 16000000 bytes")
    with (bundle_copy / "manifest.json").open("r+b") as file:
        file.truncate(2_000_000)
    _refused(bundle_copy, "more than 1000000 bytes")


def test_model_of_another_bundle_is_refused(bundle_copy: Path, tmp_path: Path, reseal, trials):
    other = Path(shutil.copytree(bundle_copy, tmp_path / "other"))
    reseal(facts=lambda document: document.update(task="other_task"))
    PolicyBundle.load(bundle_copy)
    shutil.copy(other / "policy.onnx", bundle_copy / "policy.onnx")
    _refused(bundle_copy, "altered or is of another bundle")
    trials("T-24", 1)


def test_manifest_of_another_bundle_is_refused_even_with_hashes_that_agree(
    bundle_copy: Path,
    sessions: list[int],
    trials,
):
    PolicyBundle.load(bundle_copy)
    assert len(sessions) == 1
    path = bundle_copy / "manifest.json"
    document = json.loads(path.read_text())
    document["command_range"]["upper"][0] = 5.0
    path.write_bytes(manifest_bytes(document))
    _refused(bundle_copy, "state different facts")
    assert len(sessions) == 1
    trials("T-24", 1)


def test_pinned_hash_refuses_every_other_bundle(bundle_copy: Path, reseal, trials):
    wanted = PolicyBundle.load(bundle_copy).sha256
    PolicyBundle.load(bundle_copy, expected_sha256=f" {wanted.upper()}\n")
    reseal(facts=lambda document: document.update(task="other_task"))
    _refused(bundle_copy, f"expected is {wanted}", expected_sha256=wanted)
    trials("T-24", 1)


def test_pinned_hash_that_is_none_is_refused(exported_bundle: Path):
    _refused(exported_bundle, "64 hexadecimal digits", expected_sha256="latest")
    _refused(exported_bundle, "64 hexadecimal digits", expected_sha256="")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"NaN",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"9" * 100_000,
        b'{"a": 1e999}',
        b'{\n "a": 1,\n "a": 1\n}\n',
        b"\xff\xfe",
        "{\u00e9}".encode(),
    ],
)
def test_hostile_manifest_is_refused(bundle_copy: Path, data: bytes):
    (bundle_copy / "manifest.json").write_bytes(data)
    _refused(bundle_copy, "manifest.json")


def test_deeply_nested_manifest_cannot_fill_the_memory(bundle_copy: Path):
    """Written as a manifest is, with its indentation, these 200 kB would be 40 MB."""
    nested = "[" * 400 + "]" * 400
    text = '{"a":[' + ",".join([nested] * 250) + "]}"
    (bundle_copy / "manifest.json").write_text(text)
    tracemalloc.start()
    _refused(bundle_copy, "not as rwmu-export wrote it")
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 20_000_000


def _set(path: str, value: object):
    def change(document: dict) -> None:
        *parents, last = path.split(".")
        for key in parents:
            document = document[int(key) if isinstance(document, list) else key]
        document[int(last) if isinstance(document, list) else last] = value

    return change


@pytest.mark.parametrize(
    ("path", "value", "match"),
    [
        ("schema_version", 3, "schema_version is 3"),
        ("bundle", "../walker", "bundle is"),
        ("robot_sha256", "0" * 64, "robot_sha256"),
        ("robot.control_dt_s", 0.01, "robot_sha256"),
        ("robot.joints", [], "joints"),
        ("robot.symmetry.left_right", 3, "a mapping from names"),
        ("robot.action_scale", 10**400, "wrong kind"),
        ("robot", None, "robot"),
        ("interface.quaternion", {"inside": "xyzw", "ros": "xyzw"}, "interface.quaternion"),
        ("interface.action.lower.0", -9.0, "interface.action"),
        ("interface.action.meaning", "position_target_rad = action", "interface.action"),
        ("interface.observation.size", 47, "47 entries"),
        ("interface.observation.terms.4.unit", "degree", "unit is 'degree'; allowed is 'rad'"),
        ("interface.observation.terms.0.frame", "world", "frame is 'world'; allowed is 'base'"),
        ("interface.observation.terms.0.start", 3, "start is 3"),
        ("interface.observation.terms", [], "0 terms"),
        ("command_range.lower.0", 2.0, "vx_mps is 2.0 to 1.0"),
        ("command_range.lower", None, "wrong kind"),
        ("training_range.observation.std.0", -1.0, "entry 0"),
        ("training_range.action", "none", "training range"),
        ("golden.actions", [[0.0] * 12] * 15, r"shape \(15, 12\)"),
        ("golden.observations", [[0.0] * 47] * 16, r"shape \(16, 47\)"),
        ("golden.observations.3.5", 0.1, "not float32"),
        ("golden.observations.3.5", 1e300, "within float32"),
        ("golden.observations", [], "golden.observations"),
    ],
)
def test_manifest_that_contradicts_itself_or_this_rwmu_is_refused(
    bundle_copy: Path, reseal, path: str, value: object, match: str
):
    reseal(facts=_set(path, value))
    _refused(bundle_copy, match)


def test_noise_of_training_may_differ(bundle_copy: Path, reseal):
    reseal(facts=_set("interface.observation.terms.0.training_noise", 0.25))
    PolicyBundle.load(bundle_copy)


def test_unknown_and_missing_manifest_keys_are_refused(bundle_copy: Path, reseal):
    reseal(facts=lambda document: document.update(extra=1))
    _refused(bundle_copy, "extra")
    reseal(facts=lambda document: (document.pop("extra"), document.pop("golden")))
    _refused(bundle_copy, "keys are")


@pytest.mark.parametrize("name", ["../policy.onnx", "/etc/hostname", ".", "a/b", "manifest.json"])
def test_manifest_cannot_name_a_path(bundle_copy: Path, name: str):
    path = bundle_copy / "manifest.json"
    document = json.loads(path.read_text())
    document["files"][name] = document["files"]["policy.onnx"]
    path.write_bytes(manifest_bytes(document))
    _refused(bundle_copy, "plain names")


# Models whose hashes agree and that must not run all the same.


@pytest.mark.parametrize("entry", [0, 47])
def test_model_that_answers_otherwise_is_refused_by_the_golden_vectors(
    bundle_copy: Path, reseal, entry: int
):
    def change(model: onnx.ModelProto) -> None:
        mean = next(i for i in model.graph.initializer if i.name == "observation_mean")
        values = np.frombuffer(mean.raw_data, dtype=np.float32).copy()
        values[entry] += 0.01
        mean.raw_data = values.tobytes()

    reseal(model=change)
    _refused(bundle_copy, r"golden vector \d+: the action of \w+ differs")


def test_golden_action_that_was_changed_is_refused(bundle_copy: Path, reseal):
    reseal(facts=_set("golden.actions.7.3", 0.5))
    _refused(bundle_copy, "golden vector 7: the action of RH_HAA differs")


def test_model_that_returns_nan_is_refused(bundle_copy: Path, reseal):
    def change(model: onnx.ModelProto) -> None:
        std = next(i for i in model.graph.initializer if i.name == "observation_std")
        std.raw_data = np.full(48, np.nan, dtype=np.float32).tobytes()

    reseal(model=change)
    _refused(bundle_copy, "golden vector 0")


def test_model_with_an_if_node_is_refused_before_a_session_exists(
    bundle_copy: Path, reseal, sessions: list[int]
):
    def change(model: onnx.ModelProto) -> None:
        branch = helper.make_graph([], "branch", [], [])
        model.graph.node.append(
            helper.make_node("If", ["obs"], ["y"], then_branch=branch, else_branch=branch)
        )

    reseal(model=change)
    _refused(bundle_copy, "policy.onnx refused: node .* is operator 'If'")
    assert sessions == []


@pytest.mark.parametrize("version", ["1.17.3", "0.99", "1.9.0", "", "newest"])
def test_onnxruntime_too_old_for_bundles_is_refused_with_the_version_needed(
    exported_bundle: Path, version: str, sessions: list[int], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(onnxruntime, "__version__", version)
    _refused(exported_bundle, rf"onnxruntime is {version}; bundles need 1\.18 or newer")
    assert sessions == []


@pytest.mark.parametrize("version", ["1.18.0", "1.23.2+cu12", "2.0"])
def test_newer_onnxruntime_is_not_refused(
    exported_bundle: Path, version: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(onnxruntime, "__version__", version)
    PolicyBundle.load(exported_bundle)


def test_model_of_another_size_is_refused(bundle_copy: Path, reseal):
    def change(model: onnx.ModelProto) -> None:
        model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 47

    reseal(model=change)
    _refused(bundle_copy, r"allowed is 'obs' of shape \(1, 48\)")


def test_model_that_onnxruntime_cannot_run_is_a_bundle_error(bundle_copy: Path, reseal):
    def change(model: onnx.ModelProto) -> None:
        model.graph.node[0].input[0] = "nowhere"

    reseal(model=change)
    _refused(bundle_copy, "onnxruntime .* refuses policy.onnx")


def test_metadata_text_is_the_manifest_without_its_files(exported_bundle: Path):
    bundle = PolicyBundle.load(exported_bundle)
    assert bundle.model.metadata["rwmu"] == facts_text(bundle.manifest)
    assert "files" not in json.loads(bundle.model.metadata["rwmu"])


def test_canonical_text_survives_reading_and_writing(exported_bundle: Path):
    data = (exported_bundle / "manifest.json").read_bytes()
    assert manifest_bytes(read_manifest(data).document) == data


# The robot.


def _with_joint(robot: RobotSpec, index: int, **changes) -> RobotSpec:
    joints = list(robot.joints)
    joints[index] = replace(joints[index], **changes)
    return replace(robot, joints=tuple(joints))


def test_robot_in_another_joint_order_is_given_the_bundles(
    exported_bundle: Path, robot: RobotSpec
):
    shuffled = tuple(np.random.default_rng(2).permutation(np.array(robot.joints, dtype=object)))
    other = replace(robot, joints=shuffled)
    assert other.joint_names != robot.joint_names
    assert PolicyBundle.load(exported_bundle, robot=other).spec.joint_names == robot.joint_names


def test_safety_limits_are_the_robots_own(exported_bundle: Path, robot: RobotSpec):
    stricter = replace(robot, safety=replace(robot.safety, roll_damp_rad=0.4))
    spec = PolicyBundle.load(exported_bundle, robot=stricter).spec
    assert spec.safety.roll_damp_rad == 0.4


def test_other_joint_set_is_refused_and_both_names_are_given(
    exported_bundle: Path,
    robot: RobotSpec,
    trials,
):
    other = _with_joint(robot, 3, name="RH_HIP")
    _refused(exported_bundle, "has RH_HAA, .*has RH_HIP", robot=other)
    trials("T-22", 1)


def test_missing_joint_is_refused(exported_bundle: Path, robot: RobotSpec, trials):
    other = replace(robot, joints=robot.joints[:-1])
    _refused(exported_bundle, "has RH_KFE, .*has none", robot=other)
    trials("T-22", 1)


@pytest.mark.parametrize(
    "field",
    [
        "default_position_rad",
        "lower_rad",
        "upper_rad",
        "velocity_limit_radps",
        "effort_limit_nm",
        "kp_nm_per_rad",
        "kd_nms_per_rad",
    ],
)
@pytest.mark.parametrize("index", [0, 7, 11])
def test_other_number_of_a_joint_is_refused_with_both_values(
    exported_bundle: Path,
    robot: RobotSpec,
    field: str,
    index: int,
    trials,
):
    trained = getattr(robot.joints[index], field)
    other = _with_joint(robot, index, **{field: trained + 0.001})
    match = rf"joint {robot.joints[index].name} {field} differs: trained with {trained}, robot"
    _refused(exported_bundle, match, robot=other)
    trials("T-23", 1)


def test_swapped_gains_of_two_joints_are_refused(exported_bundle: Path, robot: RobotSpec, trials):
    names = robot.joint_names
    swapped = _with_joint(_with_joint(robot, 0, name=names[4]), 4, name=names[0])
    _refused(exported_bundle, "differs", robot=swapped)
    trials("T-22", 1)


def test_another_time_step_is_refused(exported_bundle: Path, robot: RobotSpec, trials):
    other = replace(robot, control_dt_s=robot.control_dt_s * 1.000001)
    _refused(exported_bundle, "control_dt_s differs", robot=other)
    trials("T-23", 1)
