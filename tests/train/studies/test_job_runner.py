"""Jobs run on Ray where it is, else in turn."""

import importlib.util
from functools import partial
from pathlib import Path

import pytest

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.studies.job_runner import find_job_runner, run_in_turn

HAS_RAY = importlib.util.find_spec("ray") is not None


def test_jobs_in_turn_are_told_as_they_end() -> None:
    done: list[int] = []
    jobs = [partial(done.append, number) for number in range(3)]
    assert [(number, list(done)) for number in run_in_turn(jobs)] == [
        (0, [0]),
        (1, [0, 1]),
        (2, [0, 1, 2]),
    ]


@pytest.mark.skipif(HAS_RAY, reason="Ray is installed")
def test_without_ray_jobs_run_in_turn_and_an_address_is_refused() -> None:
    runner = find_job_runner(None)
    assert runner.here
    assert runner.words == "one after the other (Ray is not installed)"
    with pytest.raises(ConfigError, match="--ray-address is auto, and the package ray"):
        find_job_runner("auto")


@pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed")
def test_on_ray_every_job_is_done_and_told_once(tmp_path: Path) -> None:
    runner = find_job_runner(None)
    assert not runner.here
    jobs = [partial(Path.touch, tmp_path / f"{number}") for number in range(3)]
    assert sorted(runner.run_all(jobs)) == [0, 1, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "2"]
