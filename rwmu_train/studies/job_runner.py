"""Run jobs: one after the other here, or side by side on Ray where it is installed."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rwmu_deploy.contract.errors import ConfigError

Job = Callable[[], None]


@dataclass(frozen=True)
class JobRunner:
    """A way to run jobs."""

    words: str
    """What it does, for the user."""
    run_all: Callable[[Sequence[Job]], Iterator[int]]
    """Gives the number of each job when it has ended."""
    here: bool
    """Whether jobs run in this process and may report to it."""


def find_job_runner(ray_address: str | None) -> JobRunner:
    """Ray where it is installed, else one job after the other.

    Args:
        ray_address: Of a Ray cluster; None starts Ray on this machine.

    Raises:
        ConfigError: There is an address and no Ray.
    """
    if importlib.util.find_spec("ray") is None:
        if ray_address is not None:
            raise ConfigError(
                f"--ray-address is {ray_address}, and the package ray is not installed",
                fix="Run pip install ray, or leave --ray-address out: cells then run one after "
                "the other.",
            )
        return JobRunner("one after the other (Ray is not installed)", run_in_turn, here=True)
    place = "on this machine" if ray_address is None else f"at {ray_address}"
    return JobRunner(
        f"side by side on Ray {place}", lambda jobs: run_on_ray(jobs, ray_address), here=False
    )


def run_in_turn(jobs: Sequence[Job]) -> Iterator[int]:
    """One after the other."""
    for number, job in enumerate(jobs):
        job()
        yield number


def run_on_ray(jobs: Sequence[Job], address: str | None) -> Iterator[int]:
    """As many at a time as Ray has processors; all nodes must see the jobs' files."""
    ray: Any = importlib.import_module("ray")
    ray.init(address=address, log_to_driver=False)
    try:
        task = ray.remote(_do)
        numbers = {task.remote(job): number for number, job in enumerate(jobs)}
        while numbers:
            (done,), _ = ray.wait(list(numbers), num_returns=1)
            ray.get(done)
            yield numbers.pop(done)
    finally:
        ray.shutdown()


def _do(job: Job) -> None:
    job()
