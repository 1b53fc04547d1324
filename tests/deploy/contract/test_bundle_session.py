from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from rwmu_deploy.contract.bundle_session import PolicySession
from rwmu_deploy.contract.errors import BundleError

FLOAT = TensorProto.FLOAT


def _model(inputs: dict[str, int], outputs: dict[str, int]) -> bytes:
    def tensors(sizes: dict[str, int]):
        return [helper.make_tensor_value_info(n, FLOAT, [1, size]) for n, size in sizes.items()]

    weight = numpy_helper.from_array(np.ones((4, 2), dtype=np.float32), "weight")
    nodes = [helper.make_node("MatMul", ["obs", "weight"], [name]) for name in outputs]
    graph = helper.make_graph(nodes, "policy", tensors(inputs), tensors(outputs), [weight])
    opsets = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, ir_version=10, opset_imports=opsets).SerializeToString()


def _session(inputs: dict[str, int], outputs: dict[str, int]) -> PolicySession:
    return PolicySession(_model(inputs, outputs), observation_size=4, action_size=2)


def test_a_model_of_these_shapes_answers():
    session = _session({"obs": 4}, {"actions": 2})
    assert session.action(np.array([1, 2, 3, 4], dtype=np.float32)).tolist() == [10.0, 10.0]


@pytest.mark.parametrize(
    ("inputs", "outputs", "said"),
    [
        ({"obs": 4, "other": 4}, {"actions": 2}, r"'other' of shape \(1, 4\) as input 1"),
        ({"obs": 4}, {"actions": 2, "more": 2}, r"'more' of shape \(1, 2\) as output 1"),
        ({"obs": 5}, {"actions": 2}, r"'obs' of shape \(1, 5\) as input 0"),
        ({"obs": 4}, {"torques": 2}, r"'torques' of shape \(1, 2\) as output 0"),
    ],
)
def test_a_tensor_more_or_of_another_name_or_shape_is_refused(
    inputs: dict[str, int], outputs: dict[str, int], said: str
):
    with pytest.raises(BundleError, match=said):
        _session(inputs, outputs)
