"""Evolution finds gaits that the task rewards more."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_train.gait import gait_search
from rwmu_train.gait.gait_search import SearchSettings, rewards_of, search, varied, written
from rwmu_train.gait.gait_settings import NAMES, SIGNED, load_gait_settings
from rwmu_train.task.velocity_task import find_task

TASK = find_task("g1_flat")
SHORT = SearchSettings(generations=4, candidates=8, robots=4, steps=100)


def test_a_draw_of_nothing_changes_nothing(biped: RobotSpec) -> None:
    begin = load_gait_settings(biped)
    gaits = varied(begin, np.zeros((2, len(NAMES))))
    for name in NAMES:
        np.testing.assert_allclose(getattr(gaits, name), getattr(begin, name))


def test_positive_numbers_stay_positive(biped: RobotSpec) -> None:
    gaits = varied(load_gait_settings(biped), np.full((1, len(NAMES)), -20.0))
    assert gaits.step_s > 0.0
    assert gaits.height_stiffness_n_per_m > 0.0
    assert gaits.placement_x_m < 0.0


def test_a_gait_that_falls_is_worth_less(biped: RobotSpec) -> None:
    good = load_gait_settings(biped)
    both = varied(good, np.zeros((2, len(NAMES))))
    both = replace(both, base_height_m=np.array([good.base_height_m, 0.3]))
    walks, falls = rewards_of(biped, TASK, both, SHORT, seed=0)
    assert walks > falls + 0.5


def test_a_spoilt_gait_gets_better(biped: RobotSpec) -> None:
    spoilt = replace(load_gait_settings(biped), pitch_rad=0.35, placement_x_m=-0.05)
    found = search(biped, TASK, spoilt, SHORT)
    pair = {n: np.array([getattr(spoilt, n), getattr(found, n)]) for n in NAMES}
    longer = replace(SHORT, robots=32)
    before, after = rewards_of(biped, TASK, replace(spoilt, **pair), longer, seed=100)
    assert after > before


def test_what_is_found_is_written_as_a_gait(biped: RobotSpec, tmp_path: Path) -> None:
    out = tmp_path / "gait.yaml"
    few = ["--generations", "1", "--candidates", "4", "--robots", "2", "--steps", "5"]
    assert gait_search.main(["--task", TASK.name, "--out", str(out), *few]) == 0
    gait = yaml.safe_load(out.read_text())
    assert set(gait) == {"held_joints", "soft_joints", *NAMES}
    assert written(load_gait_settings(biped)).splitlines()[0] == "held_joints:"


def test_every_number_with_a_sign_is_added_to() -> None:
    assert set(gait_search._ADDED) == set(SIGNED)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--out", "no/such/folder/gait.yaml"], "there is no folder no/such/folder"),
        (["--out", "gait.yaml", "--generations", "0"], "generations is 0; allowed is 1 up"),
    ],
)
def test_a_search_that_would_be_lost_is_refused_before(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gait_search.main(["--task", TASK.name, *words]) == 2
    assert said in capsys.readouterr().err


def test_an_unknown_task_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gait_search.main(["--task", "no", "--out", str(tmp_path / "x")]) == 2
    assert "no task 'no'" in capsys.readouterr().err
