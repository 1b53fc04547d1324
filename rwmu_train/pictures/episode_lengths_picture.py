"""Picture: how long episodes lasted, and how they ended."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rwmu_train.pictures.style import END_WORDS, ENDS, WIDTH_IN
from rwmu_train.transitions.dataset import TransitionDataset

_BINS = 50


def draw_episode_lengths(dataset: TransitionDataset) -> Figure:
    """Histogram of lengths, stacked by ending, and the count and time of each ending."""
    figure = Figure(figsize=(WIDTH_IN, 2.8), layout="constrained")
    lengths, endings = figure.subplots(1, 2, width_ratios=(2.2, 1.0))
    length_s = dataset.episode_length * dataset.spec.control_dt_s
    kinds = np.array(dataset.episode_end_kind)
    by_kind = {kind: length_s[kinds == kind] for kind in ENDS}
    edges = np.linspace(0.0, float(length_s.max()), _BINS + 1)
    lengths.hist(
        list(by_kind.values()), edges, stacked=True, color=list(ENDS.values()), alpha=0.75
    )
    lengths.set_xlabel("episode length [s]")
    lengths.set_ylabel("episodes")
    lengths.set_xlim(0.0, edges[-1])
    lengths.grid(axis="y")
    counts = [len(values) for values in by_kind.values()]
    endings.barh(range(len(ENDS)), counts, color=list(ENDS.values()), alpha=0.75, height=0.6)
    for line, values in enumerate(by_kind.values()):
        text = f"  {len(values):,}  ({values.sum() / 60.0:,.1f} min)"
        endings.text(len(values), line, text, va="center")
    endings.set_yticks(range(len(ENDS)), [END_WORDS[kind] for kind in ENDS])
    endings.set_ylim(len(ENDS) - 0.4, -0.6)
    endings.set_xlim(0.0, 1.6 * max(counts))
    endings.set_xlabel("episodes")
    lengths.yaxis.set_major_locator(MaxNLocator(integer=True))
    endings.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    return figure
