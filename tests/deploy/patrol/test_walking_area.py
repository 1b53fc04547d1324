"""Depth inside an area, in hand-made numbers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.patrol.walking_area import Rectangle, WalkingArea


@pytest.mark.parametrize(
    ("position", "depth"),
    [
        ((0.0, 0.0), 1.0),
        ((1.5, 0.0), 0.5),
        ((0.0, -0.9), 0.1),
        ((2.0, 0.3), 0.0),
        ((2.5, 0.0), -0.5),
        ((2.3, 1.4), -0.5),
        ((-2.0, 3.0), -2.0),
    ],
)
def test_depth_is_the_distance_to_the_nearest_side(position, depth):
    assert Rectangle(4.0, 2.0).depth_m(np.array(position)) == pytest.approx(depth)


def test_turned_and_moved_rectangle_is_the_same_one():
    rectangle = Rectangle(4.0, 2.0, (3.0, -1.0), math.pi / 2)
    # Its length now lies along y.
    assert rectangle.depth_m(np.array([3.0, 0.5])) == pytest.approx(0.5)
    assert rectangle.depth_m(np.array([3.9, -1.0])) == pytest.approx(0.1)
    assert rectangle.depth_m(np.array([4.5, -1.0])) == pytest.approx(-0.5)


def test_keep_out_zone_has_an_edge_of_its_own():
    area = WalkingArea(Rectangle(10.0, 10.0), (Rectangle(1.0, 1.0, (2.0, 0.0)),))
    assert area.depth_m(np.array([0.0, 0.0])) == pytest.approx(1.5)
    assert area.depth_m(np.array([2.0, 0.2])) == pytest.approx(-0.3)
    assert area.depth_m(np.array([-4.5, 0.0])) == pytest.approx(0.5)


@given(
    x=st.floats(-5, 5),
    y=st.floats(-5, 5),
    dx=st.floats(-0.3, 0.3),
    dy=st.floats(-0.3, 0.3),
    yaw=st.floats(-3.2, 3.2),
)
def test_depth_never_changes_faster_than_the_way(x, y, dx, dy, yaw):
    area = WalkingArea(Rectangle(6.0, 3.0, (0.5, 0.2), yaw), (Rectangle(1.0, 0.5, (1.5, 0.0)),))
    before, after = area.depth_m(np.array([[x, y], [x + dx, y + dy]]))
    assert abs(after - before) <= math.hypot(dx, dy) + 1e-9


@pytest.mark.parametrize("sides", [(0.0, 2.0), (2.0, -1.0), (math.nan, 1.0), (math.inf, 1.0)])
def test_rectangle_that_is_none_is_refused(sides):
    with pytest.raises(ConfigError, match="allowed are finite numbers and sides above 0"):
        Rectangle(*sides)
