"""rwmu-export: make, check and show the bundle that a robot loads.

rwmu-export --onnx --run RUN --out DIR     export and verify
rwmu-export --onnx --rsl-rl FILE ...       the same of a policy that rsl_rl trained elsewhere
rwmu-export --onnx --stand ROBOT --out DIR the same of one that only stands, from the robot's model
rwmu-export --rsl-rl-out FILE --run RUN    a checkpoint that Isaac Lab's play script loads
rwmu-export --jit FILE --run RUN           TorchScript for libtorch
rwmu-export --verify-only DIR              check a bundle again
rwmu-export inspect DIR                    show it on one page
rwmu-export diff A B                       what two bundles differ in

Exit status: 0 all is well, 1 the policy or bundle is not what it should be, 2 bad input. Of diff:
0 they are the same, 1 they differ, 2 bad input.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from rich.console import Console

from rwmu_deploy.cli.command_line import EXIT_FAILED, EXIT_OK, CommandParser, run_command
from rwmu_deploy.contract.bundle_files import read_manifest_bytes
from rwmu_deploy.contract.errors import BundleError
from rwmu_deploy.contract.policy_bundle import PolicyBundle
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_train.cli.export_diff_command import diff_command
from rwmu_train.cli.export_elsewhere import (
    add_elsewhere_arguments,
    write_jit_command,
    write_rsl_rl_command,
)
from rwmu_train.cli.export_inspect_command import inspect_command
from rwmu_train.cli.export_monitor import (
    add_monitor_arguments,
    calibration_progress,
    monitor_source,
)
from rwmu_train.cli.export_options import refuse_what_does_not_go_together
from rwmu_train.cli.export_source import ExportSource, add_source_arguments, read_source
from rwmu_train.export.bundle_export import compare_with_run, export_policy
from rwmu_train.export.bundle_page import verification_table
from rwmu_train.export.parity import ParityError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; argv without the program's name, sys.argv if None."""
    words = sys.argv[1:] if argv is None else list(argv)
    return run_command(lambda: _run(words))


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="rwmu-export",
        description="Export a trained policy as a verified bundle, or check one.",
        epilog="rwmu-export inspect DIR shows a bundle on one page, "
        "rwmu-export diff A B what two bundles differ in.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--onnx", action="store_true", help="export --run, --rsl-rl or --stand to --out"
    )
    parser.add_argument(
        "--run", type=Path, help="run folder with policy.safetensors and policy.json"
    )
    parser.add_argument("--out", type=Path, help="folder of the new bundle")
    parser.add_argument("--overwrite", action="store_true", help="replace the bundle at --out")
    parser.add_argument(
        "--data",
        type=Path,
        help="transition CSV or folder; compare on its observations too",
    )
    parser.add_argument("--verify-only", type=Path, metavar="DIR", help="check a bundle")
    parser.add_argument(
        "--robot", help="name or robot.yaml; --verify-only: it must fit it; --rsl-rl: it is its"
    )
    parser.add_argument("--expected-sha256", help="with --verify-only: it must be this bundle")
    add_monitor_arguments(parser)
    add_source_arguments(parser)
    add_elsewhere_arguments(parser)
    return parser


def _run(words: list[str]) -> int:
    if words[:1] == ["inspect"]:
        return inspect_command(words[1:])
    if words[:1] == ["diff"]:
        return diff_command(words[1:])
    arguments = _parser().parse_args(words)
    refuse_what_does_not_go_together(arguments)
    if arguments.verify_only is not None:
        return _verify(arguments)
    try:
        with _stop_cleanly_on_sigterm():
            source = read_source(arguments)
            if arguments.rsl_rl_out is not None:
                return write_rsl_rl_command(arguments, source)
            if arguments.jit is not None:
                return write_jit_command(arguments, source)
            return _export(arguments, source)
    except ParityError as error:
        return _mismatch(error)


def _export(arguments: argparse.Namespace, source: ExportSource) -> int:
    console = Console()
    with calibration_progress(console) as on_rows:
        folder = export_policy(
            source.network,
            source.facts,
            arguments.out,
            data=arguments.data,
            overwrite=arguments.overwrite,
            monitor=monitor_source(arguments),
            on_rows=on_rows,
        )
    for note in source.notes:
        console.print(f"note: {note}", style="yellow", markup=False, soft_wrap=True)
    console.print(verification_table(folder))
    bundle = PolicyBundle.load(folder)
    console.print(f"Verified and written to {folder}", markup=False, soft_wrap=True)
    console.print(f"SHA-256 {bundle.sha256}", markup=False, soft_wrap=True)
    return EXIT_OK


def _verify(arguments: argparse.Namespace) -> int:
    folder: Path = arguments.verify_only
    read_manifest_bytes(folder)
    robot = None if arguments.robot is None else load_robot_spec(arguments.robot)
    try:
        bundle = PolicyBundle.load(folder, robot=robot, expected_sha256=arguments.expected_sha256)
        if arguments.run is not None:
            compare_with_run(folder, arguments.run, data=arguments.data)
    except (BundleError, ParityError) as error:
        return _mismatch(error)
    console = Console()
    console.print(
        f"{folder} is whole: {len(bundle.golden_actions)} golden vectors replayed, largest "
        f"difference {bundle.golden_difference:.2g}",
        markup=False,
        soft_wrap=True,
    )
    console.print(f"SHA-256 {bundle.sha256}", markup=False, soft_wrap=True)
    return EXIT_OK


def _mismatch(error: BundleError | ParityError) -> int:
    print(f"error: {error}", file=sys.stderr)
    return EXIT_FAILED


@contextlib.contextmanager
def _stop_cleanly_on_sigterm() -> Iterator[None]:
    """Turn SIGTERM into an exception, so that a half-made result is removed."""

    def stop(signal_number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + signal_number)

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


if __name__ == "__main__":
    sys.exit(main())
