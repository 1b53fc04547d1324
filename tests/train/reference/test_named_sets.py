"""A set's name says which stages of a run walk, and under which noise."""

import pytest

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.reference.behaviours import BEHAVIOURS
from rwmu_train.reference.named_sets import NAMED_SETS, find_named_set

TEN = list(range(10))


@pytest.mark.parametrize(
    ("name", "chosen"),
    [("medium", [3, 4, 5]), ("expert", [9]), ("mixed", TEN), ("sweep", [7, 8, 9])],
)
def test_stages_of_a_run_of_ten(name: str, chosen: list[int]) -> None:
    assert find_named_set(name).choose(TEN) == chosen


@pytest.mark.parametrize("name", NAMED_SETS)
@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_every_set_has_a_policy_however_short_the_run(name: str, count: int) -> None:
    chosen = find_named_set(name).choose(list(range(count)))
    assert chosen
    assert chosen == list(range(chosen[0], chosen[-1] + 1))


def test_only_random_walks_without_policies() -> None:
    assert [name for name, entry in NAMED_SETS.items() if not entry.needs_policies] == ["random"]


def test_the_set_without_policies_is_the_behaviour_of_that_name() -> None:
    assert NAMED_SETS["random"].action_noise == BEHAVIOURS["random"].action_noise == (1.0,)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"no data set 'expret'.*Did you mean 'expert'"):
        find_named_set("expret")
