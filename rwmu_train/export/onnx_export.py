"""Turn a policy into the bytes of one ONNX file that a robot's onnxruntime loads."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import onnx
import torch

from rwmu_deploy.contract.bundle_manifest import (
    INPUT_NAME,
    METADATA_KEY,
    OUTPUT_NAME,
    facts_text,
)
from rwmu_deploy.contract.observation import observation_terms
from rwmu_deploy.contract.onnx_guard import MAX_IR_VERSION
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_train.policy.policy_network import PolicyNetwork

OPSET_VERSION = 18


def policy_to_onnx(network: PolicyNetwork, metadata: Mapping[str, str]) -> bytes:
    """Export with normaliser and clip inside: (1, O) float32 -> (1, A) float32.

    Args:
        network: The trained policy.
        metadata: What the file says about itself, in place of everything the exporter says.
    """
    frozen = copy.deepcopy(network).cpu().eval()
    with _quiet():
        program = torch.onnx.export(
            frozen,
            (torch.zeros(1, network.observation_size),),
            input_names=[INPUT_NAME],
            output_names=[OUTPUT_NAME],
            opset_version=OPSET_VERSION,
            external_data=False,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    _forget_the_exporter(model)
    model.ir_version = min(model.ir_version, MAX_IR_VERSION)
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def policy_metadata(spec: RobotSpec, facts: Mapping[str, Any]) -> dict[str, str]:
    """Our facts under one key, and the keys that mjlab-style runtimes read, in full precision."""
    return {
        METADATA_KEY: facts_text(facts),
        "joint_names": ",".join(spec.joint_names),
        "joint_stiffness": _numbers(spec.kp_nm_per_rad.tolist()),
        "joint_damping": _numbers(spec.kd_nms_per_rad.tolist()),
        "default_joint_pos": _numbers(spec.default_position_rad.tolist()),
        "action_scale": _numbers(spec.action_scale.tolist()),
        "observation_names": ",".join(term.name for term in observation_terms(spec)),
    }


def _numbers(values: list[float]) -> str:
    return ",".join(repr(value) for value in values)


def _forget_the_exporter(model: onnx.ModelProto) -> None:
    """Drop traces, paths and intermediate shapes of the machine that exported."""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    for entry in (
        *model.graph.node,
        *model.graph.input,
        *model.graph.output,
        *model.graph.initializer,
    ):
        del entry.metadata_props[:]
        entry.doc_string = ""
    model.doc_string = model.graph.doc_string = ""


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's remarks about packages that a policy does not need."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
