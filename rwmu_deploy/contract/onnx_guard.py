"""Decide from its bytes alone whether an ONNX model may be loaded.

The robot has no onnx package, and onnxruntime accepts far more than a policy or a world model
needs: external files, subgraphs, custom operators, any shape. This guard lists what is allowed and
refuses the rest before a session exists. Field numbers are those of onnx.proto (IR version 10).
"""

from __future__ import annotations

from dataclasses import dataclass

from rwmu_deploy.contract.bundle_protobuf import (
    BYTES,
    FIXED32,
    VARINT,
    FieldRule,
    Message,
    WireReader,
    many,
    one,
    refused,
)
from rwmu_deploy.contract.errors import BundleError

MAX_MODEL_BYTES = 16_000_000
MAX_IR_VERSION = 10
"""onnxruntime 1.23 (Python 3.10, ROS 2 Humble) loads no IR version above 11."""
OPSET_VERSIONS = range(17, 22)
MAX_POLICY_NODES = 64
MAX_DIMENSION = 2048
"""With rank 2 and no operator that joins dimensions, no tensor can be larger than this squared."""

OPERATOR_ATTRIBUTES: dict[str, frozenset[str]] = {
    "Add": frozenset(),
    "Clip": frozenset(),
    "Constant": frozenset({"value"}),
    "Div": frozenset(),
    "Elu": frozenset({"alpha"}),
    "Gemm": frozenset({"alpha", "beta", "transA", "transB"}),
    "Identity": frozenset(),
    "MatMul": frozenset(),
    "Max": frozenset(),
    "Min": frozenset(),
    "Mul": frozenset(),
    "Relu": frozenset(),
    "Sigmoid": frozenset(),
    "Sub": frozenset(),
    "Tanh": frozenset(),
    "Transpose": frozenset({"perm"}),
}
"""Operator -> its allowed attributes: what the export writes, and other ordinary MLPs."""

_ELEMENT_BYTES = {1: 4, 7: 8}
"""TensorProto.DataType -> bytes: FLOAT and INT64."""
_FLOAT = 1

_METADATA = {1: one("key"), 2: one("value")}
_MODEL = {
    1: one("ir_version", VARINT),
    2: one("producer_name"),
    3: one("producer_version"),
    4: one("domain"),
    5: one("model_version", VARINT),
    6: one("doc_string"),
    7: one("graph"),
    8: many("opset_import"),
    14: many("metadata_props"),
}
_OPSET = {1: one("domain"), 2: one("version", VARINT)}
_GRAPH = {
    1: many("node"),
    2: one("name"),
    5: many("initializer"),
    10: one("doc_string"),
    11: many("input"),
    12: many("output"),
    16: many("metadata_props"),
}
_NODE = {
    1: many("input"),
    2: many("output"),
    3: one("name"),
    4: one("op_type"),
    5: many("attribute"),
    6: one("doc_string"),
    7: one("domain"),
    9: many("metadata_props"),
}
_ATTRIBUTE = {
    1: one("name"),
    2: one("f", FIXED32),
    3: one("i", VARINT),
    5: one("t"),
    8: many("ints", VARINT, BYTES),
    13: one("doc_string"),
    20: one("type", VARINT),
}
_TENSOR: dict[int, FieldRule] = {
    1: many("dims", VARINT, BYTES),
    2: one("data_type", VARINT),
    4: many("float_data", FIXED32, BYTES),
    8: one("name"),
    9: one("raw_data"),
    12: one("doc_string"),
    13: many("external_data"),
    14: one("data_location", VARINT),
    16: many("metadata_props"),
}
_VALUE = {
    1: one("name"),
    2: one("type"),
    3: one("doc_string"),
    4: many("metadata_props"),
}
_TYPE = {1: one("tensor_type"), 6: one("denotation")}
_TENSOR_TYPE = {1: one("elem_type", VARINT), 2: one("shape")}
_SHAPE = {1: many("dim")}
_DIMENSION = {1: one("dim_value", VARINT), 2: one("dim_param"), 3: one("denotation")}


