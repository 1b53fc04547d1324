"""Who draws by a mask gets histories as often as who draws by number, and new ones in time."""

import numpy as np
import pytest
import torch

from rwmu_train.imagination.start_pool import StartPool
from rwmu_train.imagination.warm_start import USES, WarmStarts
from rwmu_train.transitions.normaliser import released_normaliser
from rwmu_train.world_model.ensemble import Architecture, WorldModel

ROBOTS = 6
EVERYONE = torch.ones(ROBOTS, dtype=torch.bool)


@pytest.fixture
def starts(small_dataset) -> WarmStarts:
    torch.manual_seed(0)
    model = WorldModel(Architecture(45, 12, 8, members=2, hidden=16, head_hidden=8)).eval()
    normaliser = released_normaliser(small_dataset.spec)
    return WarmStarts(model, small_dataset, normaliser, 8, batch=ROBOTS, seed=0)


def rows(start) -> list[tuple[float, ...]]:
    return [tuple(row) for row in start.state.tolist()]


def test_each_history_begins_as_many_episodes_as_any_other(starts) -> None:
    pool = StartPool(starts, ROBOTS)
    drawn = [row for _ in range(USES) for row in rows(pool.draw(EVERYONE))]
    assert {drawn.count(row) for row in drawn} == {USES}
    assert len(set(drawn)) == ROBOTS


def test_robots_that_go_on_use_nothing_up(starts) -> None:
    pool = StartPool(starts, ROBOTS)
    found = []
    for robot in (2, 0, 5, 1, 4, 3):
        mask = torch.arange(ROBOTS) == robot
        found.append(rows(pool.draw(mask))[robot])
    assert len(set(found)) == ROBOTS
    two = torch.tensor([False, True, False, False, True, False])
    pair = rows(pool.draw(two))
    assert pair[1] != pair[4]


def test_new_histories_come_when_the_old_ones_are_used_up_and_not_before(starts) -> None:
    pool = StartPool(starts, ROBOTS)
    kept = pool._pool.tensors
    first = set(rows(pool.draw(EVERYONE)))
    for _ in range(USES - 1):
        pool.refill_if_used()
        assert set(rows(pool.draw(EVERYONE))) == first
    pool.refill_if_used()
    assert set(rows(pool.draw(EVERYONE))) != first
    # A captured step reads where it read when it was captured.
    assert all(a is b for a, b in zip(kept, pool._pool.tensors, strict=True))


def test_who_never_refills_begins_with_the_old_ones_again(starts) -> None:
    pool = StartPool(starts, ROBOTS)
    first = rows(pool.draw(EVERYONE))
    for _ in range(USES - 1):
        pool.draw(EVERYONE)
    assert rows(pool.draw(EVERYONE)) == first


def test_memory_goes_with_its_state(starts) -> None:
    pool = StartPool(starts, ROBOTS)
    start = pool.draw(EVERYONE)
    fresh = pool._pool
    for robot in range(ROBOTS):
        at = int(np.flatnonzero((fresh.state == start.state[robot]).all(1).numpy())[0])
        for of_pool, drawn in zip(fresh.memory.tensors, start.memory.tensors, strict=True):
            assert torch.equal(of_pool[:, at], drawn[:, robot])
