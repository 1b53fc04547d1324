from __future__ import annotations

import contextlib
import time
import tracemalloc

import numpy as np
import onnx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from rwmu_deploy.contract.errors import BundleError
from rwmu_deploy.contract.onnx_guard import TensorFacts, check_model

FLOAT = TensorProto.FLOAT


def _linear_model(**changes) -> onnx.ModelProto:
    """actions = obs @ weight, (1, 4) -> (1, 2), with parts replaced."""
    graph = helper.make_graph(
        changes.get("nodes", [helper.make_node("MatMul", ["obs", "weight"], ["actions"])]),
        "policy",
        changes.get("inputs", [helper.make_tensor_value_info("obs", FLOAT, [1, 4])]),
        changes.get("outputs", [helper.make_tensor_value_info("actions", FLOAT, [1, 2])]),
        changes.get("initializers", [_weight()]),
    )
    return helper.make_model(
        graph,
        ir_version=changes.get("ir_version", 10),
        opset_imports=changes.get("opsets", [helper.make_opsetid("", 18)]),
        functions=changes.get("functions", []),
    )


def _weight() -> TensorProto:
    return numpy_helper.from_array(np.ones((4, 2), dtype=np.float32), "weight")


def _refused(model: onnx.ModelProto | bytes, match: str) -> None:
    data = model if isinstance(model, bytes) else model.SerializeToString()
    with pytest.raises(BundleError, match=match):
        check_model(data)


def test_an_ordinary_model_passes_and_is_described():
    facts = check_model(_linear_model().SerializeToString())
    assert facts.inputs == (TensorFacts("obs", (1, 4)),)
    assert facts.outputs == (TensorFacts("actions", (1, 2)),)
    assert facts.operators == ("MatMul",)
    assert facts.parameter_count == 8
    assert (facts.ir_version, facts.opset_version) == (10, 18)


def test_the_exported_model_passes_with_its_metadata(exported_model: bytes):
    facts = check_model(exported_model)
    assert [tensor.shape for tensor in (*facts.inputs, *facts.outputs)] == [(1, 48), (1, 12)]
    # 48-24-16-12 with biases, mean, std, two bounds.
    assert facts.parameter_count == 48 * 24 + 24 + 24 * 16 + 16 + 16 * 12 + 12 + 2 * 48 + 2 * 12
    assert facts.metadata["joint_names"].startswith("LF_HAA,LH_HAA,")


def test_weights_listed_one_by_one_pass_like_raw_ones():
    weight = helper.make_tensor("weight", FLOAT, [4, 2], [1.0] * 8)
    assert weight.float_data
    assert check_model(_linear_model(initializers=[weight]).SerializeToString())


@pytest.mark.parametrize("ir_version", [2, 11, 14, 2**40])
def test_ir_version_that_an_older_runtime_cannot_load_is_refused(ir_version: int):
    model = _linear_model()
    model.ir_version = ir_version
    _refused(model, "IR version")


@pytest.mark.parametrize("version", [1, 16, 22, 99])
def test_opset_outside_the_tested_ones_is_refused(version: int):
    _refused(_linear_model(opsets=[helper.make_opsetid("", version)]), "opset")


def test_model_without_an_opset_is_refused():
    _refused(_linear_model(opsets=[]), "opset")


def test_custom_domain_is_refused_as_import_and_on_a_node():
    both = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    _refused(_linear_model(opsets=both), "com.microsoft")
    node = helper.make_node("MatMul", ["obs", "weight"], ["actions"], domain="evil")
    _refused(_linear_model(nodes=[node]), "evil")


@pytest.mark.parametrize("operator", ["Loop", "Scan", "ConstantOfShape", "PyOp", "Expand", ""])
def test_operator_outside_the_list_is_refused(operator: str):
    node = helper.make_node(operator, ["obs", "weight"], ["actions"])
    _refused(_linear_model(nodes=[node]), "operator")


def _branch() -> onnx.GraphProto:
    node = helper.make_node("Identity", ["weight"], ["b"])
    return helper.make_graph(
        [node], "branch", [], [helper.make_tensor_value_info("b", FLOAT, [1, 2])]
    )


