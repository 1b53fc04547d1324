"""`rwmu-data session`: the report of a session of collecting."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console

from rwmu_deploy.cli.command_line import EXIT_OK
from rwmu_train.cli.output_file import write_json, write_output
from rwmu_train.pictures.session_page import session_page, summary_lines
from rwmu_train.pictures.session_pictures import session_pictures
from rwmu_train.sessions.session_facts import read_facts


def add_session_command(commands: Any) -> None:
    """Add the subcommand to `rwmu-data`."""
    parser = commands.add_parser(
        "session", help="report of a session of collecting: path, coverage, every intervention"
    )
    parser.add_argument("session", type=Path, help="folder that rwmu-collect made")
    parser.add_argument("--out", type=Path, help="page to write (default: SESSION/report.html)")
    parser.add_argument("--json", type=Path, help="figures (default: SESSION/report.json)")
    parser.set_defaults(command=_session)


def _session(options: argparse.Namespace) -> int:
    facts = read_facts(options.session)
    page = options.out or options.session / "report.html"
    write_output("--out", page, session_page(facts, session_pictures(facts)))
    write_json(options.json or options.session / "report.json", facts.to_dict())
    console = Console(soft_wrap=True)
    for name, value in summary_lines(facts):
        console.print(f"{name}: {value}", markup=False)
    console.print(f"{page}", markup=False)
    return EXIT_OK
