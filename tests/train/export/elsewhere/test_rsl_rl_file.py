"""Every format of rsl_rl is read, and what is not one is refused by name."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from rwmu_deploy.contract.errors import CheckpointError
from rwmu_train.export.rsl_rl_file import read_rsl_rl_file

State = dict[str, Tensor]
Save = Callable[..., Path]


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as refused:
        read_rsl_rl_file(path)
    assert refused.value.fix
    assert str(path) in refused.value.problem
    return refused.value.problem


def without_normaliser(state: State) -> State:
    return {name: tensor for name, tensor in state.items() if "normalizer" not in name}


def test_actor_and_normaliser_of_rsl_rl_5(actor_state: State, saved: Save):
    file = read_rsl_rl_file(saved({"actor_state_dict": actor_state, "iter": 1499, "infos": None}))
    assert file.sizes == (48, 5, 12)
    assert torch.equal(file.layers[1][0], actor_state["mlp.2.weight"])
    assert file.normaliser is not None
    assert torch.equal(file.normaliser["_mean"], actor_state["obs_normalizer._mean"])
    assert (file.written_by, file.iteration) == ("4-5", 1499)


def test_actor_of_rsl_rl_4_names_its_noise_otherwise(actor_state: State, saved: Save):
    actor_state["log_std"] = actor_state.pop("distribution.std_param")
    assert read_rsl_rl_file(saved({"actor_state_dict": actor_state})).sizes == (48, 5, 12)


def test_rsl_rl_3_keeps_the_normaliser_in_the_model(model_state: State, saved: Save):
    file = read_rsl_rl_file(saved({"model_state_dict": model_state}))
    assert file.sizes == (48, 5, 12)
    assert file.normaliser is not None
    assert (file.written_by, file.iteration) == ("3", None)


def test_rsl_rl_2_keeps_the_normaliser_beside_the_model(model_state: State, saved: Save):
    begin = "actor_obs_normalizer."
    separate = {
        name.removeprefix(begin): tensor
        for name, tensor in model_state.items()
        if name.startswith(begin)
    }
    model = without_normaliser(model_state)
    document = {"model_state_dict": model, "obs_norm_state_dict": separate, "iter": 3}
    file = read_rsl_rl_file(saved(document))
    assert file.normaliser is not None
    assert torch.equal(file.normaliser["_std"], separate["_std"])
    assert file.written_by == "2"
    del separate["count"]  # rsl_rl 2.0 doesn't save it.
    assert read_rsl_rl_file(saved(document)).normaliser is not None


def test_a_model_without_normaliser_is_read_as_one(model_state: State, saved: Save):
    file = read_rsl_rl_file(saved({"model_state_dict": without_normaliser(model_state)}))
    assert (file.normaliser, file.written_by) == (None, "1-3")


def test_normaliser_of_rsl_rl_2_that_lost_its_actors_half_is_refused(
    model_state: State, saved: Save
):
    model = without_normaliser(model_state)
    for key in ("critic_obs_norm_state_dict", "privileged_obs_norm_state_dict"):
        path = saved({"model_state_dict": model, key: {"_mean": torch.zeros(1, 48)}})
        assert "has lost its obs_norm_state_dict" in refusal(path)


def test_normaliser_of_a_fork_is_refused_rather_than_overlooked(model_state: State, saved: Save):
    model = without_normaliser(model_state)
    path = saved({"model_state_dict": model, "obs_normalizer": {"mean": torch.zeros(48)}})
    assert "holds obs_normalizer, a normaliser that no release" in refusal(path)


def test_two_normalisers_are_refused(model_state: State, saved: Save):
    separate = {name: torch.ones(1, 48) for name in ("_mean", "_var", "_std")}
    path = saved({"model_state_dict": model_state, "obs_norm_state_dict": separate})
    assert "has two normalisers" in refusal(path)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([1, 2], "holds list"),
        ({}, "holds dict"),
        ({"actor.0.weight": torch.ones(2, 2)}, "holds actor.0.weight; allowed is one of"),
        ({"model_state_dict": {}, "actor_state_dict": {}}, "allowed is one of"),
        ({"model_state_dict": 3}, "holds no tensors under model_state_dict"),
        ({"actor_state_dict": {}}, "holds no actor: no 'mlp.*' under actor_state_dict"),
        (
            {"model_state_dict": {"student.0.weight": torch.ones(2, 2)}},
            "holds no actor: no 'actor.*' under model_state_dict; there is student.0.weight",
        ),
    ],
)
def test_a_torch_file_without_an_actor_says_what_is_there(document: Any, said: str, saved: Save):
    assert said in refusal(saved(document))


def _put(name: str, tensor: object) -> Callable[[Any], object]:
    return lambda state: state.__setitem__(name, tensor)


def _drop(name: str) -> Callable[[Any], object]:
    return lambda state: state.pop(name)


def _not_finite(state: State) -> None:
    state["mlp.2.bias"][3] = torch.nan


def _normaliser_not_finite(state: State) -> None:
    state["obs_normalizer._std"][0, 3] = torch.inf


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_put("rnn.rnn.weight_ih_l0", torch.ones(4, 4)), "recurrent policy (rnn.rnn.weight_ih_l0"),
        (_put("cnns.depth.0.weight", torch.ones(4, 4)), "holds cnns.depth.0.weight under"),
        (_put("mlp.4.weight", torch.ones(2, 12)), "has an actor of"),
        (_drop("mlp.2.bias"), "has an actor of"),
        (_put("mlp.2.weight", torch.ones(12, 6)), "layer 1 has the shapes ((12, 6), (12,))"),
        (_put("mlp.0.bias", torch.ones(6)), "layer 0 has the shapes ((5, 48), (6,))"),
        (_put("mlp.0.weight", torch.ones(5)), "layer 0 has the shapes ((5,), (5,))"),
        (_put("mlp.0.weight", torch.ones(5, 48).double()), "mlp.0.weight is torch.float64"),
        (_put("mlp.0.weight", 3.0), "holds 'mlp.0.weight' of float"),
        (_put("mlp.0.weight", torch.zeros(1).expand(10**9, 48)), "48000000000 numbers and holds"),
        (_not_finite, "mlp.2.bias has a number that is not finite"),
        (_normaliser_not_finite, "_std has a number that is not finite"),
        (_drop("obs_normalizer._mean"), "has a normaliser of ['_std', '_var', 'count']"),
        (_put("obs_normalizer._mean", torch.zeros(1, 47)), "_mean has the shape (1, 47)"),
        (_put("obs_normalizer._std", torch.ones(1, 48)), "_std is not the root of its _var"),
        (_put("obs_normalizer.count", torch.tensor(0)), "has seen no observation"),
    ],
)
def test_a_spoilt_actor_is_refused_by_name(
    actor_state: State, saved: Save, spoil: Callable[[State], object], said: str
):
    spoil(actor_state)
    assert said in refusal(saved({"actor_state_dict": actor_state}))


def test_a_recurrent_policy_of_rsl_rl_3_is_refused(model_state: State, saved: Save):
    model_state["memory_a.rnn.weight_ih_l0"] = torch.ones(4, 4)
    assert "recurrent policy (memory_a.rnn" in refusal(saved({"model_state_dict": model_state}))


class _RunsCode:
    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.witness),))


def test_code_in_a_checkpoint_is_named_and_not_run(
    actor_state: State, saved: Save, tmp_path: Path
):
    witness = tmp_path / "witness"
    path = saved({"actor_state_dict": actor_state, "infos": _RunsCode(witness)})
    assert "asks to run posix.mkdir, which was not done" in refusal(path)
    assert not witness.exists()
    torch.load(path, weights_only=False)
    assert witness.exists(), "the file would not have run anything, so nothing was tested"


def test_a_flipped_byte_never_changes_a_weight_unseen(actor_state: State, saved: Save):
    path = saved({"actor_state_dict": actor_state})
    content = path.read_bytes()
    sound, refused = read_rsl_rl_file(path).layers, 0
    for place in range(0, len(content), len(content) // 60):
        damaged = bytearray(content)
        damaged[place] ^= 0x01
        path.write_bytes(damaged)
        try:
            layers = read_rsl_rl_file(path).layers
        except CheckpointError:
            refused += 1
        else:  # A byte between the archive's entries.
            pairs = zip(sum(layers, ()), sum(sound, ()), strict=True)
            assert all(torch.equal(new, old) for new, old in pairs)
    assert refused > 10


def test_a_compressed_archive_is_refused_before_it_is_unpacked(
    actor_state: State, saved: Save, tmp_path: Path
):
    packed = tmp_path / "packed.pt"
    with (
        zipfile.ZipFile(saved({"actor_state_dict": actor_state})) as plain,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for entry in plain.infolist():
            archive.writestr(entry.filename, plain.read(entry))
    assert "is compressed" in refusal(packed)


@pytest.mark.parametrize("content", [b"", b"1.0,2.0\n", b"PK\x03\x04" + bytes(64)])
def test_other_files_are_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    assert refusal(path)


def test_a_file_larger_than_any_checkpoint_is_refused_unread(tmp_path: Path):
    path = tmp_path / "model.pt"
    with path.open("wb") as file:
        file.truncate(300_000_000)
    assert "more than 256000000 bytes" in refusal(path)