@dataclass(frozen=True)
class TensorFacts:
    """A graph input or output: a float32 tensor of fixed shape."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class ModelFacts:
    """What a model that passed the guard is."""

    ir_version: int
    opset_version: int
    operators: tuple[str, ...]
    """In graph order."""
    parameter_count: int
    inputs: tuple[TensorFacts, ...]
    outputs: tuple[TensorFacts, ...]
    metadata: dict[str, str]


def check_model(
    model: bytes, *, name: str = "policy.onnx", max_nodes: int = MAX_POLICY_NODES
) -> ModelFacts:
    """Read a model's structure and refuse everything that a bundle does not need.

    Args:
        model: The whole file.
        name: What it is called, for errors.
        max_nodes: Operators that it may have.

    Raises:
        BundleError: Too large, malformed, or anything outside the allowed list: IR version above
            10, another operator domain, an operator or attribute not listed, a subgraph, a
            function, external data, a dimension that is not a fixed number, a tensor whose
            declared size is not the size of its data.
    """
    try:
        if len(model) > MAX_MODEL_BYTES:
            raise refused(f"it has {len(model)} bytes, allowed are {MAX_MODEL_BYTES}")
        return _ModelGuard(max_nodes).check(memoryview(model))
    except BundleError as error:
        raise BundleError(f"{name} refused: {error.problem}", fix=error.fix) from None


class _ModelGuard:
    def __init__(self, max_nodes: int) -> None:
        self._wire = WireReader()
        self._max_nodes = max_nodes

    def check(self, data: memoryview) -> ModelFacts:
        model = self._wire.message(data, _MODEL, "model")
        ir_version = model.integer("ir_version")
        if not 3 <= ir_version <= MAX_IR_VERSION:
            raise refused(f"IR version is {ir_version}, allowed is 3 to {MAX_IR_VERSION}")
        opset_version = self._opset(model)
        graph_bytes = model.view("graph")
        if graph_bytes is None:
            raise refused("it has no graph")
        graph = self._wire.message(graph_bytes, _GRAPH, "graph")
        nodes = graph.views("node")
        if not 1 <= len(nodes) <= self._max_nodes:
            raise refused(f"the graph has {len(nodes)} nodes, allowed are 1 to {self._max_nodes}")
        operators = tuple(self._node(node, f"node {i}") for i, node in enumerate(nodes))
        parameters = sum(
            self._tensor(view, f"initializer {i}")
            for i, view in enumerate(graph.views("initializer"))
        )
        inputs = tuple(self._value(view, "input") for view in graph.views("input"))
        outputs = tuple(self._value(view, "output") for view in graph.views("output"))
        return ModelFacts(
            ir_version=ir_version,
            opset_version=opset_version,
            operators=operators,
            parameter_count=parameters,
            inputs=inputs,
            outputs=outputs,
            metadata=self._metadata(model),
        )

    def _opset(self, model: Message) -> int:
        versions: list[int] = []
        for view in model.views("opset_import"):
            opset = self._wire.message(view, _OPSET, "opset_import")
            _default_domain_only(opset, "opset_import")
            versions.append(opset.integer("version"))
        if len(versions) != 1 or versions[0] not in OPSET_VERSIONS:
            raise refused(f"opset is {versions}, allowed is one of {list(OPSET_VERSIONS)}")
        return versions[0]

    def _metadata(self, model: Message) -> dict[str, str]:
        metadata: dict[str, str] = {}
        for view in model.views("metadata_props"):
            entry = self._wire.message(view, _METADATA, "metadata_props")
            if entry.text("key") in metadata:
                raise refused(f"metadata '{entry.text('key')}' stands there twice")
            metadata[entry.text("key")] = entry.text("value")
        return metadata

    def _node(self, data: memoryview, where: str) -> str:
        node = self._wire.message(data, _NODE, where)
        operator = node.text("op_type")
        _default_domain_only(node, f"{where} ({operator})")
        if operator not in OPERATOR_ATTRIBUTES:
            raise refused(
                f"{where} is operator {operator!r}, allowed are {', '.join(OPERATOR_ATTRIBUTES)}"
            )
        for view in node.views("attribute"):
            attribute = self._wire.message(view, _ATTRIBUTE, f"attribute of {where} ({operator})")
            name = attribute.text("name")
            if name not in OPERATOR_ATTRIBUTES[operator]:
                raise refused(f"{where} ({operator}) has attribute {name!r}")
            attribute.integers("ints", at_most=2)
            for tensor in attribute.views("t"):
                self._tensor(tensor, f"value of {where}")
        return operator

    def _tensor(self, data: memoryview, where: str) -> int:
        """Number of elements of a tensor that carries its own data."""
        tensor = self._wire.message(data, _TENSOR, where)
        if tensor.views("external_data") or tensor.integer("data_location") != 0:
            raise refused(f"{where} keeps its data outside the model")
        data_type = tensor.integer("data_type")
        if data_type not in _ELEMENT_BYTES:
            raise refused(f"{where} has data type {data_type}, allowed are {list(_ELEMENT_BYTES)}")
        count = 1
        for dimension in _dimensions(tensor.integers("dims", at_most=2), where):
            count *= dimension
        raw = tensor.view("raw_data")
        listed = tensor.views("float_data")
        sizes = ([len(raw)] if raw is not None else []) + (
            [sum(map(len, listed))] if listed else []
        )
        if listed and data_type != _FLOAT:
            raise refused(f"{where} has float values and data type {data_type}")
        if sizes != [count * _ELEMENT_BYTES[data_type]]:
            raise refused(f"{where} declares {count} elements and holds {sizes} bytes")
        return count

    def _value(self, data: memoryview, side: str) -> TensorFacts:
        value = self._wire.message(data, _VALUE, side)
        name = value.text("name")
        where = f"{side} {name!r}"
        kind = self._wire.message(_required(value, "type"), _TYPE, where)
        tensor = self._wire.message(_required(kind, "tensor_type"), _TENSOR_TYPE, where)
        if tensor.integer("elem_type") != _FLOAT:
            raise refused(f"{where} has element type {tensor.integer('elem_type')}, allowed is 1")
        shape = self._wire.message(_required(tensor, "shape"), _SHAPE, where)
        sizes: list[int] = []
        for view in shape.views("dim"):
            dimension = self._wire.message(view, _DIMENSION, where)
            if dimension.view("dim_param") is not None:
                raise refused(f"{where} has the dimension {dimension.text('dim_param')!r}")
            sizes.append(dimension.integer("dim_value"))
        return TensorFacts(name, tuple(_dimensions(sizes, where)))


def _default_domain_only(message: Message, where: str) -> None:
    if message.text("domain") not in ("", "ai.onnx"):
        raise refused(f"{where} is of domain {message.text('domain')!r}, allowed is ai.onnx")


def _required(message: Message, field: str) -> memoryview:
    view = message.view(field)
    if view is None:
        raise refused(f"{message.where} has no {field}")
    return view


def _dimensions(sizes: list[int], where: str) -> list[int]:
    if len(sizes) > 2 or not all(1 <= size <= MAX_DIMENSION for size in sizes):
        raise refused(
            f"{where} has the shape {sizes}, allowed are up to 2 fixed dimensions of 1 to "
            f"{MAX_DIMENSION}"
        )
    return sizes
