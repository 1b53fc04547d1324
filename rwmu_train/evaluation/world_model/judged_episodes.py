"""Which episodes judge a world model: such as training has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.world_model.checkpoint import WorldModelFacts

Split = Literal["held-out", "all"]


@dataclass(frozen=True)
class JudgedEpisodes:
    """Two parts of the data without a row in common, unless all episodes were asked for."""

    judged: TransitionDataset
    """What the model is judged on."""
    baseline: TransitionDataset
    """What the linear baseline is fitted on."""
    unseen: bool | None
    """Whether training has seen none of `judged`; None where the model doesn't say."""
    explanation: str


def choose_episodes(
    dataset: TransitionDataset, facts: WorldModelFacts, split: Split, seed: int
) -> JudgedEpisodes:
    """Take the held-out part of the model's own data, or other data whole.

    Data that the model was trained on are divided again as training did. Of other data, which
    have no training part, one half of the episodes fits the linear baseline and the other half
    judges.

    Raises:
        ConfigError: Some of the files, but not exactly those of training in their order: nobody
            can say then which episodes were held out.
    """
    trained_on = set(facts.data_sha256)
    seen = [file for file in dataset.files if file.sha256 in trained_on]
    if dataset.file_sha256 == facts.data_sha256:
        return _as_in_training(dataset, facts, split)
    if not seen:
        baseline, judged = dataset.split(0.5, seed)
        said = "none of these files was trained on: all episodes are unseen"
        if not trained_on:
            said = "the model doesn't say what it was trained on; perhaps on these episodes"
        unseen = True if trained_on else None
        explanation = f"{said}; half of them judge, half fit the linear baseline"
        return JudgedEpisodes(judged, baseline, unseen, explanation)
    if split == "all":
        said = f"{len(seen)} of the {len(dataset.files)} files were trained on; all are judged"
        return JudgedEpisodes(dataset, dataset, False, said)
    raise ConfigError(
        f"{len(seen)} of the {len(dataset.files)} files given are among the {len(trained_on)} "
        f"that the model was trained on (such as {seen[0].path}), but they are not the same files "
        "in the same order, so its held-out episodes can't be told",
        fix="Give exactly the data of training in that order, or only other data; or --split all.",
    )


def _as_in_training(
    dataset: TransitionDataset, facts: WorldModelFacts, split: Split
) -> JudgedEpisodes:
    share, seed = facts.settings.get("validation_share"), facts.settings.get("seed")
    if share is None or seed is None:
        raise ConfigError(
            f"the model's settings hold validation_share {share} and seed {seed}, so its held-out "
            "episodes can't be told",
            fix="Give data that it was not trained on.",
        )
    training, held_out = dataset.split(float(share), int(seed))
    if split == "all":
        said = f"all episodes of the model's own data; {1 - share:.0%} of them were trained on"
        return JudgedEpisodes(dataset, training, False, said)
    said = f"the {share:.0%} of the model's own data that training held out: unseen"
    return JudgedEpisodes(held_out, training, True, said)
