"""`rwmu-export --rsl-rl-out` and `--jit`: a policy for other programs than the robot's runtime."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from rwmu_deploy.cli.command_line import EXIT_OK
from rwmu_train.cli.export_source import ExportSource, joint_order
from rwmu_train.export.bundle_page import comparison_table
from rwmu_train.export.jit_export import write_jit
from rwmu_train.export.parity import Comparison
from rwmu_train.export.rsl_rl_export import VERSIONS, agent_settings, write_rsl_rl


def add_elsewhere_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a file for other programs."""
    add = parser.add_argument_group("a policy for other programs").add_argument
    add("--rsl-rl-out", type=Path, metavar="FILE", help="checkpoint that Isaac Lab's play loads")
    add("--rsl-rl-version", choices=VERSIONS, help="whose format it is (default 5)")
    add("--fold-normaliser", action="store_true", help="for a runner that normalises nothing")
    add("--jit", type=Path, metavar="FILE", help="TorchScript for libtorch, beside the bundle")
    add(
        "--joint-order",
        metavar="NAME,NAME,...",
        help="of the policy in --rsl-rl or --rsl-rl-out (default: robot.yaml's)",
    )


def write_rsl_rl_command(arguments: argparse.Namespace, source: ExportSource) -> int:
    """Write --rsl-rl-out, and print what was compared and which settings load it."""
    path: Path = arguments.rsl_rl_out
    fold = arguments.fold_normaliser
    compared = write_rsl_rl(
        path,
        source.network,
        source.facts,
        version=arguments.rsl_rl_version or VERSIONS[0],
        joint_order=joint_order(arguments),
        fold_normaliser=fold,
        data=arguments.data,
    )
    console = _report(source, compared, path)
    console.print("Its runner's settings, in Isaac Lab's words:")
    for name, value in agent_settings(source.network, fold_normaliser=fold).items():
        console.print(f"  {name}: {value}")
    return EXIT_OK


def write_jit_command(arguments: argparse.Namespace, source: ExportSource) -> int:
    """Write --jit, and print what was compared."""
    compared = write_jit(arguments.jit, source.network, source.facts, data=arguments.data)
    _report(source, compared, arguments.jit)
    return EXIT_OK


def _report(source: ExportSource, compared: Mapping[str, Comparison], path: Path) -> Console:
    console = Console(markup=False, soft_wrap=True)
    for note in source.notes:
        console.print(f"note: {note}", style="yellow")
    tables = {name: asdict(entry) for name, entry in compared.items()}
    console.print(comparison_table(f"Trained policy against {path.name}", tables))
    console.print(f"Verified and written to {path}")
    return console
