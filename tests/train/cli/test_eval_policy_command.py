"""`rwmu-eval policy`, as a user calls it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_train.cli.eval import main
from rwmu_train.cli.eval_policy_command import load_any_policy
from rwmu_train.cli.export import main as export
from rwmu_train.evaluation.policy import policy_video
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


def judge(*words) -> int:
    return main(["policy", *map(str, words), *QUICK])


def names(folder) -> list[str]:
    return sorted(place.name for place in folder.iterdir())


def test_it_leaves_figures_a_page_and_a_picture_of_every_policy_and_variant(
    tmp_path, run, spec, capsys
) -> None:
    other = _save(tmp_path / "other", spec)
    out = tmp_path / "deep" / "out"
    assert judge(other, "--reference", run, "--out", out) == 0
    assert names(out) == ["evaluation.html", "evaluation.json", "evaluation.png"]
    document = json.loads((out / "evaluation.json").read_text())
    assert document["reference"] == str(run)
    assert list(document["policies"]) == [str(other), str(run)]
    for of_variants in document["policies"].values():
        assert set(of_variants) == {"nominal", "field"}
        assert of_variants["field"]["episodes"] == 3
        assert sum(of_variants["field"]["fall_times"]["by_time"]) == 0
    # Equal weights: equal returns under equal commands, without doubt.
    over = document["policies"][str(other)]["nominal"]["return_over_reference"]
    assert over["ratio"] == pytest.approx(1.0)
    assert over["interval_95"] == pytest.approx([1.0, 1.0])
    assert document["policies"][str(run)]["nominal"]["return_over_reference"] is None
    assert (out / "evaluation.png").read_bytes().startswith(b"\x89PNG")
    page = (out / "evaluation.html").read_text()
    assert page.count("<svg") == 3
    assert "src=" not in page
    assert "<summary>other, field</summary>" in page
    assert str(other) in page
    said = capsys.readouterr().out
    assert "Policies in the simulated robot" in said
    assert "By command" in said


def test_a_reference_among_the_policies_is_simulated_once(run, tmp_path, capsys) -> None:
    assert judge(run, "--reference", run, "--variant", "field", "--out", tmp_path / "out") == 0
    document = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert list(document["policies"]) == [str(run)]
    assert list(document["policies"][str(run)]) == ["field"]
    assert "return / reference" not in capsys.readouterr().out


def test_a_report_beside_a_run_leaves_its_policy_alone(run) -> None:
    before = {name: (run / name).read_bytes() for name in names(run)}
    assert judge(run, "--variant", "nominal", "--out", run) == 0
    assert {name: (run / name).read_bytes() for name in before} == before
    assert set(names(run)) - set(before) == {
        *("evaluation.html", "evaluation.json", "evaluation.png"),
    }


def test_a_bundle_is_judged_as_its_run_is(run, tmp_path, capsys) -> None:
    bundle = tmp_path / "bundle"
    assert export(["--onnx", "--run", str(run), "--out", str(bundle)]) == 0
    out = tmp_path / "out"
    assert judge(bundle, run, "--variant", "nominal", "--out", out) == 0
    of = json.loads((out / "evaluation.json").read_text())["policies"]
    of_bundle, of_run = (of[str(place)]["nominal"]["episode_return"] for place in (bundle, run))
    assert of_bundle == pytest.approx(of_run, abs=1e-3)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--robots", "0"], "0 robots; allowed is 1 up"),
        (["--seconds", "nan"], "episodes of nan s"),
        (["--robots", "many"], "invalid int value: 'many'"),
        (["--variant", "moon"], "no robot variant 'moon'; allowed are nominal, field"),
        (["--task", "moon"], "no task 'moon'"),
        (["--out", "standing/policy.json"], "policy.json is a file"),
        (["--video", "avi", "--out", "out"], "invalid choice: 'avi'"),
        (["--video"], "--video needs --out"),
        (["--reference", "nowhere"], "nowhere"),
    ],
)
def test_what_can_not_be_judged_is_one_line_and_leaves_nothing(
    tmp_path, run, monkeypatch, capsys, words, reason
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["policy", str(run), *QUICK, *words]) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert len(error.strip().splitlines()) == 1
    assert sorted(place.name for place in tmp_path.iterdir()) == ["standing"]


def test_a_missing_run_is_one_line(tmp_path, capsys) -> None:
    assert judge(tmp_path / "nowhere", "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert "nowhere" in error
    assert "Give the run folder" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_mp4_without_its_packages_is_refused_before_any_work(
    tmp_path, run, monkeypatch, capsys
) -> None:
    monkeypatch.setattr(policy_video, "find_spec", lambda name: None)
    assert judge(run, "--video", "mp4", "--out", tmp_path / "out") == 2
    assert "imageio is missing. Install both with pip" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_policy_of_another_robot_is_refused(tmp_path, spec, capsys) -> None:
    run = _save(tmp_path / "other", replace(spec, joints=spec.joints[::-1]))
    assert main(["policy", str(run), *QUICK]) == 2
    assert "was trained for robot" in capsys.readouterr().err
    softer = replace(spec.joints[0], kp_nm_per_rad=spec.joints[0].kp_nm_per_rad / 2.0)
    run = _save(tmp_path / "softer", replace(spec, joints=(softer, *spec.joints[1:])))
    assert main(["policy", str(run), *QUICK]) == 2
    assert f"{softer.name} kp_nm_per_rad differs" in capsys.readouterr().err


def test_a_policy_stays_that_of_a_robot_whose_safety_limits_changed(spec, tmp_path) -> None:
    stricter = replace(spec, safety=replace(spec.safety, recovery_s=spec.safety.recovery_s / 2.0))
    load_any_policy(_save(tmp_path / "before", stricter), spec)


def test_without_opengl_there_is_no_video_but_all_the_rest(
    tmp_path, run, monkeypatch, capsys
) -> None:
    monkeypatch.setenv("MUJOCO_GL", "disabled")
    out = tmp_path / "out"
    assert judge(run, "--variant", "nominal", "--out", out, "--video") == 0
    said = capsys.readouterr().out
    assert "no video: OpenGL can't render here" in said
    assert names(out) == ["evaluation.html", "evaluation.json", "evaluation.png"]
    assert "no video" in json.loads((out / "evaluation.json").read_text())["notes"][0]


def test_the_film_shows_a_robot_and_its_commands_where_there_is_opengl(
    tmp_path, run, monkeypatch
) -> None:
    monkeypatch.setattr(policy_video, "SECONDS_EACH", 0.2)
    out = tmp_path / "out"
    assert judge(run, "--variant", "nominal", "--out", out, "--video") == 0
    if notes := json.loads((out / "evaluation.json").read_text())["notes"]:
        pytest.skip(notes[0])
    with Image.open(out / "evaluation.gif") as film:
        # Five commands of 0.2 s, ten frames a second.
        assert film.n_frames == 10
        frames = []
        for number in range(film.n_frames):
            film.seek(number)
            frames.append(np.asarray(film.convert("RGB")).astype(float))
    assert frames[0].std() > 10.0
    words = [frame[:24, :330] for frame in frames]
    assert np.abs(words[2] - words[0]).max() > 100.0
    assert np.abs(words[3] - words[2]).max() < 60.0
