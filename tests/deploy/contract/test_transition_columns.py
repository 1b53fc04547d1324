"""The one table of columns is the public 66-column layout."""

import pytest

from rwmu_deploy.contract.observation import observation_size, observation_terms
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.contract.transition_columns import TransitionColumns

SPEC = load_robot_spec("anymal_d")
COLUMNS = TransitionColumns.of(SPEC)


@pytest.mark.parametrize(
    ("name", "start", "size"),
    [
        ("base_linear_velocity_mps", 0, 3),
        ("base_angular_velocity_radps", 3, 3),
        ("projected_gravity", 6, 3),
        ("joint_position_offset_rad", 9, 12),
        ("joint_velocity_radps", 21, 12),
        ("joint_torque_nm", 33, 12),
        ("action", 45, 12),
        ("extension", 57, 0),
        ("contact", 57, 8),
        ("termination", 65, 1),
    ],
)
def test_blocks_stand_where_the_public_files_have_them(name, start, size) -> None:
    block = getattr(COLUMNS, name)
    assert (block.name, block.start, block.size) == (name, start, size)
    assert block.slice == slice(start, start + size)


def test_rows_have_66_columns_without_gaps() -> None:
    assert (COLUMNS.count, COLUMNS.state_size, COLUMNS.state) == (66, 45, slice(0, 45))
    ends = [block.start + block.size for block in COLUMNS.blocks]
    assert [block.start for block in COLUMNS.blocks] == [0, *ends[:-1]]
    assert [block.name for block in COLUMNS.state_blocks] == [
        block.name for block in COLUMNS.blocks[:6]
    ]


@pytest.mark.parametrize(
    ("column", "label"),
    [
        (0, "base_linear_velocity_mps[x]"),
        (21, "joint_velocity_radps[LF_HAA]"),
        (56, "action[RH_KFE]"),
        (57, "contact[LF_THIGH]"),
        (61, "contact[LF_FOOT]"),
        (65, "termination[fell]"),
        (66, "column 66"),
    ],
)
def test_every_column_has_a_name(column, label) -> None:
    assert COLUMNS.label(column) == label


def test_the_observation_has_48_entries_and_no_torque() -> None:
    terms = observation_terms(SPEC)
    assert observation_size(SPEC) == 48
    assert [(term.name, term.start) for term in terms] == [
        ("base_linear_velocity_mps", 0),
        ("base_angular_velocity_radps", 3),
        ("projected_gravity", 6),
        ("velocity_command", 9),
        ("joint_position_offset_rad", 12),
        ("joint_velocity_radps", 24),
        ("last_action", 36),
    ]
