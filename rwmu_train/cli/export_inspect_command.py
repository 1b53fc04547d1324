"""`rwmu-export inspect`: a bundle on one page."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rwmu_deploy.cli.command_line import EXIT_FAILED, EXIT_OK, CommandParser
from rwmu_deploy.contract.bundle_files import read_manifest_bytes
from rwmu_deploy.contract.errors import BundleError
from rwmu_deploy.contract.policy_bundle import PolicyBundle
from rwmu_train.cli.output_file import write_json
from rwmu_train.export.bundle_page import bundle_document, page_console, print_page


def inspect_command(words: Sequence[str]) -> int:
    """Print the page of a bundle, and write it as JSON if asked to.

    Returns:
        0, or 1 if the bundle is refused.

    Raises:
        BundleError: There is no bundle.
        ConfigError: The arguments are wrong, or the JSON file can't be written.
    """
    parser = CommandParser(prog="rwmu-export inspect", description="Show a bundle on one page.")
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write it to FILE too")
    options = parser.parse_args(words)
    read_manifest_bytes(options.folder)
    try:
        bundle = PolicyBundle.load(options.folder)
        document = bundle_document(bundle, options.folder)
        print_page(page_console(), bundle, options.folder)
    except BundleError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_FAILED
    write_json(options.json, document)
    return EXIT_OK
