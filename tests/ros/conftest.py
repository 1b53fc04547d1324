"""Ground of the ROS tests: real rclpy over DDS, a domain of their own, this machine only."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from itertools import count
from multiprocessing import forkserver
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import rclpy
from rclpy.context import Context

from rwmu_deploy.contract.robot_spec import load_robot_spec

if TYPE_CHECKING:
    from forked_processes import Forked

os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
REPOSITORY = Path(__file__).resolve().parents[2]
ROS_PACKAGE = REPOSITORY / "ros2_ws" / "src" / "rwmu_deploy"
_IMPORTED_FROM = [str(ROS_PACKAGE), str(Path(__file__).parent), str(REPOSITORY / "tests")]
sys.path[:0] = _IMPORTED_FROM
# For the process that forked nodes come from.
os.environ["PYTHONPATH"] = os.pathsep.join([*_IMPORTED_FROM, str(REPOSITORY)])

with warnings.catch_warnings():
    # ROS's parser generator imports a deprecated module; it does so once.
    warnings.simplefilter("ignore", DeprecationWarning)
    importlib.import_module("rosidl_generator_py")

_USED = count()


@pytest.fixture(scope="module", autouse=True)
def no_pauses_of_the_collector() -> Iterator[None]:
    """Thousands of tests before leave a heap whose collection stops this process's listeners."""
    gc.collect()
    gc.freeze()
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


@pytest.fixture
def domain_id() -> int:
    """A DDS domain that no other test uses; up to 101 no port lies in the ephemeral range."""
    return 10 + (os.getpid() * 7 + next(_USED)) % 92


@pytest.fixture
def ros_context(domain_id: int) -> Iterator[Context]:
    """A context in the test's own domain."""
    context = Context()
    rclpy.init(context=context, domain_id=domain_id)
    yield context
    context.try_shutdown()


@pytest.fixture
def undisturbed() -> Iterator[None]:
    """Real-time priority where the machine allows it: its load must not decide a test."""
    import forked_processes  # noqa: F401  it says what the fork server imports
    from rwmu_ros.realtime_priority import raise_priority

    # What comes from the fork server inherits its class: it has to be there before.
    forkserver.ensure_running()
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    raise_priority(20)
    yield
    for task in Path("/proc/self/task").iterdir():
        # A thread may end meanwhile.
        with contextlib.suppress(ProcessLookupError):
            os.sched_setscheduler(int(task.name), policy, parameters)


@pytest.fixture
def forked(domain_id: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forked]:
    """Starts nodes as real processes: `forked.start("policy_process", bundle=...)`."""
    from forked_processes import forked_in

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with forked_in(domain_id, tmp_path) as processes:
        yield processes


@pytest.fixture(scope="session")
def standing_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real bundle whose policy stands."""
    from standing_bundle import export_standing_bundle

    return export_standing_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="session")
def monitored_bundle(standing_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a world model on board."""
    from small_monitor import export_with_monitor

    out = tmp_path_factory.mktemp("monitored") / "standing"
    return export_with_monitor(standing_bundle.parent / "run", out, load_robot_spec("anymal_d"))


@pytest.fixture
def start_node(domain_id: int, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a node as a process of its own: `start_node("policy_node", bundle=...)`."""
    started: list[subprocess.Popen[bytes]] = []

    def start(module: str, **parameters: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"rwmu_ros.{module}", "--ros-args"]
        for name, value in parameters.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            command += ["-p", f"{name}:={text}"]
        environment = {
            **os.environ,
            "ROS_DOMAIN_ID": str(domain_id),
            "OMP_NUM_THREADS": "1",
        }
        with (tmp_path / f"{module}.log").open("wb") as log:
            process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
