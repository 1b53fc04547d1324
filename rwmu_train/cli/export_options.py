"""Which options of `rwmu-export` go together: none is ignored silently."""

from __future__ import annotations

import argparse

from rwmu_deploy.contract.errors import ConfigError

_OF_A_CHECKPOINT = (
    "task",
    "name",
    "command_lower",
    "command_upper",
    "activation",
    "agent_yaml",
    "no_normaliser",
)


def refuse_what_does_not_go_together(arguments: argparse.Namespace) -> None:
    """Refuse none or several results, and options that would be ignored.

    Raises:
        ConfigError: The first of them.
    """
    results = (arguments.onnx or None, arguments.rsl_rl_out, arguments.jit, arguments.verify_only)
    if sum(result is not None for result in results) != 1:
        raise ConfigError(
            "allowed is one of --onnx, --rsl-rl-out, --jit and --verify-only",
            fix="See rwmu-export --help.",
        )
    if arguments.onnx and arguments.out is None:
        raise ConfigError(
            "--onnx needs --out, and --run, --rsl-rl or --stand",
            fix="Name the policy and the folder of the new bundle.",
        )
    of_a_bundle = ("out", "overwrite", "world_model", "monitor_data")
    _refuse_unless(arguments.onnx, arguments, of_a_bundle, "--onnx")
    from_elsewhere, to_rsl_rl = arguments.rsl_rl is not None, arguments.rsl_rl_out is not None
    checked = arguments.verify_only is not None
    _refuse_unless(not checked, arguments, ("rsl_rl", "stand"), "--onnx, --rsl-rl-out and --jit")
    _refuse_unless(from_elsewhere, arguments, _OF_A_CHECKPOINT, "--rsl-rl")
    _refuse_unless(from_elsewhere or checked, arguments, ("robot",), "--rsl-rl and --verify-only")
    _refuse_unless(to_rsl_rl, arguments, ("rsl_rl_version", "fold_normaliser"), "--rsl-rl-out")
    _refuse_unless(
        from_elsewhere or to_rsl_rl, arguments, ("joint_order",), "--rsl-rl and --rsl-rl-out"
    )
    _refuse_unless(checked, arguments, ("expected_sha256",), "--verify-only")


def _refuse_unless(
    used: bool, arguments: argparse.Namespace, names: tuple[str, ...], needed: str
) -> None:
    given = [name for name in names if getattr(arguments, name) not in (None, False)]
    if given and not used:
        raise ConfigError(
            f"--{given[0].replace('_', '-')} goes with {needed} only", fix="Leave it out."
        )
