import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.errors import ConfigError

RANGE = CommandRange((-1.0, -0.5, -1.5), (1.0, 0.5, 0.0))


def test_command_inside_the_range_is_kept():
    assert RANGE.clip([0.3, -0.5, -1.0]).tolist() == [0.3, -0.5, -1.0]


def test_command_outside_is_brought_to_the_nearest_limit():
    assert RANGE.clip([9.0, -9.0, 0.1]).tolist() == [1.0, -0.5, 0.0]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("entry", range(3))
def test_command_that_is_not_finite_is_refused_not_clipped(bad: float, entry: int):
    command = [0.0, 0.0, 0.0]
    command[entry] = bad
    with pytest.raises(ConfigError, match="three finite numbers"):
        RANGE.clip(command)


@pytest.mark.parametrize("command", [[0.0, 0.0], [0.0] * 4, [[0.0, 0.0, 0.0]], 0.0])
def test_command_of_another_shape_is_refused(command):
    with pytest.raises(ConfigError, match="three finite numbers"):
        RANGE.clip(command)


def test_reversed_range_is_refused_with_both_numbers():
    with pytest.raises(ConfigError, match=r"vy_mps is 0\.5 to -0\.5"):
        CommandRange((-1.0, 0.5, 0.0), (1.0, -0.5, 0.0))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_range_that_is_not_finite_is_refused(bad: float):
    with pytest.raises(ConfigError, match="finite"):
        CommandRange((-1.0, 0.0, 0.0), (1.0, bad, 0.0))


def test_range_of_two_numbers_is_refused():
    with pytest.raises(ConfigError, match="three"):
        CommandRange((0.0, 0.0), (1.0, 1.0))  # pyright: ignore[reportArgumentType]


def test_one_command_only_is_a_range():
    assert CommandRange((0.5, 0.0, 0.0), (0.5, 0.0, 0.0)).clip([9, 9, 9]).tolist() == [0.5, 0, 0]


def test_pairs_are_read_command_by_command():
    assert CommandRange.from_pairs([(-1, 1), (-0.5, 0.5), (-1.5, 0)]) == RANGE


@settings(deadline=None)
@given(st.lists(st.floats(-1e30, 1e30), min_size=3, max_size=3))
def test_every_clipped_command_is_inside_and_clipping_again_changes_nothing(command):
    clipped = RANGE.clip(command)
    assert (np.array(RANGE.lower) <= clipped).all()
    assert (clipped <= np.array(RANGE.upper)).all()
    assert (RANGE.clip(clipped) == clipped).all()
