import numpy as np
import pytest

from rwmu_deploy.contract.bundle_training_range import TrainingRange
from rwmu_train.evaluation.monitor.observation_distance import ObservationDistance


def test_it_is_the_largest_number_of_standard_deviations() -> None:
    # Mean 2 and deviation 1; mean 10 and deviation 10; never changed.
    seen = TrainingRange.of(np.array([[1.0, 0.0, 7.0], [3.0, 20.0, 7.0]]))
    distance = ObservationDistance.from_range(seen)
    rows = np.array([[2.0, 10.0, 7.0], [0.5, 10.0, 7.0], [2.0, 35.0, 99.0]], dtype=np.float32)
    assert distance.of(rows).tolist() == pytest.approx([0.0, 1.5, 2.5])
    assert distance.of(rows[1]) == pytest.approx(1.5)
