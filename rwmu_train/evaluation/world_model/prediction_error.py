"""L1 error of forecasts against the horizon, in normalised units.

Absolute: L1 norm of the error (sum over state entries), mean over windows.
Relative: that, over the mean L1 norm of the target at the same step. RWM (arXiv:2501.10100)
reports a relative error without its exact formula; this one is ours. A forecast of 0, the data's
mean under a fitted normaliser, has 1.
H steps, W windows, S state size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.transition_columns import ColumnBlock

FloatArray = NDArray[np.floating]
TOTAL = "total"


@dataclass(frozen=True)
class ErrorCurve:
    """Error at each step, shape (H,)."""

    absolute: FloatArray
    relative: FloatArray
    """NaN where the target is 0 in all windows."""


def l1_error(prediction: FloatArray, target: FloatArray) -> FloatArray:
    """Sum over state entries, shape (H, W)."""
    return np.abs(prediction - target).sum(axis=-1)


def error_curves(
    prediction: FloatArray, target: FloatArray, blocks: Sequence[ColumnBlock]
) -> dict[str, ErrorCurve]:
    """Curves of the whole state (`total`) and of each state block, by name.

    Args:
        prediction: Shape (H, W, S).
        target: Shape (H, W, S).
        blocks: State blocks.
    """
    parts = {TOTAL: slice(None)} | {block.name: block.slice for block in blocks}
    return {name: _curve(prediction[..., p], target[..., p]) for name, p in parts.items()}


def _curve(prediction: FloatArray, target: FloatArray) -> ErrorCurve:
    absolute = l1_error(prediction, target).mean(axis=1, dtype=np.float64)
    size = np.abs(target).sum(axis=-1).mean(axis=1, dtype=np.float64)
    relative = np.divide(absolute, size, out=np.full_like(absolute, np.nan), where=size > 0.0)
    return ErrorCurve(absolute, relative)
