"""Read a table of numbers whose rows and columns have names, as std_msgs/Float64MultiArray.

`layout.dim[0].label` holds the row names and `layout.dim[1].label` the column names, both joined
by commas; `data` holds the rows one after the other. Sender and receiver look up names, so neither
can mistake a joint, or a gain for a position.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import RobotLinkError

FloatArray = NDArray[np.float64]

COMMAND_COLUMNS = ("position_rad", "kp_nm_per_rad", "kd_nms_per_rad")
"""Columns of the joint command: torque = kp * (position - q) - kd * dq."""
CONTACT_COLUMNS = ("contact",)
_REMEDY = "Publish the layout that docs/ros2.md describes."


@dataclass(frozen=True)
class LabelledTable:
    """A table as it arrived."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: FloatArray
    """Shape (rows, columns)."""


def table_of_message(message: Any, *, source: str) -> LabelledTable:
    """Read a table.

    Args:
        message: A Float64MultiArray of whatever ROS library.
        source: What it arrived on, for the error ("topic joint_command").

    Raises:
        RobotLinkError: Not two labelled dimensions, a name missing or doubled, or sizes, strides
            or offset that contradict the data.
    """
    dims: Any = message.layout.dim
    if len(dims) != 2:
        raise RobotLinkError(f"{source} has {len(dims)} dimensions, not 2", fix=_REMEDY)
    rows, columns = (tuple(dim.label.split(",")) for dim in dims)
    for names, dim in ((rows, dims[0]), (columns, dims[1])):
        if len(names) != dim.size or "" in names or len(set(names)) != len(names):
            raise RobotLinkError(
                f"{source} labels a dimension of size {dim.size} '{dim.label}'", fix=_REMEDY
            )
    count = len(rows) * len(columns)
    strides = (dims[0].stride, dims[1].stride)
    if (
        len(message.data) != count
        or strides != (count, len(columns))
        or message.layout.data_offset
    ):
        raise RobotLinkError(
            f"{source} has {len(message.data)} values, strides {strides} and offset "
            f"{message.layout.data_offset} for {len(rows)} rows and {len(columns)} columns",
            fix=_REMEDY,
        )
    values = np.array(message.data, dtype=np.float64).reshape(len(rows), len(columns))
    return LabelledTable(rows, columns, values)


def contact_of_table(table: LabelledTable, contact_names: Sequence[str]) -> FloatArray:
    """Contacts in the order of `contact_names`, 0 or 1; those not in the table are 0.

    Raises:
        RobotLinkError: Other columns than `contact`, no name in common, or a value other than 0
            and 1.
    """
    if table.columns != CONTACT_COLUMNS:
        raise RobotLinkError(
            f"contacts have columns {table.columns}, not {CONTACT_COLUMNS}",
            fix="Publish the layout that docs/ros2.md describes.",
        )
    value_of = dict(zip(table.rows, table.values[:, 0].tolist(), strict=True))
    if not set(value_of) & set(contact_names):
        raise RobotLinkError(
            f"contacts name {', '.join(table.rows)} and none of {', '.join(contact_names)}",
            fix="Name the bodies as contact_names in robot.yaml does.",
        )
    contact = np.array([value_of.get(name, 0.0) for name in contact_names])
    if not np.isin(contact, (0.0, 1.0)).all():
        raise RobotLinkError(
            f"contacts are {contact.tolist()}; allowed are 0 and 1",
            fix="Compare forces with a threshold before publishing.",
        )
    return contact
