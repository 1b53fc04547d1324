"""A small world model on board of a real bundle, calibrated on drawn rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from rwmu_deploy.collection.transition_segment import EpisodeSpan, SegmentOrigin, write_segment
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_train.export import monitor_fit
from rwmu_train.export.bundle_export import export_bundle
from rwmu_train.export.monitor_export import MonitorSource
from rwmu_train.transitions.normaliser import StateNormaliser
from rwmu_train.world_model.checkpoint import WorldModelFacts, save_world_model
from rwmu_train.world_model.ensemble import Architecture, WorldModel

HISTORY_ROWS = 8
ROWS = 900


def export_with_monitor(run: Path, out: Path, spec: RobotSpec) -> Path:
    """Export the run's policy to `out`, with a monitor that finds standing about ordinary."""
    columns = TransitionColumns.of(spec)
    torch.manual_seed(3)
    sizes = Architecture(45, 12, 8, members=2, hidden=6, head_hidden=6, log_std="none")
    normaliser = StateNormaliser(np.zeros(45, np.float32), np.ones(45, np.float32), "fitted")
    facts = WorldModelFacts(spec, sizes, normaliser, HISTORY_ROWS, {}, ("0" * 64,), 1)
    model = save_world_model(out.parent / "world_model", WorldModel(sizes), facts)
    rows = np.random.default_rng(4).normal(0.0, 0.2, (ROWS, columns.count))
    rows[:, columns.projected_gravity.slice] += (0.0, 0.0, -1.0)
    for block in (columns.contact, columns.termination):
        rows[:, block.slice] = 0.0
    origin = SegmentOrigin("sim", "none: drawn", "none: drawn", "none: drawn")
    half = ROWS // 2
    spans = [EpisodeSpan(s, s + half - 1, "truncated", (0.5, 0.0, 0.0)) for s in (0, half)]
    write_segment(out.parent / "walk", spec, rows, spans, origin)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(monitor_fit, "QUANTILE", 0.99)
        patch.setattr(monitor_fit, "LOST_DRIFT", 2.0)
        return export_bundle(run, out, monitor=MonitorSource(model, [out.parent / "walk"]))
