"""Run a policy's ONNX bytes: guarded, on one thread, without a second look at the disk."""

from __future__ import annotations

import re

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from rwmu_deploy.contract.bundle_files import MODEL_NAME
from rwmu_deploy.contract.bundle_manifest import INPUT_NAME, METADATA_KEY, OUTPUT_NAME
from rwmu_deploy.contract.errors import BundleError
from rwmu_deploy.contract.onnx_guard import ModelFacts, TensorFacts, check_model

OLDEST_ONNXRUNTIME = (1, 18)
"""The first that loads IR version 10; 1.17 refuses what the export writes."""
_LOG_FATAL_ONLY = 4


class PolicySession:
    """One policy ready to run.

    Args:
        model: The bytes of policy.onnx.
        observation_size: Entries that the input must have.
        action_size: Entries that the output must have.
        stated_facts: What its metadata must say, where a manifest stands beside it.

    Raises:
        BundleError: The guard, the shapes, the metadata or onnxruntime refuse the model, or
            onnxruntime is too old. All but onnxruntime's own refusal come before a session exists.
    """

    def __init__(
        self,
        model: bytes,
        *,
        observation_size: int,
        action_size: int,
        stated_facts: str | None = None,
    ) -> None:
        self.facts: ModelFacts = check_model(model, name=MODEL_NAME)
        require_tensors(
            MODEL_NAME,
            self.facts,
            inputs=[TensorFacts(INPUT_NAME, (1, observation_size))],
            outputs=[TensorFacts(OUTPUT_NAME, (1, action_size))],
        )
        require_stated_facts(MODEL_NAME, self.facts, stated_facts)
        self._observation_shape = (observation_size,)
        self._action_size = action_size
        self._session = one_thread_session(MODEL_NAME, model)

    def action(self, observation: NDArray[np.float32]) -> NDArray[np.float64]:
        """The policy's action, shape (A,).

        An observation that is not finite gives NaN for every joint, so that no clip inside the
        graph can turn it into a full-scale action.

        Args:
            observation: Shape (O,), float32.

        Raises:
            BundleError: Wrong shape or number type.
        """
        if observation.shape != self._observation_shape or observation.dtype != np.float32:
            raise BundleError(
                f"observation has shape {observation.shape} and type {observation.dtype}; "
                f"allowed is {self._observation_shape} float32",
                fix="Build it with rwmu_deploy.contract.observation.build_observation.",
            )
        if not np.isfinite(observation).all():
            return np.full(self._action_size, np.nan)
        (actions,) = self._session.run((OUTPUT_NAME,), {INPUT_NAME: observation[np.newaxis]})
        return np.asarray(actions, dtype=np.float64)[0]


def require_stated_facts(name: str, facts: ModelFacts, stated: str | None) -> None:
    """Refuse a model whose metadata are not what the manifest beside it says; None: no manifest.

    Raises:
        BundleError: They differ.
    """
    if stated is not None and facts.metadata.get(METADATA_KEY) != stated:
        raise BundleError(
            f"manifest and {name} state different facts, so one of them is of another bundle",
            fix="Copy the whole bundle again, or export it again.",
        )


def require_tensors(
    name: str, facts: ModelFacts, *, inputs: list[TensorFacts], outputs: list[TensorFacts]
) -> None:
    """Refuse a model whose inputs or outputs are not these, in this order.

    Raises:
        BundleError: The first that differs, by name and shape.
    """
    for kind, found, wanted in (
        ("input", facts.inputs, inputs),
        ("output", facts.outputs, outputs),
    ):
        for i in range(max(len(found), len(wanted))):
            theirs, ours = (
                f"'{side[i].name}' of shape {side[i].shape}" if i < len(side) else "nothing"
                for side in (found, wanted)
            )
            if theirs != ours:
                raise BundleError(
                    f"{name} has {theirs} as {kind} {i}; allowed is {ours}",
                    fix="The model is of another robot: export the bundle again.",
                )


def one_thread_session(name: str, model: bytes) -> onnxruntime.InferenceSession:
    """A session on one thread that never spins, of bytes that the guard has let pass.

    Raises:
        BundleError: onnxruntime refuses them, or is too old.
    """
    _refuse_old_onnxruntime(onnxruntime.__version__)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # Spinning threads would take the control loop's core: 20 ms at worst instead of 1.5 ms.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = _LOG_FATAL_ONLY
    try:
        return onnxruntime.InferenceSession(
            model, sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # noqa: BLE001  onnxruntime's errors share no class of their own
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise BundleError(
            f"onnxruntime {onnxruntime.__version__} refuses {name}: {first_line[:200]}",
            fix="Export the bundle again with rwmu-export --onnx.",
        ) from None


def _refuse_old_onnxruntime(version: str) -> None:
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if not (numbers and tuple(map(int, numbers.groups())) >= OLDEST_ONNXRUNTIME):
        oldest = ".".join(map(str, OLDEST_ONNXRUNTIME))
        raise BundleError(
            f"onnxruntime is {version[:40]}; bundles need {oldest} or newer",
            fix=f"pip install 'onnxruntime>={oldest}'.",
        )
