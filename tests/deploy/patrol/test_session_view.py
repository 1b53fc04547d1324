"""What stands on the terminal beside the robot."""

import io

import numpy as np

from rwmu_deploy.cli.terminal_view import TerminalView
from rwmu_deploy.patrol.session_view import coverage_lines, one_line, view_lines

PROGRESS = {
    "starts": 2,
    "walked_s": 900.0,
    "longest_s": 3600.0,
    "way_m": 512.3,
    "rows": 45000,
    "dropped": 0,
    "coverage": 0.93,
    "followed_s": [[[0.0, 4.0]], [[1.0, 2.0]]],
    "events": {"home": 3, "drawn": 90},
    "pose": [1.0, -0.5, 0.2],
    "mode": "stand",
    "reason": "battery low: 19 %",
    "command": [0.0, 0.0, 0.0],
    "state": "RUN",
    "reasons": [],
    "doubt": 0.42,
    "battery": 0.19,
}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_everything_that_an_operator_needs_is_there():
    text = "\n".join(view_lines(PROGRESS))
    for said in (
        "walked 15:00 min of 60:00 min, 512 m, start 2",
        "rows 45,000, dropped 0",
        "stand: battery low: 19 %",
        "at 1.00 m, -0.50 m, 0.20 rad",
        "doubt 0.42 of caution",
        "battery 19 %",
        "drawn 90, home 3",
    ):
        assert said in text


def test_a_place_that_is_not_known_is_said():
    unknown = {**PROGRESS, "pose": [None, None, None], "doubt": None, "battery": None}
    text = "\n".join(view_lines(unknown))
    assert "place not known" in text
    assert "doubt unknown" in text
    assert "battery" not in text.replace("battery low", "")


def test_a_session_that_has_not_begun_can_be_shown():
    early = {
        name: PROGRESS[name]
        for name in (
            *("starts", "walked_s", "longest_s", "way_m", "rows", "dropped"),
            *("coverage", "followed_s", "events"),
        )
    }
    assert view_lines(early)
    assert "not begun" in one_line(early)


def test_the_map_is_darkest_where_it_walked_longest():
    # vx upwards; one field for each wz.
    assert coverage_lines([[[0.0, 4.0]], [[1.0, 2.0]]]) == ["  -- | ++", "     | @@"]
    assert coverage_lines(np.zeros((1, 1, 1)).tolist()) == ["    "]


def test_on_a_terminal_it_is_drawn_over_itself_and_elsewhere_told_now_and_then():
    terminal = Terminal()
    view = TerminalView(terminal)
    view.show(PROGRESS, now_s=0.0)
    view.show(PROGRESS, now_s=1.0)
    lines = len(view_lines(PROGRESS))
    assert terminal.getvalue().count(f"\x1b[{lines}A") == 1
    file = io.StringIO()
    view = TerminalView(file)
    for now_s in range(70):
        view.show(PROGRESS, now_s=float(now_s))
    assert file.getvalue().count("\n") == 3
