"""An exported bundle as a policy of many robots at once.

n = robots, O = observation size, A = action size.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor

from rwmu_deploy.contract.bundle_files import MODEL_NAME, read_listed_files, read_manifest_bytes
from rwmu_deploy.contract.bundle_manifest import INPUT_NAME, OUTPUT_NAME, read_manifest
from rwmu_deploy.contract.errors import BundleError
from rwmu_deploy.contract.policy_bundle import GOLDEN_TOLERANCE, PolicyBundle
from rwmu_deploy.contract.robot_spec import RobotSpec


def load_bundle_policy(folder: Path, spec: RobotSpec) -> Callable[[Tensor], Tensor]:
    """Verify a bundle as a robot does, then run its graph on observations (n, O) at once.

    Raises:
        BundleError: The bundle can't be trusted, is of another robot or joint order, or answers
            otherwise for many robots than for one.
    """
    bundle = PolicyBundle.load(folder, robot=spec)
    if bundle.spec.joint_names != spec.joint_names:
        raise BundleError(
            f"bundle {folder} has joints {', '.join(bundle.spec.joint_names)}; allowed is the "
            f"robot's order {', '.join(spec.joint_names)}",
            fix="Train with this robot.yaml and export again.",
        )
    manifest = read_manifest(read_manifest_bytes(folder))
    session = _session(read_listed_files(folder, manifest.files)[MODEL_NAME])

    def act(observation: Tensor) -> Tensor:
        (actions,) = session.run((OUTPUT_NAME,), {INPUT_NAME: observation.numpy()})
        return torch.from_numpy(np.asarray(actions))

    golden = torch.tensor(bundle.golden_observations, dtype=torch.float32)
    worst = float(np.abs(act(golden).numpy() - bundle.golden_actions).max())
    if not worst <= GOLDEN_TOLERANCE:
        raise BundleError(
            f"bundle {folder} answers by {worst:.3g} otherwise for many robots than for one; "
            f"allowed is {GOLDEN_TOLERANCE:g}",
            fix="Record with --policies and the run that it was exported from.",
        )
    return act


def _session(model: bytes) -> onnxruntime.InferenceSession:
    """The policy with its fixed batch of one robot made free."""
    proto = onnx.load_from_string(model)
    del proto.graph.value_info[:]
    for tensor in (*proto.graph.input, *proto.graph.output):
        tensor.type.tensor_type.shape.dim[0].dim_param = "robots"
    options = onnxruntime.SessionOptions()
    # One thread: a recording has others for the physics, and they have no time to spare.
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        proto.SerializeToString(), sess_options=options, providers=["CPUExecutionProvider"]
    )
