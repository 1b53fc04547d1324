"""Run jobs: one after the other, side by side in processes, or on Ray where it is installed."""

from __future__ import annotations

import importlib
import importlib.util
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

import torch

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


def find_job_runner(ray_address: str | None, at_once: int | None = None) -> JobRunner:
    """So many processes where a number is given, else Ray where it is installed, else in turn.

    Args:
        ray_address: Of a Ray cluster; None starts Ray on this machine.
        at_once: Jobs at a time, each in a process of its own; None leaves that to Ray.

    Raises:
        ConfigError: There is an address and no Ray, or both are given, or the number is below 1.
    """
    if at_once is not None:
        if not at_once >= 1 or ray_address is not None:
            raise ConfigError(
                f"--jobs is {at_once} and --ray-address {ray_address}; allowed is 1 up, without "
                "an address",
                fix="Leave one of them out.",
            )
        if at_once == 1:
            return JobRunner("one after the other", run_in_turn, here=True)
        return JobRunner(
            f"{at_once} side by side", lambda jobs: run_side_by_side(jobs, at_once), here=False
        )
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


def run_side_by_side(jobs: Sequence[Job], at_once: int) -> Iterator[int]:
    """So many at a time, each in a process with its share of the processors.

    Raises:
        ConfigError: A process was killed.
    """
    threads = max(1, (os.cpu_count() or 1) // at_once)
    fresh = multiprocessing.get_context("spawn")  # torch's threads don't survive a fork
    with ProcessPoolExecutor(at_once, fresh, _begin_process, (threads,)) as pool:
        numbers = {pool.submit(_do, job): number for number, job in enumerate(jobs)}
        try:
            for done in as_completed(numbers):
                done.result()
                yield numbers[done]
        except BrokenProcessPool:
            raise ConfigError(
                f"one of {at_once} processes was killed",
                fix="If memory ran out, use fewer --jobs. Run it again: it goes on where it was.",
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


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


def _begin_process(threads: int) -> None:
    torch.set_num_threads(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A study that was killed leaves nobody who computes on, unseen."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _do(job: Job) -> None:
    job()
