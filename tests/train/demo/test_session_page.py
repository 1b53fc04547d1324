"""The page says that the robot is upright only where it really stands."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rwmu_deploy.contract.errors import RobotLinkError
from rwmu_train.demo.session_page import read_walk


def truth(**columns: object) -> pd.DataFrame:
    """Five rows 20 ms apart: one before the first command, three driven, one damped."""
    rows = {
        "time_s": [0.0, 0.02, 0.04, 0.06, 0.08],
        "base_x_m": [0.0, 0.0, 0.3, 0.6, 0.6],
        "base_y_m": [0.0, 0.0, 0.4, 0.8, 0.8],
        "base_height_m": [0.55, 0.55, 0.54, 0.53, 0.2],
        "upright": [1.0, 1.0, 1.0, 1.0, 0.2],
        "fell": [False, False, False, False, True],
        "vx_mps": [0.0, 0.5, 0.5, 0.5, 0.0],
        "vy_mps": [0.0] * 5,
        "wz_radps": [0.0] * 5,
        "command_vx_mps": [0.0, 0.5, 0.5, 1.0, 0.0],
        "command_vy_mps": [0.0] * 5,
        "command_wz_radps": [0.0] * 5,
        "commands_received": [0, 1, 2, 3, 4],
        "damping": [0, 0, 0, 0, 1],
    }
    return pd.DataFrame({**rows, **columns})


@pytest.fixture
def judged(tmp_path: Path):
    def judge(frame: pd.DataFrame):
        file = tmp_path / "truth.csv"
        frame.to_csv(file, index=False)
        return read_walk(file)[0]

    return judge


def test_only_rows_between_the_first_command_and_damping_count(judged) -> None:
    walk = judged(truth())
    assert walk.upright_at_end
    assert walk.distance_m == pytest.approx(1.0)
    assert walk.linear_tracking == pytest.approx((2.0 + np.exp(-0.25 / 0.25)) / 3.0)
    assert (walk.standing_height_m, walk.lowest_height_m, walk.height_at_end_m) == (
        0.55,
        0.53,
        0.53,
    )


@pytest.mark.parametrize(
    "columns",
    [
        {"base_height_m": [0.55, 0.55, 0.45, 0.38, 0.2]},
        {"base_height_m": [0.55, 0.55, 0.54, np.nan, 0.2]},
        {"upright": [1.0, 1.0, 1.0, 0.90, 0.2]},
        {"upright": [1.0, 1.0, 1.0, np.nan, 0.2]},
        {"fell": [False, False, True, False, True]},
    ],
    ids=["sunk", "height NaN", "tilted 26 degrees", "tilt NaN", "fell and got up"],
)
def test_a_robot_that_does_not_stand_is_not_upright(judged, columns) -> None:
    assert not judged(truth(**columns)).upright_at_end


def test_a_robot_that_was_never_commanded_is_an_error(judged) -> None:
    with pytest.raises(RobotLinkError, match="not commanded in any of the 5 rows"):
        judged(truth(commands_received=[0] * 5))
