"""A CUDA graph by hand: the same operators on the same memory, without any Python in between."""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rwmu_train.environment.captured_env import Answer


class TapeGraph(TorchDispatchMode):
    """Notes every operator of a step with its tensors, and replays them into the same ones."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.calls: list[tuple[Callable[..., Any], Any, Any, Any]] = []
        self._just_captured = False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, result))
        return result

    def capture(self, step: Callable[[], Answer]) -> Answer:
        self._just_captured = True
        with self:
            return step()

    def replay(self) -> None:
        if self._just_captured:  # a graph would not have run yet, and this has
            self._just_captured = False
            return
        for func, args, kwargs, result in self.calls:
            again = tree_leaves(func(*args, **kwargs))
            for old, new in zip(tree_leaves(result), again, strict=True):
                if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)
