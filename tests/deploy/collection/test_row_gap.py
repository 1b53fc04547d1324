"""Gaps add up, and keep the first reason of each fault."""

import json

import pytest

from rwmu_deploy.collection.row_gap import MissingRow, RowGap


def test_ticks_add_up_by_cause_and_keep_the_first_values_of_each_fault():
    gap = RowGap()
    for age in (0.062, 0.082):
        gap = gap.plus(MissingRow("hold", (f"sensor_age: {age} s",), skipped_periods=1))
    gap = gap.plus(MissingRow("hold", ("sensor_age: 0.1 s", "late: 3"))).plus(MissingRow("damp"))
    assert gap.to_dict() == {
        "ticks": 4,
        "skipped_periods": 2,
        "causes": [
            {"cause": "hold", "ticks": 3, "reasons": ["sensor_age: 0.062 s", "late: 3"]},
            {"cause": "damp", "ticks": 1, "reasons": []},
        ],
    }


def test_gap_survives_json():
    gap = RowGap().plus(MissingRow("damp", ('tilt: "1" rad, \n\u00e9',))).plus(MissingRow("hold"))
    assert RowGap.from_dict(json.loads(json.dumps(gap.to_dict()))) == gap


def test_reasons_stay_bounded_however_long_a_gap_lasts():
    gap = RowGap()
    for k in range(100):
        gap = gap.plus(MissingRow("damp", (f"fault_{k}: " + "x" * 10_000,)))
    assert len(json.dumps(gap.to_dict())) < 3000
    assert gap.ticks == 100


def test_only_the_end_of_the_loop_does_not_break_an_episode():
    assert not RowGap().plus(MissingRow("stopped")).breaks_episode
    assert RowGap().plus(MissingRow("stopped")).plus(MissingRow("hold")).breaks_episode


@pytest.mark.parametrize(
    "change",
    [
        {"ticks": 2},
        {"skipped_periods": -1},
        {"skipped_periods": None},
        {"causes": [{"cause": "bored", "ticks": 1, "reasons": []}]},
        {"causes": [{"cause": "hold"}]},
        {"causes": 3},
    ],
)
def test_anything_else_is_refused(change):
    document = RowGap().plus(MissingRow("hold")).to_dict()
    with pytest.raises(ValueError, match="not a gap"):
        RowGap.from_dict(document | change)
