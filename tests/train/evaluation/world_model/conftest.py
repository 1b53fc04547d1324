"""Facts of a model that was trained on the small data set."""

import pytest

from rwmu_train.transitions.normaliser import released_normaliser
from rwmu_train.world_model.checkpoint import WorldModelFacts
from rwmu_train.world_model.ensemble import Architecture


@pytest.fixture
def facts(small_dataset) -> WorldModelFacts:
    columns = small_dataset.columns
    return WorldModelFacts(
        spec=small_dataset.spec,
        architecture=Architecture(
            columns.state_size, columns.action.size, columns.contact.size, 2, 8, 6
        ),
        normaliser=released_normaliser(small_dataset.spec),
        history=8,
        settings={"validation_share": 0.4, "seed": 3},
        data_sha256=small_dataset.file_sha256,
        iteration=1,
    )
