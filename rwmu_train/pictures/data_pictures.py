"""All pictures of a data set, each with what a reader must know about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from rwmu_train.pictures.channel_distance import ChannelHistogram, channel_histograms
from rwmu_train.pictures.channel_picture import draw_channels
from rwmu_train.pictures.command_picture import draw_commands
from rwmu_train.pictures.command_response import SETTLING_S, commanded_rows, response
from rwmu_train.pictures.episode_lengths_picture import draw_episode_lengths
from rwmu_train.pictures.episode_picture import BASE_WINDOW_S, JOINT_WINDOW_S, draw_episode
from rwmu_train.pictures.style import END_WORDS, picture_style
from rwmu_train.pictures.thinned_rows import thinned_rows
from rwmu_train.transitions.dataset import TransitionDataset


@dataclass(frozen=True)
class Picture:
    """A drawing with its words."""

    title: str
    caption: str
    figure: Figure


@dataclass(frozen=True)
class DataPictures:
    """What is drawn of a data set, and the numbers that were found for it."""

    pictures: tuple[Picture, ...]
    channels: tuple[ChannelHistogram, ...]
    episode: int


def draw_data(
    dataset: TransitionDataset, reference: TransitionDataset | None, episode: int
) -> DataPictures:
    """Draw a whole data set (not a part made by `split`).

    Args:
        dataset: Up to millions of rows; histograms take an even share of them.
        reference: Data of the same robot to compare every channel with.
        episode: Which one to draw the traces of.
    """
    channels = channel_histograms(dataset, reference)
    with picture_style():
        pictures = (
            _commands(dataset),
            _channels(dataset, reference, channels),
            Picture(
                f"Episode {episode}",
                _episode_caption(dataset, episode),
                draw_episode(dataset, episode),
            ),
            Picture(
                "Episodes",
                "How long they lasted and how they ended: cut off by the time limit or by the "
                "operator, in a fall, or at a gap in the log.",
                draw_episode_lengths(dataset),
            ),
        )
    return DataPictures(pictures, channels, episode)


def _commands(dataset: TransitionDataset) -> Picture:
    rows = commanded_rows(dataset)
    caption = f"Where commands and the base's velocities lie ({thinned_rows(dataset).said})."
    if rows.known.any():
        caption += " Below: what the robot did at each command, " + (
            f"without the first {SETTLING_S:g} s after a new one."
            if response(rows, axis=0).after_settling
            else "the time right after each change included."
        )
    return Picture("Velocity commands", caption, draw_commands(rows))


def _channels(
    dataset: TransitionDataset,
    reference: TransitionDataset | None,
    channels: Sequence[ChannelHistogram],
) -> Picture:
    caption = (
        f"Share of rows ({thinned_rows(dataset).said}); the outermost 0.1 % may lie beyond an "
        "axis."
    )
    if reference is not None:
        caption += (
            f" Orange: the reference ({thinned_rows(reference).said}). The number is the "
            "Wasserstein distance in standard deviations of the reference, largest first; red "
            "from 0.5."
        )
    return Picture("State and action channels", caption, draw_channels(channels))


def _episode_caption(dataset: TransitionDataset, episode: int) -> str:
    first, end = int(dataset.episode_start[episode]), int(dataset.episode_end[episode])
    file = next(f for f in dataset.files if f.first_row <= first < f.first_row + f.row_count)
    length_s = (end - first) * dataset.spec.control_dt_s
    return (
        f"{length_s:.2f} s of {file.path}, rows {first - file.first_row} to "
        f"{end - 1 - file.first_row}; ended: {END_WORDS[dataset.episode_end_kind[episode]]}. Base "
        f"and contacts: last {min(BASE_WINDOW_S, length_s):g} s; joints: last "
        f"{min(JOINT_WINDOW_S, length_s):g} s. Contacts of feet are blue, of other bodies red."
    )
