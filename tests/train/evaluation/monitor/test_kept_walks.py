import numpy as np
from walked import walked

from rwmu_train.evaluation.monitor.kept_walks import keep_walk, kept_walk


def test_a_walk_comes_back_as_it_was_under_its_own_stamp_only(tmp_path) -> None:
    place, walk = tmp_path / "walk.npz", walked(30, robots=2, falls=(5,))
    keep_walk(place, walk, "seed 1")
    found = kept_walk(place, "seed 1")
    assert found is not None
    assert found.control_dt_s == walk.control_dt_s
    for name in ("statistics", "level", "command_factor", "distance", "fall_step"):
        np.testing.assert_array_equal(getattr(found, name), getattr(walk, name))
        assert getattr(found, name).dtype == getattr(walk, name).dtype
    assert kept_walk(place, "seed 2") is None


def test_what_is_missing_cut_off_or_something_else_is_not_kept(tmp_path) -> None:
    place = tmp_path / "walk.npz"
    assert kept_walk(place, "") is None
    keep_walk(place, walked(30), "")
    whole = place.read_bytes()
    for broken in (b"", b"nonsense", whole[:200], whole[: len(whole) // 2], whole[:-30]):
        place.write_bytes(broken)
        assert kept_walk(place, "") is None
    np.savez(place, stamp=np.array(""))
    assert kept_walk(place, "") is None
