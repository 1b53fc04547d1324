"""The table of columns says where the values of each lie."""

from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from rwmu_train.transitions.verdict_table import channel_rows, channel_table


@pytest.fixture
def counted(small_dataset):
    """Column 0 counts from 0 to 100 over 101 rows."""
    rows = small_dataset.rows[:101].copy()
    rows[:, 0] = np.arange(101)
    return replace(small_dataset, rows=rows)


def test_quantiles_of_a_counting_column(counted) -> None:
    row = channel_rows(counted)[0]
    assert row.pop("column") == "base_linear_velocity_mps[x]"
    assert row.pop("unit") == "m/s"
    assert row.pop("std") == pytest.approx(np.sqrt((101**2 - 1) / 12))
    assert row == {"mean": 50.0, "min": 0.0, "q01": 1.0, "median": 50.0, "q99": 99.0, "max": 100.0}


def test_no_column_is_left_out_of_the_table(counted) -> None:
    console = Console(width=80)
    with console.capture() as captured:
        console.print(channel_table(counted))
    text = captured.get()
    assert "joint_velocity_radps [rad/s]" in text
    assert text.count("LF_HAA") == 4
    assert max(map(len, text.splitlines())) <= 80
    assert len(channel_rows(counted)) == counted.columns.count
