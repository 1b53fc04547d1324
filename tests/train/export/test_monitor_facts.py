from __future__ import annotations

import types
from pathlib import Path

import numpy as np

from rwmu_deploy.contract.monitor_calibration import MonitorCalibration, Threshold
from rwmu_deploy.contract.policy_bundle import PolicyBundle
from rwmu_train.export.monitor_facts import monitor_facts


def test_a_bundle_without_a_world_model_says_so(bundle_folder: Path):
    facts = monitor_facts(PolicyBundle.load(bundle_folder))
    assert facts == {"world model": "none: the robot can't tell when it leaves its data"}


def test_thresholds_and_their_origin_are_in_words():
    bundle = types.SimpleNamespace(
        world_model=types.SimpleNamespace(
            members=5, facts=types.SimpleNamespace(parameter_count=1_500_000)
        ),
        monitor_calibration=MonitorCalibration(
            rows=113_429,
            quantile=0.9999,
            recorded_by="sim nominal",
            history_rows=32,
            error_floor=np.ones(2),
            jump_limit=np.ones(2),
            drift_mean=np.zeros(2),
            drift_precision=np.eye(2),
            uncertainty=Threshold(9.897, 12.87),
            jump=Threshold(1.9, np.inf),
            drift=Threshold(12.64, 126.4),
        ),
        manifest={"monitor": {"weights_sha256": "ab" * 32, "data_sha256": ["cd" * 32] * 2}},
    )
    facts = monitor_facts(bundle)
    assert facts["world model"].startswith("5 members, 1,500,000 numbers, follows 32 rows")
    assert facts["calibrated on"] == "113,429 rows of sim nominal, 2 files"
    assert facts["drift"] == "caution above 12.64, lost above 126.4"
    assert facts["jump"] == "caution above 1.9, lost never"
