"""The package of the low-level link agrees with itself and with the node that it extends."""

from __future__ import annotations

import ast
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
import yaml
from rclpy.context import Context
from rclpy.node import Node
from rwmu_ros.node_parameters import PolicyNodeParameters, declare_parameters

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.robots.unitree.link_limits import LinkLimits

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "ros2_ws" / "src" / "rwmu_unitree"
sys.path[:0] = [str(PACKAGE)]

from rwmu_unitree.link_parameters import (  # noqa: E402
    LinkParameters,
    declare_link_parameters,
    read_link_parameters,
)

LAUNCH_FILE = PACKAGE / "launch" / "g1.launch.py"
KNOWN = {*PolicyNodeParameters.__dataclass_fields__, *LinkParameters.__dataclass_fields__}


@pytest.fixture
def node(ros_context: Context) -> Any:
    made = Node("bare", context=ros_context)
    declare_parameters(made)
    declare_link_parameters(made)
    yield made
    made.destroy_node()


def launch_arguments() -> set[str]:
    """Those that are this robot's own."""
    for statement in ast.parse(LAUNCH_FILE.read_text()).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "ARGUMENTS":
            return set(ast.literal_eval(statement.value))
    raise AssertionError("the launch file has no ARGUMENTS")


def test_config_and_launch_file_set_only_parameters_that_exist() -> None:
    config = yaml.safe_load((PACKAGE / "config" / "g1.yaml").read_text())
    assert set(config["/**/policy_node"]["ros__parameters"]) <= KNOWN
    assert set(launch_arguments()) == {"remote", "battery", "velocity"} <= KNOWN
    compile(LAUNCH_FILE.read_text(), str(LAUNCH_FILE), "exec")


def test_parameters_are_read_as_declared_and_described(node: Node) -> None:
    read = read_link_parameters(node)
    assert read == LinkParameters(
        low_state_topic="/lowstate",
        battery_topic="/lf/bmsstate",
        mode_machine=LinkLimits().mode_machine,
        remote="stop",
        battery="watch",
        velocity="cmd_vel",
    )
    for name in LinkParameters.__dataclass_fields__:
        assert node.describe_parameter(name).description


@pytest.mark.parametrize(
    ("name", "value"), [("remote", "off"), ("battery", ""), ("velocity", "Remote")]
)
def test_another_word_is_refused_with_those_that_are_allowed(
    ros_context: Context, name: str, value: str
) -> None:
    fine = {"remote": "stop", "battery": "watch", "velocity": "cmd_vel"}
    with pytest.raises(ConfigError, match=f"parameter {name} is '{value}'; allowed are"):
        LinkParameters("/lowstate", "/lf/bmsstate", 5, **(fine | {name: value}))


def test_velocity_from_a_remote_that_is_ignored_is_refused() -> None:
    with pytest.raises(ConfigError, match="velocity is 'remote', and remote is 'ignore'"):
        LinkParameters("/lowstate", "/lf/bmsstate", 5, "ignore", "watch", "remote")


def test_package_xml_names_every_ros_package_that_is_imported() -> None:
    manifest = ElementTree.parse(PACKAGE / "package.xml").getroot()
    declared = {entry.text for entry in manifest.iter("exec_depend")}
    text = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    imported = set(re.findall(r"^(?:from|import) (\w+)", text, flags=re.MULTILINE))
    of_ros = {
        name
        for name in imported
        if name in ("rclpy", "launch", "launch_ros", "unitree_hg", "unitree_api")
        or name.endswith(("_msgs", "_srvs", "_interfaces"))
    }
    assert of_ros <= declared
