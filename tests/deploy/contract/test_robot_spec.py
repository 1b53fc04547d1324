"""robot.yaml: complete, finite and consistent, or refused by name."""

import copy
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from rwmu_deploy.contract.errors import RobotSpecError
from rwmu_deploy.contract.robot_spec import (
    load_robot_spec,
    robot_folder,
    spec_from_dict,
    spec_to_dict,
)

DOCUMENT = spec_to_dict(load_robot_spec("anymal_d"))


def changed(path: str, value: Any) -> dict[str, Any]:
    """The document with the entry at `path` ("joints.0.name") replaced; `...` removes it."""
    document = copy.deepcopy(DOCUMENT)
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place: Any = document
    for part in way:
        place = place[part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return document


def test_anymal_d_has_the_published_numbers() -> None:
    spec = load_robot_spec("anymal_d")
    assert spec.joint_names[:4] == ("LF_HAA", "LH_HAA", "RF_HAA", "RH_HAA")
    assert (spec.joint_count, spec.control_dt_s, set(spec.action_scale)) == (12, 0.02, {0.5})
    np.testing.assert_array_equal(
        spec.default_position_rad, [0.0] * 4 + [0.4, -0.4, 0.4, -0.4] + [-0.8, 0.8, -0.8, 0.8]
    )
    np.testing.assert_array_equal(spec.kp_nm_per_rad, [85.0] * 12)
    np.testing.assert_array_equal(spec.kd_nms_per_rad, [0.6] * 12)


def test_json_keeps_every_number_and_the_hash() -> None:
    spec = load_robot_spec("anymal_d")
    again = spec_from_dict(json.loads(json.dumps(DOCUMENT)), source="again")
    assert again == spec
    assert again.sha256 == spec.sha256
    other = spec_from_dict(changed("joints.3.kp_nm_per_rad", 85.00001), source="other")
    assert other.sha256 != spec.sha256


def test_what_the_first_release_did_not_state_is_left_out_where_it_is_as_there() -> None:
    """So bundles, checkpoints and data of the first release keep their robot's hash."""
    first = load_robot_spec("anymal_d")
    assert first.sha256 == "2c15faded3c3bde6376aca06f293e8129aa8793218b62f8261f284fe28e58c38"
    assert DOCUMENT["action_scale"] == 0.5
    for added in ("posture_joints", "simulation.hoist_s", "joints.0.action_scale"):
        *way, last = added.split(".")
        place: Any = DOCUMENT
        for key in way:
            place = place[int(key) if key.isdigit() else key]
        assert last not in place
    other = load_robot_spec("g1")
    document = spec_to_dict(other)
    assert "action_scale" not in document
    assert document["joints"][0]["action_scale"] == other.action_scale[0]
    assert spec_from_dict(json.loads(json.dumps(document)), source="again") == other


def test_a_file_states_what_was_added_since(tmp_path: Path) -> None:
    mine = tmp_path / "robot.yaml"
    text = (robot_folder("anymal_d") / "robot.yaml").read_text()
    for added in ("posture_joints", "observation_sigma_damp", "reset_velocity"):
        lines = [line for line in text.splitlines() if not line.strip().startswith(added)]
        mine.write_text("\n".join(lines))
        with pytest.raises(RobotSpecError, match=f"misses {added}"):
            load_robot_spec(mine)


def test_arrays_of_a_spec_can_not_be_written() -> None:
    with pytest.raises(ValueError, match="read-only"):
        load_robot_spec("anymal_d").kp_nm_per_rad[0] = 1.0


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("joints", [], "joints is .*at least one joint"),
        ("joints", 3, "joints is 3; allowed is a list"),
        ("joints.0", 3, r"joints\[0\] is 'int'; allowed is a mapping"),
        ("joints.1.name", "LF_HAA", "every name stands once"),
        ("joints.0.kp_nm_per_rad", ..., r"joints\[0\] misses kp_nm_per_rad"),
        ("joints.0.gain", 1.0, r"joints\[0\] has unknown keys gain"),
        ("joints.0.kp_nm_per_rad", 0.0, "joint LF_HAA kp_nm_per_rad is 0.0"),
        ("joints.0.kp_nm_per_rad", "85", "kp_nm_per_rad is '85'; allowed is a number"),
        ("joints.0.kp_nm_per_rad", True, "kp_nm_per_rad is True; allowed is a number"),
        ("joints.0.kd_nms_per_rad", math.nan, "kd_nms_per_rad is nan; allowed is a finite number"),
        ("joints.0.kd_nms_per_rad", -0.1, "joint LF_HAA kd_nms_per_rad is -0.1"),
        ("joints.0.lower_rad", 0.7, "joint LF_HAA lower_rad is 0.7"),
        ("joints.0.default_position_rad", 0.65, "joint LF_HAA default_position_rad is 0.65"),
        ("action_scale", 0.0, "joint LF_HAA action_scale is 0.0; allowed is a number above 0"),
        ("action_scale", "half", "action_scale is 'half'; allowed is a number"),
        ("joints.0.action_scale", 0.5, "the document has unknown keys action_scale"),
        ("posture_joints", ["TAIL"], r"posture_joints is \['TAIL'\]; allowed is names among"),
        ("simulation.reset_joint_factor", [1.5, 0.5], "reset_joint_factor is .*a range"),
        ("simulation.reset_joint_factor", [1.0], "reset_joint_factor is .*two numbers"),
        ("simulation.reset_velocity", -0.1, "reset_velocity is -0.1; allowed is 0 up"),
        ("simulation.hoist_s", -1.0, "hoist_s is -1.0; allowed is 0 up"),
        ("control_dt_s", 0.0, "control_dt_s is 0.0; allowed is a number above 0"),
        ("control_dt_s", math.inf, "control_dt_s is inf"),
        ("link_timeout_s", 0, "link_timeout_s is 0.0"),
        ("safety.roll_damp_rad", 0.0, "no check can be off"),
        ("safety.roll_damp_rad", ..., "safety misses roll_damp_rad"),
        ("foot_names", ["LF_FOOT", "TAIL"], r"foot_names is \['TAIL'\]"),
        ("foot_names", "LF_FOOT", "foot_names is 'LF_FOOT'; allowed is a list"),
        ("symmetry.left_right", 3, "symmetry.left_right is 3; allowed is a mapping"),
        ("symmetry", None, "symmetry is 'NoneType'; allowed is a mapping"),
        ("simulation.base_com_in_base_m", [0.0, 0.0], "allowed is three numbers"),
        ("colour", "red", "the document has unknown keys colour"),
    ],
)
def test_what_is_wrong_is_named(path: str, value: Any, said: str) -> None:
    with pytest.raises(RobotSpecError, match=f"(?s)my.yaml: .*{said}"):
        spec_from_dict(changed(path, value), source="my.yaml")


@pytest.mark.parametrize("path", [key for key in DOCUMENT if key != "extension_names"])
def test_nothing_has_a_default(path: str) -> None:
    with pytest.raises(RobotSpecError, match=f"misses {path}"):
        spec_from_dict(changed(path, ...), source="my.yaml")


def test_a_robot_of_ones_own_is_a_file(tmp_path: Path) -> None:
    mine = tmp_path / "robot.yaml"
    text = (robot_folder("anymal_d") / "robot.yaml").read_text()
    mine.write_text(text.replace("name: anymal_d", "name: mine", 1))
    assert load_robot_spec(mine).name == "mine"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no file"),
        (b"\xff\xfe\x00", "is not YAML"),
        (b"a: [", "is not YAML"),
        (b"", "the document is 'NoneType'"),
        (yaml.safe_dump([1]).encode(), "the document is 'list'"),
    ],
)
def test_a_file_that_is_no_robot_is_refused(tmp_path: Path, content, said: str) -> None:
    file = tmp_path / "robot.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(RobotSpecError, match=said):
        load_robot_spec(file)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(RobotSpecError, match="no robot 'anymal_x'; known are anymal_d"):
        load_robot_spec("anymal_x")
