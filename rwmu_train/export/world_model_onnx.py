"""Turn a world model into one ONNX step with explicit memory, in operators that the guard allows.

The graph is written operator by operator rather than traced: tensors stay of rank 2 and nothing
joins or reshapes them, which is what lets the robot bound its memory from the bytes alone. States
enter in physical units; the normaliser is inside.

S = state size, A = action size, E = members, H = hidden units.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from rwmu_deploy.contract.bundle_world_model import (
    ACTION,
    FALL_PROBABILITY,
    MEAN,
    MEMORY,
    NEXT,
    NORMALISED_STATE,
    STATE,
)
from rwmu_deploy.contract.onnx_guard import MAX_IR_VERSION
from rwmu_train.export.onnx_export import OPSET_VERSION
from rwmu_train.transitions.normaliser import StateNormaliser
from rwmu_train.world_model.ensemble import MemberHeads, Trunk, WorldModel
from rwmu_train.world_model.gru import GruLayer

_GATES: tuple[str, ...] = ("reset", "update", "candidate")


def world_model_to_onnx(
    model: WorldModel, normaliser: StateNormaliser, metadata: Mapping[str, str]
) -> bytes:
    """Export one step: state (1, S), action (1, A) and memories (1, H) to what follows.

    Args:
        model: The trained world model.
        normaliser: Of its states.
        metadata: What the file says about itself.

    Returns:
        The file. Its outputs are the normalised state, every member's mean of the next one, the
        probability of a fall, and the memories; see `WorldModelSession`.
    """
    graph = _Graph()
    a = model.architecture
    graph.input(STATE, a.state_size)
    graph.input(ACTION, a.action_size)
    state = graph.normalised(normaliser)
    with torch.no_grad():
        features = graph.trunk("", model.state_trunk, state)
        means = [
            graph.mean(model, i, features[i % len(features)], state) for i in range(a.members)
        ]
        if model.auxiliary_trunk is not None:
            features = graph.trunk("auxiliary_", model.auxiliary_trunk, state)
        fall = graph.fall_probability(model, features)
    outputs = {state: a.state_size, **dict.fromkeys(means, a.state_size), fall: 1}
    return graph.to_bytes({**outputs, **graph.next_memories}, metadata)


class _Graph:
    """Nodes and weights; every method returns the name of what it computes."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[TensorProto] = []
        self._inputs: dict[str, int] = {}
        self.next_memories: dict[str, int] = {}

    def input(self, name: str, size: int) -> str:
        self._inputs[name] = size
        return name

    def normalised(self, normaliser: StateNormaliser) -> str:
        offset = self._node("Sub", STATE, self._weight("state_mean", normaliser.mean[None]))
        std = self._weight("state_std", normaliser.std[None])
        return self._node("Div", offset, std, name=NORMALISED_STATE)

    def trunk(self, prefix: str, trunk: Trunk, state: str) -> list[str]:
        """Features of each of the trunk's G groups: those of its last layer."""
        features: list[str] = []
        for g in range(len(trunk.first.weight_hh)):
            inputs = [state, ACTION]
            for name, layer in trunk.layers.items():
                inputs = [self._gru(f"{prefix}{g}_{name}", layer, g, inputs)]
            features += inputs
        return features

    def mean(self, model: WorldModel, member: int, features: str, state: str) -> str:
        name = f"{MEAN}{member}"
        mean = self._heads(name, model.mean_heads, member, features)
        if model.architecture.residual:
            mean = self._node("Add", state, mean)
        low, high = model.lowest_state[None], model.highest_state[None]
        if torch.isfinite(low).all() and torch.isfinite(high).all():
            mean = self._node("Max", mean, self._weight(f"{name}_lowest", low))
            mean = self._node("Min", mean, self._weight(f"{name}_highest", high))
        return self._node("Identity", mean, name=name)

    def fall_probability(self, model: WorldModel, features: list[str]) -> str:
        members = model.architecture.members
        at = model.architecture.contact_size
        total = ""
        for i in range(members):
            name = f"fall_{i}"
            column = slice(at, at + 1)
            of_member = features[i % len(features)]
            logit = self._heads(name, model.auxiliary_heads, i, of_member, column)
            probability = self._node("Sigmoid", logit)
            total = self._node("Add", total, probability) if total else probability
        share = self._weight("member_share", np.full((1, 1), 1.0 / members))
        return self._node("Mul", total, share, name=FALL_PROBABILITY)

    def to_bytes(self, outputs: Mapping[str, int], metadata: Mapping[str, str]) -> bytes:
        def tensor(name: str, size: int) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size])

        graph = helper.make_graph(
            self._nodes,
            "world_model_step",
            [tensor(*item) for item in self._inputs.items()],
            [tensor(*item) for item in outputs.items()],
            self._weights,
        )
        model = helper.make_model(
            graph,
            ir_version=MAX_IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET_VERSION)],
            producer_name="rwmu",
        )
        for key, value in metadata.items():
            model.metadata_props.add(key=key, value=value)
        onnx.checker.check_model(model, full_check=True)
        return model.SerializeToString(deterministic=True)

    def _gru(self, name: str, layer: GruLayer, group: int, inputs: list[str]) -> str:
        """One GRU step of one group; its inputs stand beside one another in the weights."""
        before = self.input(f"{MEMORY}{name}", layer.hidden)

        def of_gate(weight: Tensor, gate: str) -> Tensor:
            start = _GATES.index(gate) * layer.hidden
            return weight[group][:, start : start + layer.hidden]

        def into(gate: str, bias: Tensor) -> str:
            result, start = self._weight(f"{name}_{gate}_bias", bias), 0
            weight = of_gate(layer.weight_ih, gate)
            for i, source in enumerate(inputs):
                size = self._sizes(source, len(weight))
                rows = weight[start : start + size]
                result = self._gemm(source, f"{name}_{gate}_input_{i}", rows, result)
                start += size
            return result

        def recalled(gate: str, bias: str) -> str:
            weight = of_gate(layer.weight_hh, gate)
            return self._gemm(before, f"{name}_{gate}_memory", weight, bias)

        reset, update = (
            self._node(
                "Sigmoid",
                recalled(gate, into(gate, of_gate(layer.bias_ih + layer.bias_hh, gate))),
            )
            for gate in _GATES[:2]
        )
        memory_bias = of_gate(layer.bias_hh, "candidate")
        recall = recalled("candidate", self._weight(f"{name}_candidate_memory_bias", memory_bias))
        argument = self._node(
            "Add",
            into("candidate", of_gate(layer.bias_ih, "candidate")),
            self._node("Mul", reset, recall),
        )
        candidate = self._node("Tanh", argument)
        change = self._node("Mul", update, self._node("Sub", before, candidate))
        after = self._node("Add", candidate, change, name=f"{NEXT}{before}")
        self.next_memories[after] = layer.hidden
        return after

    def _heads(
        self,
        name: str,
        heads: MemberHeads,
        member: int,
        features: str,
        columns: slice = slice(None),
    ) -> str:
        hidden = self._node(
            "Relu",
            self._gemm(
                features,
                f"{name}_hidden",
                heads.hidden_weight[member],
                self._weight(f"{name}_hidden_bias", heads.hidden_bias[member]),
            ),
        )
        bias = self._weight(f"{name}_output_bias", heads.output_bias[member][:, columns])
        return self._gemm(hidden, f"{name}_output", heads.output_weight[member][:, columns], bias)

    def _sizes(self, source: str, rest: int) -> int:
        """Entries of a source: of the state, of an input, or all that the weights have."""
        if source == NORMALISED_STATE:
            return self._inputs[STATE]
        return self._inputs.get(source, rest)

    def _gemm(self, source: str, name: str, weight: Tensor, bias: str) -> str:
        return self._node("Gemm", source, self._weight(name, weight), bias)

    def _weight(self, name: str, values: Tensor | NDArray[np.floating]) -> str:
        array = values.cpu().numpy() if isinstance(values, Tensor) else values
        contiguous = np.ascontiguousarray(array, dtype=np.float32)
        self._weights.append(numpy_helper.from_array(contiguous, name))
        return name

    def _node(self, operator: str, *inputs: str, name: str | None = None) -> str:
        output = name or f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [output]))
        return output
