"""A cache never gives other rows than its CSV."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from rwmu_deploy.contract.errors import TransitionFileError
from rwmu_train.transitions import row_cache
from rwmu_train.transitions.row_cache import cache_path, cached_csv_rows

AN_HOUR_NS = 3600 * 10**9


def write(path: Path, rows: np.ndarray, *, age_ns: int = AN_HOUR_NS) -> None:
    path.write_text("".join(",".join(f"{v:.9g}" for v in row) + "\n" for row in rows))
    then = time.time_ns() - age_ns
    os.utime(path, ns=(then, then))


@pytest.fixture
def csv(tmp_path: Path, random_rows) -> Path:
    write(tmp_path / "a.csv", random_rows(7))
    return tmp_path / "a.csv"


@pytest.fixture
def no_parsing(monkeypatch):
    """After calling it, parsing a CSV is an error."""

    def forbid() -> None:
        def refuse(*_: object) -> None:
            raise AssertionError("the CSV was parsed")

        monkeypatch.setattr(row_cache, "csv_blocks", refuse)
        monkeypatch.setattr(row_cache, "read_csv_rows", refuse)

    return forbid


def test_second_reading_parses_nothing(csv, columns, random_rows, no_parsing) -> None:
    first, sha256 = cached_csv_rows(csv, columns)
    no_parsing()
    again, same = cached_csv_rows(csv, columns)
    np.testing.assert_array_equal(first, random_rows(7))
    np.testing.assert_array_equal(again, first)
    assert same == sha256


def test_writing_to_rows_changes_no_file(csv, columns, random_rows) -> None:
    rows, _ = cached_csv_rows(csv, columns)
    rows[:] = 0.0
    np.testing.assert_array_equal(cached_csv_rows(csv, columns)[0], random_rows(7))


def test_csv_that_changed_in_size_or_time_is_read_anew(csv, columns, random_rows) -> None:
    cached_csv_rows(csv, columns)
    for rows in (random_rows(9), random_rows(9, seed=1)):
        write(csv, rows)
        np.testing.assert_array_equal(cached_csv_rows(csv, columns)[0], rows)


def test_csv_written_twice_within_the_clocks_grain_is_read_anew(csv, columns, random_rows) -> None:
    first, second = (np.round(random_rows(3, seed=s)) + 0.0 for s in (0, 1))
    text = ["".join(",".join(f"{v:+05.1f}" for v in r) + "\n" for r in x) for x in (first, second)]
    stamp = time.time_ns()
    for rows, content in zip((first, second), text, strict=True):
        with open(csv, "r+") as file:  # same inode
            file.write(content)
            file.truncate()
        os.utime(csv, ns=(stamp, stamp))
        np.testing.assert_array_equal(cached_csv_rows(csv, columns)[0], rows)


def test_copied_csv_with_its_cache_is_known_by_its_hash(
    csv, columns, tmp_path, no_parsing
) -> None:
    rows, _ = cached_csv_rows(csv, columns)
    for path in (csv, cache_path(csv)):
        (tmp_path / path.name.replace("a.csv", "b.csv")).write_bytes(path.read_bytes())
    no_parsing()
    np.testing.assert_array_equal(cached_csv_rows(tmp_path / "b.csv", columns)[0], rows)


def test_cache_of_another_file_is_not_used(csv, columns, tmp_path, random_rows) -> None:
    cached_csv_rows(csv, columns)
    other = tmp_path / "b.csv"
    write(other, random_rows(7, seed=1))
    cache_path(other).write_bytes(cache_path(csv).read_bytes())
    np.testing.assert_array_equal(cached_csv_rows(other, columns)[0], random_rows(7, seed=1))


def test_only_the_hash_counts_where_times_are_not_trusted(csv, columns, random_rows) -> None:
    cached_csv_rows(csv, columns)
    status = csv.stat()
    content = bytearray(csv.read_bytes())
    place = content.index(b"1")
    content[place : place + 1] = b"2"
    with open(csv, "r+b") as file:
        file.write(content)
    os.utime(csv, ns=(status.st_atime_ns, status.st_mtime_ns))
    np.testing.assert_array_equal(cached_csv_rows(csv, columns)[0], random_rows(7))
    changed, _ = cached_csv_rows(csv, columns, trust_times=False)
    assert np.sum(changed != random_rows(7)) == 1


def test_no_byte_of_a_cache_can_change_what_is_read(csv, columns, random_rows) -> None:
    cached_csv_rows(csv, columns)
    whole = cache_path(csv).read_bytes()
    rng = np.random.default_rng(0)
    for place in [*rng.integers(0, 400, 60), *rng.integers(4096, len(whole), 60)]:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        cache_path(csv).write_bytes(damaged)
        np.testing.assert_array_equal(cached_csv_rows(csv, columns)[0], random_rows(7))


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097])
def test_cut_cache_is_written_anew(csv, columns, random_rows, size) -> None:
    cached_csv_rows(csv, columns)
    whole = cache_path(csv).read_bytes()
    cache_path(csv).write_bytes(whole[:size])
    np.testing.assert_array_equal(cached_csv_rows(csv, columns)[0], random_rows(7))
    assert len(cache_path(csv).read_bytes()) == len(whole)


def test_refused_csv_leaves_no_cache(csv, columns) -> None:
    with open(csv, "a") as file:
        file.write("1,2\n")
    with pytest.raises(TransitionFileError, match="has 2 columns"):
        cached_csv_rows(csv, columns)
    assert [path.name for path in csv.parent.iterdir()] == ["a.csv"]


def test_where_nothing_can_be_written_the_csv_is_read(csv, columns, random_rows) -> None:
    cache_path(csv).mkdir()
    np.testing.assert_array_equal(cached_csv_rows(csv, columns)[0], random_rows(7))
    assert sorted(path.name for path in csv.parent.iterdir()) == ["a.csv", "a.csv.rows"]
