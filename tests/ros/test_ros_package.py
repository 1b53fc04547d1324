"""The workspace builds, and its files agree with each other and with the docs."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import yaml
from rclpy.context import Context
from rclpy.node import Node
from rwmu_ros.node_parameters import PolicyNodeParameters, declare_parameters
from rwmu_ros.policy_node import PolicyNode

from rwmu_deploy.contract.robot_spec import load_robot_spec

REPOSITORY = Path(__file__).resolve().parents[2]
WORKSPACE = REPOSITORY / "ros2_ws"
PACKAGE = WORKSPACE / "src" / "rwmu_deploy"
LAUNCH_FILE = PACKAGE / "launch" / "anymal_d.launch.py"
SHARED = PACKAGE / "rwmu_ros" / "policy_launch.py"
CONFIG_FILE = PACKAGE / "config" / "anymal_d.yaml"
DOCS = REPOSITORY / "docs" / "ros2.md"


def test_colcon_builds_the_workspace(tmp_path: Path) -> None:
    shutil.copytree(
        WORKSPACE / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg*")
    )
    prefix = Path(sys.prefix)
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(prefix / "bin"), os.environ["PATH"]]),
        "AMENT_PREFIX_PATH": str(prefix),
        "CMAKE_PREFIX_PATH": str(prefix),
        # setuptools' own deprecation notes are not what is tested here.
        "PYTHONWARNINGS": "ignore",
    }
    built = subprocess.run(
        [
            sys.executable,
            "-m",
            "colcon",
            "--log-base",
            "log",
            "build",
            "--packages-select",
            "rwmu_deploy",
            "rwmu_unitree",
        ],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    installed = tmp_path / "install" / "rwmu_deploy"
    share = installed / "share"
    assert (share / "ament_index/resource_index/packages/rwmu_deploy").is_file()
    for name in ("package.xml", "launch/anymal_d.launch.py", "config/anymal_d.yaml"):
        assert (share / "rwmu_deploy" / name).is_file()
    for name in ("policy_node", "simulated_robot_node"):
        assert os.access(installed / "lib" / "rwmu_deploy" / name, os.X_OK)
    humanoid = tmp_path / "install" / "rwmu_unitree"
    for name in ("policy_node", "simulated_robot_node", "motion_service"):
        assert os.access(humanoid / "lib" / "rwmu_unitree" / name, os.X_OK)
    for name in ("launch/g1.launch.py", "config/g1.yaml"):
        assert (humanoid / "share" / "rwmu_unitree" / name).is_file()
    modules = next(installed.glob("lib/python*/site-packages/rwmu_ros"))
    sources = {path.name for path in (PACKAGE / "rwmu_ros").glob("*.py")}
    assert {path.name for path in modules.glob("*.py")} == sources
    # The pip package must not be shadowed by a module of the ROS package.
    assert not (modules.parent / "rwmu_deploy").exists()


def _imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_package_xml_names_every_ros_package_that_is_imported() -> None:
    manifest = ElementTree.parse(PACKAGE / "package.xml").getroot()
    declared = {entry.text for entry in manifest.iter("exec_depend")}
    imported: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        imported |= _imports(path)
    of_ros = {
        name
        for name in imported
        if name in ("rclpy", "launch", "launch_ros")
        or name.endswith(("_msgs", "_srvs", "_interfaces"))
    }
    assert of_ros <= declared, of_ros - declared


def test_ros_is_imported_here_and_not_in_the_robot_core() -> None:
    core = set[str]().union(*map(_imports, (REPOSITORY / "rwmu_deploy").rglob("*.py")))
    node = set[str]().union(*map(_imports, (PACKAGE / "rwmu_ros").glob("*.py")))
    assert {"rclpy", "rwmu_deploy"} <= node
    assert not {"rclpy", "sensor_msgs", "rwmu_ros"} & core
    assert not {"torch", "pandas", "rwmu_train"} & node


def test_policy_node_needs_no_simulator() -> None:
    run = subprocess.run(
        [sys.executable, "-c", "import sys, rwmu_ros.policy_node; print('mujoco' in sys.modules)"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(PACKAGE), str(REPOSITORY)])},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert run.stdout.strip() == "False"


def _launch_arguments() -> dict[str, str | None]:
    for node in ast.parse(SHARED.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ARGUMENTS":
            return {name: default for name, (default, _) in ast.literal_eval(node.value).items()}
    raise AssertionError("policy_launch has no ARGUMENTS")


def _documented(heading: str) -> dict[str, str]:
    """First and second column of the table under a heading."""
    section = DOCS.read_text(encoding="utf-8").split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]*) \|", section, flags=re.MULTILINE)
    return {name: text.strip().strip("`") for name, text in rows}


def test_docs_list_the_launch_arguments_with_their_defaults() -> None:
    arguments = {
        name: "required" if default is None else default or "empty"
        for name, default in _launch_arguments().items()
    }
    assert _documented("Launch file") == arguments


def test_docs_list_every_parameter_of_the_policy_node() -> None:
    documented = _documented("Parameters of the policy node")
    assert set(documented) == set(PolicyNodeParameters.__dataclass_fields__)


def test_docs_state_the_defaults_that_the_node_has(ros_context: Context) -> None:
    node = Node("bare", context=ros_context)
    declare_parameters(node)
    documented = _documented("Parameters of the policy node")
    assert documented.pop("position_command_joints") == "unset"
    for name, text in documented.items():
        value = node.get_parameter(name).value
        shown = str(value).lower() if isinstance(value, bool) else str(value) or "empty"
        assert text == shown, name
    node.destroy_node()


def test_every_parameter_is_declared_with_a_description(ros_context: Context) -> None:
    node = Node("bare", context=ros_context)
    declare_parameters(node)
    for name in PolicyNodeParameters.__dataclass_fields__:
        assert node.describe_parameter(name).description
    node.destroy_node()


def test_launch_file_sets_only_parameters_that_exist() -> None:
    text = SHARED.read_text(encoding="utf-8")
    for file in (LAUNCH_FILE, SHARED):
        compile(file.read_text(encoding="utf-8"), str(file), "exec")
    given = {
        ast.literal_eval(key)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Constant)
    }
    given -= set(_launch_arguments())
    assert given
    assert given <= set(PolicyNodeParameters.__dataclass_fields__)


@pytest.mark.skipif(
    importlib.util.find_spec("launch_ros") is None,
    reason="launch_ros is not installed; it comes with a ROS 2 installation, not from pip",
)
def test_launch_file_describes_both_nodes() -> None:
    spec = importlib.util.spec_from_file_location("anymal_d_launch", LAUNCH_FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    description = module.generate_launch_description()
    declared = {argument.name for argument in description.get_launch_arguments()}
    assert declared == set(_launch_arguments())
    kinds = [type(entity).__name__ for entity in description.entities]
    assert kinds.count("Node") == 2


@pytest.mark.parametrize("namespace", ["", "/field/robot_1"])
def test_config_reaches_the_node_in_any_namespace(ros_context: Context, namespace: str) -> None:
    arguments = ["--ros-args", "--params-file", str(CONFIG_FILE)]
    node = PolicyNode(context=ros_context, cli_args=arguments, namespace=namespace)
    configured = yaml.safe_load(CONFIG_FILE.read_text(encoding="utf-8"))
    expected = configured["/**/policy_node"]["ros__parameters"]
    overrides = {name: p.value for name, p in node._parameter_overrides.items()}
    assert overrides == expected
    for name, value in expected.items():
        assert node.get_parameter(name).value == value
    node.destroy_node()


def test_configured_joint_order_is_the_robots_and_not_the_policys() -> None:
    configured = yaml.safe_load(CONFIG_FILE.read_text(encoding="utf-8"))
    order = configured["/**/simulated_robot"]["ros__parameters"]["joint_order"]
    names = list(load_robot_spec("anymal_d").joint_names)
    assert sorted(order) == sorted(names)
    assert order != names
