"""`rwmu-data plot`: pictures of a data set, on a page or in one file."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from rich.console import Console

from rwmu_deploy.cli.command_line import EXIT_OK
from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_train.cli.data_arguments import add_places
from rwmu_train.cli.output_file import write_json, write_output
from rwmu_train.pictures.data_pictures import DataPictures, draw_data
from rwmu_train.pictures.episode_picture import choose_episode
from rwmu_train.pictures.html_page import html_page
from rwmu_train.pictures.png_overview import png_overview
from rwmu_train.transitions.dataset_loading import load_dataset
from rwmu_train.transitions.verdict import Verdict, judge
from rwmu_train.transitions.verdict_table import channel_rows

HTML, PNG = ".html", ".png"


def add_plot_command(commands: Any) -> None:
    """Add the subcommand to `rwmu-data`."""
    parser = commands.add_parser("plot", help="draw commands, channels and an episode")
    add_places(parser)
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="FILE", help="page (.html) or picture (.png)")
    add("--reference", type=Path, nargs="+", metavar="DIR", help="compare every channel with it")
    add("--episode", type=int, metavar="N", help="draw this one, from 0 (default: the longest)")
    parser.set_defaults(command=_plot)


def _plot(options: argparse.Namespace) -> int:
    _require_writable(options.out)
    spec = load_robot_spec(options.robot)
    dataset = load_dataset(options.dir, spec)
    episode = choose_episode(dataset, options.episode)
    reference = load_dataset(options.reference, spec) if options.reference else None
    verdict = judge(dataset)
    drawn = draw_data(dataset, reference, episode)
    places = ", ".join(map(str, options.dir))
    if options.reference:
        places += f"; reference: {', '.join(map(str, options.reference))}"
    if options.out.suffix == HTML:
        content = html_page(verdict, drawn.pictures, channel_rows(dataset), places)
    else:
        content = png_overview(verdict, drawn.pictures, places)
    write_output("--out", options.out, content)
    said = "usable" if verdict.ok else "NOT usable"
    Console(markup=False, soft_wrap=True).print(
        f"{dataset.row_count:,} rows, {said}: drawn in {options.out} ({len(content) / 1e6:.1f} MB)"
    )
    write_json(options.json, _document(verdict, drawn))
    return EXIT_OK


def _require_writable(out: Path) -> None:
    if out.suffix not in (HTML, PNG):
        raise ConfigError(
            f"--out is {out}; allowed is a name that ends in {HTML} or {PNG}",
            fix="Rename it.",
        )
    if not out.parent.is_dir():
        raise ConfigError(f"--out: there is no folder {out.parent}", fix="Create it first.")


def _document(verdict: Verdict, drawn: DataPictures) -> dict[str, Any]:
    """The verdict, the episode, and each channel's distance; null where it is infinite."""
    return {
        "verdict": verdict.to_dict(),
        "episode": drawn.episode,
        "distance_std": {
            f"{channel.block.name}[{channel.label}]": (
                channel.distance_std if math.isfinite(channel.distance_std) else None
            )
            for channel in drawn.channels
            if channel.distance_std is not None
        },
    }
