"""Random training sequences out of a transition data set, by index."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.processes.process_share import ALONE, ProcessShare
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.normaliser import StateNormaliser
from rwmu_train.transitions.source_mix import StartDraw
from rwmu_train.transitions.windows import gather
from rwmu_train.world_model.failed_step import not_finite
from rwmu_train.world_model.multi_step_loss import SequenceBatch
from rwmu_train.world_model.settings import WorldModelSettings
from rwmu_train.world_model.training_data import training_starts


class SequenceSampler:
    """Draws batches that depend only on the seed and the iteration.

    With `bootstrap="by_episode"` each member owns a resample, with replacement, of the episodes
    (drawn once), and the batch is ordered by member. Every process draws the whole batch's starts
    and gathers its share.

    Raises:
        TransitionFileError: No episode is long enough for one sequence.
        ConfigError: A batch does not divide among the processes.
    """

    def __init__(
        self,
        dataset: TransitionDataset,
        normaliser: StateNormaliser,
        settings: WorldModelSettings,
        *,
        seed: int,
        share: ProcessShare = ALONE,
    ) -> None:
        self._share = share
        settings.refuse_uneven_shares(self._share.processes)
        self._dataset, self._normaliser, self._settings, self._seed = (
            dataset,
            normaliser,
            settings,
            seed,
        )
        starts = training_starts(dataset, settings)
        pools = self._member_pools(starts) if self._by_episode else [starts]
        self._draws = [StartDraw(dataset, pool) for pool in pools]
        self._fall_pools = [_ending_in_a_fall(dataset, pool, settings) for pool in pools]
        self.last_starts: NDArray[np.int64] = starts[:0]
        """Rows at which the sequences of the last batch start, those of all processes."""

    @property
    def _by_episode(self) -> bool:
        return self._settings.bootstrap == "by_episode"

    def batch(self, iteration: int) -> SequenceBatch:
        """The sequences of a gradient step."""
        rng = np.random.default_rng((self._seed, iteration))
        share = self._settings.sequences // len(self._draws)
        drawn = [draw(rng, share) for draw in self._draws]
        for starts, falls in zip(drawn, self._fall_pools, strict=True):
            if len(falls) > 0:
                count = rng.binomial(share, self._settings.fall_share)
                starts[:count] = falls[rng.integers(0, len(falls), count)]
                rng.shuffle(starts)
        self.last_starts = np.concatenate(drawn)
        own = self._share.of_starts(self.last_starts, self._settings.sequence_groups)
        return sequence_batch(self._dataset, self._normaliser, own, self._settings.sequence_rows)

    def not_finite(self, what: str) -> ConfigError:
        """The error that ends training at the last batch; see `failed_step.not_finite`."""
        rows = self._settings.sequence_rows
        return not_finite(what, self._dataset, self._normaliser, self.last_starts, rows)

    def _member_pools(self, starts: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        rng = np.random.default_rng((self._seed, 0xB00757))
        episode = np.searchsorted(self._dataset.episode_start, starts, side="right") - 1
        first = np.searchsorted(episode, np.unique(episode))
        by_episode = np.split(starts, first[1:])
        pools = []
        for _ in range(self._settings.members):
            chosen = rng.integers(0, len(by_episode), len(by_episode))
            pools.append(np.concatenate([by_episode[i] for i in chosen]))
        return pools


def _ending_in_a_fall(
    dataset: TransitionDataset, starts: NDArray[np.int64], settings: WorldModelSettings
) -> NDArray[np.int64]:
    """Those whose sequence's last row is a fall; none where they are not asked for."""
    if settings.fall_share == 0.0:
        return starts[:0]
    return starts[dataset.terminations[starts + settings.sequence_rows - 1, 0] > 0.5]


def sequence_batch(
    dataset: TransitionDataset,
    normaliser: StateNormaliser,
    starts: NDArray[np.int64],
    rows: int,
) -> SequenceBatch:
    """Windows of `rows` rows from `starts`, time first, states normalised."""
    columns = dataset.columns
    window = torch.from_numpy(gather(dataset, starts, rows)).transpose(0, 1)
    return SequenceBatch(
        state=normaliser.normalise(window[..., columns.state]),
        action=window[..., columns.action.slice],
        contact=window[..., columns.contact.slice],
        termination=window[..., columns.termination.slice].squeeze(-1),
        extension=window[..., columns.extension.slice],
    )
