"""Walks whose figures can be counted by hand: a step is 0.1 s."""

from __future__ import annotations

import numpy as np

from rwmu_train.evaluation.monitor.monitored_walk import MonitoredWalk

DT_S = 0.1


def walked(steps: int, robots: int = 1, falls: tuple[int, ...] = ()) -> MonitoredWalk:
    """Nobody notices anything; robot i falls at the end of step falls[i], where that is given."""
    fall_step = np.array([*falls, *[-1] * (robots - len(falls))])
    over = (np.arange(steps)[:, None] > fall_step) & (fall_step >= 0)
    statistics = np.full((steps, robots, 3), 0.5, dtype=np.float32)
    distance = np.full((steps, robots, 1), 2.0, dtype=np.float32)
    statistics[over] = distance[over] = np.nan
    return MonitoredWalk(
        control_dt_s=DT_S,
        statistics=statistics,
        level=np.where(over, -1, 0).astype(np.int8),
        command_factor=np.ones((steps, robots), dtype=np.float32),
        distance=distance,
        fall_step=fall_step,
    )