def test_if_node_is_refused():
    node = helper.make_node(
        "If", ["obs"], ["actions"], then_branch=_branch(), else_branch=_branch()
    )
    _refused(_linear_model(nodes=[node]), "'If'")


def test_subgraph_under_an_allowed_operator_is_refused():
    node = helper.make_node("MatMul", ["obs", "weight"], ["actions"])
    node.attribute.append(helper.make_attribute("alpha", _branch()))
    _refused(_linear_model(nodes=[node]), "field 6")
    node = helper.make_node("Gemm", ["obs", "weight"], ["actions"])
    node.attribute.append(helper.make_attribute("alpha", [_branch()]))
    _refused(_linear_model(nodes=[node]), "field 11")


def test_unknown_attribute_is_refused():
    node = helper.make_node("Elu", ["obs"], ["actions"], beta=1.0)
    _refused(_linear_model(nodes=[node]), "attribute 'beta'")


def test_model_function_is_refused():
    function = helper.make_function(
        "evil",
        "MatMul",
        ["a", "b"],
        ["c"],
        [helper.make_node("MatMul", ["a", "b"], ["c"])],
        [helper.make_opsetid("", 18)],
    )
    _refused(_linear_model(functions=[function]), "field 25")


def test_training_information_is_refused():
    model = _linear_model()
    model.training_info.add()
    _refused(model, "field 20")


def test_sparse_weights_are_refused():
    model = _linear_model()
    model.graph.sparse_initializer.add()
    _refused(model, "field 15")


@pytest.mark.parametrize(
    "location",
    ["../secret", "/etc/hostname", "policy.onnx.data", "./a/../../b", "", "manifest.json"],
)
def test_external_data_is_refused_in_every_form(location: str):
    weight = _weight()
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=location)
    _refused(_linear_model(initializers=[weight]), "outside the model")


def test_external_data_beside_raw_data_is_refused():
    weight = _weight()
    weight.external_data.add(key="location", value="x")
    _refused(_linear_model(initializers=[weight]), "outside the model")
    weight = _weight()
    weight.data_location = TensorProto.EXTERNAL
    _refused(_linear_model(initializers=[weight]), "outside the model")


def test_external_data_inside_a_constant_is_refused():
    value = _weight()
    value.data_location = TensorProto.EXTERNAL
    nodes = [
        helper.make_node("Constant", [], ["weight"], value=value),
        helper.make_node("MatMul", ["obs", "weight"], ["actions"]),
    ]
    _refused(_linear_model(nodes=nodes, initializers=[]), "outside the model")


@pytest.mark.parametrize("shape", [["batch", 4], [None, 4], [-1, 4], [0, 4], [1, 4096], [1, 1, 4]])
@pytest.mark.parametrize("side", ["inputs", "outputs"])
def test_dimension_that_is_not_a_small_fixed_number_is_refused(side: str, shape: list):
    name = {"inputs": "obs", "outputs": "actions"}[side]
    value = helper.make_tensor_value_info(name, FLOAT, shape)
    _refused(_linear_model(**{side: [value]}), "dimension")


def test_input_of_another_type_is_refused():
    value = helper.make_tensor_value_info("obs", TensorProto.DOUBLE, [1, 4])
    _refused(_linear_model(inputs=[value]), "element type 11")


def test_input_without_a_shape_is_refused():
    value = helper.make_tensor_value_info("obs", FLOAT, None)
    _refused(_linear_model(inputs=[value]), "no shape")


def test_declared_size_beyond_the_data_is_refused_without_memory_or_time():
    weight = _weight()
    del weight.dims[:]
    weight.dims.extend([2048, 2048])
    bomb = _linear_model(initializers=[weight]).SerializeToString()
    weight.dims[:] = [50_000, 50_000]
    ten_gigabytes = _linear_model(initializers=[weight]).SerializeToString()
    tracemalloc.start()
    started = time.perf_counter()
    _refused(bomb, "declares 4194304 elements")
    _refused(ten_gigabytes, "shape")
    assert time.perf_counter() - started < 1.0
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("dims", [[-1, 8], [8, 0], [2, 2, 2], [2**62, 4]])
def test_hostile_weight_shape_is_refused(dims: list[int]):
    weight = _weight()
    weight.dims[:] = dims
    _refused(_linear_model(initializers=[weight]), "shape|dims")


