"""Picture: how the values of every channel are spread."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rwmu_train.pictures.channel_distance import ChannelHistogram
from rwmu_train.pictures.style import ACTUAL, FELL, QUIET, REFERENCE, WIDTH_IN, axis_title

_PANELS_A_LINE = 5
_LINE_HEIGHT_IN = 1.28
_HEAD_IN = 0.45
_FAR_STD = 0.5
"""Distances from here on are marked."""


def draw_channels(channels: Sequence[ChannelHistogram]) -> Figure:
    """A small histogram a channel, in the order given."""
    lines = -(-len(channels) // _PANELS_A_LINE)
    head = _HEAD_IN if channels[0].reference_share is not None else 0.1
    height = lines * _LINE_HEIGHT_IN + head
    figure = Figure(figsize=(WIDTH_IN, height))
    axes = figure.subplots(lines, _PANELS_A_LINE, squeeze=False).ravel()
    figure.subplots_adjust(
        left=0.012,
        right=0.988,
        top=1.0 - (head + 0.28) / height,
        bottom=0.25 / height,
        hspace=0.75,
        wspace=0.08,
    )
    for axis, channel in zip(axes, channels, strict=False):
        _draw_channel(axis, channel)
    for axis in axes[len(channels) :]:
        axis.set_axis_off()
    handles, labels = axes[0].get_legend_handles_labels()
    if len(labels) > 1:
        figure.legend(handles, labels, loc="upper right", ncols=2, bbox_to_anchor=(0.995, 1.0))
    return figure


def _draw_channel(axis: Axes, channel: ChannelHistogram) -> None:
    axis.stairs(channel.share, channel.edges, fill=True, color=ACTUAL, alpha=0.45, label="data")
    if channel.reference_share is not None:
        axis.stairs(
            channel.reference_share, channel.edges, color=REFERENCE, lw=1.1, label="reference"
        )
    axis.set_title(channel.label, pad=11)
    axis.text(0.0, 1.03, axis_title(channel.block), transform=axis.transAxes, color=QUIET, size=7)
    if channel.distance_std is not None:
        far = not channel.distance_std < _FAR_STD
        axis.set_title(
            f"{channel.distance_std:.2f} std",
            loc="right",
            pad=11,
            color=FELL if far else "0.25",
            weight="bold" if far else "normal",
        )
    axis.set_yticks([])
    axis.spines["left"].set_visible(False)
    axis.set_xlim(channel.edges[0], channel.edges[-1])
    axis.set_ylim(bottom=0.0)
    axis.xaxis.set_major_locator(MaxNLocator(4, prune="both"))
