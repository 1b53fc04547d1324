"""A step captured as a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable

import torch

from rwmu_train.environment.captured_env import Answer


class CudaGraph:
    """A step as one CUDA graph, with random numbers that go on from replay to replay.

    Args:
        generator: What the step draws from, besides the device's own generator.
    """

    def __init__(self, generator: torch.Generator) -> None:
        self._device = generator.device
        self._graph = torch.cuda.CUDAGraph()
        self._graph.register_generator_state(generator)

    def capture(self, step: Callable[[], Answer]) -> Answer:
        """Note what a step does; what it returns is filled by `replay`."""
        with torch.cuda.device(self._device), torch.cuda.graph(self._graph):
            return step()

    def replay(self) -> None:
        """Start all of the step's kernels at once, behind what the device has yet to do."""
        self._graph.replay()
