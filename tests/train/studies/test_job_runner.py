"""Jobs run on Ray where it is, else in turn."""

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

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


def leave_name(folder: Path, number: int) -> None:
    (folder / f"{number}").write_text(f"{os.getpid()} {torch.get_num_threads()}")


def test_jobs_side_by_side_are_each_done_once_with_their_share_of_processors(
    tmp_path: Path,
) -> None:
    runner = find_job_runner(None, 2)
    assert (runner.words, runner.here) == ("2 side by side", False)
    jobs = [partial(leave_name, tmp_path, number) for number in range(4)]
    assert sorted(runner.run_all(jobs)) == [0, 1, 2, 3]
    said = [path.read_text().split() for path in tmp_path.iterdir()]
    assert len(said) == 4
    assert str(os.getpid()) not in {process for process, _ in said}
    assert {threads for _, threads in said} == {str(max(1, (os.cpu_count() or 1) // 2))}


def test_a_killed_process_is_said_and_not_waited_for() -> None:
    jobs = [partial(os.kill, 0, 0), partial(os._exit, 9)]
    with pytest.raises(ConfigError, match="one of 2 processes was killed"):
        list(find_job_runner(None, 2).run_all(jobs))


STUDY = """
import os, sys, time
from functools import partial
from pathlib import Path

from rwmu_train.studies.job_runner import run_side_by_side


def work(folder, number):
    (folder / f"{number}.part").write_text(str(os.getpid()))
    (folder / f"{number}.part").rename(folder / f"{number}")
    time.sleep(600.0)


if __name__ == "__main__":
    list(run_side_by_side([partial(work, Path(sys.argv[1]), number) for number in (0, 1)], 2))
"""


def test_a_killed_study_leaves_nobody_who_computes_on(tmp_path: Path) -> None:
    (tmp_path / "study.py").write_text(STUDY)
    names = tmp_path / "names"
    names.mkdir()
    study = subprocess.Popen([sys.executable, tmp_path / "study.py", names])
    started = [names / "0", names / "1"]
    _until(lambda: all(path.exists() for path in started))
    workers = [int(path.read_text()) for path in started]
    assert all(map(_is_running, workers))
    study.kill()
    study.wait()
    _until(lambda: not any(map(_is_running, workers)))


def _until(happened: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 120.0
    while not happened():
        assert time.monotonic() < end_s
        time.sleep(0.05)


def _is_running(process: int) -> bool:
    try:
        # The state comes after the name; a zombie has ended, whether or not somebody asks for it.
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize(("jobs", "address"), [(0, None), (-1, None), (2, "auto")])
def test_jobs_that_can_not_be_are_refused(jobs: int, address: str | None) -> None:
    with pytest.raises(ConfigError, match=rf"--jobs is {jobs}"):
        find_job_runner(address, jobs)


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
