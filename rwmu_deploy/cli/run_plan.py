"""What to run on the simulated robot, and what is written down meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rwmu_deploy.collection.flight_writer import FlightWriter
from rwmu_deploy.collection.transition_logger import TransitionLogger
from rwmu_deploy.contract.bundle_robot_match import match_robot
from rwmu_deploy.contract.bundle_training_range import TrainingRange
from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.robot_spec import RobotSpec, load_robot_spec
from rwmu_deploy.runtime.data_guard import DataGuard
from rwmu_deploy.runtime.flight_record import FlightFacts
from rwmu_deploy.runtime.robot_link import Policy
from rwmu_deploy.simulation.robot_variant import NOMINAL, RobotVariant

if TYPE_CHECKING:
    from rwmu_deploy.contract.policy_bundle import PolicyBundle  # which needs onnxruntime

SETTLE_S = 1.0
"""The simulated robot stands by its own controller for this long before the loop arms."""
STAND_UP_S = 2.0
"""From the pose in which it stands to the default pose."""


@dataclass(frozen=True)
class RunPlan:
    """What to run."""

    spec: RobotSpec
    policy: Policy
    command_range: CommandRange
    velocity_command: tuple[float, float, float]
    walk_s: float
    """Time from the policy's first tick on."""
    fast: bool
    """Without sleeping."""
    log_folder: Path | None
    bundle_sha256: str | None
    variant: RobotVariant = NOMINAL
    """How the simulated robot differs from its model file."""
    seed: int = 0
    """Seed of what the variant draws."""
    guard: DataGuard | None = None
    """Watches whether the robot leaves its data."""
    observation_range: TrainingRange | None = None
    """What observations were in training, if the bundle says so."""
    bundle: str = ""
    """The bundle's name."""
    record_folder: Path | None = None
    """For recordings of faults."""
    note: str = ""
    """For the log's sidecars."""


def transition_log(plan: RunPlan) -> TransitionLogger | None:
    """The log that a plan asks for; None: none.

    Raises:
        LogError: The folder can't be written to.
    """
    if plan.log_folder is None:
        return None
    return TransitionLogger(
        plan.log_folder,
        plan.spec,
        source="sim",
        bundle_sha256=plan.bundle_sha256,
        torque_source="simulated",
        contact_source="simulated",
        base_velocity_source="simulated",
        variant={**plan.variant.to_dict(), "seed": plan.seed},
        note=plan.note,
        may_wait=plan.fast,
    )


def flight_writer(plan: RunPlan) -> FlightWriter | None:
    """The recorder of faults that a plan asks for; None: none."""
    if plan.record_folder is None:
        return None
    facts = FlightFacts(
        plan.spec,
        plan.command_range,
        stand_up_s=STAND_UP_S,
        observation_range=plan.observation_range,
        monitor="off" if plan.guard is None else plan.guard.mode,
        bundle=plan.bundle,
        bundle_sha256=plan.bundle_sha256,
        source=f"simulated, {plan.variant.name}, seed {plan.seed}",
    )
    return FlightWriter(plan.record_folder, facts)


def own_robot(bundle: PolicyBundle) -> RobotSpec:
    """The robot of a bundle as this machine's robot.yaml has it, which decides on safety limits.

    Raises:
        RwmuError: There is no such robot here, or it isn't the one that the bundle was made for.
    """
    return match_robot(bundle.spec, load_robot_spec(bundle.spec.name))
