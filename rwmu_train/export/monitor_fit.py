"""From held-out transitions to the numbers by which a robot knows that it has left the data.

The world model that travels with the bundle follows every episode, as it will on the robot, and
the robot's own statistics are computed twice over: once to learn what is ordinary, once more to
learn where they go in ordinary walking. N = rows used, S = state size.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.bundle_world_model import WorldModelSession
from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.forecast_statistics import (
    DRIFT_TIME_S,
    ForecastStatistics,
    Smoothed,
    clipped,
    smoothing_gain,
    standardised_error,
)
from rwmu_deploy.contract.monitor_calibration import MonitorCalibration, Threshold
from rwmu_deploy.contract.one_step_forecast import OneStepForecast
from rwmu_train.evaluation.world_model.judged_episodes import choose_episodes
from rwmu_train.transitions.dataset import FileRecord, TransitionDataset
from rwmu_train.world_model.checkpoint import WorldModelFacts

FloatArray = NDArray[np.float64]

QUANTILE = 0.9999
"""A caution every 200 s of ordinary walking, if its ticks were independent; they come in clusters,
and measured it is less than that."""
LOST_UNCERTAINTY, LOST_DRIFT = 1.3, 10.0
"""Lost begins at so many times the threshold of caution. Found with the disturbances that
`rwmu-eval monitor` makes: a robot that still walks with 3 kg more is not lost."""
BEFORE_A_FALL_S = 1.0
"""A robot that is falling is not ordinary."""
_MEDIAN_OF_NORMAL = 0.6745
_SMALLEST_FLOOR = 1.0e-4
_SMALLEST_VARIANCE = 1.0e-3
"""Share of the mean variance that is added to every entry's: 45 entries need no exact inverse."""


@dataclass(frozen=True)
class FollowedEpisode:
    """What the model said along one episode, from the first row that it is believed at."""

    forecasts: list[OneStepForecast]
    """One a row; the state of the next one is what came true."""


def held_out_part(dataset: TransitionDataset, facts: WorldModelFacts) -> TransitionDataset:
    """The episodes of a data set that the model has not seen.

    Raises:
        ConfigError: They can't be told.
    """
    if set(dataset.file_sha256) & set(facts.data_sha256):
        return choose_episodes(dataset, facts, "held-out", seed=0).judged
    return dataset


def fit_monitor(
    session: WorldModelSession,
    dataset: TransitionDataset,
    *,
    history_rows: int,
    on_rows: Callable[[int], None] = lambda rows: None,
) -> MonitorCalibration:
    """Learn what is ordinary from transitions that the model was not trained on.

    Args:
        session: The exported world model.
        dataset: The transitions.
        history_rows: Rows that the model must have followed before it is believed.
        on_rows: Told how many rows more were followed.

    Raises:
        ConfigError: Too few rows for the quantile, or rows that never change.
    """
    dt_s = dataset.spec.control_dt_s
    episodes = list(_follow(session, dataset, history_rows, on_rows))
    rows = sum(len(episode.forecasts) - 1 for episode in episodes)
    least = math.ceil(1.0 / (1.0 - QUANTILE))
    if not rows >= least:
        raise ConfigError(
            f"{rows} rows can be followed for the monitor; the quantile {QUANTILE} needs {least}",
            fix=f"Record {least * dt_s / 60:.0f} minutes of walking or more.",
        )
    floor = np.maximum(
        np.median(np.abs(_errors(episodes)), axis=0) / _MEDIAN_OF_NORMAL, _SMALLEST_FLOOR
    )
    errors = [
        np.stack([standardised_error(after.state, before, floor) for before, after in episode])
        for episode in map(_pairs, episodes)
    ]
    jump_limit = np.quantile(np.abs(np.concatenate(errors)), QUANTILE, axis=0)
    drift_mean, drift_precision = _ordinary_drift(errors, dt_s)
    unknown = Threshold(1.0, 1.0)
    ordinary = MonitorCalibration(
        rows=rows,
        quantile=QUANTILE,
        recorded_by=", ".join(sorted({_recorder(file) for file in dataset.files}))[:500],
        history_rows=history_rows,
        error_floor=floor,
        jump_limit=np.maximum(jump_limit, _SMALLEST_FLOOR),
        drift_mean=drift_mean,
        drift_precision=drift_precision,
        uncertainty=unknown,
        jump=unknown,
        drift=unknown,
    )
    uncertainty, jump, drift = np.quantile(_statistics(episodes, ordinary, dt_s), QUANTILE, axis=0)
    return replace(
        ordinary,
        uncertainty=Threshold(float(uncertainty), LOST_UNCERTAINTY * float(uncertainty)),
        jump=Threshold(float(jump), math.inf),
        drift=Threshold(float(drift), LOST_DRIFT * float(drift)),
    )


