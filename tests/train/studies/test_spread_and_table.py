"""Means and spreads over seeds, and the tables that show them."""

import io
import math

import pytest
from rich.console import Console
from tiny_study import Written

from rwmu_train.studies.cell import Cell
from rwmu_train.studies.results_table import Measure, results_table
from rwmu_train.studies.spread import Spread, group_figures

REWARD, FALLS = Measure("reward", "reward [1/s]"), Measure("falls", "falls", 1, percent=True)


def cells(*groups: str, seeds: int = 2) -> list[Cell]:
    return [Cell(g, g, seed, Written(0.0)) for g in groups for seed in range(seeds)]


def test_mean_and_sample_deviation_are_over_seeds() -> None:
    spread = Spread((1.0, 2.0, 6.0))
    assert spread.mean == 3.0
    assert spread.deviation == pytest.approx(math.sqrt(7.0))  # (4 + 1 + 9) / 2


def test_one_seed_has_no_spread() -> None:
    assert Spread((1.5,)).deviation is None
    assert REWARD.words(Spread((1.5,))) == "1.50"


def test_groups_keep_the_order_of_the_cells_and_count_what_is_done() -> None:
    figures = {"b-seed_0": {"reward": 1.0}, "b-seed_1": {"reward": 3.0}, "a-seed_0": None}
    groups = group_figures(cells("b", "a"), {"a-seed_1": None, **figures})
    assert [(g.group, g.count, g.cells) for g in groups] == [("b", 2, 2), ("a", 0, 2)]
    assert groups[0].figures["reward"].values == (1.0, 3.0)
    assert groups[1].figures == {}


def test_the_table_holds_the_figures_in_both_forms() -> None:
    found = {"reward": 0.5, "falls": 0.025}
    figures = {"a-seed_0": found, "a-seed_1": {"reward": 0.7, "falls": 0.025}, "b-seed_0": None}
    groups = group_figures(cells("a", "b"), {**figures, "b-seed_1": None})
    table = results_table("Title", "group", (REWARD, FALLS), groups)
    assert table.to_markdown() == (
        "| group | reward [1/s] | falls | seeds |\n"
        "| --- | ---: | ---: | ---: |\n"
        "| a | 0.60 ± 0.14 | 2.5 ± 0.0 % | 2 |\n"
        "| b | - | - | 0/2 |\n"
    )
    console = Console(file=io.StringIO(), width=120)
    console.print(table.to_rich())
    assert "0.60 ± 0.14" in console.file.getvalue()
