"""A study records its data once, whole, and knows what they were made from."""

import json
from dataclasses import replace

import pytest

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.simulation.robot_variant import FIELD
from rwmu_train.studies.recorded_sets import SetToRecord, recorded
from rwmu_train.task.velocity_task import find_task
from rwmu_train.transitions.dataset_loading import load_dataset

TASK = find_task("anymal_d_flat")


def test_a_set_is_recorded_once_and_swept_of_what_a_kill_left(spec, tmp_path) -> None:
    wanted = SetToRecord("random", 60, seed=3, variant=FIELD)
    left = tmp_path / ".set.abc.partial"
    left.mkdir()
    folder = recorded(wanted, tmp_path / "set", spec, TASK)
    assert not left.exists()
    assert load_dataset(folder, spec).row_count == 60
    meta = json.loads((folder / "state_action_data_0.meta.json").read_text())
    assert (meta["variant"]["name"], meta["note"]) == (
        "field",
        "random; action noise (1.0,); seed 3",
    )
    before = (folder / "state_action_data_0.csv").stat().st_mtime_ns
    assert recorded(wanted, folder, spec, TASK) == folder
    assert (folder / "state_action_data_0.csv").stat().st_mtime_ns == before
    with pytest.raises(ConfigError, match=r"recipe.json was recorded with another recording"):
        recorded(replace(wanted, rows=61), folder, spec, TASK)


def test_robots_are_as_many_as_make_an_episode_each_and_all_pairs(online_run) -> None:
    settings = SetToRecord("mixed", 200_000, 0, (online_run,)).settings()
    assert (settings.robots, settings.steps) == (3 * 5 * 13, 1026)  # 200 K / (15 pairs * 1000)
    assert SetToRecord("mixed", 100, 0, (online_run,)).settings().robots == 15


def test_the_policies_are_those_that_the_set_names(online_run) -> None:
    assert SetToRecord("expert", 100, 0, (online_run,)).policies == [online_run]
    assert SetToRecord("random", 100, 0, (online_run,)).policies == []
    assert len(SetToRecord("mixed", 100, 0, (online_run,)).policies) == 3
    both = SetToRecord("expert", 100, 0, (online_run, online_run))
    assert both.policies == [online_run, online_run]  # the best of each run


def test_rows_that_are_too_few_are_refused_with_how_many_would_do(online_run) -> None:
    wanted = SetToRecord("mixed", 150, 0, (online_run,))
    with pytest.raises(ConfigError, match="are 10 each; allowed is 20 up") as refused:
        wanted.refuse_short_episodes(20)
    assert "300 rows" in str(refused.value)
    wanted.refuse_short_episodes(10)


def test_sets_without_policies_or_stages_are_refused(tmp_path, online_run) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'random'"):
        SetToRecord("ramdom", 100, 0)
    with pytest.raises(ConfigError, match="'expert' needs policies, and --policies is missing"):
        SetToRecord("expert", 100, 0)
    with pytest.raises(ConfigError, match="has no stages"):
        SetToRecord("expert", 100, 0, (tmp_path,))
    SetToRecord("random", 100, 0)
