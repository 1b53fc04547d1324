import json

import numpy as np
import pytest

from rwmu_deploy.contract.bundle_training_range import TrainingRange
from rwmu_deploy.contract.errors import ConfigError


def test_statistics_of_three_rows():
    seen = TrainingRange.of(np.array([[1.0, 5.0], [3.0, 5.0], [5.0, 5.0]]))
    assert seen.minimum == (1.0, 5.0)
    assert seen.mean == (3.0, 5.0)
    assert seen.maximum == (5.0, 5.0)
    assert seen.std == pytest.approx((np.sqrt(8.0 / 3.0), 0.0))


def test_json_keeps_every_number_exactly():
    seen = TrainingRange.of(np.random.default_rng(0).normal(size=(50, 7)))
    assert TrainingRange.from_dict(json.loads(json.dumps(seen.to_dict()))) == seen


def test_equal_rows_have_a_mean_inside_their_range():
    seen = TrainingRange.of(np.full((10, 1), 0.1))
    assert seen.minimum <= seen.mean <= seen.maximum


@pytest.mark.parametrize("shape", [(0, 3), (3,)])
def test_data_without_rows_are_refused(shape):
    with pytest.raises(ConfigError, match="rows"):
        TrainingRange.of(np.zeros(shape))


def test_nan_in_the_data_is_refused():
    with pytest.raises(ConfigError, match="finite"):
        TrainingRange.of(np.array([[1.0], [np.nan]]))


def test_mean_outside_the_range_is_refused():
    with pytest.raises(ConfigError, match="entry 0"):
        TrainingRange((0.0,), (2.0,), (1.0,), (0.1,))


def test_negative_std_is_refused():
    with pytest.raises(ConfigError, match="entry 0"):
        TrainingRange((0.0,), (0.5,), (1.0,), (-0.1,))


def test_lengths_that_differ_are_refused():
    with pytest.raises(ConfigError, match="2 finite numbers"):
        TrainingRange((0.0, 0.0), (0.0,), (0.0, 0.0), (0.0, 0.0))


def test_unknown_keys_are_refused():
    with pytest.raises(ConfigError, match="keys"):
        TrainingRange.from_dict({"minimum": [0.0]})
