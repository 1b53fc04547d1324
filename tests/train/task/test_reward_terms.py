import math

import pytest
import torch

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_train.task.reward_terms import (
    REWARD_TERMS,
    StepRecord,
    refuse_unmeasured,
    weighted_terms,
)
from rwmu_train.task.velocity_task import find_task

SPEC = load_robot_spec("anymal_d")
COLUMNS = TransitionColumns.of(SPEC)


def record(**changes: torch.Tensor) -> StepRecord:
    """One robot that stands still, with some quantities replaced."""
    state = torch.zeros(1, COLUMNS.state_size)
    state[:, COLUMNS.projected_gravity.slice] = torch.tensor([0.0, 0.0, -1.0])
    values = {
        "state": state,
        "previous_state": state.clone(),
        "action": torch.zeros(1, 12),
        "previous_action": torch.zeros(1, 12),
        "penalised_contact": torch.zeros(1, 4),
        "touchdown_air_time_s": torch.zeros(1, 4),
        "touchdown": torch.zeros(1, 4),
        "command": torch.zeros(1, 3),
        "foot_height_m": torch.zeros(1, 2),
        "foot_speed_mps": torch.zeros(1, 2),
        "posture_joint": torch.tensor([0, 5]),
        **changes,
    }
    return StepRecord(
        columns=COLUMNS,
        default_position_rad=torch.tensor(SPEC.default_position_rad, dtype=torch.float32),
        dt_s=0.02,
        **values,
    )


def state_with(block: str, values: list[float]) -> torch.Tensor:
    state = record().state.clone()
    state[0, getattr(COLUMNS, block).slice] = torch.tensor(values)
    return state


@pytest.mark.parametrize(
    ("term", "changes", "expected"),
    [
        ("linear_velocity_tracking", {"command": torch.tensor([[0.3, 0.4, 0.9]])}, math.exp(-1.0)),
        ("yaw_rate_tracking", {"command": torch.tensor([[9.0, 9.0, 0.5]])}, math.exp(-1.0)),
        (
            "vertical_velocity",
            {"state": state_with("base_linear_velocity_mps", [1.0, 1.0, 0.5])},
            0.25,
        ),
        (
            "roll_pitch_rate",
            {"state": state_with("base_angular_velocity_radps", [3.0, 4.0, 7.0])},
            25.0,
        ),
        ("joint_torque", {"state": state_with("joint_torque_nm", [2.0] * 12)}, 48.0),
        (
            "joint_acceleration",
            {"state": state_with("joint_velocity_radps", [0.1] + [0.0] * 11)},
            25.0,
        ),
        # Two moving feet, 0.035 and 0.015 from 0.065: (0.035^2 + 0.015^2) tanh(1) / 0.05.
        (
            "foot_clearance",
            {
                "foot_height_m": torch.tensor([[0.1, 0.05]]),
                "foot_speed_mps": torch.tensor([[0.5, 0.5]]),
            },
            math.exp(-0.00145 * math.tanh(1.0) / 0.05),
        ),
        # A foot that drags, (0.065)^2 tanh(2) / 0.05, beside one that stands still.
        (
            "foot_clearance",
            {"foot_speed_mps": torch.tensor([[1.0, 0.0]])},
            math.exp(-0.004225 * math.tanh(2.0) / 0.05),
        ),
        ("foot_clearance", {}, 1.0),
        # Of joints 0 to 11, those that count are 0 and 5.
        (
            "joint_deviation",
            {
                "state": state_with(
                    "joint_position_offset_rad", [-0.1, 9.0, 9, 9, 9, 0.2] + [9] * 6
                )
            },
            0.3,
        ),
        ("action_rate", {"action": torch.full((1, 12), 0.5)}, 3.0),
        (
            "undesired_contacts",
            {"penalised_contact": torch.tensor([[1.0, 0.0, 1.0, 0.0]])},
            2.0,
        ),
        ("flat_orientation", {"state": state_with("projected_gravity", [0.3, 0.4, -0.866])}, 0.25),
        (
            "stand_still",
            {"state": state_with("joint_position_offset_rad", [-0.1, 0.1] + [0.0] * 10)},
            0.2,
        ),
    ],
)
def test_each_term_has_its_hand_computed_value(term, changes, expected) -> None:
    assert REWARD_TERMS[term](record(**changes)).item() == pytest.approx(expected, rel=1e-5)


def test_joint_acceleration_ignores_joint_positions() -> None:
    moved = record(state=state_with("joint_position_offset_rad", [1.0] * 12))
    assert REWARD_TERMS["joint_acceleration"](moved).item() == 0.0


def test_air_time_counts_at_touchdown_and_only_while_asked_to_move() -> None:
    air = {
        "touchdown_air_time_s": torch.tensor([[0.7, 0.2, 0.0, 0.0]]),
        "touchdown": torch.tensor([[1.0, 1.0, 0.0, 0.0]]),
    }
    walking = record(command=torch.tensor([[0.5, 0.0, 0.0]]), **air)
    assert REWARD_TERMS["feet_air_time"](walking).item() == pytest.approx(0.2 - 0.3, abs=1e-6)
    assert REWARD_TERMS["feet_air_time"](record(**air)).item() == 0.0


def test_weights_and_time_step_multiply_every_term() -> None:
    terms = weighted_terms(
        record(command=torch.tensor([[0.3, 0.4, 0.0]])), {"linear_velocity_tracking": 2.0}
    )
    assert terms["linear_velocity_tracking"].item() == pytest.approx(2.0 * 0.02 * math.exp(-1.0))


def test_a_misspelt_term_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="no reward term joint_toque"):
        weighted_terms(record(), {"joint_toque": 1.0})


def test_a_term_whose_quantity_a_robot_lacks_is_refused() -> None:
    for term, needed in (
        ("foot_clearance", "foot columns"),
        ("joint_deviation", "posture_joints"),
    ):
        with pytest.raises(ConfigError, match=f"{term}, and anymal_d states no {needed}"):
            refuse_unmeasured(SPEC, {term: 1.0})
        refuse_unmeasured(SPEC, {term: 0.0})
        refuse_unmeasured(load_robot_spec("g1"), {term: 1.0})


def test_the_humanoids_task_differs_in_the_four_published_weights() -> None:
    ours, others = find_task("g1_flat").reward_weights, find_task("anymal_d_flat").reward_weights
    differing = {name for name in ours if ours[name] != others.get(name)}
    assert {name: ours[name] for name in differing} == {
        "action_rate": -0.05,
        "feet_air_time": 0.0,
        "foot_clearance": 1.0,
        "joint_deviation": -1.0,
    }


def test_the_task_has_the_published_weights() -> None:
    weights = find_task("anymal_d_flat").reward_weights
    assert weights["joint_acceleration"] == -2.5e-7
    assert weights["flat_orientation"] == -5.0
    assert sum(weights.values()) == pytest.approx(
        1.0 + 0.5 - 2.0 - 0.05 - 2.5e-5 - 2.5e-7 - 0.01 + 0.5 - 1.0 - 5.0
    )


def test_an_unknown_task_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'anymal_d_flat'"):
        find_task("anymal_flat")
