"""Find rows that stand in the data more than once.

What is counted twice weighs double, and what is trained on and validated on is no test.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.findings import Findings, listed

TOLERATED_SHARE = 0.01
_CHUNK_ROWS = 1 << 16


def check_duplicates(dataset: TransitionDataset) -> Findings:
    """No file stands there twice, and hardly a row does."""
    first_of: dict[str, str] = {}
    same = [
        f"{file.path} is {first_of[file.sha256]}"
        for file in dataset.files
        if first_of.setdefault(file.sha256, str(file.path)) != str(file.path)
    ]
    if same:
        return Findings((f"files stand there twice: {listed(same)}; leave one of them out",))
    repeated = dataset.row_count - len(np.unique(row_hashes(dataset)))
    if repeated == 0:
        return Findings()
    share = repeated / dataset.row_count
    said = f"{repeated} rows ({share:.2%}) are copies of other rows"
    if share > TOLERATED_SHARE:
        return Findings((f"{said}; leave the copies out",))
    return Findings(notes=(said,))


def row_hashes(dataset: TransitionDataset) -> NDArray[np.uint64]:
    """A number for every row by which equal rows are equal; shape (N,)."""
    odd = np.random.default_rng(0).integers(0, 1 << 63, dataset.columns.count, dtype=np.uint64)
    odd = odd * np.uint64(2) + np.uint64(1)
    hashes = np.empty(len(dataset.rows), dtype=np.uint64)
    for start in range(0, len(hashes), _CHUNK_ROWS):
        bits = dataset.rows[start : start + _CHUNK_ROWS].view(np.uint32).astype(np.uint64)
        # Bits are spread before they are added up, or neighbouring values would cancel.
        bits = (bits + np.uint64(1)) * odd
        hashes[start : start + _CHUNK_ROWS] = (bits ^ (bits >> np.uint64(29))).sum(axis=1)
    return hashes
