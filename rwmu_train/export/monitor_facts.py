"""What a person asks about the world model on board, in a few lines."""

from __future__ import annotations

import math

from rwmu_deploy.contract.monitor_calibration import Threshold
from rwmu_deploy.contract.policy_bundle import PolicyBundle


def monitor_facts(bundle: PolicyBundle) -> dict[str, str]:
    """Name to words; says "none" where the bundle has no world model on board."""
    model, ordinary = bundle.world_model, bundle.monitor_calibration
    if model is None or ordinary is None:
        return {"world model": "none: the robot can't tell when it leaves its data"}
    stated = bundle.manifest["monitor"]
    return {
        "world model": f"{model.members} members, {model.facts.parameter_count:,} numbers, "
        f"follows {ordinary.history_rows} rows before it is believed",
        "weights": f"SHA-256 {stated['weights_sha256']}",
        "calibrated on": f"{ordinary.rows:,} rows of {ordinary.recorded_by}, "
        f"{len(stated['data_sha256'])} files",
        "quantile": f"{ordinary.quantile}",
        "uncertainty": _threshold(ordinary.uncertainty),
        "jump": _threshold(ordinary.jump),
        "drift": _threshold(ordinary.drift),
    }


def _threshold(threshold: Threshold) -> str:
    lost = "never" if math.isinf(threshold.lost) else f"above {threshold.lost:.4g}"
    return f"caution above {threshold.caution:.4g}, lost {lost}"
