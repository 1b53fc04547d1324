"""Mean and spread over seeds, by hand."""

import math

from rwmu_train.seed_statistics import over_seeds


def score(**figures: float) -> dict[str, float | str]:
    return {"robots": 4, "seconds": 20.0, "variant": "nominal", **figures}


def test_two_seeds_by_hand() -> None:
    both = over_seeds([score(fall_share=0.0), score(fall_share=0.2)])
    assert both == {"fall_share": {"mean": 0.1, "std": 0.02**0.5, "min": 0.0, "max": 0.2}}


def test_one_seed_has_no_spread() -> None:
    assert over_seeds([score(yaw_tracking=0.5)])["yaw_tracking"]["std"] is None


def test_a_seed_without_a_number_leaves_none_for_all() -> None:
    both = over_seeds([score(velocity_ratio=0.5), score(velocity_ratio=math.nan)])
    assert set(both["velocity_ratio"].values()) == {None}
