"""Fill a std_msgs/Float64MultiArray with a table whose rows and columns have names."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from std_msgs.msg import Float64MultiArray, MultiArrayDimension, MultiArrayLayout

from rwmu_deploy.contract.errors import RobotLinkError

FloatArray = NDArray[np.float64]


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
