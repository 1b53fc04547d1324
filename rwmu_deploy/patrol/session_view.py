"""How a session is doing, as lines of text: for a terminal beside the robot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_SHADES = " .:-=+*#%@"
_BAR = 30


def view_lines(progress: Mapping[str, Any]) -> list[str]:
    """Rows, coverage, doubt, what the robot does and why, from `CollectSession.progress`."""
    walked_s, longest_s = float(progress["walked_s"]), float(progress["longest_s"])
    share = min(1.0, walked_s / longest_s)
    done = round(share * _BAR)
    lines = [
        f"[{'#' * done}{'.' * (_BAR - done)}] walked {_clock(walked_s)} of {_clock(longest_s)}, "
        f"{progress['way_m']:.0f} m, start {progress['starts']}",
        f"rows {progress['rows']:,}, dropped {progress['dropped']:,}",
    ]
    if "mode" in progress:
        lines += _now_lines(progress)
    lines.append(f"coverage {progress['coverage']:.2f} (1 is even); time per command:")
    lines += coverage_lines(progress["followed_s"])
    events = progress["events"]
    said = ", ".join(f"{name} {count}" for name, count in sorted(events.items()))
    lines.append(f"so far: {said or 'nothing'}")
    return lines


def one_line(progress: Mapping[str, Any]) -> str:
    """The same in one line, where there is no terminal."""
    mode = progress.get("mode", "not begun")
    reason = f" ({progress['reason']})" if progress.get("reason") else ""
    return (
        f"walked {_clock(float(progress['walked_s']))} of "
        f"{_clock(float(progress['longest_s']))}, rows {progress['rows']:,}, "
        f"coverage {progress['coverage']:.2f}, {mode}{reason}"
    )


def coverage_lines(followed_s: Sequence[Any]) -> list[str]:
    """A field for every wz: rows are vx from high to low, columns vy; darker is longer."""
    seconds = np.asarray(followed_s, dtype=np.float64)
    most_s = float(seconds.max(initial=0.0))
    level = np.zeros(seconds.shape, dtype=int)
    if most_s > 0.0:
        level = np.ceil(seconds / most_s * (len(_SHADES) - 1)).astype(int)
    lines = []
    for vx in reversed(range(seconds.shape[0])):
        fields = [
            "".join(_SHADES[level[vx, vy, wz]] * 2 for vy in range(seconds.shape[1]))
            for wz in range(seconds.shape[2])
        ]
        lines.append("  " + " | ".join(fields))
    return lines


def _now_lines(progress: Mapping[str, Any]) -> list[str]:
    vx, vy, wz = progress["command"]
    reason = f": {progress['reason']}" if progress["reason"] else ""
    x, y, yaw = progress["pose"]
    where = "place not known" if x is None else f"at {x:.2f} m, {y:.2f} m, {yaw:.2f} rad"
    doubt, battery = progress["doubt"], progress["battery"]
    return [
        f"{progress['mode']}{reason}",
        f"command {vx:.2f} m/s, {vy:.2f} m/s, {wz:.2f} rad/s; {where}",
        f"robot {progress['state']}"
        + (f" because of {'; '.join(progress['reasons'])}" if progress["reasons"] else "")
        + f"; doubt {'unknown' if doubt is None else f'{doubt:.2f} of caution'}"
        + ("" if battery is None else f"; battery {100 * battery:.0f} %"),
    ]


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min"
