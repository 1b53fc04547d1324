"""rwmu-world-model: what it says and what it leaves."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from rwmu_deploy.cli.command_line import EXIT_BAD_INPUT
from rwmu_train.cli.world_model import main
from rwmu_train.world_model.checkpoint import FACTS, WEIGHTS, load_world_model

SHIPPED = Path(__file__).parents[3] / "assets/models/anymal_d_flat"


def test_import_leaves_a_world_model_and_says_what_was_assumed(
    released_pt, spec, tmp_path, capsys
) -> None:
    out, report = tmp_path / "model", tmp_path / "report.json"
    words = ["import", str(released_pt), "--robot", "anymal_d", "--out", str(out)]
    assert main([*words, "--json", str(report)]) == 0
    said = capsys.readouterr().out
    assert "released checkpoint" in said
    assert "the file says nothing about robot, joint order, time step and normaliser" in said
    assert sorted(path.name for path in out.iterdir()) == [FACTS, WEIGHTS]
    _, facts = load_world_model(out, spec)
    document = json.loads(report.read_text())
    assert document["settings"]["sha256"] == facts.settings["sha256"]
    assert document["architecture"]["members"] == 3


def test_export_of_an_import_holds_the_same_weights(
    released_pt, released_weights, tmp_path, capsys
) -> None:
    out, back, report = tmp_path / "model", tmp_path / "back.pt", tmp_path / "settings.json"
    assert main(["import", str(released_pt), "--out", str(out)]) == 0
    assert main(["export", str(out), "--out", str(back), "--json", str(report)]) == 0
    assert "rnn_hidden_size" in capsys.readouterr().out
    assert json.loads(report.read_text())["ensemble_size"] == 3
    document = torch.load(back, weights_only=True)
    assert document["iter"] == 5000
    weights = document["system_dynamics_state_dict"]
    assert all(torch.equal(weights[name], value) for name, value in released_weights.items())


def test_inspect_shows_architecture_data_and_held_out_figures(tmp_path, capsys) -> None:
    report = tmp_path / "facts.json"
    assert main(["inspect", str(SHIPPED), "--json", str(report)]) == 0
    said = capsys.readouterr().out
    facts = json.loads((SHIPPED / FACTS).read_text())
    document = json.loads(report.read_text())
    assert document["iteration"] == facts["iteration"]
    assert document["held_out"] == facts["held_out"]
    assert document["data_sha256"] == facts["data_sha256"]
    # A GRU layer of 96, then heads of 128 for 45 state entries, and for 8 contacts and a fall.
    trunk = (57 + 96) * 288 + 2 * 288
    heads = [96 * 128 + 128 + 128 * outputs + outputs for outputs in (45, 8 + 1)]
    assert document["parameters"] == 5 * (trunk + sum(heads))
    assert f"{document['iteration']:,}" in said
    assert facts["data_sha256"][0][:12] in said
    assert f"{facts['held_out']['pearson']:.6g}" in said


def test_nothing_is_overwritten(released_pt, tmp_path, capsys) -> None:
    out = tmp_path / "model"
    assert main(["import", str(released_pt), "--out", str(out)]) == 0
    before = released_pt.read_bytes()
    for words in (["import", released_pt, "--out", out], ["export", out, "--out", released_pt]):
        capsys.readouterr()
        assert main([str(word) for word in words]) == EXIT_BAD_INPUT
        assert capsys.readouterr().err.count("\n") == 1
    assert released_pt.read_bytes() == before


def _altered(tmp_path: Path) -> Path:
    folder = Path(shutil.copytree(SHIPPED, tmp_path / "altered"))
    weights = bytearray((folder / WEIGHTS).read_bytes())
    weights[-1] ^= 1
    (folder / WEIGHTS).write_bytes(weights)
    return folder


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["import", "none.pt", "--out", "new"], "No such file"),
        (["import", "released.pt", "--out", "new", "--robot", "spot"], "no robot 'spot'"),
        (["export", "none", "--out", "new"], "there is no file"),
        (["export", "shipped", "--out", "new"], "trunks 'separate'"),
        (["export", "imported", "--out", "none/new"], "can't be written"),
        (["inspect", "altered"], "is not the file"),
        (["inspect"], "required"),
        ([], "required"),
    ],
)
def test_bad_input_is_one_line(released_pt, tmp_path, monkeypatch, capsys, words, said) -> None:
    _altered(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shipped").symlink_to(SHIPPED)
    assert main(["import", "released.pt", "--out", "imported"]) == 0
    capsys.readouterr()
    assert main(words) == EXIT_BAD_INPUT
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "new").exists()
