"""A study does each cell once, whatever happens between its cells."""

import json
from dataclasses import replace

import pytest
from matplotlib.image import imread
from tiny_study import IN_TURN, Written, study_of

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.studies.cell import Cell, figures_of
from rwmu_train.studies.study import run_study


def cells_of(*works: Written) -> list[Cell]:
    return [
        Cell(f"{w.value:g}", f"value_{w.value:g}", seed, w) for w in works for seed in range(2)
    ]


def test_a_study_that_was_stopped_goes_on_and_repeats_nothing(tmp_path) -> None:
    begun: list[float] = []
    first, second = Written(1.0, begun), Written(2.0, begun, stop=KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        run_study(study_of(cells_of(first, second)), tmp_path, IN_TURN, {})
    assert begun == [1.0, 1.0, 2.0]
    second.stop = None
    told = []
    study = study_of(cells_of(first, second))
    run_study(study, tmp_path, IN_TURN, {}, on_begin=lambda *counts: told.append(counts))
    assert told == [(2, 4)]
    assert begun == [1.0, 1.0, 2.0, 2.0, 2.0]
    run_study(study, tmp_path, IN_TURN, {})
    assert len(begun) == 5


def test_what_is_written_holds_the_numbers_of_the_cells(tmp_path) -> None:
    study = study_of(cells_of(Written(1.0), Written(4.0)))
    groups = run_study(study, tmp_path, IN_TURN, {"seeds": 2})
    assert groups[1].figures["reward_per_s"].values == (4.0, 5.0)
    document = json.loads((tmp_path / "study.json").read_text())
    assert document["command"] == {"seeds": 2}
    assert document["versions"]["torch"] != "not installed"
    found = [cell["figures"]["reward_per_s"] for cell in document["cells"]]
    assert found == [1.0, 2.0, 4.0, 5.0]
    assert document["groups"][0]["figures"]["reward_per_s"]["mean"] == 1.5
    text = (tmp_path / "results.md").read_text()
    assert "| 4 | 4.500 ± 0.707 | 450.0 ± 70.7 % | 2 |" in text
    assert "What it means." in text
    height, width, _ = imread(tmp_path / "figure.png").shape
    assert width > height > 300


def test_a_cell_that_fails_is_named_and_tried_again_and_the_others_go_on(tmp_path) -> None:
    bad, good = Written(1.0, refuse=True), Written(2.0)
    cells = cells_of(bad, good)
    told = []
    report = {"on_cell": lambda cell, error: told.append((cell.name, error))}
    groups = run_study(study_of(cells), tmp_path, IN_TURN, {}, **report)
    assert [(g.group, g.count) for g in groups] == [("1", 0), ("2", 2)]
    assert told[0][0] == "value_1-seed_0"
    assert "it exploded" in told[0][1]
    assert told[2] == ("value_2-seed_0", None)
    document = json.loads((tmp_path / "study.json").read_text())
    assert "it exploded" in document["cells"][0]["error"]
    bad.refuse = False
    groups = run_study(study_of(cells), tmp_path, IN_TURN, {})
    assert [g.count for g in groups] == [2, 2]
    assert len(good.begun) == 2
    assert json.loads((tmp_path / "study.json").read_text())["cells"][0]["error"] is None


def test_a_cell_waits_for_the_one_it_follows(tmp_path) -> None:
    begun: list[float] = []
    first, second = (Cell(f"{v:g}", f"v_{v:g}", 0, Written(v, begun)) for v in (1.0, 2.0))
    cells = [replace(first, follows=second.name), second]
    run_study(study_of(cells), tmp_path, IN_TURN, {})
    assert begun == [2.0, 1.0]


def test_a_cell_whose_leader_failed_does_not_use_what_that_left(tmp_path) -> None:
    begun: list[float] = []
    bad, good = Written(1.0, refuse=True), Written(2.0, begun)
    leader = Cell("1", "v_1", 0, bad)
    cells = [leader, Cell("2", "v_2", 0, good, follows=leader.name)]
    run_study(study_of(cells), tmp_path, IN_TURN, {})
    assert begun == []
    error = json.loads((tmp_path / "study.json").read_text())["cells"][1]["error"]
    assert "v_1-seed_0 is not done" in error
    bad.refuse = False
    run_study(study_of(cells), tmp_path, IN_TURN, {})
    assert begun == [2.0]


def test_more_seeds_and_groups_may_be_asked_for_later(tmp_path) -> None:
    work = Written(1.0)
    run_study(study_of(cells_of(work)[:1]), tmp_path, IN_TURN, {})
    groups = run_study(study_of(cells_of(work, Written(2.0))), tmp_path, IN_TURN, {})
    assert [g.count for g in groups] == [2, 2]
    assert len(work.begun) == 2


def test_other_settings_are_refused_by_name_before_any_work(tmp_path) -> None:
    work = Written(1.0)
    run_study(study_of([Cell("a", "a", 0, work)]), tmp_path, IN_TURN, {})
    other = Written(3.0)
    with pytest.raises(ConfigError, match=r"a-seed_0/settings.json has value 1.0; now it is 3.0"):
        run_study(study_of([Cell("a", "a", 0, other)]), tmp_path, IN_TURN, {})
    assert other.begun == []


def test_figures_that_are_no_numbers_survive_the_file(tmp_path) -> None:
    cell = Cell("nan", "nan", 0, Written(float("nan")))
    run_study(study_of([cell]), tmp_path, IN_TURN, {})
    figures = figures_of(tmp_path, cell)
    assert figures is not None
    assert figures["reward_per_s"] != figures["reward_per_s"]


def test_progress_is_told_by_the_name_of_the_cell(tmp_path) -> None:
    told = []
    study = study_of([Cell("a", "a", 0, Written(1.0))])
    run_study(study, tmp_path, IN_TURN, {}, on_stage=lambda *said: told.append(said))
    assert told == [("a-seed_0", "writing", 1, 1)]
