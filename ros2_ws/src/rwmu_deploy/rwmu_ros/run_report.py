"""What the policy node says about itself: state, diagnostics, and the summary of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.time import Time

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.whole_file import write_whole

_LEVEL_OF_STATE = {
    "RUN": DiagnosticStatus.OK,
    "HOLD": DiagnosticStatus.WARN,
    "DAMP": DiagnosticStatus.ERROR,
    "STOPPED": DiagnosticStatus.ERROR,
}


def diagnostics_message(
    stamp: Time, node_name: str, robot: str, state: Mapping[str, Any], numbers: Mapping[str, Any]
) -> DiagnosticArray:
    """One status: the safety state with its reasons, and every number as a key.

    Args:
        stamp: ROS time.
        node_name: Fully qualified name of the node.
        robot: Name of the robot.
        state: What the state topic says.
        numbers: Nested mapping of numbers; names are joined by dots.
    """
    status = DiagnosticStatus(name=f"{node_name}: control loop", hardware_id=robot)
    if not state["active"]:
        status.level, status.message = DiagnosticStatus.OK, "inactive"
    else:
        status.level = _LEVEL_OF_STATE[state["state"]]
        said = "; ".join(state["reasons"]) or state["phase"]
        status.message = f"{state['state']}: {said}"
    status.values = [
        KeyValue(key=key, value=value) for key, value in _flat({**state, **numbers}).items()
    ]
    return DiagnosticArray(header=_header(stamp), status=[status])


def write_summary(path: Path, summary: Mapping[str, Any]) -> None:
    """Write a run's numbers as JSON; the file appears whole or not at all.

    Raises:
        ConfigError: The file can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, (json.dumps(summary, indent=2, default=str) + "\n").encode())
    except OSError as error:
        raise ConfigError(
            f"summary_file {path} can't be written: {error}", fix="Name a writable place."
        ) from error


def _header(stamp: Time) -> Any:
    header = DiagnosticArray().header
    header.stamp = stamp.to_msg()
    return header


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = str(value)
    return flat
