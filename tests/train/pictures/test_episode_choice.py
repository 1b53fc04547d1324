"""Which episode is drawn."""

from dataclasses import replace

import numpy as np
import pytest

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.pictures.episode_picture import choose_episode


def test_the_longest_unless_one_is_named(small_dataset) -> None:
    longer = replace(
        small_dataset,
        episode_start=np.array([0, 100, 400]),
        episode_end=np.array([100, 400, 900]),
    )
    assert choose_episode(longer, None) == 2
    assert choose_episode(longer, 0) == 0


@pytest.mark.parametrize("wanted", [-1, 6])
def test_a_number_too_far_says_how_many_there_are(small_dataset, wanted) -> None:
    with pytest.raises(ConfigError, match=r"there are 6 episodes\. Give a number from 0 to 5"):
        choose_episode(small_dataset, wanted)
