"""What was achieved, for what was commanded."""

from dataclasses import replace

import numpy as np
import pytest

from rwmu_train.pictures.command_response import commanded_rows, response


def driven(dataset, command: np.ndarray):
    """A robot with vx at 0.8 of the command once it has stood for a second, before that 0."""
    rows = dataset.rows.copy()
    first = np.arange(len(rows)) % 150 < 50
    rows[:, dataset.columns.base_linear_velocity_mps.start] = np.where(
        first, 0.0, 0.8 * command[:, 0]
    )
    return replace(dataset, rows=rows, velocity_command=command.astype(np.float32))


@pytest.fixture
def steps(small_dataset) -> np.ndarray:
    """Six episodes of 150 rows; vx is -0.5, -0.3, ... 0.5 m/s."""
    command = np.zeros((900, 3))
    command[:, 0] = np.repeat(np.linspace(-0.5, 0.5, 6), 150)
    return command


def test_the_first_second_after_a_command_does_not_count(small_dataset, steps) -> None:
    found = response(commanded_rows(driven(small_dataset, steps)), axis=0)
    assert found.after_settling
    np.testing.assert_allclose(found.command, np.linspace(-0.5, 0.5, 6), atol=1e-6)
    for line in (found.low, found.median, found.high):
        np.testing.assert_allclose(line, 0.8 * np.linspace(-0.5, 0.5, 6), atol=1e-6)


def test_an_episode_starts_the_second_anew(small_dataset) -> None:
    rows = commanded_rows(driven(small_dataset, np.full((900, 3), 0.4)))
    assert rows.settled.tolist() == [i % 150 >= 50 for i in range(900)]


def test_commands_that_always_change_count_all_the_time(small_dataset) -> None:
    command = np.zeros((900, 3))
    command[:, 0] = np.linspace(-1.0, 1.0, 900)
    rows = commanded_rows(driven(small_dataset, command))
    assert not rows.settled.any()
    assert not response(rows, axis=0).after_settling


def test_unknown_commands_are_neither_known_nor_settled(small_dataset, steps) -> None:
    steps[:450] = np.nan
    rows = commanded_rows(driven(small_dataset, steps))
    assert rows.known.tolist() == [False] * 450 + [True] * 450
    assert not rows.settled[:450].any()
    assert response(rows, axis=0).command.min() == pytest.approx(0.1)
