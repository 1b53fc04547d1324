"""World models of the public code: ours compute the same, and go back as they came.

How `released_vectors.safetensors` was made: the public code's own ensemble module (rsl_rl_rwm
18eebcd) in the layout of the released checkpoint, with ANYmal D's 45 + 12 columns and 8 contacts
but 3 members, 12 hidden units and heads of 8 (mean), 6 (standard deviation), 5 (contact) and 4
(termination) units. Its random weights were enlarged by 1.7 in the heads and its bounds drawn, so
that every part can be seen in the outputs. Two robots were driven with drawn states for 32 steps,
then for 10 with the mean of their own member. At every step hooks took each head's outputs;
`epistemic` is what the module itself returned.
"""

import hashlib
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from rwmu_deploy.contract.errors import CheckpointError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_train.transitions.normaliser import StateNormaliser, released_normaliser
from rwmu_train.world_model.checkpoint import WorldModelFacts, load_world_model, save_world_model
from rwmu_train.world_model.ensemble import (
    Architecture,
    WorldModel,
    epistemic_uncertainty,
)
from rwmu_train.world_model.released_checkpoint import export_released, import_released


@torch.no_grad()
def predictions(model: WorldModel, recorded: dict[str, Tensor]) -> dict[str, Tensor]:
    """Replay the recording: true states for as long as there are any, then own predictions."""
    member = recorded["member"]
    robots = len(member)
    memory = model.empty_memory(robots)
    steps: dict[str, list[Tensor]] = {}
    state = recorded["state"][0]
    for step, action in enumerate(recorded["action"]):
        if step < len(recorded["state"]):
            state = recorded["state"][step]
        inputs = torch.cat([state, action], dim=-1)
        memory = model.step(inputs, memory)
        features = memory.state.features
        mean = model.next_state(memory, state)
        contact, termination = model.contact_and_termination_logits(
            model.auxiliary_features(memory)
        )
        outputs = {"mean": mean, "contact": contact, "termination": termination}
        outputs["epistemic"] = epistemic_uncertainty(mean)
        if model.log_std_heads is not None:
            outputs["log_std"] = model.log_std(features)
        for name, value in outputs.items():
            steps.setdefault(name, []).append(value)
        state = mean[member, torch.arange(robots)]
    return {name: torch.stack(values) for name, values in steps.items()}


