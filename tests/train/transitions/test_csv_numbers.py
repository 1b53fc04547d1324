"""The compiled parser gives what Python gives, or says that it is not sure."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rwmu_train.transitions.csv_numbers import SLACK_BYTES, parse_rows


def parse(text: str, columns: int = 1) -> tuple[np.ndarray, int, int, np.ndarray]:
    data = np.frombuffer(text.encode() + bytes(SLACK_BYTES), dtype=np.uint8)
    rows = np.full((len(text), columns), np.nan, dtype=np.float32)
    unsure = np.zeros((8, 3), dtype=np.int64)
    lines, used, unsure_count = parse_rows(data, len(text), rows, unsure)
    return rows[:lines], lines, used, unsure[:unsure_count]


def test_numbers_by_hand() -> None:
    rows, lines, used, unsure = parse("1,-2.5,1e3\n0.125,+.5,5.\r\n -0 ,1E-2,12345678.9 \n", 3)
    assert lines == 3
    assert used == 47
    assert len(unsure) == 0
    expected = [[1, -2.5, 1000], [0.125, 0.5, 5], [-0.0, 0.01, 12345678.9]]
    np.testing.assert_array_equal(rows, np.array(expected, dtype=np.float32))
    assert np.signbit(rows[2, 0])


@pytest.mark.parametrize(
    "bad",
    ["", "x", "-", ".", "1e", "1e+", "1 2", "1,2", "nan", "inf", "0x1", "1_0", "--1", "1\r2"],
)
def test_parsing_ends_at_a_line_that_is_no_number(bad) -> None:
    rows, lines, used, _ = parse(f"7\n{bad}\n8\n")
    assert lines == 1
    assert used == 2
    assert rows.tolist() == [[7.0]]


@pytest.mark.parametrize(
    "text",
    [
        "1.00000005960464477539",  # 21 digits
        "1e39",
        "1e-300",
        "1e-40",  # not a normal float32
        "123456789012345678901234567890",
    ],
)
def test_what_could_round_either_way_is_left_to_the_caller(text) -> None:
    _, lines, _, unsure = parse(f"5\n{text}\n")
    assert lines == 2
    assert unsure.tolist() == [[1, 2, 2 + len(text)]]


def test_parsing_ends_where_too_many_numbers_are_unsure() -> None:
    _, lines, used, unsure = parse("1e-40,1\n" * 10, 2)
    assert (lines, used, len(unsure)) == (8, 64, 8)


@settings(max_examples=500, deadline=None)
@given(
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.sampled_from([".9g", ".7e", ".17g", ".18e"]),
)
def test_every_float32_is_what_python_makes_of_its_text(value: float, form: str) -> None:
    text = format(value, form)
    rows, lines, _, unsure = parse(text + "\n")
    assert lines == 1
    if len(unsure) == 0:
        assert rows[0, 0] == np.float32(float(text))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10**19 - 1), st.integers(-70, 70))
def test_any_decimal_is_rounded_as_python_rounds_it(digits: int, exponent: int) -> None:
    text = f"{digits}e{exponent}"
    rows, _, _, unsure = parse(text + "\n")
    if len(unsure) == 0:
        with np.errstate(over="ignore"):
            assert rows[0, 0] == np.float32(float(text))
    else:
        assert unsure.tolist() == [[0, 0, len(text)]]
