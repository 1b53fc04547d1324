"""Where `rwmu-export` takes a policy from: a run, a checkpoint of rsl_rl, or a robot's model."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import RobotSpec, load_robot_spec
from rwmu_train.export.rsl_rl_import import ImportedPolicy, StatedFacts, import_rsl_rl
from rwmu_train.policy.policy_checkpoint import PolicyFacts, load_policy
from rwmu_train.policy.policy_network import PolicyNetwork


@dataclass(frozen=True)
class ExportSource:
    """A policy to export."""

    network: PolicyNetwork
    facts: PolicyFacts
    notes: tuple[str, ...] = ()
    """What a person should know about where it comes from."""


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a checkpoint from elsewhere and state what it doesn't say."""
    parser.add_argument(
        "--stand",
        metavar="ROBOT",
        help="a policy that stands and does nothing else, from the robot's model, in place of "
        "--run: what a robot is tried with first",
    )
    add = parser.add_argument_group("a policy that rsl_rl trained elsewhere").add_argument
    add("--rsl-rl", type=Path, metavar="FILE", help="model_*.pt, in place of --run; with --robot")
    for side in ("lower", "upper"):
        add(
            f"--command-{side}",
            type=float,
            nargs=3,
            metavar=("VX", "VY", "WZ"),
            help=f"{'lowest' if side == 'lower' else 'highest'} velocity commands of the training",
        )
    add("--agent-yaml", type=Path, metavar="FILE", help="Isaac Lab's params/agent.yaml beside it")
    add("--no-normaliser", action="store_true", help="I know that it was trained without one")
    add("--activation", help="between its layers (default: agent.yaml's, or elu)")
    add("--task", help="name of its task (default: agent.yaml's experiment)")
    add("--name", help="name of its training (default: the file's)")


def read_source(arguments: argparse.Namespace) -> ExportSource:
    """The policy that the options name.

    Raises:
        ConfigError: Not one of --run, --rsl-rl and --stand, or a fact is not stated.
        RobotSpecError: The robot of --stand can't stand.
        CheckpointError: The policy can't be trusted.
        ParityError: A checkpoint was read otherwise than rsl_rl reads it.
    """
    sources = (arguments.run, arguments.rsl_rl, arguments.stand)
    if sum(source is not None for source in sources) != 1:
        raise ConfigError(
            "allowed is one of --run, --rsl-rl and --stand",
            fix="Name the run folder, a checkpoint of rsl_rl, or a robot that is to stand.",
        )
    if arguments.stand is not None:
        return _standing(load_robot_spec(arguments.stand))
    if arguments.rsl_rl is not None:
        imported = _imported(arguments)
        return ExportSource(imported.network, imported.facts, _notes(imported, arguments))
    return ExportSource(*load_policy(arguments.run))


def _standing(spec: RobotSpec) -> ExportSource:
    # Only here: it needs the simulator, and nothing else of this command does.
    from rwmu_train.reference.standing_policy import standing_policy

    facts = PolicyFacts(
        robot=spec,
        task=f"stand_{spec.name}",
        command_range=CommandRange((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
        training_method="linear_quadratic_regulator",
        run_name=f"stand_{spec.name}",
        seed=0,
    )
    return ExportSource(standing_policy(spec), facts, ("it stands, and follows no command",))


def joint_order(arguments: argparse.Namespace) -> tuple[str, ...] | None:
    """The names of --joint-order."""
    return None if arguments.joint_order is None else tuple(arguments.joint_order.split(","))


def _imported(arguments: argparse.Namespace) -> ImportedPolicy:
    missing = [
        f"--{name.replace('_', '-')}"
        for name in ("robot", "command_lower", "command_upper")
        if getattr(arguments, name) is None
    ]
    if missing:
        raise ConfigError(
            f"--rsl-rl needs {', '.join(missing)}: a checkpoint doesn't say, and there is no safe "
            "default",
            fix="State it as it was in the training.",
        )
    stated = StatedFacts(
        command_range=CommandRange(tuple(arguments.command_lower), tuple(arguments.command_upper)),
        task=arguments.task,
        name=arguments.name,
        activation=arguments.activation,
        joint_order=joint_order(arguments),
        agent_yaml=arguments.agent_yaml,
        no_normaliser=arguments.no_normaliser,
    )
    return import_rsl_rl(arguments.rsl_rl, load_robot_spec(arguments.robot), stated)


def _notes(imported: ImportedPolicy, arguments: argparse.Namespace) -> tuple[str, ...]:
    compared, robot = imported.comparison, imported.facts.robot.name
    unsaid = "default pose, gains, time step and action scale"
    if arguments.joint_order is None:
        unsaid = f"joint order, {unsaid}"
    return (
        f"read as rsl_rl {imported.facts.versions['rsl_rl']} wrote it: acts as rsl_rl's own "
        f"network on {compared.count} observations, largest difference "
        f"{compared.largest_difference:.2g}",
        f"the file says nothing about {unsaid}; taken are {robot}'s",
        *(f"nobody stated it: taken is {entry}" for entry in imported.taken),
    )
