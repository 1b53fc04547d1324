"""CSV files to flat arrays to windows by index."""

from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.dataset_loading import load_dataset
from rwmu_train.transitions.normaliser import StateNormaliser, choose_normaliser
from rwmu_train.transitions.verdict import Verdict, check_dataset
from rwmu_train.transitions.windows import gather, window_starts

__all__ = [
    "StateNormaliser",
    "TransitionDataset",
    "Verdict",
    "check_dataset",
    "choose_normaliser",
    "gather",
    "load_dataset",
    "window_starts",
]
