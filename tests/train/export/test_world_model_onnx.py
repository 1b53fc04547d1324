from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from rwmu_deploy.contract.bundle_world_model import WorldModelSession
from rwmu_deploy.contract.errors import BundleError
from rwmu_deploy.contract.onnx_guard import OPERATOR_ATTRIBUTES, check_model
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_train.export.world_model_onnx import world_model_to_onnx
from rwmu_train.transitions.normaliser import StateNormaliser
from rwmu_train.world_model.ensemble import Architecture, WorldModel

STATE, ACTION, CONTACTS = 45, 12, 8


def _model(**changes) -> WorldModel:
    torch.manual_seed(5)
    sizes = {"members": 3, "hidden": 16, "head_hidden": 12, "log_std": "none"}
    model = WorldModel(Architecture(STATE, ACTION, CONTACTS, **(sizes | changes)))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 1.5
    return model.eval()


def _normaliser() -> StateNormaliser:
    rng = np.random.default_rng(6)
    mean = rng.normal(0.0, 0.5, STATE).astype(np.float32)
    return StateNormaliser(mean, rng.uniform(0.5, 2.0, STATE).astype(np.float32), "fitted")


@pytest.mark.parametrize("known", [True, False], ids=["range known", "range not known"])
@pytest.mark.parametrize(
    "architecture",
    [
        {"trunks": "separate", "auxiliary": "state_trunk"},
        {"trunks": "separate", "auxiliary": "own_trunk", "layers": 1},
        {"trunks": "separate", "auxiliary": "own_trunk"},
        {"trunks": "shared", "auxiliary": "own_trunk", "log_std": "learned_bounds"},
        {"trunks": "shared", "auxiliary": "state_trunk", "residual": False},
    ],
    ids=lambda changes: " ".join(str(value) for value in changes.values()),
)
def test_on_board_the_model_dreams_the_same_200_steps(
    robot: RobotSpec, architecture: dict, known: bool
):
    model, normaliser = _model(**architecture), _normaliser()
    if known:
        model.know_range(torch.full((STATE,), -1.5), torch.full((STATE,), 1.2))
    session = WorldModelSession(world_model_to_onnx(model, normaliser, {}), robot)
    rng = np.random.default_rng(7)
    theirs = ours = rng.normal(0.0, 1.0, STATE)
    memory, kept = session.empty_memory(), model.empty_memory(1)
    worst = 0.0
    for _ in range(200):
        action = rng.normal(0.0, 0.5, ACTION)
        forecast, memory = session.step(theirs, action, memory)
        with torch.no_grad():
            state = normaliser.normalise(torch.tensor(ours[None], dtype=torch.float32))
            acted = torch.tensor(action[None], dtype=torch.float32)
            kept = model.step(torch.cat([state, acted], dim=1), kept)
            means = model.next_state(kept, state)[:, 0].double().numpy()
            _, fall = model.contact_and_termination_logits(model.auxiliary_features(kept))
        for found, wanted in (
            (forecast.state, state[0].numpy()),
            (forecast.mean, means.mean(0)),
            (forecast.disagreement, means.std(0, ddof=1)),
            (forecast.fall_probability, float(torch.sigmoid(fall).mean())),
        ):
            worst = max(worst, float(np.abs(found - wanted).max()))
        theirs = forecast.mean * normaliser.std + normaliser.mean
        ours = means.mean(0) * normaliser.std + normaliser.mean
    assert worst <= 1e-3


def test_another_runtime_dreams_the_same(robot: RobotSpec):
    content = world_model_to_onnx(_model(trunks="separate"), _normaliser(), {})
    session = WorldModelSession(content, robot)
    evaluator = ReferenceEvaluator(onnx.load_from_string(content))
    rng = np.random.default_rng(8)
    memory = session.empty_memory()
    other = dict(zip(evaluator.input_names[2:], memory, strict=True))
    for _ in range(20):
        state = rng.normal(0.0, 1.0, STATE).astype(np.float32)
        action = rng.normal(0.0, 0.5, ACTION).astype(np.float32)
        forecast, memory = session.step(state, action, memory)
        fed = {"state": state[None], "action": action[None], **other}
        answers = dict(zip(evaluator.output_names, evaluator.run(None, fed), strict=True))
        other = {name: answers[f"next_{name}"] for name in other}
        means = np.concatenate([answers[f"mean_{i}"] for i in range(3)])
        np.testing.assert_allclose(forecast.mean, means.mean(axis=0), rtol=0.0, atol=1e-5)
        fall = answers["fall_probability"].item()
        assert forecast.fall_probability == pytest.approx(fall, abs=1e-5)


