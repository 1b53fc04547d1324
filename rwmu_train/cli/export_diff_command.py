"""`rwmu-export diff`: what two bundles differ in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rwmu_deploy.cli.command_line import EXIT_FAILED, EXIT_OK, CommandParser
from rwmu_deploy.contract.errors import BundleError
from rwmu_deploy.contract.policy_bundle import PolicyBundle
from rwmu_train.cli.output_file import write_json
from rwmu_train.export.bundle_difference import bundle_differences
from rwmu_train.export.bundle_page import page_console
from rwmu_train.export.difference_page import difference_document, print_differences
from rwmu_train.export.verification_report import facts_as_exported


def diff_command(words: Sequence[str]) -> int:
    """Print what two bundles differ in, and write it as JSON if asked to.

    Returns:
        0 if they are the same, 1 if they differ, as diff(1) does.

    Raises:
        BundleError: One of them is refused.
        ConfigError: The arguments are wrong, or the JSON file can't be written.
    """
    parser = CommandParser(
        prog="rwmu-export diff",
        description="Say what two bundles differ in. Exit status: 0 the same, 1 different, 2 one "
        "of them can't be loaded.",
    )
    parser.add_argument("a", type=Path, metavar="A")
    parser.add_argument("b", type=Path, metavar="B")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to FILE too")
    options = parser.parse_args(words)
    a, b = _load(options.a), _load(options.b)
    with facts_as_exported(f"{options.a} or {options.b}"):
        found = bundle_differences(a, b)
    print_differences(page_console(), (options.a, a), (options.b, b), found)
    write_json(options.json, difference_document((options.a, a), (options.b, b), found))
    return EXIT_OK if a.sha256 == b.sha256 else EXIT_FAILED


def _load(folder: Path) -> PolicyBundle:
    try:
        return PolicyBundle.load(folder)
    except BundleError as error:
        raise BundleError(f"bundle {folder} is refused: {error.problem}", fix=error.fix) from None
