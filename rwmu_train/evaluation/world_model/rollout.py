"""The model's forecast under the logged actions: history from data, then its own predictions.

Alignment is causal: state_t and action_{t+1} predict state_{t+1}.
H steps, W windows, S state size, E members.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from rwmu_train.evaluation.world_model.forecast_windows import ForecastWindows
from rwmu_train.world_model.ensemble import WorldModel, member_variance

Followed = Literal["mean", "member"]
"""What is fed back: the mean of all members, or in window w always member w modulo E."""
FOLLOWED: tuple[Followed, ...] = ("mean", "member")


@dataclass(frozen=True)
class Rollout:
    """Forecasts in normalised units."""

    prediction: NDArray[np.float32]
    """What was fed back, shape (H, W, S)."""
    disagreement: NDArray[np.float32]
    """Standard deviation of the members' means (n - 1), shape (H, W, S)."""

    @property
    def std_sum(self) -> NDArray[np.float32]:
        """Epistemic uncertainty as in the released code, shape (H, W)."""
        return self.disagreement.sum(axis=-1)

    @property
    def variance(self) -> NDArray[np.float32]:
        """Epistemic uncertainty as in RWM-U, arXiv:2504.16680, Eq. 4, shape (H, W)."""
        return np.square(self.disagreement).sum(axis=-1)

    def of_windows(self, windows: slice) -> Rollout:
        """Some of the windows."""
        return Rollout(self.prediction[:, windows], self.disagreement[:, windows])


@torch.no_grad()
def roll_out(model: WorldModel, windows: ForecastWindows, followed: Followed) -> Rollout:
    """Forecast every window to its end.

    Memory: two arrays of (H, W, S) float32.
    """
    batch, history, members = windows.batch, windows.history, model.architecture.members
    own = torch.arange(windows.count)
    inputs = torch.cat([batch.state[:history], batch.action[1 : history + 1]], dim=-1)
    memory = model.replay(inputs)
    state = batch.state[history - 1]
    prediction = torch.empty_like(batch.state[history:])
    disagreement = torch.empty_like(prediction)
    for step in range(windows.horizon):
        means = model.next_state(memory, state)
        state = means.mean(dim=0) if followed == "mean" else means[own % members, own]
        prediction[step] = state
        disagreement[step] = member_variance(means).sqrt()
        if step + 1 < windows.horizon:
            action = batch.action[history + step + 1]
            memory = model.step(torch.cat([state, action], dim=-1), memory)
    return Rollout(prediction.numpy(), disagreement.numpy())


def hold_last(windows: ForecastWindows) -> NDArray[np.float32]:
    """The forecast that nothing changes any more, shape (H, W, S)."""
    last = windows.batch.state[windows.history - 1].numpy()
    return np.broadcast_to(last, windows.target.shape)
