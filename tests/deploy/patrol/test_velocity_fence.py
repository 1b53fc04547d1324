"""No command leads out of the area, and from everywhere inside there is a way home."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.patrol.velocity_fence import FenceSettings, VelocityFence
from rwmu_deploy.patrol.walking_area import Rectangle, WalkingArea
from rwmu_deploy.patrol.walking_response import WalkingResponse

RANGE = CommandRange((-1.0, -0.5, -1.0), (1.0, 0.5, 1.0))
RESPONSE = WalkingResponse((1.0, 1.0, 1.0), (0.2, 0.2, 0.2), 0.0, 100.0, 100.0)
STILL = np.zeros(3)


def fence(length_m=6.0, width_m=4.0, *keep_out, **options) -> VelocityFence:
    area = WalkingArea(Rectangle(length_m, width_m), keep_out)
    return VelocityFence(area, RESPONSE, RANGE, FenceSettings(**options))


def allows(fence, pose, command, velocity=STILL, walked_m=0.0) -> bool:
    commands = np.array([command], dtype=float)
    return bool(fence.allows(np.array(pose, dtype=float), velocity, STILL, commands, walked_m)[0])


def test_in_the_middle_everything_is_allowed():
    for corner in np.ndindex(2, 2, 2):
        command = np.where(corner, RANGE.upper, RANGE.lower)
        assert allows(fence(), (0, 0, 0), command)


def test_near_an_edge_only_what_does_not_lead_to_it():
    # 2.55 m of 3 m: 0.15 m to the margin. In 0.2 s until the next look, 1 m/s makes 0.2 m in all.
    assert not allows(fence(), (2.55, 0, 0), (1.0, 0, 0))
    assert allows(fence(), (2.55, 0, 0), (0.5, 0, 0))
    assert allows(fence(), (2.55, 0, 0), (-1.0, 0, 0))
    assert allows(fence(), (2.55, 0, math.pi), (1.0, 0, 0))
    sideways = np.array([0.0, 1.0, 0.0])
    assert not allows(fence(), (2.55, 0, -math.pi / 2), (0, 0.5, 0), velocity=sideways)


def test_speed_that_is_there_already_counts():
    assert allows(fence(), (2.4, 0, 0), (0, 0, 0))
    assert not allows(fence(), (2.6, 0, 0), (0, 0, 0), velocity=np.array([1.0, 0, 0]))


def test_margin_grows_with_the_way_until_the_origin_has_to_be_set_again():
    one = fence()
    assert one.margin_m(0.0) == pytest.approx(0.3)
    assert one.margin_m(10.0) == pytest.approx(0.5)
    assert one.margin_m(1000.0) == pytest.approx(0.8)
    middle, away = np.zeros(3), np.array([0.0, 2.0, 0.0])
    assert not one.origin_is_old(middle, 25.0)
    assert one.origin_is_old(middle, 25.1)
    assert one.origin_is_old(middle, math.nan)
    # Two metres from the middle it needs three of its 25 to get there.
    assert not one.origin_is_old(away, 21.9)
    assert one.origin_is_old(away, 22.1)
    assert allows(one, (2.4, 0, 0), (0.5, 0, 0), walked_m=0.0)
    assert not allows(one, (2.4, 0, 0), (0.5, 0, 0), walked_m=20.0)


def test_robot_inside_the_margin_has_to_go_home():
    one = fence()
    assert not allows(one, (2.9, 0, 0), (-0.4, 0, 0))
    assert not allows(one, (2.9, 0, 0), (0.1, 0, 0))
    home = one.way_home(np.array([2.9, 0.0, 0.0]), STILL, STILL, 0.0)
    assert home == pytest.approx([-0.4, 0.0, 0.0], abs=1e-9)


def test_keep_out_zone_is_walked_around():
    one = fence(10.0, 10.0, Rectangle(1.0, 3.0, (2.5, 0.0)))
    pose = np.array([3.35, 0.0, 0.0])
    assert not allows(one, pose, (-0.5, 0, 0))
    home = one.way_home(pose, STILL, STILL, 0.0)
    assert np.linalg.norm(home) > 0.3
    assert allows(one, pose, home)


@settings(max_examples=150, deadline=None)
@given(
    x=st.floats(-2.6, 2.6),
    y=st.floats(-1.6, 1.6),
    yaw=st.floats(-math.pi, math.pi),
    seed=st.integers(0, 1000),
    ramp=st.sampled_from([1.0, 2.0, 50.0]),
)
def test_robot_that_follows_allowed_commands_never_leaves_the_margin(x, y, yaw, seed, ramp):
    """The response is exact here, so the promise is too; looks come as late as is allowed."""
    response = WalkingResponse((1.0, 1.0, 1.0), (0.2, 0.2, 0.2), 0.0, ramp, 2.0 * ramp)
    area = WalkingArea(Rectangle(6.0, 4.0))
    one = VelocityFence(area, response, RANGE, FenceSettings(largest_drift_m=0.2))
    rng = np.random.default_rng(seed)
    pose, velocity, told = np.array([x, y, yaw]), np.zeros(3), np.zeros(3)
    for _ in range(40):
        candidates = rng.uniform(RANGE.lower, RANGE.upper, (8, 3))
        allowed = one.allows(pose, velocity, told, candidates, 0.0)
        command = candidates[np.argmax(allowed)] if allowed.any() else np.zeros(3)
        for _ in range(4):
            told = response.ramped(told, command, 0.05)
            velocity = velocity + (1 - math.exp(-0.05 / 0.2)) * (told - velocity)
            cos, sin = math.cos(pose[2]), math.sin(pose[2])
            turned = [cos * velocity[0] - sin * velocity[1], sin * velocity[0] + cos * velocity[1]]
            pose = pose + 0.05 * np.array([*turned, velocity[2]])
        assert one.area.depth_m(pose[:2]) >= 0.3 - 1e-6


@pytest.mark.parametrize("yaw", np.linspace(-math.pi, math.pi, 7))
def test_way_home_ends_at_home_from_everywhere(yaw):
    one = fence()
    for x in np.linspace(-2.9, 2.9, 5):
        for y in np.linspace(-1.9, 1.9, 5):
            pose, velocity = np.array([x, y, yaw]), np.zeros(3)
            for _ in range(200):
                if one.is_home(pose):
                    break
                command = one.way_home(pose, velocity, STILL, 0.0)
                _, pose = RESPONSE.path(pose, velocity, STILL, command, 0.2)
            assert one.is_home(pose)


def test_pose_that_is_not_a_number_is_outside_and_allows_nothing():
    one, lost = fence(), np.array([math.nan, 0.0, 0.0])
    assert one.is_outside(lost)
    assert not allows(one, lost, (0.1, 0, 0))
    np.testing.assert_array_equal(one.way_home(lost, STILL, STILL, 0.0), STILL)
    assert not one.is_home(lost)


def test_fence_in_which_a_robot_cannot_stop_is_refused():
    with pytest.raises(ConfigError, match=r"1.00 m from its middle .* needed are 1.21 m"):
        fence(6.0, 2.0)
    with pytest.raises(ConfigError, match="keep-out zone"):
        fence(6.0, 4.0, Rectangle(0.5, 0.5, (0.5, 0.0)))


@pytest.mark.parametrize("name", ["margin_m", "drift_share", "look_s", "home_speed_mps"])
@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf, 11.0])
def test_setting_out_of_range_is_refused(name, value):
    with pytest.raises(ConfigError, match=f"fence {name} is"):
        FenceSettings(**{name: value})
