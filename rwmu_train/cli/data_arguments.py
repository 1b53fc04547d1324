"""Arguments that commands about data share."""

from __future__ import annotations

import argparse
from pathlib import Path

from rwmu_deploy.contract.robot_spec import default_robot


def add_places(parser: argparse.ArgumentParser) -> None:
    """Add where the data are, whose they are, and where the result goes as JSON."""
    parser.add_argument("dir", type=Path, nargs="+", help="folder of transitions, or one CSV")
    parser.add_argument(
        "--robot", default=default_robot(), help="name or robot.yaml (default %(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to FILE too")
