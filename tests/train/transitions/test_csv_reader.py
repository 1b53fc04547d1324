"""The reader returns exactly the numbers written, or refuses the file by name."""

import hashlib

import numpy as np
import pytest

from rwmu_deploy.contract.errors import TransitionFileError
from rwmu_train.transitions import csv_reader
from rwmu_train.transitions.csv_reader import read_csv_rows


def text_of(rows: np.ndarray) -> str:
    return "".join(",".join(f"{value:.9g}" for value in row) + "\n" for row in rows)


def test_numbers_and_hash_are_those_of_the_file(tmp_path, columns, random_rows) -> None:
    rows = random_rows(7)
    path = tmp_path / "a.csv"
    path.write_text(text_of(rows))
    read, sha256 = read_csv_rows(path, columns)
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, rows)
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_chunk_bounds_change_nothing(tmp_path, columns, random_rows, monkeypatch) -> None:
    rows = random_rows(9)
    path = tmp_path / "a.csv"
    path.write_text(text_of(rows))
    for size in (1, 7, 500, 701, 10_000):
        monkeypatch.setattr(csv_reader, "_CHUNK_BYTES", size)
        np.testing.assert_array_equal(read_csv_rows(path, columns)[0], rows)


def test_other_spellings_of_a_number_are_read(tmp_path, columns) -> None:
    cells = ["0"] * 66
    cells[:6] = ["+1", "-.5", "5.", " 1e-3", "2E+2 ", "-0"]
    path = tmp_path / "a.csv"
    path.write_bytes((",".join(cells) + "\r\n").encode())
    read, _ = read_csv_rows(path, columns)
    np.testing.assert_array_equal(
        read[0, :6], np.array([1, -0.5, 5, 1e-3, 200, 0], dtype=np.float32)
    )


@pytest.mark.parametrize(
    "cell",
    ["nan", "inf", "-Infinity", "1e39", "1e999", "", "abc", "1_000", "0x10", "1e", "--1", "1 2",
     '"1"', "1.2.3", "\u0661", "True", "1\r2"],
)  # fmt: skip
def test_anything_but_a_finite_number_is_refused_with_row_and_column(
    tmp_path, columns, random_rows, cell
) -> None:
    lines = text_of(random_rows(3)).splitlines()
    cells = lines[2].split(",")
    cells[21] = cell
    lines[2] = ",".join(cells)
    path = tmp_path / "a.csv"
    path.write_bytes(("\n".join(lines) + "\n").encode())
    with pytest.raises(TransitionFileError) as caught:
        read_csv_rows(path, columns)
    assert f"{path}: row 2 (line 3), joint_velocity_radps[LF_HAA] is" in str(caught.value)
    assert "allowed is a finite decimal number" in str(caught.value)


@pytest.mark.parametrize("count", [1, 65, 67])
def test_other_number_of_columns_is_refused(tmp_path, columns, count) -> None:
    path = tmp_path / "a.csv"
    path.write_text((",".join(["0"] * count) + "\n") * 2)
    with pytest.raises(TransitionFileError, match=f"row 0 .* has {count} columns; allowed is 66"):
        read_csv_rows(path, columns)


def test_a_short_and_a_long_row_do_not_make_up_for_each_other(tmp_path, columns) -> None:
    path = tmp_path / "a.csv"
    widths = (66, 65, 67)
    path.write_text("".join(",".join(["0"] * width) + "\n" for width in widths))
    with pytest.raises(TransitionFileError, match=r"row 1 .* has 65 columns"):
        read_csv_rows(path, columns)


def test_header_is_refused_as_a_header(tmp_path, columns, random_rows) -> None:
    path = tmp_path / "a.csv"
    names = ",".join(columns.label(i) for i in range(66))
    path.write_text(names + "\n" + text_of(random_rows(2)))
    with pytest.raises(TransitionFileError, match="there is no header"):
        read_csv_rows(path, columns)


def test_blank_line_is_refused(tmp_path, columns, random_rows) -> None:
    lines = text_of(random_rows(3)).splitlines()
    path = tmp_path / "a.csv"
    path.write_text("\n".join([lines[0], "", *lines[1:]]) + "\n")
    with pytest.raises(TransitionFileError, match=r"row 1 .* has 1 columns"):
        read_csv_rows(path, columns)


def test_missing_newline_at_the_end_is_a_torn_row(tmp_path, columns, random_rows) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text_of(random_rows(3))[:-1])
    with pytest.raises(TransitionFileError, match=r"row 2 .* is cut off"):
        read_csv_rows(path, columns)


def test_empty_file_missing_file_and_folder_are_refused(tmp_path, columns) -> None:
    (tmp_path / "a.csv").write_text("")
    for path, said in [("a.csv", "is empty"), ("b.csv", "can't be read"), (".", "can't be read")]:
        with pytest.raises(TransitionFileError, match=said):
            read_csv_rows(tmp_path / path, columns)


def test_endless_line_is_refused_before_it_is_read_whole(tmp_path, columns) -> None:
    path = tmp_path / "a.csv"
    with open(path, "wb") as file:
        file.truncate(1 << 36)  # 64 GiB of zero bytes, on no disk space
    with pytest.raises(TransitionFileError, match="a line has more than"):
        read_csv_rows(path, columns)


def test_random_bytes_are_refused(tmp_path, columns) -> None:
    path = tmp_path / "a.csv"
    rng = np.random.default_rng(0)
    for size in (1, 100, 5000, 100_000):
        path.write_bytes(rng.bytes(size))
        with pytest.raises(TransitionFileError, match=r"a\.csv"):
            read_csv_rows(path, columns)


def test_bad_line_is_found_in_any_chunk(tmp_path, columns, random_rows, monkeypatch) -> None:
    monkeypatch.setattr(csv_reader, "_CHUNK_BYTES", 3000)
    lines = text_of(random_rows(40)).splitlines(keepends=True)
    path = tmp_path / "a.csv"
    for bad in (0, 1, 17, 38, 39):
        path.write_text("".join(lines[:bad]) + "1,2\n" + "".join(lines[bad + 1 :]))
        with pytest.raises(TransitionFileError, match=rf"row {bad} \(line {bad + 1}\) has 2 col"):
            read_csv_rows(path, columns)


def test_numbers_of_many_digits_are_rounded_as_python_rounds_them(tmp_path, columns) -> None:
    rows = np.random.default_rng(0).normal(size=(200, columns.count))
    path = tmp_path / "a.csv"
    np.savetxt(path, rows, delimiter=",")  # 19 digits, with exponents
    np.testing.assert_array_equal(read_csv_rows(path, columns)[0], rows.astype(np.float32))
