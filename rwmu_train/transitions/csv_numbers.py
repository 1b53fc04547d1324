"""Turn the text of a CSV into float32, compiled: some 500 MB/s a core.

General readers (pandas, Arrow, Polars) take 1.4 to 3 times as long on such rows, and some take a
torn line for data. N = rows, C = columns.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

SLACK_BYTES = 16
"""Zero bytes that must follow a text: seven digits are looked at together."""

_SPACE, _PLUS, _COMMA, _MINUS, _POINT, _ZERO = b" +,-.0"
_RETURN, _NEWLINE = b"\r\n"
_SMALL_E, _LARGE_E = b"eE"

_EXACT_DIGITS, _EXACT_EXPONENT = 15, 22
_MOST_DIGITS = 19  # more of them may overflow 64 bits
_LARGEST_EXPONENT = 60
_POWERS = np.array([10.0**exponent for exponent in range(_LARGEST_EXPONENT + 1)])
# A double becomes a float32 by dropping 29 bits. The steps to the double are off by less than two
# units of its last bit; where dropping could go either way within the margin, it isn't decided.
_DROPPED_BITS = (1 << 29) - 1
_HALF = 1 << 28
_MARGIN = 8
_SMALLEST_NORMAL = float(np.finfo(np.float32).tiny)
_LARGEST = float(np.finfo(np.float32).max)


@njit(nogil=True, cache=True, error_model="numpy")
def parse_rows(
    text: Bytes, size: int, rows: NDArray[np.float32], unsure: NDArray[np.int64]
) -> tuple[int, int, int]:
    """Parse lines of C decimal numbers, up to a line that is anything else.

    A number is `[+-]digits[.digits][e[+-]digits]`, with spaces around it or not. One that could be
    rounded either way is left to the caller.

    Args:
        text: `size` bytes of whole lines, and SLACK_BYTES zeros.
        size: Bytes of the lines.
        rows: Filled; shape (N or more, C).
        unsure: Filled with row * C + column, first byte and byte after the last; shape (any, 3).

    Returns:
        Lines understood, from the first on; the byte after them; and how many of their numbers are
        left to the caller. Parsing also ends when either array is full.
    """
    at = row = unsure_count = 0
    last = rows.shape[1] - 1
    while at < size and row < rows.shape[0]:
        line, sure_until_here = at, unsure_count
        for column in range(last + 1):
            at = _after_spaces(text, at)
            first = at
            at, value, understood, sure = _number(text, at)
            end = at
            at = _after_spaces(text, at)
            if column == last and _byte(text, at) == _RETURN:
                at += 1
            separator = _COMMA if column < last else _NEWLINE
            full = not sure and unsure_count == len(unsure)
            if not understood or _byte(text, at) != separator or full:
                return row, line, sure_until_here
            at += 1
            if not sure:
                unsure[unsure_count, 0] = row * (last + 1) + column
                unsure[unsure_count, 1] = first
                unsure[unsure_count, 2] = end
                unsure_count += 1
            rows[row, column] = value
        row += 1
    return row, at, unsure_count


@njit(forceinline=True)
def _byte(text: Bytes, at: int) -> np.uint8:
    """The byte at a position that is never negative: unsigned, it needs no check."""
    return text[np.uintp(at)]


@njit(forceinline=True, error_model="numpy")
def _after_spaces(text: Bytes, at: int) -> int:
    while _byte(text, at) == _SPACE:
        at += 1
    return at


@njit(forceinline=True, error_model="numpy")
def _number(text: Bytes, at: int) -> tuple[int, float, bool, bool]:
    """Byte after the number, its value, whether it is one, whether its rounding is sure."""
    negative = _byte(text, at) == _MINUS
    if negative or _byte(text, at) == _PLUS:
        at += 1
    first_digit = at
    at, mantissa = _digits(text, at, np.uint64(0))
    digits, exponent = at - first_digit, 0
    if _byte(text, at) == _POINT:
        at += 1
        first_decimal = at
        at, mantissa = _seven_digits(text, at, mantissa)
        at, mantissa = _digits(text, at, mantissa)
        digits += at - first_decimal
        exponent = first_decimal - at
    understood = digits > 0
    if _byte(text, at) == _SMALL_E or _byte(text, at) == _LARGE_E:
        at, written, has_digits = _exponent(text, at + 1)
        exponent += written
        understood = understood and has_digits
    # Up to here integer and power of ten are exact, and their quotient is rounded once: it is the
    # double nearest to the text.
    if digits <= _EXACT_DIGITS and -_EXACT_EXPONENT <= exponent <= _EXACT_EXPONENT:
        value = _scaled(mantissa, exponent)
        return at, -value if negative else value, understood, True
    if digits > _MOST_DIGITS or abs(exponent) > _LARGEST_EXPONENT:
        return at, 0.0, understood, False
    value = _scaled(mantissa, exponent)
    dropped = np.float64(value).view(np.int64) & _DROPPED_BITS
    is_normal = _SMALLEST_NORMAL <= value <= _LARGEST or value == 0.0
    sure = is_normal and bool(abs(dropped - _HALF) > _MARGIN)
    return at, -value if negative else value, understood, sure


@njit(forceinline=True, error_model="numpy")
def _scaled(mantissa: np.uint64, exponent: int) -> float:
    if exponent < 0:
        return float(mantissa) / float(_POWERS[-exponent])
    return float(mantissa) * float(_POWERS[exponent])


@njit(forceinline=True, error_model="numpy")
def _digits(text: Bytes, at: int, mantissa: np.uint64) -> tuple[int, np.uint64]:
    """Append decimal digits one by one."""
    digit = np.uint8(_byte(text, at) - np.uint8(_ZERO))
    while digit <= 9:
        mantissa = mantissa * np.uint64(10) + np.uint64(digit)
        at += 1
        digit = np.uint8(_byte(text, at) - np.uint8(_ZERO))
    return at, mantissa


@njit(forceinline=True, error_model="numpy")
def _seven_digits(text: Bytes, at: int, mantissa: np.uint64) -> tuple[int, np.uint64]:
    """Append seven digits if there are seven; written out, they are multiplied side by side."""
    zero = np.uint8(_ZERO)
    a, b = np.uint8(_byte(text, at) - zero), np.uint8(_byte(text, at + 1) - zero)
    c, d = np.uint8(_byte(text, at + 2) - zero), np.uint8(_byte(text, at + 3) - zero)
    e, f = np.uint8(_byte(text, at + 4) - zero), np.uint8(_byte(text, at + 5) - zero)
    g = np.uint8(_byte(text, at + 6) - zero)
    if max(max(max(a, b), max(c, d)), max(max(e, f), g)) > 9:
        return at, mantissa
    high = np.uint64(a) * np.uint64(100) + np.uint64(b) * np.uint64(10) + np.uint64(c)
    low = np.uint64(d) * np.uint64(1000) + np.uint64(e) * np.uint64(100)
    low += np.uint64(f) * np.uint64(10) + np.uint64(g)
    seven = high * np.uint64(10_000) + low
    return at + 7, mantissa * np.uint64(10_000_000) + seven


@njit(forceinline=True, error_model="numpy")
def _exponent(text: Bytes, at: int) -> tuple[int, int, bool]:
    """Byte after the exponent, its value (far off if it is long), whether it has digits."""
    negative = _byte(text, at) == _MINUS
    if negative or _byte(text, at) == _PLUS:
        at += 1
    first_digit = at
    value = 0
    while _ZERO <= _byte(text, at) <= _ZERO + 9:
        value = min(value * 10 + int(_byte(text, at) - _ZERO), 10_000)
        at += 1
    return at, -value if negative else value, at > first_digit
