"""Thinning is even and bounded."""

import pytest

from rwmu_train.pictures.thinned_rows import thinned_rows


@pytest.mark.parametrize(("most", "step"), [(900, 1), (899, 2), (450, 2), (100, 9), (1, 900)])
def test_every_nth_row_and_never_more_than_asked(small_dataset, most, step) -> None:
    rows = thinned_rows(small_dataset, most)
    assert rows.step == step
    assert rows.index.tolist() == list(range(0, 900, step))
    assert len(rows.index) <= most


def test_a_part_gives_only_its_own_rows(small_dataset) -> None:
    _, validation = small_dataset.split(0.2, 0)
    index = thinned_rows(validation, 50).index
    assert set(index.tolist()) <= set(validation.member_rows().tolist())


def test_captions_say_what_was_left_out(small_dataset) -> None:
    assert thinned_rows(small_dataset, 900).said == "all 900 rows"
    assert thinned_rows(small_dataset, 100).said == "every 9th row, 100 rows"
