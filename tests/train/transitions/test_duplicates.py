"""What stands in the data twice is found."""

import shutil

import numpy as np

from rwmu_train.transitions.dataset_loading import load_dataset
from rwmu_train.transitions.duplicates import check_duplicates, row_hashes


def test_distinct_rows_have_distinct_hashes(segment, spec, random_rows) -> None:
    data = load_dataset(segment(random_rows(5000)), spec)
    assert len(np.unique(row_hashes(data))) == 5000
    assert check_duplicates(data).problems == ()
    assert check_duplicates(data).notes == ()


def test_columns_and_last_bits_count(segment, spec, random_rows) -> None:
    rows = random_rows(3)
    rows[1] = rows[0]
    rows[1, [4, 5]] = rows[0, [5, 4]]
    rows[2] = rows[0]
    rows[2, 7] = np.nextafter(rows[0, 7], np.float32(9.0))
    assert len(np.unique(row_hashes(load_dataset(segment(rows), spec)))) == 3


def test_copied_rows_are_counted(segment, spec, random_rows) -> None:
    rows = random_rows(1000)
    rows[990:] = rows[:10]
    (note,) = check_duplicates(load_dataset(segment(rows), spec)).notes
    assert note == "10 rows (1.00%) are copies of other rows"
    rows[500:] = rows[:500]
    (problem,) = check_duplicates(load_dataset(segment(rows, folder="half"), spec)).problems
    assert problem.startswith("500 rows (50.00%) are copies")


def test_the_same_file_twice_is_named(segment, spec, random_rows, tmp_path) -> None:
    path = segment(random_rows(50))
    copy = tmp_path / "copy"
    shutil.copytree(path.parent, copy)
    (problem,) = check_duplicates(load_dataset([path.parent, copy], spec)).problems
    assert f"{copy / path.name} is {path}" in problem
