"""Data flows one way, and so do imports."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OURS = ("rwmu_deploy", "rwmu_train", "rwmu_ros", "rwmu_unitree")
FOLDERS = (
    *("rwmu_deploy", "rwmu_train", "ros2_ws/src/rwmu_deploy/rwmu_ros"),
    "ros2_ws/src/rwmu_unitree/rwmu_unitree",
)

# Package -> packages of ours that it may import besides itself.
ALLOWED = {
    "rwmu_deploy.contract": (),
    "rwmu_deploy.runtime": ("rwmu_deploy.contract",),
    "rwmu_deploy.collection": ("rwmu_deploy.contract", "rwmu_deploy.runtime"),
    "rwmu_deploy.simulation": ("rwmu_deploy.contract",),
    "rwmu_deploy.robots": ("rwmu_deploy.contract", "rwmu_deploy.runtime"),
    "rwmu_deploy.cli": ("rwmu_deploy",),
    "rwmu_train": ("rwmu_deploy",),
    "rwmu_ros": ("rwmu_deploy",),
    "rwmu_unitree": ("rwmu_deploy", "rwmu_ros"),
}
NOT_ON_THE_ROBOT = {"torch", "pandas", "rclpy", "rsl_rl", "onnx", "scipy", "matplotlib", "rich"}
ONLY_IN_SIMULATION = {"mujoco"}


def module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    start = next(i for i, part in enumerate(parts) if part in OURS)
    if parts[start] == "rwmu_deploy" and "ros2_ws" in parts[:start]:
        start = next(i for i, part in enumerate(parts) if part == "rwmu_ros")
    return ".".join(parts[start:])


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
    return names


def inside(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    name = module_name(path.relative_to(ROOT))
    packages = [package for package in ALLOWED if inside(name, package)]
    allowed = {*packages, *(a for p in packages for a in ALLOWED[p])}
    for target in imported(path):
        if target.split(".")[0] in OURS and packages:
            assert any(inside(target, package) for package in allowed), f"{name} imports {target}"


@pytest.mark.parametrize(
    "path",
    [path for path in SOURCES if path.is_relative_to(ROOT / "rwmu_deploy")],
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_the_robot_needs_neither_torch_nor_rclpy_nor_pandas(path: Path) -> None:
    roots = {target.split(".")[0] for target in imported(path)}
    assert not roots & NOT_ON_THE_ROBOT
    if "simulation" not in path.parts:
        assert not roots & ONLY_IN_SIMULATION


def test_every_package_was_looked_at() -> None:
    seen = {module_name(path.relative_to(ROOT)) for path in SOURCES}
    for package in ALLOWED:
        assert any(inside(name, package) for name in seen), package