def test_weights_of_another_type_are_refused():
    weight = numpy_helper.from_array(np.ones((4, 2), dtype=np.float64), "weight")
    _refused(_linear_model(initializers=[weight]), "data type 11")


def test_raw_and_listed_weights_together_are_refused():
    weight = _weight()
    weight.float_data.extend([1.0] * 8)
    _refused(_linear_model(initializers=[weight]), "holds")


def test_doubled_metadata_key_is_refused():
    model = _linear_model()
    model.metadata_props.add(key="rwmu", value="1")
    model.metadata_props.add(key="rwmu", value="2")
    _refused(model, "twice")


def test_second_graph_is_refused_because_parsers_would_merge_it():
    _refused(_linear_model().SerializeToString() + b"\x3a\x00", "graph stands there twice")


def test_too_many_nodes_are_refused():
    nodes = [helper.make_node("Identity", ["obs"], [f"y{i}"]) for i in range(65)]
    _refused(_linear_model(nodes=nodes), "65 nodes")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"\x08",  # ends inside a number
        b"\x08" + b"\xff" * 20,  # endless number
        b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # graph of 2^64 - 1 bytes
        b"\x3a\x80\x80\x80\x80\x28",  # graph of 10 GB
        b"\x3b" * 1000,  # groups, nested
        b"\x08\x0a" + b"\x42\x00" * 200_000,  # very many empty opset imports
        b"PK\x03\x04",
        b"\xff" * 100,
    ],
)
def test_hostile_bytes_are_refused(data: bytes):
    _refused(data, "refused")


def test_unpacked_lists_cannot_fill_the_memory():
    floats = b"\x25\x00\x00\x80\x3f" * 150_000  # float_data, one field each
    tensor = b"\x08\x04\x08\x02\x10\x01" + floats
    length = len(tensor)
    varint = bytes([length & 0x7F | 0x80, length >> 7 & 0x7F | 0x80, length >> 14])
    graph = b"\x2a" + varint + tensor
    node = _linear_model().graph.node[0].SerializeToString()
    graph = b"\x0a" + bytes([len(node)]) + node + graph
    size = len(graph)
    head = bytes([size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14])
    _refused(b"\x08\x0a\x42\x02\x10\x12\x3a" + head + graph, "more than 100000 fields")


def test_file_above_the_limit_is_refused_unread():
    _refused(b"\x08\x0a" * 8_000_001, "16000002 bytes")


def test_error_stays_one_short_line_whatever_the_model_says():
    node = helper.make_node("X" * 100_000, ["obs"], ["actions"])
    with pytest.raises(BundleError) as caught:
        check_model(_linear_model(nodes=[node]).SerializeToString())
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


@settings(deadline=None)
@given(st.binary(max_size=200))
@example(b"\x08\x0a")
def test_any_bytes_are_refused_and_never_crash(data: bytes):
    with pytest.raises(BundleError):
        check_model(data)


def test_every_cut_of_a_model_is_refused(exported_model: bytes):
    rng = np.random.default_rng(5)
    for end in rng.integers(0, len(exported_model), 300):
        # A cut between two top-level fields leaves metadata out, which the bundle notices.
        try:
            facts = check_model(exported_model[:end])
        except BundleError:
            continue
        assert "rwmu" not in facts.metadata or len(facts.metadata) < 7


def test_every_changed_byte_is_judged_without_a_crash(exported_model: bytes):
    rng = np.random.default_rng(6)
    for position in rng.integers(0, len(exported_model), 500):
        changed = bytearray(exported_model)
        changed[position] = int(rng.integers(0, 256))
        # Most changes hit weights or names and pass here; the hash is what refuses those.
        with contextlib.suppress(BundleError):
            assert check_model(bytes(changed)).inputs[0].shape == (1, 48)
