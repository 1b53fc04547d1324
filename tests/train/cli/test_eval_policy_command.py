"""`rwmu-eval policy`, as a user calls it."""

import json
from dataclasses import replace

import pytest
import torch

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_train.cli.eval import main
from rwmu_train.policy.policy_checkpoint import PolicyFacts, save_policy
from rwmu_train.policy.policy_network import PolicyNetwork

QUICK = ("--robots", "3", "--seconds", "0.4")


@pytest.fixture
def run(tmp_path, spec):
    return _save(tmp_path / "standing", spec)


def _save(folder, spec):
    torch.manual_seed(0)
    network = PolicyNetwork(spec, (8,))
    save_policy(
        folder,
        network,
        PolicyFacts(
            robot=spec,
            task="anymal_d_flat",
            command_range=CommandRange((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0)),
            training_method="test",
            run_name=folder.name,
            seed=0,
        ),
    )
    return folder


def test_it_leaves_figures_and_a_picture_for_every_policy_and_variant(
    tmp_path, run, spec, capsys
) -> None:
    other = _save(tmp_path / "other", spec)
    out = tmp_path / "out"
    words = ["policy", str(run), str(other), "--variant", "nominal", "field", *QUICK]
    assert main([*words, "--reference", str(run), "--out", str(out)]) == 0
    document = json.loads((out / "policy.json").read_text())
    assert set(document["policies"]) == {str(run), str(other)}
    for of_variants in document["policies"].values():
        assert set(of_variants) == {"nominal", "field"}
        assert of_variants["field"]["episodes"] == 3
    ratio, _ = document["policies"][str(run)]["nominal"]["return_over_reference"]
    assert ratio == pytest.approx(1.0)
    assert (out / "policy.png").read_bytes().startswith(b"\x89PNG")
    said = capsys.readouterr().out
    assert "Policies in the simulated robot" in said
    assert "By command" in said


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--robots", "0"], "0 robots; allowed is 1 up"),
        (["--seconds", "nan"], "episodes of nan s"),
        (["--variant", "moon"], "moon"),
        (["--video"], "--video needs --out"),
        (["--reference", "nowhere"], "nowhere"),
    ],
)
def test_what_can_not_be_judged_is_one_line_and_leaves_nothing(
    tmp_path, run, capsys, words, reason
) -> None:
    assert main(["policy", str(run), *QUICK, *words]) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert len(error.strip().splitlines()) == 1
    assert sorted(place.name for place in tmp_path.iterdir()) == ["standing"]


def test_a_policy_of_another_robot_is_refused(tmp_path, spec, capsys) -> None:
    run = _save(tmp_path / "other", replace(spec, joints=spec.joints[::-1]))
    assert main(["policy", str(run), *QUICK]) == 2
    assert "was trained for robot" in capsys.readouterr().err


def test_without_opengl_there_is_no_video_but_all_the_rest(
    tmp_path, run, monkeypatch, capsys
) -> None:
    monkeypatch.setenv("MUJOCO_GL", "disabled")
    out = tmp_path / "out"
    assert main(["policy", str(run), *QUICK, "--out", str(out), "--video"]) == 0
    assert "no video: OpenGL can't render here" in " ".join(capsys.readouterr().out.split())
    assert sorted(place.name for place in out.iterdir()) == ["policy.json", "policy.png"]
