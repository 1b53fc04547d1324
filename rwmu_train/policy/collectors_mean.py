"""The mean of what all collectors of the data would do, in every state of the data.

From states one can tell which of several policies is walking the robot. A clone of logged actions
learns that too: it acts like the one policy here and like another there, and falls where it
changes over. What all of them would do on average changes over nowhere, and is better than any of
them (docs/results.md).

Answers are of one network, with a scale and a shift of each collector's own behind every layer
(FiLM; Perez et al., AAAI 2018), so that all rows teach what policies of one run have in common.
n = rows, O = observation size, A = action size, C = collectors.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from rwmu_train.policy.action_regression import fit_actions
from rwmu_train.policy.demonstrations import CloningSettings, Demonstrations

MOST_DISAGREEMENT = 0.25
"""Of the variance of all answers, so much may lie between collectors. Policies of one run stay far
below it (0.08 in docs/results.md); above it they walk differently, and their mean may not walk."""
_LEAST_STD = 1.0e-3
_ROWS_AT_ONCE = 8192


@dataclass(frozen=True)
class MeanAnswers:
    """What collectors do on average."""

    demonstrations: Demonstrations
    """With the mean answers as actions, or as they were where collectors disagree."""
    disagreement: float
    """Share of the variance of all answers that lies between collectors."""

    @property
    def agree(self) -> bool:
        """Whether the mean is imitated."""
        return self.disagreement <= MOST_DISAGREEMENT


class CollectorsModel(nn.Module):
    """Answers of C collectors to observations.

    Args:
        observation_mean, observation_std: Of the data, each of shape (O,).
        hidden: Units of each hidden layer.
        actions: A.
        collectors: C.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        observation_mean: Tensor,
        observation_std: Tensor,
        hidden: Sequence[int],
        actions: int,
        collectors: int,
    ) -> None:
        super().__init__()
        sizes = (len(observation_mean), *hidden, actions)
        self.register_buffer("mean", observation_mean)
        self.register_buffer("std", observation_std)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.scale, self.shift = (
            nn.ParameterList(torch.zeros(collectors, size) for size in sizes[1:]) for _ in range(2)
        )

    def forward(self, observation: Tensor, collector: Tensor) -> Tensor:
        """Actions (n, A) of observations (n, O), each answered by the collector of that number."""
        value = (observation - self.mean) / self.std
        last = len(self.layers) - 1
        for k, layer in enumerate(self.layers):
            # Not scale[collector]: its gradient is summed by several threads in any order.
            scale = nn.functional.embedding(collector, self.scale[k])
            shift = nn.functional.embedding(collector, self.shift[k])
            value = layer(value) * (1.0 + scale) + shift
            if k < last:
                value = nn.functional.elu(value)
        return value


def learn_mean_answers(
    demonstrations: Demonstrations,
    hidden: Sequence[int],
    settings: CloningSettings,
    *,
    seed: int,
    on_step: Callable[[int, float], None] | None = None,
) -> MeanAnswers:
    """Learn what each collector does, and let all of them answer every observation.

    Args:
        demonstrations: Of two collectors or more.
        hidden: Units of each hidden layer.
        settings: Steps, batch size and learning rate.
        seed: Of the first weights and of the draw.
        on_step: Told the steps done and the latest squared error.
    """
    model = _fit(demonstrations, hidden, settings, seed, on_step)
    answers, disagreement = _mean_answers(model, demonstrations)
    result = MeanAnswers(replace(demonstrations, action=answers), disagreement)
    return result if result.agree else replace(result, demonstrations=demonstrations)


def _fit(
    demonstrations: Demonstrations,
    hidden: Sequence[int],
    settings: CloningSettings,
    seed: int,
    on_step: Callable[[int, float], None] | None,
) -> CollectorsModel:
    generator = torch.Generator().manual_seed(seed)
    observation, action = demonstrations.observation, demonstrations.action
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = CollectorsModel(
            observation.mean(0),
            observation.std(0).clamp_min(_LEAST_STD),
            hidden,
            action.shape[1],
            len(demonstrations.collectors),
        )

    def predict(index: Tensor) -> Tensor:
        return model(observation[index], demonstrations.collector[index])

    fit_actions(model.parameters(), predict, action, settings, generator, on_step)
    return model


@torch.no_grad()
def _mean_answers(model: CollectorsModel, demonstrations: Demonstrations) -> tuple[Tensor, float]:
    """Mean answers (n, A), and the share of all answers' variance that is between collectors."""
    means, between = [], 0.0
    for part in demonstrations.observation.split(_ROWS_AT_ONCE):
        every = torch.stack(
            [
                model(part, torch.full((len(part),), k))
                for k in range(len(demonstrations.collectors))
            ]
        )
        means.append(every.mean(0))
        between += float(every.var(0, correction=0).sum())
    mean = torch.cat(means)
    of_mean = float(mean.var(0, correction=0).sum()) * len(mean)
    return mean, between / max(between + of_mean, torch.finfo(torch.float32).tiny)
