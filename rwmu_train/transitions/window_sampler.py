"""Draw batches of windows as tensors.

B = batch, L = window length, C = columns.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from rwmu_deploy.contract.errors import TransitionFileError
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.windows import window_starts


class WindowSampler:
    """Draws windows of `length` rows that stay inside one episode.

    On the CPU the rows are shared with the data set; another device gets one copy of them (264 MB
    a million rows of ANYmal D), never of the windows.

    Args:
        dataset: Where the windows come from.
        length: Rows a window: history plus forecast.
        device: Where batches shall be.

    Raises:
        TransitionFileError: No episode is long enough for one window.
    """

    def __init__(
        self, dataset: TransitionDataset, length: int, device: torch.device | str = "cpu"
    ) -> None:
        starts = window_starts(dataset, length)
        if len(starts) == 0:
            raise TransitionFileError(
                f"no episode has {length} rows; the longest has {dataset.episode_length.max()}",
                fix="Record longer episodes, or train with a shorter history or forecast.",
            )
        self.length = length
        self.rows = torch.from_numpy(dataset.rows).to(device)
        self.velocity_command = torch.from_numpy(dataset.velocity_command).to(device)
        self.starts = torch.from_numpy(starts).to(device)
        self._offsets = torch.arange(length, device=device)

    @property
    def window_count(self) -> int:
        """How many windows there are."""
        return len(self.starts)

    def draw_starts(self, batch_size: int, generator: torch.Generator | None = None) -> Tensor:
        """Start rows drawn uniformly with replacement, shape (B,), int64.

        `generator` lives on the CPU, so that a seed draws the same windows on every device.
        """
        index = torch.randint(self.window_count, (batch_size,), generator=generator)
        return self.starts[index.to(self.starts.device)]

    def windows(self, starts: Tensor) -> Tensor:
        """Rows of the windows at `starts`, shape (B, L, C)."""
        return self.rows[starts[:, None] + self._offsets]

    def commands(self, starts: Tensor) -> Tensor:
        """Velocity commands of the windows at `starts`, shape (B, L, 3); NaN where unknown."""
        return self.velocity_command[starts[:, None] + self._offsets]

    def sample(self, batch_size: int, generator: torch.Generator | None = None) -> Tensor:
        """Windows drawn uniformly with replacement, shape (B, L, C)."""
        return self.windows(self.draw_starts(batch_size, generator))

    def epoch(self, batch_size: int, generator: torch.Generator | None = None) -> Iterator[Tensor]:
        """Start rows of every window once, at random, in batches; the last may be smaller."""
        order = torch.randperm(self.window_count, generator=generator)
        for part in order.split(batch_size):
            yield self.starts[part.to(self.starts.device)]