def test_the_guard_lets_it_pass_as_it_is():
    facts = check_model(world_model_to_onnx(_model(), _normaliser(), {"rwmu": "x"}), max_nodes=999)
    assert set(facts.operators) <= set(OPERATOR_ATTRIBUTES)
    assert facts.metadata == {"rwmu": "x"}
    assert all(len(tensor.shape) == 2 for tensor in (*facts.inputs, *facts.outputs))


def test_disagreement_and_its_sum_are_those_of_the_members(robot: RobotSpec):
    session = WorldModelSession(world_model_to_onnx(_model(), _normaliser(), {}), robot)
    assert session.members == 3
    forecast, _ = session.step(np.zeros(STATE), np.zeros(ACTION), session.empty_memory())
    assert forecast.uncertainty == pytest.approx(float(forecast.disagreement.sum()))
    assert forecast.uncertainty > 0.0


def test_one_member_can_not_disagree_and_is_refused(robot: RobotSpec):
    with pytest.raises(BundleError, match="1 members; allowed is 2 up"):
        WorldModelSession(world_model_to_onnx(_model(members=1), _normaliser(), {}), robot)


def test_a_model_of_other_sizes_is_refused(robot: RobotSpec):
    model = WorldModel(Architecture(STATE + 1, ACTION, CONTACTS, members=2, hidden=4))
    mean = np.zeros(STATE + 1, dtype=np.float32)
    normaliser = StateNormaliser(mean, mean + 1, "fitted")
    with pytest.raises(BundleError, match=r"'state' of shape \(1, 46\) as input 0"):
        WorldModelSession(world_model_to_onnx(model, normaliser, {}), robot)


def test_a_memory_that_nobody_hands_on_is_refused(robot: RobotSpec):
    proto = onnx.load_from_string(world_model_to_onnx(_model(), _normaliser(), {}))
    del proto.graph.output[-1]
    with pytest.raises(BundleError, match="nothing as output"):
        WorldModelSession(proto.SerializeToString(), robot)


def test_an_operator_that_joins_tensors_is_refused(robot: RobotSpec):
    proto = onnx.load_from_string(world_model_to_onnx(_model(), _normaliser(), {}))
    proto.graph.initializer.append(numpy_helper.from_array(np.ones((1, 1), np.float32), "one"))
    proto.graph.node.append(helper.make_node("Concat", ["one", "one"], ["two"], axis=1))
    with pytest.raises(BundleError, match=r"world_model\.onnx refused.*Concat"):
        WorldModelSession(proto.SerializeToString(), robot)


@pytest.mark.parametrize(("state", "action"), [(44, 12), (45, 11)])
def test_a_state_or_action_of_another_size_is_refused(robot: RobotSpec, state: int, action: int):
    session = WorldModelSession(world_model_to_onnx(_model(), _normaliser(), {}), robot)
    with pytest.raises(BundleError, match="has shape"):
        session.step(np.zeros(state), np.zeros(action), session.empty_memory())


def test_what_is_not_a_number_comes_back_as_such(robot: RobotSpec):
    session = WorldModelSession(world_model_to_onnx(_model(), _normaliser(), {}), robot)
    state = np.zeros(STATE)
    state[3] = np.nan
    forecast, memory = session.step(state, np.zeros(ACTION), session.empty_memory())
    assert not np.isfinite(forecast.uncertainty)
    forecast, _ = session.step(np.zeros(STATE), np.zeros(ACTION), memory)
    assert not np.isfinite(forecast.uncertainty)