def assert_same(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert set(actual) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(actual[name], value, rtol=0.0, atol=1e-5, msg=name)


def reimported(content: bytes, spec: RobotSpec, tmp_path: Path) -> WorldModel:
    path = tmp_path / "back.pt"
    path.write_bytes(content)
    return import_released(path, spec)[0]


def weights_in(content: bytes) -> dict[str, Tensor]:
    return torch.load(io.BytesIO(content), weights_only=True)["system_dynamics_state_dict"]


@pytest.fixture
def our_facts(spec: RobotSpec) -> WorldModelFacts:
    architecture = Architecture(45, 12, 8, members=3, hidden=12, head_hidden=9)
    return WorldModelFacts(
        spec, architecture, released_normaliser(spec), 32, {}, data_sha256=(), iteration=7
    )


def test_every_output_is_that_of_the_released_module(released_pt, released_vectors, spec) -> None:
    model, _ = import_released(released_pt, spec)
    expected = {
        name.removeprefix("out."): value
        for name, value in released_vectors.items()
        if name.startswith("out.")
    }
    assert expected["mean"].shape == (42, 3, 2, 45)
    assert_same(predictions(model, released_vectors), expected)


def test_the_facts_say_where_it_came_from(released_pt, spec) -> None:
    model, facts = import_released(released_pt, spec)
    assert facts.settings["origin"] == "released checkpoint"
    assert facts.settings["sha256"] == hashlib.sha256(released_pt.read_bytes()).hexdigest()
    assert facts.normaliser.to_dict() == released_normaliser(spec).to_dict()
    assert (facts.spec, facts.history, facts.iteration) == (spec, 32, 5000)
    assert facts.data_sha256 == ()
    assert facts.architecture == model.architecture


def test_it_is_saved_and_loaded_like_any_other(
    released_pt, released_vectors, spec, tmp_path
) -> None:
    model, facts = import_released(released_pt, spec)
    loaded, loaded_facts = load_world_model(save_world_model(tmp_path / "m", model, facts), spec)
    assert loaded_facts.architecture == facts.architecture
    before, after = predictions(model, released_vectors), predictions(loaded, released_vectors)
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_export_gives_back_every_tensor_bit_for_bit(released_pt, released_weights, spec) -> None:
    exported = export_released(*import_released(released_pt, spec))
    tensors = weights_in(exported.content)
    assert set(tensors) == set(released_weights)
    assert all(torch.equal(tensors[name], released_weights[name]) for name in tensors)
    assert exported.configuration == {
        "history_horizon": 32,
        "ensemble_size": 3,
        "extension_dim": 0,
        "contact_dim": 8,
        "termination_dim": 1,
        "architecture_config": {
            "type": "rnn",
            "rnn_type": "gru",
            "rnn_num_layers": 2,
            "rnn_hidden_size": 12,
            "state_mean_shape": [8],
            "state_logstd_shape": [6],
            "contact_shape": [5],
            "termination_shape": [4],
        },
    }


@pytest.mark.parametrize("layers", [1, 2])
def test_a_model_of_ours_goes_there_and_back(
    our_facts, released_vectors, spec, tmp_path, layers
) -> None:
    torch.manual_seed(0)
    architecture = replace(our_facts.architecture, log_std="learned_bounds", layers=layers)
    model = WorldModel(architecture)
    exported = export_released(model, our_facts)
    # Contacts and termination share hidden units with us; there both have all of them.
    config = exported.configuration["architecture_config"]
    assert config["contact_shape"] == config["termination_shape"] == [9]
    assert config["rnn_num_layers"] == layers
    back = reimported(exported.content, spec, tmp_path)
    assert_same(predictions(back, released_vectors), predictions(model, released_vectors))


def test_fixed_bounds_are_refused_by_name(our_facts) -> None:
    with pytest.raises(CheckpointError, match="fixed bounds") as refused:
        export_released(WorldModel(our_facts.architecture), our_facts)
    assert "--without-log-std" in refused.value.fix


def test_without_standard_deviation_everything_else_is_the_same(
    our_facts, released_vectors, spec, tmp_path
) -> None:
    torch.manual_seed(0)
    model = WorldModel(our_facts.architecture)
    exported = export_released(model, our_facts, without_log_std=True)
    assert exported.configuration["architecture_config"]["state_logstd_shape"] is None
    assert not any("logstd" in name for name in weights_in(exported.content))
    back = reimported(exported.content, spec, tmp_path)
    assert back.architecture.log_std == "none"
    ours = predictions(model, released_vectors)
    del ours["log_std"]
    assert_same(predictions(back, released_vectors), ours)


@pytest.mark.parametrize(
    "difference", [{"trunks": "separate"}, {"auxiliary": "state_trunk"}, {"residual": False}]
)
def test_what_the_public_code_can_not_compute_is_refused_by_name(our_facts, difference) -> None:
    architecture = replace(our_facts.architecture, log_std="learned_bounds", **difference)
    (value,) = difference.values()
    with pytest.raises(CheckpointError, match=f"{value}.*the public code knows") as refused:
        export_released(WorldModel(architecture), our_facts)
    assert "preset released" in refused.value.fix


def test_another_normaliser_is_not_exported(our_facts) -> None:
    fitted = StateNormaliser(np.zeros(45, np.float32), np.ones(45, np.float32), "fitted")
    model = WorldModel(replace(our_facts.architecture, log_std="learned_bounds"))
    with pytest.raises(CheckpointError, match="normaliser 'fitted'"):
        export_released(model, replace(our_facts, normaliser=fitted))


def _reversed_joints(spec: RobotSpec) -> RobotSpec:
    return replace(spec, joints=spec.joints[::-1])


def _feet_first(spec: RobotSpec) -> RobotSpec:
    return replace(spec, contact_names=spec.contact_names[4:] + spec.contact_names[:4])


def _faster(spec: RobotSpec) -> RobotSpec:
    return replace(spec, control_dt_s=0.01)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (_reversed_joints, "joint_names of robot 'anymal_d' is RH_KFE"),
        (_feet_first, "contact_names of robot 'anymal_d' is LF_FOOT"),
        (_faster, "control_dt_s of robot 'anymal_d' is 0.01"),
    ],
)
def test_a_robot_whose_columns_mean_something_else_is_refused(
    released_pt, spec, our_facts, other, said
) -> None:
    with pytest.raises(CheckpointError, match=said):
        import_released(released_pt, other(spec))
    model = WorldModel(replace(our_facts.architecture, log_std="none"))
    with pytest.raises(CheckpointError, match=said):
        export_released(model, replace(our_facts, spec=other(spec)))
