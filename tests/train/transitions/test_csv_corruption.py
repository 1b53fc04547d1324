"""T-20: a corrupt CSV gives no wrong number. With its sidecar every change is found; without one,
every torn or malformed row, and no more than the row that was changed is wrong.
"""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rwmu_deploy.collection.segment_files import SegmentPaths
from rwmu_deploy.contract.errors import TransitionFileError
from rwmu_train.transitions.csv_reader import read_csv_rows
from rwmu_train.transitions.transition_files import read_transition_file

ROWS = 20


@pytest.fixture
def whole(segment, random_rows) -> Path:
    return segment(random_rows(ROWS))


@pytest.fixture
def bare(whole, tmp_path) -> Path:
    """The same CSV, without a sidecar."""
    path = tmp_path / "bare.csv"
    shutil.copy(whole, path)
    return path


def is_refused_with_sidecar(path: Path, spec) -> bool:
    try:
        read_transition_file(path, spec)
    except TransitionFileError:
        return True
    return False


def accepted_alone(path: Path, columns) -> np.ndarray | None:
    """Rows of a CSV without a sidecar; None where it is refused."""
    try:
        return read_csv_rows(path, columns)[0]
    except TransitionFileError:
        return None


def test_file_cut_at_any_byte_gives_whole_rows_or_an_error(bare, columns, trials) -> None:
    content, rows = bare.read_bytes(), read_csv_rows(bare, columns)[0]
    accepted = []
    for size in range(len(content)):
        bare.write_bytes(content[:size])
        read = accepted_alone(bare, columns)
        if read is not None:
            assert content[size - 1 : size] == b"\n"
            np.testing.assert_array_equal(read, rows[: len(read)])
            accepted.append(len(read))
    assert accepted == list(range(1, ROWS))
    trials("T-20", len(content))


def test_file_cut_behind_a_row_is_refused_by_its_sidecar(whole, spec, trials) -> None:
    content = whole.read_bytes()
    ends = [i + 1 for i, byte in enumerate(content) if byte == ord("\n")][:-1]
    for size in ends:
        whole.write_bytes(content[:size])
        assert is_refused_with_sidecar(whole, spec)
    trials("T-20", len(ends))


@pytest.mark.parametrize("kind", ["random byte", "bit of a digit"])
def test_changed_byte_is_refused_by_the_sidecar_and_stays_in_its_row_without(
    whole, bare, spec, columns, count, trials, kind
) -> None:
    content, rows = whole.read_bytes(), read_csv_rows(bare, columns)[0]
    rng = np.random.default_rng(20)
    digits = np.flatnonzero([chr(byte).isdigit() for byte in content])
    number, silent = count(3000, 30_000), 0
    for _ in range(number):
        changed = bytearray(content)
        if kind == "random byte":
            at = int(rng.integers(len(content)))
            changed[at] = (changed[at] + rng.integers(1, 256)) % 256
        else:
            at = int(rng.choice(digits))
            changed[at] ^= 1 << int(rng.integers(8))
        bare.write_bytes(changed)
        read = accepted_alone(bare, columns)
        if read is None:
            continue
        silent += 1
        assert read.shape == rows.shape
        assert np.isfinite(read).all()
        wrong = np.flatnonzero((read != rows).any(axis=1))
        assert set(wrong.tolist()) <= {content.count(b"\n", 0, at)}, "only the row that was hit"
        whole.write_bytes(changed)
        assert is_refused_with_sidecar(whole, spec)
    print(f"{kind}: {silent} of {number} are numbers too; the sidecar refuses them")
    assert silent < number
    trials("T-20", number)


@settings(
    max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.one_of(
        st.binary(max_size=300),
        st.text("0123456789.,-+eE\n\rnaif\0 ", max_size=300).map(str.encode),
    )
)
def test_any_text_is_rows_or_a_named_error(bare, columns, text) -> None:
    bare.write_bytes(text)
    assert accepted_alone(bare, columns) is None, "nobody writes 66 columns by chance"


def test_any_text_was_tried(trials) -> None:
    trials("T-20", 1000)


@pytest.mark.parametrize("kind", ["csv", "ticks", "episodes"])
def test_sidecar_catches_a_change_of_each_of_its_files(
    whole, logged, spec, count, trials, kind
) -> None:
    path = getattr(SegmentPaths.beside(logged), kind)
    content, rng, number = path.read_bytes(), np.random.default_rng(1), count(100, 1000)
    digits = np.flatnonzero([chr(byte).isdigit() for byte in content])
    for _ in range(number):
        changed = bytearray(content)
        changed[int(rng.choice(digits))] ^= 1 << int(rng.integers(8))
        assert hashlib.sha256(changed).digest() != hashlib.sha256(content).digest()
        path.write_bytes(changed)
        assert is_refused_with_sidecar(logged, spec)
    path.write_bytes(content)
    assert not is_refused_with_sidecar(logged, spec)
    trials("T-20", number)
