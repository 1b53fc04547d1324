"""Run the world model of a bundle one step at a time, with its memory in the caller's hands.

S = state size, A = action size, E = members, H = size of one memory.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.bundle_files import WORLD_MODEL_NAME
from rwmu_deploy.contract.bundle_monitor import GoldenSteps
from rwmu_deploy.contract.bundle_session import (
    one_thread_session,
    require_stated_facts,
    require_tensors,
)
from rwmu_deploy.contract.errors import BundleError
from rwmu_deploy.contract.one_step_forecast import Memory, OneStepForecast
from rwmu_deploy.contract.onnx_guard import ModelFacts, TensorFacts, check_model
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.transition_columns import TransitionColumns

STATE, ACTION, MEMORY = "state", "action", "memory_"
NORMALISED_STATE, MEAN, FALL_PROBABILITY, NEXT = (
    "normalised_state",
    "mean_",
    "fall_probability",
    "next_",
)
"""Names of the graph's tensors; every member has a mean, every `memory_*` a `next_memory_*`."""
MAX_NODES = 1024
GOLDEN_TOLERANCE = 1e-4
"""Largest difference from the trainer's forecasts, in normalised units. Not read from the
bundle."""
LEAST_MEMBERS = 2
"""One member disagrees with nobody."""


def check_world_model(model: bytes, spec: RobotSpec, stated_facts: str | None) -> ModelFacts:
    """Decide whether a world model may be loaded; no session exists yet.

    Args:
        model: The bytes of world_model.onnx.
        spec: The robot, in the bundle's joint order.
        stated_facts: What its metadata must say, where a manifest stands beside it.

    Raises:
        BundleError: The guard, names, shapes or metadata refuse it.
    """
    facts = check_model(model, name=WORLD_MODEL_NAME, max_nodes=MAX_NODES)
    memory = [tensor for tensor in facts.inputs if tensor.name.startswith(MEMORY)]
    members = sum(tensor.name.startswith(MEAN) for tensor in facts.outputs)
    if members < LEAST_MEMBERS:
        raise BundleError(
            f"{WORLD_MODEL_NAME} has {members} members; allowed is {LEAST_MEMBERS} up",
            fix="Train a world model with more members, or export without it.",
        )
    state = (1, TransitionColumns.of(spec).state_size)
    require_tensors(
        WORLD_MODEL_NAME,
        facts,
        inputs=[
            TensorFacts(STATE, state),
            TensorFacts(ACTION, (1, spec.joint_count)),
            *memory,
        ],
        outputs=[
            TensorFacts(NORMALISED_STATE, state),
            *(TensorFacts(f"{MEAN}{i}", state) for i in range(members)),
            TensorFacts(FALL_PROBABILITY, (1, 1)),
            *(TensorFacts(NEXT + tensor.name, tensor.shape) for tensor in memory),
        ],
    )
    require_stated_facts(WORLD_MODEL_NAME, facts, stated_facts)
    return facts


class WorldModelSession:
    """A world model ready to run.

    Args:
        model: The bytes of world_model.onnx.
        spec: The robot, in the bundle's joint order.
        stated_facts: What its metadata must say, where a manifest stands beside it.

    Raises:
        BundleError: `check_world_model` or onnxruntime refuse the model.
    """

    def __init__(self, model: bytes, spec: RobotSpec, stated_facts: str | None = None) -> None:
        self.facts: ModelFacts = check_world_model(model, spec, stated_facts)
        self._state_size = TransitionColumns.of(spec).state_size
        self._action_size = spec.joint_count
        self._memory = [t for t in self.facts.inputs if t.name.startswith(MEMORY)]
        self.members = sum(t.name.startswith(MEAN) for t in self.facts.outputs)
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


def replay_golden_steps(golden: GoldenSteps, session: WorldModelSession) -> float:
    """Step a world model along golden steps; the largest difference from the trainer.

    Raises:
        BundleError: A forecast differs by more than rounding.
    """
    memory, worst = session.empty_memory(), 0.0
    for step in range(len(golden.state)):
        forecast, memory = session.step(golden.state[step], golden.action[step], memory)
        for found, wanted in (
            (forecast.mean, golden.mean[step]),
            (forecast.disagreement, golden.disagreement[step]),
        ):
            difference = float(np.abs(found - wanted).max())
            if not difference <= GOLDEN_TOLERANCE:
                raise BundleError(
                    f"{WORLD_MODEL_NAME}, golden step {step}: a forecast differs by "
                    f"{difference:.3g} from the trainer's, allowed is {GOLDEN_TOLERANCE:g}",
                    fix="Export the bundle again; do not run this one.",
                )
            worst = max(worst, difference)
    return worst