def _follow(
    session: WorldModelSession,
    dataset: TransitionDataset,
    history_rows: int,
    on_rows: Callable[[int], None],
) -> Iterator[FollowedEpisode]:
    before_a_fall = round(BEFORE_A_FALL_S / dataset.spec.control_dt_s)
    for start, end, kind in zip(
        dataset.episode_start, dataset.episode_end, dataset.episode_end_kind, strict=True
    ):
        last = int(end) - (before_a_fall if kind == "terminated" else 0)
        memory, forecasts = session.empty_memory(), list[OneStepForecast]()
        # A row holds the action that produced its state: the one that follows is in the next.
        for row in range(int(start), last - 1):
            forecast, memory = session.step(dataset.states[row], dataset.actions[row + 1], memory)
            if row - start >= history_rows:
                forecasts.append(forecast)
        on_rows(int(end - start))
        if len(forecasts) >= 2:
            yield FollowedEpisode(forecasts)


def _pairs(episode: FollowedEpisode) -> list[tuple[OneStepForecast, OneStepForecast]]:
    return list(zip(episode.forecasts[:-1], episode.forecasts[1:], strict=True))


def _errors(episodes: list[FollowedEpisode]) -> FloatArray:
    return np.stack(
        [after.state - before.mean for each in episodes for before, after in _pairs(each)]
    )


def _ordinary_drift(errors: list[FloatArray], dt_s: float) -> tuple[FloatArray, FloatArray]:
    """Mean and inverse covariance of smoothed errors."""
    start = clipped(np.concatenate(errors)).mean(axis=0)
    settled: list[FloatArray] = []
    skipped = round(3.0 * DRIFT_TIME_S / dt_s)
    for episode in errors:
        smooth = Smoothed(smoothing_gain(DRIFT_TIME_S, dt_s), start)
        settled += [smooth.add(error) for error in clipped(episode)][skipped:]
    if len(settled) <= start.size:
        raise ConfigError(
            f"no episode of the monitor's data is much longer than {3.0 * DRIFT_TIME_S:g} s",
            fix="Record longer episodes, 20 s or more.",
        )
    rows = np.stack(settled)
    covariance = np.atleast_2d(np.cov(rows.T))
    covariance += _SMALLEST_VARIANCE * covariance.trace() / start.size * np.eye(start.size)
    if not covariance.trace() > 0.0:
        raise ConfigError("the monitor's data never change", fix="Record a robot that walks.")
    precision = np.linalg.inv(covariance)
    return rows.mean(axis=0), (precision + precision.T) / 2.0


def _statistics(
    episodes: list[FollowedEpisode], ordinary: MonitorCalibration, dt_s: float
) -> FloatArray:
    """Uncertainty, jump and drift of every row, shape (N, 3)."""
    table: list[tuple[float, float, float]] = []
    for episode in episodes:
        statistics = ForecastStatistics(ordinary, dt_s)
        statistics.uncertainty(episode.forecasts[0])
        for before, after in _pairs(episode):
            jump, drift = statistics.surprise(after.state, before)
            table.append((statistics.uncertainty(after), jump, drift))
    return np.array(table)


def _recorder(file: FileRecord) -> str:
    """Which robot wrote a file: "real", "sim field"."""
    origin = json.loads(file.origin) if file.origin else {}
    variant = origin.get("variant") or {}
    return " ".join([file.source, *([variant["name"]] if "name" in variant else [])])
