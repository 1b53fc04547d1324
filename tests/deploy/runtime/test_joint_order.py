"""A joint's command reaches that joint, in whatever order bundle and robot name their joints.

From the bundle's file through the loader and the loop into MuJoCo, where joints are read by the
names that the robot's model file gives them.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import mujoco
import numpy as np
import onnx
import pytest

from rwmu_deploy.contract.action import target_from_action
from rwmu_deploy.contract.bundle_files import FileFacts
from rwmu_deploy.contract.bundle_manifest import facts_text, interface_facts, manifest_bytes
from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.errors import BundleError
from rwmu_deploy.contract.policy_bundle import PolicyBundle
from rwmu_deploy.contract.robot_spec import JointSpec, RobotSpec, spec_to_dict
from rwmu_deploy.runtime.control_loop import ControlLoop
from rwmu_deploy.runtime.safety_monitor import SafetyState
from rwmu_deploy.simulation.simulated_robot import SimulatedRobot

torch = pytest.importorskip("torch")

ACTION = 0.4
NO_JOINT = 12
SWAPS = list(itertools.combinations(range(12), 2))
"""All 66."""


@pytest.fixture(scope="module")
def pointing_bundle(tmp_path_factory: pytest.TempPathFactory, spec: RobotSpec) -> Path:
    """Its policy moves the joint whose number vx is, by an action of 0.4; none at 12."""
    from rwmu_train.export.bundle_export import export_bundle
    from rwmu_train.policy.policy_checkpoint import PolicyFacts, save_policy
    from rwmu_train.policy.policy_network import PolicyNetwork

    network = PolicyNetwork(spec, (14,), "relu")
    first, last = (m for m in network.modules() if isinstance(m, torch.nn.Linear))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        # Unit k is relu(vx - (k - 1)); three of them make a hat that is 1 at one number alone.
        first.weight[:, 9] = 1.0
        first.bias.copy_(1.0 - torch.arange(14.0))
        for joint in range(12):
            last.weight[joint, joint : joint + 3] = ACTION * torch.tensor([1.0, -2.0, 1.0])
    facts = PolicyFacts(
        robot=spec,
        task="pointing",
        command_range=CommandRange((0.0, 0.0, 0.0), (float(NO_JOINT), 0.0, 0.0)),
        training_method="none",
        run_name="pointing",
        seed=0,
    )
    folder = tmp_path_factory.mktemp("pointing")
    save_policy(folder / "run", network, facts)
    return export_bundle(folder / "run", folder / "bundle")


def in_order(spec: RobotSpec, order: Sequence[int]) -> RobotSpec:
    """The same robot, its joints named in another order."""
    return replace(spec, joints=tuple(spec.joints[i] for i in order))


def swapped(i: int, j: int) -> list[int]:
    order = list(range(12))
    order[i], order[j] = j, i
    return order


def bundle_in_order(bundle: Path, copy: Path, spec: RobotSpec) -> Path:
    """A sound bundle of another order: output k of the same model is the k-th joint of `spec`."""
    shutil.copytree(bundle, copy)
    document = json.loads((copy / "manifest.json").read_text())
    document["robot"] = spec_to_dict(spec)
    document["robot_sha256"] = spec.sha256
    document["interface"] = interface_facts(spec)
    model = onnx.load_from_string((copy / "policy.onnx").read_bytes())
    for entry in model.metadata_props:
        if entry.key == "rwmu":
            entry.value = facts_text(document)
    (copy / "policy.onnx").write_bytes(model.SerializeToString())
    for name in document["files"]:
        document["files"][name] = asdict(FileFacts.of((copy / name).read_bytes()))
    (copy / "manifest.json").write_bytes(manifest_bytes(document))
    return copy


def commanded_joint(bundle: PolicyBundle, number: int) -> str:
    """The one joint whose target leaves the default pose, with its whole way in rad."""
    observation = np.zeros(48, dtype=np.float32)
    observation[9] = number
    target_rad = target_from_action(bundle.spec, bundle.action(observation))
    way_rad = target_rad - bundle.spec.default_position_rad
    (joint,) = np.flatnonzero(np.abs(way_rad) > 1e-6)
    assert way_rad[joint] == pytest.approx(ACTION * 0.5)
    return bundle.spec.joint_names[joint]


class PointedRobot:
    """A bundle on the simulated robot, through the loop; joints are read by MuJoCo's own names.

    The robot hangs free, as one tries joints for the first time: on the ground, four legs that
    carry a body move together.
    """

    def __init__(self, bundle: PolicyBundle) -> None:
        self._robot = SimulatedRobot(bundle.spec)
        self._robot._model.mj.opt.gravity[:] = 0.0
        self._robot._data.qpos[2] = 2.0
        self._robot.advance(1.0)
        self._now_s = 1.0
        self._dt_s = bundle.spec.control_dt_s
        self._loop = ControlLoop(
            bundle.spec,
            bundle,
            self._robot,
            command_range=bundle.command_range,
            stand_up_s=0.2,
        )
        self._loop.arm(self._now_s)
        self.point_at(NO_JOINT, ticks=30)

    def point_at(self, number: int, ticks: int = 15) -> dict[str, float]:
        """Command a joint for a while; then where every joint is, in rad, by name."""
        for _ in range(ticks):
            self._now_s += self._dt_s
            self._robot.advance(self._now_s)
            self._loop.set_velocity_command((float(number), 0.0, 0.0), self._now_s)
            report = self._loop.tick(self._now_s)
            assert report.state is SafetyState.RUN, report.reasons
        model, data = self._robot._model.mj, self._robot._data
        hinges = np.flatnonzero(model.jnt_type == mujoco.mjtJoint.mjJNT_HINGE)
        names = [model.joint(int(i)).name for i in hinges]
        return {name: float(data.joint(name).qpos[0]) for name in names}

    def moved_by(self, number: int) -> tuple[str, float]:
        """The joint that moves most at a command, and how far, in rad."""
        before = self.point_at(NO_JOINT)
        after = self.point_at(number)
        way_rad = {name: after[name] - before[name] for name in before}
        joint = max(way_rad, key=lambda name: abs(way_rad[name]))
        return joint, way_rad[joint]


@pytest.mark.parametrize("order", [list(range(12)), list(range(11, -1, -1))], ids=["same", "back"])
@pytest.mark.parametrize("side", ["bundle", "robot"])
def test_twelve_of_twelve_commanded_joints_are_those_that_move(
    pointing_bundle: Path,
    spec: RobotSpec,
    tmp_path: Path,
    order: list[int],
    side: str,
    trials,
):
    other = in_order(spec, order)
    if side == "bundle":
        folder = bundle_in_order(pointing_bundle, tmp_path / "bundle", other)
        bundle, expected = PolicyBundle.load(folder, robot=spec), other.joint_names
    else:
        bundle, expected = PolicyBundle.load(pointing_bundle, robot=other), spec.joint_names
    robot = PointedRobot(bundle)
    moved = [robot.moved_by(number) for number in range(12)]
    assert tuple(name for name, _ in moved) == expected
    np.testing.assert_allclose([way_rad for _, way_rad in moved], 0.2, atol=0.05)
    trials("T-22", 12)


def test_all_66_swaps_in_the_bundle_are_mapped_by_name(
    pointing_bundle: Path,
    spec: RobotSpec,
    tmp_path: Path,
    trials,
):
    for i, j in SWAPS:
        other = in_order(spec, swapped(i, j))
        folder = bundle_in_order(pointing_bundle, tmp_path / f"{i}-{j}", other)
        bundle = PolicyBundle.load(folder, robot=spec)
        told = tuple(commanded_joint(bundle, number) for number in range(12))
        assert told == other.joint_names
        robot = PointedRobot(bundle)
        moved = robot.moved_by(i)[0], robot.moved_by(j)[0]
        assert moved == (spec.joint_names[j], spec.joint_names[i])
    trials("T-22", len(SWAPS))


def test_all_66_swaps_in_robot_yaml_change_nothing(pointing_bundle: Path, spec: RobotSpec, trials):
    for i, j in SWAPS:
        bundle = PolicyBundle.load(pointing_bundle, robot=in_order(spec, swapped(i, j)))
        assert tuple(commanded_joint(bundle, n) for n in range(12)) == spec.joint_names
    trials("T-22", len(SWAPS))


def test_swap_of_names_alone_is_refused_wherever_it_would_change_a_number(
    pointing_bundle: Path,
    spec: RobotSpec,
    trials,
):
    """Names change places and numbers stay: a wrong robot.yaml, unless the numbers are equal."""
    refused = 0
    for i, j in SWAPS:
        joints = list(spec.joints)
        joints[i] = replace(spec.joints[i], name=spec.joint_names[j])
        joints[j] = replace(spec.joints[j], name=spec.joint_names[i])
        other = replace(spec, joints=tuple(joints))
        if numbers(spec.joints[i]) == numbers(spec.joints[j]):
            assert PolicyBundle.load(pointing_bundle, robot=other).spec == spec
            continue
        refused += 1
        with pytest.raises(BundleError, match=r"joint \w+ \w+ differs: trained with .*, robot"):
            PolicyBundle.load(pointing_bundle, robot=other)
    # Six pairs have equal numbers: LF-LH and RF-RH of HAA, LF-RF and LH-RH of HFE and of KFE.
    assert refused == 60
    trials("T-22", len(SWAPS))


def numbers(joint: JointSpec) -> dict[str, float]:
    return {field: value for field, value in vars(joint).items() if field != "name"}


@pytest.mark.parametrize("side", ["bundle", "robot"])
def test_every_unknown_name_is_refused_and_told(
    pointing_bundle: Path,
    spec: RobotSpec,
    tmp_path: Path,
    side: str,
    trials,
):
    for i, name in enumerate(spec.joint_names):
        joints = list(spec.joints)
        joints[i] = replace(joints[i], name=f"{name}_2")
        other = replace(spec, joints=tuple(joints))
        folder, robot = pointing_bundle, other
        if side == "bundle":
            folder, robot = bundle_in_order(pointing_bundle, tmp_path / name, other), spec
        with pytest.raises(BundleError, match=f"different joints.*{re.escape(name)}_2"):
            PolicyBundle.load(folder, robot=robot)
    trials("T-22", 12)
