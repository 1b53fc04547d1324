"""target = default + 0.5 * action, and back."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rwmu_deploy.contract.action import action_bounds, action_from_target, target_from_action
from rwmu_deploy.contract.robot_spec import load_robot_spec

SPEC = load_robot_spec("anymal_d")
FINITE = st.floats(-10.0, 10.0)


def test_hand_computed_targets() -> None:
    assert target_from_action(SPEC, np.zeros(12)).tolist() == SPEC.default_position_rad.tolist()
    target = target_from_action(SPEC, np.arange(12.0))
    # LF_HAA 0 + 0.5 * 0, RF_HFE 0.4 + 0.5 * 6, RH_KFE 0.8 + 0.5 * 11
    np.testing.assert_allclose(target[[0, 6, 11]], [0.0, 3.4, 6.3])


@given(arrays(np.float64, (3, 12), elements=FINITE))
def test_a_target_gives_its_action_back(action: np.ndarray) -> None:
    again = action_from_target(SPEC, target_from_action(SPEC, action))
    np.testing.assert_allclose(again, action, atol=1e-14)


def test_bounds_are_the_joint_limits() -> None:
    lower, upper = action_bounds(SPEC)
    np.testing.assert_allclose(target_from_action(SPEC, lower), SPEC.lower_rad)
    np.testing.assert_allclose(target_from_action(SPEC, upper), SPEC.upper_rad)
    # LF_HAA: -0.7853985 / 0.5; LF_HFE: (2.0 - 0.4) / 0.5
    np.testing.assert_allclose([lower[0], upper[4]], [-1.570797, 3.2])
