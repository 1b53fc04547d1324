"""Variants by name, and what they draw."""

from dataclasses import replace

import numpy as np
import pytest

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.simulation.imu_errors import ImuErrors
from rwmu_deploy.simulation.robot_variant import (
    FIELD,
    FRICTION_LEVELS,
    NOMINAL,
    RobotVariant,
    find_variant,
)

EVERYONE = np.arange(4000)


def test_the_field_robot_is_what_it_is_said_to_be() -> None:
    assert find_variant("field") is FIELD
    assert FIELD.payload_mass_kg == 3.0
    assert FIELD.ground_friction == (0.5, 0.9)
    assert (FIELD.joint_damping_factor, FIELD.armature_factor) == (1.4, 1.2)
    assert (FIELD.actuation_delay_s, FIELD.encoder_bias_rad) == (0.02, 0.02)


def test_an_unknown_variant_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"no robot variant 'feild'.*Did you mean 'field'"):
        find_variant("feild")


def test_nominal_draws_nothing() -> None:
    drawn = NOMINAL.draw(3, 12, seed=0)
    assert drawn.ground_friction is None
    for errors in (drawn.encoder_bias_rad, drawn.angular_velocity_bias_radps, drawn.gravity_bias):
        assert not errors.any()


def test_field_robots_differ_from_one_another_within_the_ranges() -> None:
    drawn = FIELD.draw(4000, 12, seed=0)
    assert drawn.ground_friction is not None
    levels = np.unique(drawn.ground_friction)
    assert levels.tolist() == pytest.approx(np.linspace(0.5, 0.9, FRICTION_LEVELS).tolist())
    for errors, half_width in (
        (drawn.encoder_bias_rad, 0.02),
        (drawn.angular_velocity_bias_radps, 0.02),
        (drawn.gravity_bias, 0.01),
    ):
        assert np.abs(errors).max() == pytest.approx(half_width, rel=0.02)
        assert np.abs(errors).max() <= half_width
        assert errors.std() == pytest.approx(half_width / np.sqrt(3.0), rel=0.05)


def test_equal_seeds_draw_equal_robots_and_others_do_not() -> None:
    one, same, other = (FIELD.draw(5, 12, seed=seed) for seed in (7, 7, 8))
    np.testing.assert_array_equal(one.encoder_bias_rad, same.encoder_bias_rad)
    np.testing.assert_array_equal(one.ground_friction, same.ground_friction)  # type: ignore[arg-type]
    assert (one.encoder_bias_rad != other.encoder_bias_rad).all()


def test_a_weak_actuator_changes_nothing_else_that_is_drawn() -> None:
    weak, strong = (replace(FIELD, weak_actuator_strength=s).draw(5, 12, 7) for s in (0.5, 1.0))
    assert (weak.actuator_strength == 0.5).sum(axis=1).tolist() == [1] * 5
    assert (strong.actuator_strength == 1.0).all()
    np.testing.assert_array_equal(weak.encoder_bias_rad, strong.encoder_bias_rad)
    np.testing.assert_array_equal(weak.gravity_bias, strong.gravity_bias)


def test_imu_noise_is_white_with_the_spread_of_the_variant_about_the_bias() -> None:
    drawn = FIELD.draw(4000, 12, seed=0)
    imu = ImuErrors(FIELD, drawn, seed=0)
    samples = []
    for _ in range(2):
        imu.renew()
        samples.append(imu.angular_velocity_radps(np.zeros((4000, 3)), EVERYONE))
    noise = [sample - drawn.angular_velocity_bias_radps for sample in samples]
    assert noise[0].std() == pytest.approx(0.02, rel=0.05)
    assert np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1] == pytest.approx(0.0, abs=0.05)


def test_measured_gravity_is_a_unit_vector_tilted_by_bias_and_noise() -> None:
    drawn = FIELD.draw(4000, 12, seed=0)
    imu = ImuErrors(FIELD, drawn, seed=0)
    imu.renew()
    measured = imu.projected_gravity(np.tile([0.0, 0.0, -1.0], (4000, 1)), EVERYONE)
    np.testing.assert_allclose(np.linalg.norm(measured, axis=1), 1.0, atol=1e-12)
    spread = np.hypot(0.01 / np.sqrt(3.0), 0.005)
    assert measured[:, :2].std() == pytest.approx(spread, rel=0.05)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("payload_mass_kg", -1.0),
        ("joint_damping_factor", float("nan")),
        ("encoder_bias_rad", float("inf")),
        ("weak_actuator_strength", -0.5),
        ("ground_friction", (0.9, 0.5)),
        ("ground_friction", (0.0, 0.5)),
        ("payload_edge_m", float("nan")),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"robot variant 'mine': {name} is"):
        RobotVariant("mine", **{name: value})  # type: ignore[arg-type]
