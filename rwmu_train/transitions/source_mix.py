"""Draw windows so that each source of data has a set share, as in 800 K simulated + 200 K real.

(RWM-U, arXiv:2504.16680, mixes its sources so.) A source is what the sidecars say: "sim", "real",
"sim:VARIANT" of a simulated robot that differs from its model, or "unknown" without a sidecar.
K = windows, B = batch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import ConfigError, TransitionFileError
from rwmu_train.transitions.dataset import TransitionDataset

_TOLERANCE = 1e-6


def parse_mix(texts: Sequence[str]) -> dict[str, float]:
    """Shares by source, of `["sim=0.8", "real=0.2"]`.

    Raises:
        ConfigError: A text is not SOURCE=SHARE, a source stands twice, a share isn't above 0, or
            they don't add up to 1.
    """
    mix: dict[str, float] = {}
    for text in texts:
        source, equals, number = text.partition("=")
        try:
            share = float(number)
        except ValueError:
            share = math.nan
        if not (source and equals and source not in mix and 0.0 < share <= 1.0):
            raise ConfigError(
                f"mix '{text}'; allowed is SOURCE=SHARE, each source once, shares above 0",
                fix="Write for example: --mix sim=0.8 real=0.2",
            )
        mix[source] = share
    if not abs(sum(mix.values()) - 1.0) <= _TOLERANCE:
        raise ConfigError(
            f"the shares of mix {' '.join(texts)} add up to {sum(mix.values()):g}; allowed is 1",
            fix="Write for example: --mix sim=0.8 real=0.2",
        )
    return mix


def with_mix(dataset: TransitionDataset, mix: Mapping[str, float]) -> TransitionDataset:
    """The data set, drawn from by these shares.

    Raises:
        ConfigError: A source of the data has no share, or a share has no data.
    """
    present = sorted({file.source for file in dataset.files})
    if sorted(mix) != present:
        raise ConfigError(
            f"the mix names {', '.join(sorted(mix))}; the data are of {', '.join(present)}",
            fix="Give each of these a share, and name the folders of the others with --data.",
        )
    return replace(dataset, mix=dict(mix))


def source_of_rows(dataset: TransitionDataset, row: NDArray[np.int64]) -> NDArray[np.str_]:
    """Names of the sources that rows come from, shape of `row`."""
    names = np.array([file.source for file in dataset.files])
    return names[dataset.file_of_rows(row)]


def by_shares(
    dataset: TransitionDataset, row: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """As many of the rows as there are in the shares of the mix, ascending; all without a mix.

    Raises:
        TransitionFileError: None of the rows is of one of the sources.
    """
    if dataset.mix is None:
        return row
    source = source_of_rows(dataset, row)
    pools = {name: row[source == name] for name in dataset.mix}
    for name, pool in pools.items():
        _refuse_empty(pool, f"no row of source '{name}' is left to draw from")
    whole = min(len(pools[name]) / share for name, share in dataset.mix.items())
    kept = [
        rng.choice(pools[name], round(whole * share), replace=False)
        for name, share in dataset.mix.items()
    ]
    return np.sort(np.concatenate(kept))


class StartDraw:
    """Draws window starts: uniformly, or by the shares of the data set's mix.

    Args:
        dataset: Where the windows are.
        starts: Rows to draw from, shape (K,), K >= 1.

    Raises:
        TransitionFileError: A source of the mix has none of the starts.
    """

    def __init__(self, dataset: TransitionDataset, starts: NDArray[np.int64]) -> None:
        if dataset.mix is None:
            self._pools, self._shares = [starts], [1.0]
            return
        source = source_of_rows(dataset, starts)
        self._pools = [starts[source == name] for name in dataset.mix]
        self._shares = list(dataset.mix.values())
        for name, pool in zip(dataset.mix, self._pools, strict=True):
            _refuse_empty(pool, f"no window can start in the data of source '{name}'")

    def __call__(self, rng: np.random.Generator, count: int) -> NDArray[np.int64]:
        """Starts drawn independently with replacement, shape (count,)."""
        if len(self._pools) == 1:
            return self._pools[0][rng.integers(0, len(self._pools[0]), count)]
        source = rng.choice(len(self._pools), size=count, p=self._shares)
        size = np.array([len(pool) for pool in self._pools])
        index = rng.integers(0, size[source])
        drawn = np.empty(count, dtype=np.int64)
        for number, pool in enumerate(self._pools):
            here = source == number
            drawn[here] = pool[index[here]]
        return drawn


def _refuse_empty(pool: NDArray[np.int64], problem: str) -> None:
    if len(pool) == 0:
        raise TransitionFileError(
            problem, fix="Record longer episodes there, or leave the source out of the mix."
        )
