"""Run the world model of a bundle one step at a time, with its memory in the caller's hands.

S = state size, A = action size, E = members, H = size of one memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.bundle_session import one_thread_session, require_tensors
from rwmu_deploy.contract.errors import BundleError
from rwmu_deploy.contract.onnx_guard import ModelFacts, TensorFacts, check_model
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.transition_columns import TransitionColumns

FloatArray = NDArray[np.float64]
Memory = tuple[NDArray[np.float32], ...]

WORLD_MODEL_NAME = "world_model.onnx"
STATE, ACTION, MEMORY = "state", "action", "memory_"
NORMALISED_STATE, MEAN, FALL_PROBABILITY, NEXT = (
    "normalised_state",
    "mean_",
    "fall_probability",
    "next_",
)
"""Names of the graph's tensors; every member has a mean, every `memory_*` a `next_memory_*`."""
MAX_NODES = 1024
LEAST_MEMBERS = 2
"""One member disagrees with nobody."""


@dataclass(frozen=True)
class OneStepForecast:
    """What the world model makes of a state and the action that follows it."""

    state: FloatArray
    """The present state in normalised units, shape (S,)."""
    mean: FloatArray
    """Mean of the members' next states, normalised units, shape (S,)."""
    disagreement: FloatArray
    """Standard deviation of the members' next states, normalised units, shape (S,)."""
    fall_probability: float
    """Mean of the members' probabilities that the next row is a fall."""

    @property
    def uncertainty(self) -> float:
        """Epistemic uncertainty: sum of the disagreement over state entries (`std_sum`)."""
        return float(self.disagreement.sum())


class WorldModelSession:
    """A world model ready to run.

    Args:
        model: The bytes of world_model.onnx.
        spec: The robot, in the bundle's joint order.

    Raises:
        BundleError: The guard, names, shapes or onnxruntime refuse the model.
    """

    def __init__(self, model: bytes, spec: RobotSpec) -> None:
        self.facts: ModelFacts = check_model(model, name=WORLD_MODEL_NAME, max_nodes=MAX_NODES)
        self._state_size = TransitionColumns.of(spec).state_size
        self._action_size = spec.joint_count
        self._memory = [t for t in self.facts.inputs if t.name.startswith(MEMORY)]
        self.members = sum(t.name.startswith(MEAN) for t in self.facts.outputs)
        if self.members < LEAST_MEMBERS:
            raise BundleError(
                f"{WORLD_MODEL_NAME} has {self.members} members; allowed is {LEAST_MEMBERS} up",
                fix="Train a world model with more members, or export without it.",
            )
        state = (1, self._state_size)
        require_tensors(
            WORLD_MODEL_NAME,
            self.facts,
            inputs=[
                TensorFacts(STATE, state),
                TensorFacts(ACTION, (1, self._action_size)),
                *self._memory,
            ],
            outputs=[
                TensorFacts(NORMALISED_STATE, state),
                *(TensorFacts(f"{MEAN}{i}", state) for i in range(self.members)),
                TensorFacts(FALL_PROBABILITY, (1, 1)),
                *(TensorFacts(NEXT + t.name, t.shape) for t in self._memory),
            ],
        )
        self._session = one_thread_session(WORLD_MODEL_NAME, model)

    def empty_memory(self) -> Memory:
        """What the model remembers before its first step: zeros."""
        return tuple(np.zeros(tensor.shape, dtype=np.float32) for tensor in self._memory)

    def step(
        self, state: NDArray[np.floating], action: NDArray[np.floating], memory: Memory
    ) -> tuple[OneStepForecast, Memory]:
        """Forecast the state that follows.

        Args:
            state: As the columns have it, in physical units, shape (S,).
            action: The action that will be applied, shape (A,).
            memory: From the step before, or `empty_memory`.

        Returns:
            The forecast, and the memory for the next step. Numbers that are not finite come back
            as such, and spoil the memory.

        Raises:
            BundleError: Wrong shapes.
        """
        for name, values, size in (
            ("state", state, self._state_size),
            ("action", action, self._action_size),
        ):
            if values.shape != (size,):
                raise BundleError(
                    f"{name} has shape {values.shape}; allowed is {(size,)}",
                    fix="Give the state and action of the bundle's robot.",
                )
        feed = {
            STATE: state[np.newaxis].astype(np.float32),
            ACTION: action[np.newaxis].astype(np.float32),
        }
        feed |= {tensor.name: value for tensor, value in zip(self._memory, memory, strict=True)}
        outputs = [np.asarray(value) for value in self._session.run(None, feed)]
        means = np.concatenate(outputs[1 : 1 + self.members]).astype(np.float64)
        forecast = OneStepForecast(
            state=outputs[0][0].astype(np.float64),
            mean=means.mean(axis=0),
            disagreement=means.std(axis=0, ddof=1),
            fall_probability=float(outputs[1 + self.members][0, 0]),
        )
        return forecast, tuple(outputs[2 + self.members :])
