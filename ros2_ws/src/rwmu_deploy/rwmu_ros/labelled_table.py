"""A table of numbers whose rows and columns have names, as std_msgs/Float64MultiArray.

`layout.dim[0].label` holds the row names and `layout.dim[1].label` the column names, both joined
by commas; `data` holds the rows one after the other. Sender and receiver look up names, so neither
can mistake a joint, or a gain for a position.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from std_msgs.msg import Float64MultiArray, MultiArrayDimension, MultiArrayLayout

from rwmu_deploy.contract.errors import RobotLinkError

FloatArray = NDArray[np.float64]
_REMEDY = "Publish the layout that docs/ros2.md describes."


@dataclass(frozen=True)
class LabelledTable:
    """A table as it arrived."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: FloatArray
    """Shape (rows, columns)."""


def table_message(
    rows: Sequence[str], columns: Sequence[str], values: FloatArray
) -> Float64MultiArray:
    """The message of a table, `values` of shape (rows, columns)."""
    height, width = len(rows), len(columns)
    if values.shape != (height, width):
        raise RobotLinkError(
            f"a table of {height} rows and {width} columns got values of shape {values.shape}",
            fix="Give one value for every row and column.",
        )
    layout = MultiArrayLayout(
        dim=[
            MultiArrayDimension(label=",".join(rows), size=height, stride=height * width),
            MultiArrayDimension(label=",".join(columns), size=width, stride=width),
        ],
        data_offset=0,
    )
    # rclpy checks a list element by element, but not an array of the right type.
    return Float64MultiArray(layout=layout, data=array("d", values.astype(np.float64).tobytes()))


def table_of_message(message: Float64MultiArray, *, source: str) -> LabelledTable:
    """Read a table.

    Args:
        message: What arrived.
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
