"""A velocity sequence gives each command for its time, and then zero."""

from __future__ import annotations

import pytest
from rwmu_ros.velocity_sequence import VelocitySequence

from rwmu_deploy.contract.errors import ConfigError


def test_commands_follow_each_other_and_end_in_zero() -> None:
    sequence = VelocitySequence.from_text("[[2, 0.5, 0, 0], [1.5, 0, 0.25, -1]]")
    assert sequence.total_s == 3.5
    assert sequence.command_at(0.0) == (0.5, 0.0, 0.0)
    assert sequence.command_at(1.999) == (0.5, 0.0, 0.0)
    assert sequence.command_at(2.0) == (0.0, 0.25, -1.0)
    assert sequence.command_at(3.5) == (0.0, 0.0, 0.0)
    assert sequence.command_at(-0.1) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "[1, 2, 3, 4]",
        "[[1, 2, 3]]",
        "[[0, 1, 0, 0]]",
        "[[-1, 1, 0, 0]]",
        "[[.nan, 1, 0, 0]]",
        "[[1, .inf, 0, 0]]",
        "[[1, true, 0, 0]]",
        "[[1, fast, 0, 0]]",
        "[[1, 0, 0, 0]",
    ],
)
def test_what_is_no_sequence_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="seconds, vx, vy, wz"):
        VelocitySequence.from_text(text)
