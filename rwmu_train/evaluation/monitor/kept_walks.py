"""Walks on disk, so that a judgement that was interrupted goes on where it was."""

from __future__ import annotations

import io
import zipfile
from dataclasses import fields
from pathlib import Path

import numpy as np

from rwmu_deploy.contract.whole_file import write_whole
from rwmu_train.evaluation.monitor.monitored_walk import MonitoredWalk

_STAMP = "stamp"
_ARRAYS = [field.name for field in fields(MonitoredWalk) if field.name != "control_dt_s"]


def keep_walk(path: Path, walk: MonitoredWalk, stamp: str) -> None:
    """Write a walk, whole or not at all.

    Args:
        path: A .npz file in a folder that exists.
        walk: What was seen.
        stamp: Everything that it depends on, in words.
    """
    content = io.BytesIO()
    np.savez_compressed(content, **{_STAMP: np.array(stamp)}, **vars(walk))
    write_whole(path, content.getvalue())


def kept_walk(path: Path, stamp: str) -> MonitoredWalk | None:
    """A walk that was kept under this stamp; None where there is none that can be read."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as found:
            if str(found[_STAMP]) != stamp:
                return None
            dt_s = float(found["control_dt_s"])
            arrays = {name: found[name] for name in _ARRAYS}
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
        return None
    return MonitoredWalk(dt_s, **arrays)
