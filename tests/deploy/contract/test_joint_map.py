"""Joints are carried by name: an order can't be confused silently."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwmu_deploy.contract.errors import RobotSpecError
from rwmu_deploy.contract.joint_map import JointMap
from rwmu_deploy.contract.robot_spec import load_robot_spec

# ANYmal D's other order (leg by leg, LF RF LH RH), written out by hand.
LEG_BY_LEG = [
    "LF_HAA",
    "LF_HFE",
    "LF_KFE",
    "RF_HAA",
    "RF_HFE",
    "RF_KFE",
    "LH_HAA",
    "LH_HFE",
    "LH_KFE",
    "RH_HAA",
    "RH_HFE",
    "RH_KFE",
]


def test_leg_by_leg_values_arrive_in_the_policy_order() -> None:
    spec = load_robot_spec("anymal_d")
    to_policy = JointMap(LEG_BY_LEG, spec.joint_names, source="joint_states")
    # Policy order: HAA of LF LH RF RH, then HFE, then KFE.
    expected = [0, 6, 3, 9, 1, 7, 4, 10, 2, 8, 5, 11]
    np.testing.assert_array_equal(to_policy(np.arange(12.0)), expected)


@given(st.permutations(LEG_BY_LEG), st.permutations(LEG_BY_LEG))
def test_there_and_back_is_the_identity(one: list[str], other: list[str]) -> None:
    values = np.arange(12.0)
    there = JointMap(one, other, source="one")
    back = JointMap(other, one, source="other")
    np.testing.assert_array_equal(back(there(values)), values)


def test_joints_that_the_policy_does_not_know_are_left_out() -> None:
    carry = JointMap(["gripper", "b", "a"], ["a", "b"], source="joint_states")
    np.testing.assert_array_equal(carry([9.0, 2.0, 1.0]), [1.0, 2.0])


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        (["a", "c"], ["a", "b"], "topic /x has no joint b; it has a, c"),
        (["a", "a", "b"], ["a", "b"], "topic /x names a more than once"),
        (["a", "b"], ["a", "a"], "the wanted joint order names a more than once"),
        ([], ["a"], "topic /x has no joint a"),
    ],
)
def test_missing_and_doubled_names_are_refused(source, target, said) -> None:
    with pytest.raises(RobotSpecError, match=said):
        JointMap(source, target, source="topic /x")


@pytest.mark.parametrize("values", [[1.0], [1.0, 2.0, 3.0], [[1.0, 2.0]]])
def test_another_number_of_values_is_refused(values) -> None:
    with pytest.raises(RobotSpecError, match="expected 2 joint values"):
        JointMap(["a", "b"], ["b", "a"], source="x")(values)
