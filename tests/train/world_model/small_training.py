"""A world model small enough to train in a second."""

from pathlib import Path

from rwmu_train.transitions.normaliser import released_normaliser
from rwmu_train.world_model.settings import WorldModelSettings
from rwmu_train.world_model.training import train_world_model

TINY = WorldModelSettings(
    iterations=6,
    batch_size=10,
    learning_rate=1e-3,
    history=8,
    forecast=3,
    branches=2,
    branch_stride=2,
    loss="huber",
    bootstrap="by_episode",
    history_loss_weight=0.5,
    validation_share=0.3,
    validate_every=3,
)


def train(dataset, folder: Path, settings: WorldModelSettings = TINY, **options):
    losses: list[float] = []
    model, facts = train_world_model(
        dataset,
        released_normaliser(dataset.spec),
        settings,
        folder,
        seed=0,
        on_progress=lambda progress: losses.append(progress.loss),
        **options,
    )
    return model, facts, losses
