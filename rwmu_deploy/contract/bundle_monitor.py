"""What a bundle says about its world model: calibration, origin, and steps that it must repeat.

T = golden steps, S = state size, A = action size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.bundle_files import is_sha256
from rwmu_deploy.contract.errors import BundleError, ConfigError
from rwmu_deploy.contract.monitor_calibration import MonitorCalibration
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.transition_columns import TransitionColumns

FloatArray = NDArray[np.float64]

GOLDEN_STEPS = 16
_FIX = "Export the bundle again with rwmu-export --onnx."


@dataclass(frozen=True, eq=False)
class GoldenSteps:
    """Steps along a logged walk, and what the trainer's world model made of them."""

    state: FloatArray
    """Physical units, shape (T, S)."""
    action: FloatArray
    """Shape (T, A)."""
    mean: FloatArray
    """Of the members' next states, normalised units, shape (T, S)."""
    disagreement: FloatArray
    """Of the members, normalised units, shape (T, S)."""


@dataclass(frozen=True, eq=False)
class MonitorFacts:
    """Everything about a bundle's monitor but the world model itself."""

    calibration: MonitorCalibration
    weights_sha256: str
    """Of the trained world model."""
    data_sha256: tuple[str, ...]
    """Of the files that it was calibrated on."""
    golden: GoldenSteps

    def to_dict(self) -> dict[str, Any]:
        """For the manifest."""
        return {
            "calibration": self.calibration.to_dict(),
            "weights_sha256": self.weights_sha256,
            "data_sha256": list(self.data_sha256),
            "golden": {name: values.tolist() for name, values in vars(self.golden).items()},
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any], spec: RobotSpec) -> MonitorFacts:
        """Read what `to_dict` wrote.

        Raises:
            BundleError: Keys, shapes or numbers that don't fit the robot.
        """
        keys = {"calibration", "weights_sha256", "data_sha256", "golden"}
        if set(document) != keys:
            raise _refused(f"has the keys {sorted(document)}", f"{sorted(keys)}")
        size = TransitionColumns.of(spec).state_size
        try:
            calibration = MonitorCalibration.from_dict(document["calibration"])
        except ConfigError as error:
            raise BundleError(error.problem, fix=_FIX) from None
        if calibration.state_size != size:
            raise _refused(f"has a calibration of {calibration.state_size} entries", str(size))
        hashes = (document["weights_sha256"], *document["data_sha256"])
        if not all(map(is_sha256, hashes)):
            raise _refused("has a hash that is none", "SHA-256")
        widths = {
            "state": size,
            "action": spec.joint_count,
            "mean": size,
            "disagreement": size,
        }
        if set(document["golden"]) != set(widths):
            raise _refused(f"has golden {sorted(document['golden'])}", f"{sorted(widths)}")
        golden = {name: np.array(document["golden"][name], dtype=np.float64) for name in widths}
        for name, width in widths.items():
            wanted = (GOLDEN_STEPS, width)
            if golden[name].shape != wanted or not np.isfinite(golden[name]).all():
                raise _refused(
                    f"has golden {name} of shape {golden[name].shape}", f"{wanted}, finite"
                )
        return cls(calibration, hashes[0], hashes[1:], GoldenSteps(**golden))


def _refused(problem: str, allowed: str) -> BundleError:
    return BundleError(f"manifest's monitor {problem[:300]}; allowed is {allowed}", fix=_FIX)
