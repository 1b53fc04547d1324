"""`calibration.json` beside a world model; of other weights it is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from rwmu_deploy.contract.errors import CheckpointError
from rwmu_deploy.contract.whole_file import write_whole
from rwmu_train.evaluation.world_model.calibration import Calibration
from rwmu_train.evaluation.world_model.rollout import FOLLOWED, Followed
from rwmu_train.world_model.checkpoint import WEIGHTS

CALIBRATION = "calibration.json"
SCHEMA = 1
_AGAIN = "Calibrate again: rwmu-eval world-model MODEL_DIR --data DIR --calibrate."


def require_no_calibration(folder: Path) -> None:
    """Refuse to write over a calibration.

    Raises:
        CheckpointError: The model has one.
    """
    if (folder / CALIBRATION).exists():
        raise CheckpointError(
            f"there is a {folder / CALIBRATION} already; it is not written over",
            fix="Move it away, or leave out --calibrate.",
        )


def save_calibration(
    folder: Path, calibrations: Mapping[Followed, Calibration], data_sha256: Sequence[str]
) -> Path:
    """Write the calibration of the model in `folder`.

    Args:
        folder: Of the world model.
        calibrations: For each way of feeding back.
        data_sha256: Hashes of the CSV files that it was fitted with.

    Raises:
        CheckpointError: There is one already, no model, or the disk refuses.
    """
    require_no_calibration(folder)
    document = {
        "schema": SCHEMA,
        "weights_sha256": _weights_sha256(folder),
        "data_sha256": list(data_sha256),
        "sigma": "exp(polynomial of log(step)) * sqrt(disagreement^2 + floor^2), normalised units",
        "followed": {
            followed: {
                "floor": calibration.floor.tolist(),
                "log_factor": calibration.log_factor.tolist(),
                "last_step": calibration.last_step,
            }
            for followed, calibration in calibrations.items()
        },
    }
    path = folder / CALIBRATION
    try:
        write_whole(path, json.dumps(document, indent=1, allow_nan=False).encode())
    except OSError as error:
        raise CheckpointError(
            f"{path} can't be written: {error.strerror}", fix="Copy the model to where you may."
        ) from error
    return path


def load_calibration(folder: Path) -> dict[Followed, Calibration]:
    """The calibration of the model in `folder`, for each way of feeding back.

    Raises:
        CheckpointError: There is none, it is not whole, or it belongs to other weights.
    """
    path = folder / CALIBRATION
    try:
        document = json.loads(path.read_bytes())
        _refuse_other(path, document, _weights_sha256(folder))
        return {
            cast(Followed, followed): _calibration(path, entry)
            for followed, entry in document["followed"].items()
            if followed in FOLLOWED
        }
    except FileNotFoundError:
        raise CheckpointError(f"there is no file {path}", fix=_AGAIN) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path} is not a calibration: {reason}", fix=_AGAIN) from None


def _refuse_other(path: Path, document: dict[str, Any], weights_sha256: str) -> None:
    for key, wanted in (("schema", SCHEMA), ("weights_sha256", weights_sha256)):
        if document[key] != wanted:
            raise CheckpointError(
                f"{path}: {key} is {document[key]}; the {WEIGHTS} beside it needs {wanted}",
                fix=f"Move {CALIBRATION} away. {_AGAIN}",
            )


def _calibration(path: Path, entry: dict[str, Any]) -> Calibration:
    floor = np.array(entry["floor"], dtype=np.float64)
    log_factor = np.array(entry["log_factor"], dtype=np.float64)
    last_step = int(entry["last_step"])
    shaped = floor.ndim == log_factor.ndim == 1 and floor.size > 0 and log_factor.size > 0
    finite = bool(np.isfinite(log_factor).all() and np.isfinite(floor).all())
    if not (shaped and finite and (floor > 0.0).all() and last_step >= 1):
        raise CheckpointError(
            f"{path} holds floors or factors that can't be used; allowed are finite numbers, "
            "floors above 0",
            fix=_AGAIN,
        )
    return Calibration(floor, log_factor, last_step)


def _weights_sha256(folder: Path) -> str:
    path = folder / WEIGHTS
    if not path.is_file():
        raise CheckpointError(
            f"there is no file {path}", fix="Give the folder of a trained world model."
        )
    return hashlib.sha256(path.read_bytes()).hexdigest()
