"""Files that are not what they should be: refused by name, and no code in them is run."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from rwmu_deploy.contract.errors import CheckpointError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_train.world_model.released_checkpoint import import_released

Weights = dict[str, Tensor]


def refusal(path: Path, spec: RobotSpec) -> str:
    with pytest.raises(CheckpointError) as refused:
        import_released(path, spec)
    assert refused.value.fix
    assert str(path) in refused.value.problem
    return refused.value.problem


def _drop(name: str) -> Callable[[Weights], object]:
    return lambda weights: weights.pop(name)


def _replace(name: str, value: Tensor) -> Callable[[Weights], object]:
    return lambda weights: weights.__setitem__(name, value)


def _wider_heads(weights: Weights) -> None:
    for member in range(3):
        weights[f"auxiliary_heads.{member}.contact_layers.2.weight"] = torch.zeros(30, 5)
        weights[f"auxiliary_heads.{member}.contact_layers.2.bias"] = torch.zeros(30)


def _one_member(weights: Weights) -> None:
    for name in [name for name in weights if re.search(r"_heads\.[12]\.", name)]:
        del weights[name]


def _not_a_number(weights: Weights) -> None:
    weights["state_base.memory.rnn.bias_hh_l1"][3] = float("nan")


MEAN = "state_heads.0.state_mean_layers"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_drop("state_base.memory.rnn.weight_hh_l1"), "misses state_base.memory.rnn.weight_hh_l1"),
        (_drop(f"{MEAN}.2.weight"), f"misses {MEAN}.2.weight"),
        (_drop("state_heads.1.state_min_logstd"), "misses state_heads.1.state_min_logstd"),
        (_drop("auxiliary_heads.2.contact_layers.0.bias"), "misses auxiliary_heads.2.contact"),
        (_replace(f"{MEAN}.2.bias", torch.zeros(44)), f"{MEAN}.2.bias of shape (44,)"),
        (_replace(f"{MEAN}.2.weight", torch.zeros(45)), f"{MEAN}.2.weight of shape (45,)"),
        (
            _replace("state_base.memory.rnn.weight_ih_l1", torch.zeros(48, 12)),  # an LSTM's
            "weight_ih_l1 of shape (48, 12); allowed is (36, 12)",
        ),
        (
            _replace("state_heads.3.state_mean_layers.0.bias", torch.zeros(8)),
            "misses auxiliary_heads.3",
        ),
        (
            _replace("auxiliary_heads.3.contact_layers.0.bias", torch.zeros(5)),
            "has auxiliary_heads.3.contact_layers.0.bias besides",
        ),
        (
            _replace("auxiliary_heads.0.extension_layers.0.bias", torch.zeros(5)),
            "has auxiliary_heads.0.extension_layers.0.bias besides",
        ),
        (_replace("state_base.memory.rnn.bias_ih_l2", torch.zeros(36)), "bias_ih_l2 besides"),
        (_not_a_number, "bias_hh_l1 has a number that is not finite"),
        (_replace(f"{MEAN}.2.bias", torch.zeros(45).double()), "torch.float64"),
        (_replace(f"{MEAN}.2.bias", 0.0), "float under 'system_dynamics_state_dict'"),  # type: ignore[arg-type]
        (_wider_heads, "has 30 contact columns; robot 'anymal_d' has 8"),
        (_one_member, "has 1 member; allowed is 2 up"),
    ],
)
def test_a_spoilt_state_dictionary_is_refused_by_name(
    released_weights: Weights, spec, tmp_path, spoil: Callable[[Weights], Any], said: str
) -> None:
    spoil(released_weights)
    path = tmp_path / "spoilt.pt"
    torch.save({"system_dynamics_state_dict": released_weights}, path)
    assert said in refusal(path, spec)


class _RunsCode:
    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.witness),))


def test_code_in_a_file_is_named_and_not_run(released_weights, spec, tmp_path) -> None:
    path, witness = tmp_path / "evil.pt", tmp_path / "witness"
    document = {"system_dynamics_state_dict": released_weights, "infos": _RunsCode(witness)}
    torch.save(document, path)
    assert "asks to run posix.mkdir, which was not done" in refusal(path, spec)
    assert not witness.exists()
    torch.load(path, weights_only=False)
    assert witness.exists(), "the file would not have run anything, so nothing was tested"


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_a_cut_file_is_said_to_be_cut(released_pt, spec, share: float) -> None:
    content = released_pt.read_bytes()
    released_pt.write_bytes(content[: int(share * len(content))])
    assert "is cut short or damaged" in refusal(released_pt, spec)


def test_a_flipped_byte_never_changes_a_weight_unseen(released_pt, spec) -> None:
    content = released_pt.read_bytes()
    sound = import_released(released_pt, spec)[0].state_dict()
    refused = 0
    for place in range(0, len(content), len(content) // 50):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        released_pt.write_bytes(damaged)
        try:
            model, _ = import_released(released_pt, spec)
        except CheckpointError:
            refused += 1
        else:  # A byte between the archive's entries.
            assert all(torch.equal(model.state_dict()[name], sound[name]) for name in sound)
    assert refused > 10


@pytest.mark.parametrize("content", [b"", b"1.0,2.0\n", bytes(64)])
def test_other_files_are_said_to_be_no_torch_archive(spec, tmp_path, content: bytes) -> None:
    path = tmp_path / "other.pt"
    path.write_bytes(content)
    assert "is not a torch archive" in refusal(path, spec)


def test_a_missing_file_and_a_folder_are_named(spec, tmp_path) -> None:
    assert "No such file" in refusal(tmp_path / "none.pt", spec)
    assert "Is a directory" in refusal(tmp_path, spec)


@pytest.mark.parametrize(
    "document",
    [[1, 2], {}, {"system_dynamics_state_dict": {}}, {"system_dynamics_state_dict": 3}],
)
def test_a_torch_file_without_a_world_model_is_refused(spec, tmp_path, document: object) -> None:
    path = tmp_path / "policy.pt"
    torch.save(document, path)
    assert "holds no world model" in refusal(path, spec)
