"""Noise on a policy's actions: as strong and smooth as it says; none where none is asked."""

import math

import numpy as np
import pytest

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.patrol.excitation import Excitation, ExcitedPolicy, excited

SPEC = load_robot_spec("anymal_d")


class Still:
    def action(self, observation):
        return np.full(12, 0.5)


def noise(excitation, steps, seed=0):
    policy = ExcitedPolicy(Still(), excitation, 12, 0.02, seed)
    return np.array([policy.action(np.zeros(48, np.float32)) for _ in range(steps)]) - 0.5


def test_without_a_level_the_policy_is_left_as_it_is():
    policy = Still()
    assert excited(policy, Excitation(), SPEC, seed=0) is policy
    assert Excitation().says == ""


def test_strength_and_smoothness_are_what_is_asked():
    found = noise(Excitation(0.1, 0.1), 20_000)
    assert found.std() == pytest.approx(0.1, rel=0.03)
    assert abs(found.mean()) < 0.003
    correlation = np.mean(found[1:] * found[:-1]) / found.var()
    assert correlation == pytest.approx(math.exp(-0.2), abs=0.01)


def test_noise_never_exceeds_three_standard_deviations():
    assert np.abs(noise(Excitation(0.2), 20_000)).max() <= 0.6 + 1e-12


def test_equal_seeds_give_equal_noise_and_others_do_not():
    first, again, other = (noise(Excitation(0.1), 50, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_a_policy_that_fails_fails_through_it():
    class Broken:
        def action(self, observation):
            raise RuntimeError("no")

    policy = ExcitedPolicy(Broken(), Excitation(0.1), 12, 0.02, 0)
    with pytest.raises(RuntimeError, match="no"):
        policy.action(np.zeros(48, np.float32))


def test_the_sidecar_says_what_was_done():
    assert "sigma 0.1, 0.2 s" in Excitation(0.1, 0.2).says


@pytest.mark.parametrize(
    ("level", "time_constant_s"),
    [(-0.1, 0.1), (0.6, 0.1), (math.nan, 0.1), (0.1, 0.0), (0.1, math.nan), (0.1, math.inf)],
)
def test_numbers_that_are_no_excitation_are_refused(level, time_constant_s):
    with pytest.raises(ConfigError, match=r"excitation of .* is not allowed"):
        Excitation(level, time_constant_s)
