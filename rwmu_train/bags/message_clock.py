"""Decide when each message happened: by its header stamp if that can be trusted, else by receipt.

A stamp says when a sensor measured, receipt when the recorder got to it. But stamps may be unset,
of simulated time, or of a clock that is off, and most commands have none. Stamps of a topic are
used where they agree with receipt: the smallest lag within a second, which no stall of the
recorder can lengthen, must lie in `PLAUSIBLE_LAG_S`.
M = messages, W = numbers a message.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rwmu_train.bags.message_series import Fault, MessageSeries

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
TimeSource = Literal["header stamp", "receive time"]

PLAUSIBLE_LAG_S = (-0.02, 0.1)
"""Receipt minus stamp: at most a control period early, at most the delay of a slow estimator."""
_WINDOW_S = 1.0
_FEWEST_PLAUSIBLE = 0.5
"""Share of a topic's stamps below which none of them is used."""


@dataclass(frozen=True, eq=False)
class TimedSeries:
    """Messages of one topic in the order in which they happened."""

    time_s: FloatArray
    """Since the origin, strictly ascending, shape (M,)."""
    values: FloatArray
    """Shape (M, W)."""
    fault: NDArray[np.int8]
    """A `Fault` a message, shape (M,)."""
    epoch: NDArray[np.int64]
    """Grows where the series is broken; nothing is interpolated across. Shape (M,)."""
    epoch_fault: NDArray[np.int8]
    """What each epoch began after, indexed by epoch."""
    time_source: TimeSource
    median_lag_s: float
    """Receipt minus stamp; NaN without stamps."""
    duplicates: int
    """Messages dropped because a later one has the same time."""
    out_of_order: int
    """Messages sorted in, less than the tolerance late."""
    implausible: int
    """Messages dropped because their stamps disagree with receipt."""
    jumped_back: int
    """Messages dropped because their stamps lie before what was stamped already."""


def order_in_time(series: MessageSeries, origin_ns: int, *, tolerance_s: float) -> TimedSeries:
    """Give every message its time; sort, and drop what can't be placed.

    Args:
        series: One message or more.
        origin_ns: Time 0 of the result.
        tolerance_s: A stamp may lie this much before the newest one and is sorted in; one further
            back is a jump of the clock, after which an epoch begins.
    """
    received_s = (series.received_ns - origin_ns) / 1e9
    stamp_s, plausible, lag_s = _stamps(series, origin_ns, received_s)
    if stamp_s is not None and np.mean(plausible) >= _FEWEST_PLAUSIBLE:
        source: TimeSource = "header stamp"
        time_s, keep = stamp_s, plausible
        behind = np.zeros(len(keep), dtype=bool)
        behind[keep] = _behind(time_s[keep], tolerance_s)
        keep = keep & ~behind
        broken = behind
    else:
        source = "receive time"
        time_s, keep = received_s, np.ones(len(received_s), dtype=bool)
        behind = np.zeros_like(keep)
        broken = behind if stamp_s is None else _steps_back(stamp_s, tolerance_s)
    epoch = np.cumsum(np.diff(broken.astype(np.int64), prepend=0) > 0)
    order = np.argsort(time_s[keep], kind="stable")
    chosen = np.flatnonzero(keep)[order]
    last_of_time = np.append(np.diff(time_s[chosen]) > 0.0, True)
    index = chosen[last_of_time]
    epochs = int(epoch[-1]) + 1
    return TimedSeries(
        time_s=time_s[index],
        values=series.values[index],
        fault=series.fault[index],
        epoch=np.maximum.accumulate(epoch[index]),
        epoch_fault=np.full(epochs, Fault.CLOCK_JUMPED_BACK, dtype=np.int8),
        time_source=source,
        median_lag_s=lag_s,
        duplicates=int(np.sum(~last_of_time)),
        out_of_order=int(np.sum(np.diff(time_s[keep]) < 0.0)),
        implausible=int(np.sum(~keep & ~behind)),
        jumped_back=int(np.sum(behind)),
    )


def without_faults(series: TimedSeries) -> TimedSeries:
    """Drop messages with a fault; an epoch begins after each run of them."""
    bad = series.fault != Fault.NONE
    after_bad = np.append(False, bad[:-1]) & ~bad
    began = after_bad | (np.diff(series.epoch, prepend=0) > 0)
    cause = np.where(after_bad, np.append(0, series.fault[:-1]), series.epoch_fault[series.epoch])
    return replace(
        series,
        time_s=series.time_s[~bad],
        values=series.values[~bad],
        fault=series.fault[~bad],
        epoch=np.cumsum(began)[~bad],
        epoch_fault=np.append(Fault.NONE, cause[began]).astype(np.int8),
    )


def on_clock_of(
    reference: TimedSeries, series: Mapping[str, TimedSeries]
) -> tuple[dict[str, TimedSeries], float]:
    """Bring times of receipt onto the clock of a stamped reference.

    The recorder got the reference's messages a lag after their stamps, by transport or because
    clocks differ. Messages without a usable stamp are taken to be as late, so they move back by
    it. Without that, a target would seem to begin later than it did, and states that it produced
    would be booked on the target before it.

    Returns:
        The series, and the lag [s] by which some were moved; 0 if the reference has no stamps.
    """
    if reference.time_source != "header stamp":
        return dict(series), 0.0
    lag_s = reference.median_lag_s
    return {
        name: replace(one, time_s=one.time_s - lag_s) if one.time_source == "receive time" else one
        for name, one in series.items()
    }, lag_s


def _stamps(
    series: MessageSeries, origin_ns: int, received_s: FloatArray
) -> tuple[FloatArray | None, BoolArray, float]:
    """Stamps, which of them are plausible, and their median lag."""
    if series.stamp_ns is None or not series.stamp_ns.any():
        return None, np.zeros(len(received_s), dtype=bool), math.nan
    is_set = series.stamp_ns != 0
    stamp_s = (series.stamp_ns - origin_ns) / 1e9
    lag_s = np.where(is_set, received_s - stamp_s, np.inf)
    window = np.unique(np.floor(received_s / _WINDOW_S), return_inverse=True)[1]
    smallest = np.full(int(window.max()) + 1, np.inf)
    np.minimum.at(smallest, window, lag_s)
    lowest, highest = PLAUSIBLE_LAG_S
    plausible = is_set & (smallest >= lowest)[window] & (smallest <= highest)[window]
    return stamp_s, plausible, float(np.median(lag_s[is_set]))


def _behind(time_s: FloatArray, tolerance_s: float) -> BoolArray:
    """Messages after a jump back, until the clock has caught up with what it said before."""
    newest_s = np.append(-np.inf, np.maximum.accumulate(time_s)[:-1])
    is_old = time_s <= newest_s
    run = np.cumsum(~is_old)
    jumped = np.unique(run[time_s < newest_s - tolerance_s])
    return is_old & np.isin(run, jumped)


def _steps_back(time_s: FloatArray, tolerance_s: float) -> BoolArray:
    return np.diff(time_s, prepend=time_s[:1]) < -tolerance_s
