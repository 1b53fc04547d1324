"""Sources are drawn by the shares that were asked for."""

import numpy as np
import pytest

from rwmu_deploy.collection.transition_segment import EpisodeSpan, SegmentOrigin, write_segment
from rwmu_deploy.contract.errors import ConfigError, TransitionFileError
from rwmu_deploy.simulation.robot_variant import FIELD, NOMINAL
from rwmu_train.transitions.dataset_loading import load_dataset
from rwmu_train.transitions.source_mix import (
    StartDraw,
    by_shares,
    parse_mix,
    source_of_rows,
    with_mix,
)
from rwmu_train.transitions.windows import window_starts

STILL = (0.0, 0.0, 0.0)


@pytest.fixture
def sim_and_real(tmp_path, spec, random_rows):
    """900 rows of "sim" in two files around 100 of "real"."""
    for source, count in (("sim", 500), ("real", 100), ("sim", 400)):
        span = EpisodeSpan(0, count - 1, "truncated", STILL)
        origin = SegmentOrigin(source, "", "", "")
        write_segment(tmp_path / "data", spec, random_rows(count), [span], origin)
    return load_dataset(tmp_path / "data", spec)


def test_mix_by_hand() -> None:
    assert parse_mix(["sim=0.8", "real=0.2"]) == {"sim": 0.8, "real": 0.2}


@pytest.mark.parametrize(
    "texts",
    [["sim"], ["sim=x"], ["=1"], ["sim=nan"], ["sim=-1", "real=2"], ["sim=0", "real=1"],
     ["sim=0.5", "sim=0.5"], ["sim=0.5"], ["sim=0.7", "real=0.7"], []],
)  # fmt: skip
def test_other_shares_are_refused(texts) -> None:
    with pytest.raises(ConfigError, match="mix"):
        parse_mix(texts)


def test_shares_are_kept_whatever_there_is_of_each_source(sim_and_real) -> None:
    data = with_mix(sim_and_real, {"sim": 0.2, "real": 0.8})
    starts = window_starts(data, 40)
    drawn = StartDraw(data, starts)(np.random.default_rng(0), 100_000)
    is_real = (drawn >= 500) & (drawn < 600)
    assert abs(is_real.mean() - 0.8) < 0.01
    assert sorted(set(drawn.tolist())) == starts.tolist()


def test_without_a_mix_all_windows_are_drawn_alike(sim_and_real) -> None:
    starts = window_starts(sim_and_real, 40)
    drawn = StartDraw(sim_and_real, starts)(np.random.default_rng(0), 40_000)
    counts = np.bincount(np.searchsorted(starts, drawn), minlength=len(starts))
    expected = 40_000 / len(starts)
    assert np.abs(counts - expected).max() < 6.0 * np.sqrt(expected)


def test_the_seed_decides_what_is_drawn(sim_and_real) -> None:
    data = with_mix(sim_and_real, {"sim": 0.5, "real": 0.5})
    draw = StartDraw(data, window_starts(data, 40))
    first, again, other = (draw(np.random.default_rng(seed), 50).tolist() for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_parts_of_a_split_keep_the_mix(sim_and_real) -> None:
    for part in with_mix(sim_and_real, {"sim": 0.5, "real": 0.5}).split(0.4, 0):
        assert part.mix == {"sim": 0.5, "real": 0.5}


@pytest.mark.parametrize("mix", [{"sim": 1.0}, {"sim": 0.5, "real": 0.3, "unknown": 0.2}])
def test_sources_without_a_share_or_without_data_are_refused(sim_and_real, mix) -> None:
    with pytest.raises(ConfigError, match="the data are of real, sim"):
        with_mix(sim_and_real, mix)


def test_source_without_a_window_is_refused(sim_and_real) -> None:
    data = with_mix(sim_and_real, {"sim": 0.8, "real": 0.2})
    with pytest.raises(TransitionFileError, match=r"no window can start in the data of .*real"):
        StartDraw(data, window_starts(data, 200))


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.9])
def test_rows_by_shares_are_as_many_as_there_are(sim_and_real, share: float) -> None:
    mixed = with_mix(sim_and_real, {"sim": 1.0 - share, "real": share})
    row = np.arange(1000)
    kept = by_shares(mixed, row, np.random.default_rng(0))
    source = source_of_rows(mixed, kept)
    counts = {name: int((source == name).sum()) for name in ("sim", "real")}
    assert len(np.unique(kept)) == len(kept)
    assert counts["real"] / len(kept) == pytest.approx(share, abs=0.01)
    # One source is used up: no more is left out than has to be.
    assert counts["sim"] == 900 or counts["real"] == 100
    np.testing.assert_array_equal(by_shares(sim_and_real, row, np.random.default_rng(0)), row)


def test_rows_by_shares_need_rows_of_every_source(sim_and_real) -> None:
    mixed = with_mix(sim_and_real, {"sim": 0.8, "real": 0.2})
    with pytest.raises(TransitionFileError, match="source 'real'"):
        by_shares(mixed, np.arange(500), np.random.default_rng(0))


def test_a_simulated_robot_that_differs_from_its_model_is_a_source_of_its_own(
    tmp_path, spec, random_rows
) -> None:
    for variant in (None, NOMINAL, FIELD):
        span = EpisodeSpan(0, 99, "truncated", STILL)
        stated = None if variant is None else variant.to_dict()
        origin = SegmentOrigin("sim", "", "", "", variant=stated)
        write_segment(tmp_path / "data", spec, random_rows(100), [span], origin)
    data = load_dataset(tmp_path / "data", spec)
    assert [file.source for file in data.files] == ["sim", "sim", "sim:field"]
    assert with_mix(data, parse_mix(["sim=0.8", "sim:field=0.2"])).mix == {
        "sim": 0.8,
        "sim:field": 0.2,
    }
