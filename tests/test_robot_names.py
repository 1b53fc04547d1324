"""What is particular to a robot stands with that robot: no other file of ours names one.

Counted are the files of the three packages, by path and by text; and of the ROS workspace, those
that are not named after a robot: a launch file or a configuration that is, is that robot's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from rwmu_deploy.contract.robot_spec import default_robot, known_robots
from rwmu_train.task.velocity_task import DEFAULT_TASK, TASKS

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("rwmu_deploy", "rwmu_train", "ros2_ws/src/rwmu_deploy/rwmu_ros")
WORKSPACE = "ros2_ws/src"
ALLOWED = ("rwmu_deploy/robots", "rwmu_train/task")
BUILT = {"__pycache__", "build", "install", "log"}
MAKERS = ("anymal", "anybotics", "unitree")
_words = [re.escape(robot).replace("_", "[ _-]?") for robot in known_robots()]
# "g1" alone, and not the end or the beginning of another word.
NAMES = re.compile(rf"(?<![a-z0-9])({'|'.join([*_words, *MAKERS])})(?![a-z0-9])", re.IGNORECASE)


def names_in(text: str) -> list[str]:
    return [match.group() for match in NAMES.finditer(text)]


def files_that_name_a_robot(root: Path) -> Iterator[str]:
    for place in (*PACKAGES, WORKSPACE):
        for path in sorted((root / place).rglob("*")):
            name = path.relative_to(root).as_posix()
            if not path.is_file() or BUILT & set(path.parts) or name.startswith(ALLOWED):
                continue
            if place == WORKSPACE and (name.startswith(PACKAGES) or names_in(name)):
                continue
            if names_in(name) or names_in(path.read_text(encoding="utf-8", errors="replace")):
                yield name


def test_no_file_outside_its_own_places_names_a_robot() -> None:
    assert list(files_that_name_a_robot(ROOT)) == []


@pytest.mark.parametrize(
    ("place", "text", "counts"),
    [
        ("rwmu_train/cli/train.py", 'add("--task", default="anymal_d_flat")', True),
        ("rwmu_train/cli/train.py", "# 48 on ANYmal D", True),
        ("rwmu_deploy/contract/action.py", 'if spec.name == "g1":', True),
        ("rwmu_deploy/runtime/unitree_link.py", "", True),
        ("ros2_ws/src/rwmu_deploy/rwmu_ros/g1_frames.py", "", True),
        ("ros2_ws/src/rwmu_deploy/launch/collect.launch.py", "robot:=anymal_d", True),
        ("ros2_ws/src/rwmu_deploy/launch/g1.launch.py", "robot: g1", False),
        ("rwmu_deploy/robots/unitree/frames.py", "Unitree's LowCmd of the G1", False),
        ("rwmu_train/task/velocity_task.py", 'VelocityTask("g1_flat", "g1")', False),
        ("rwmu_train/cli/train.py", "g10 of bag1 and config1", False),
    ],
)
def test_the_count_tells_a_name_where_it_may_not_stand(
    tmp_path: Path, place: str, text: str, counts: bool
) -> None:
    file = tmp_path / place
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert list(files_that_name_a_robot(tmp_path)) == ([place] if counts else [])


def test_defaults_are_among_what_there_is() -> None:
    assert default_robot() in known_robots()
    assert TASKS[DEFAULT_TASK].robot == default_robot()


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_every_task_is_of_a_robot_that_there_is(task) -> None:
    assert task.robot in known_robots()
