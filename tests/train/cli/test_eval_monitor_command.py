"""`rwmu-eval monitor`, as a user calls it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_train.cli import eval_monitor_command
from rwmu_train.cli.eval import main
from rwmu_train.export import monitor_fit
from rwmu_train.export.bundle_export import export_bundle
from rwmu_train.export.monitor_export import MonitorSource
from rwmu_train.policy.policy_checkpoint import PolicyFacts, save_policy
from rwmu_train.policy.policy_network import PolicyNetwork
from rwmu_train.transitions.normaliser import StateNormaliser
from rwmu_train.world_model.checkpoint import WorldModelFacts, save_world_model
from rwmu_train.world_model.ensemble import Architecture, WorldModel

QUICK = ("--robots", "1", "--seconds", "10")


@pytest.fixture(scope="module")
def run(tmp_path_factory, spec) -> Path:
    torch.manual_seed(0)
    facts = PolicyFacts(
        robot=spec,
        task="anymal_d_flat",
        command_range=CommandRange((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0)),
        training_method="test",
        run_name="standing",
        seed=0,
    )
    folder = tmp_path_factory.mktemp("runs") / "standing"
    save_policy(folder, PolicyNetwork(spec, (8,)), facts)
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory, run, spec, small_folder) -> Path:
    """A policy that stands, with a small world model on board."""
    folder = tmp_path_factory.mktemp("monitored")
    sizes = Architecture(45, 12, 8, members=2, hidden=6, head_hidden=6, log_std="none")
    normaliser = StateNormaliser(np.zeros(45, np.float32), np.ones(45, np.float32), "fitted")
    facts = WorldModelFacts(spec, sizes, normaliser, 8, {}, ("0" * 64,), 1)
    save_world_model(folder / "world_model", WorldModel(sizes), facts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(monitor_fit, "QUANTILE", 0.99)
        # 900 rows in episodes of 3 s.
        patch.setattr(monitor_fit, "DRIFT_TIME_S", 0.2)
        source = MonitorSource(folder / "world_model", [small_folder])
        return export_bundle(run, folder / "bundle", monitor=source)


def judge(bundle, *words) -> int:
    return main(["monitor", str(bundle), *QUICK, *map(str, words)])


def test_it_leaves_figures_a_page_a_picture_and_the_walks(bundle, tmp_path, capsys) -> None:
    out = tmp_path / "deep" / "out"
    assert judge(bundle, "--only", "push", "delay", "--act", "--out", out) == 0
    assert sorted(place.name for place in out.iterdir()) == [
        *("monitor.html", "monitor.json", "monitor.png", "walks"),
    ]
    assert sorted(place.stem for place in (out / "walks").iterdir()) == [
        *("delay", "delay_acting", "push", "push_acting", "undisturbed"),
    ]
    document = json.loads((out / "monitor.json").read_text())
    settings = {"robots": 1, "seconds": 10.0, "seed": 0, "variant": "nominal"}
    assert document["settings"] == settings
    assert document["bundle"] == str(bundle)
    assert document["undisturbed"]["hours"] == pytest.approx(10.0 / 3600.0)
    assert list(document["disturbances"]) == ["push", "delay"]
    push = document["disturbances"]["push"]
    assert (push["robots"], push["acting"]["robots"]) == (1, 1)
    assert set(push["windows"]) == {"monitor", "z of walking"}
    assert set(document["windows_of_all"]) == {"monitor", "z of walking"}
    assert (out / "monitor.png").read_bytes().startswith(b"\x89PNG")
    page = (out / "monitor.html").read_text()
    assert page.count("<svg") == 2
    assert "src=" not in page
    assert "Falls within 15 s" in page
    said = capsys.readouterr().out
    assert "Nothing happens: 0.00 robot hours" in said
    assert "a push of 1.5 m/s" in said


def test_walks_that_are_there_of_equal_settings_are_not_walked_again(
    bundle, tmp_path, monkeypatch
) -> None:
    walked = []
    really = eval_monitor_command.monitored_walk

    def counted(robot, course, *rest):
        walked.append((course.disturbance and course.disturbance.name, course.seed))
        return really(robot, course, *rest)

    monkeypatch.setattr(eval_monitor_command, "monitored_walk", counted)
    words = ("--only", "push", "--out", tmp_path)
    assert judge(bundle, *words) == 0
    assert walked == [(None, 0), ("push", 2)]
    first = (tmp_path / "monitor.json").read_bytes()
    assert judge(bundle, *words) == 0
    assert len(walked) == 2
    assert (tmp_path / "monitor.json").read_bytes() == first
    assert judge(bundle, *words, "--seed", "1") == 0
    assert walked[2:] == [(None, 3), ("push", 5)]


def test_a_bundle_without_a_monitor_is_refused_with_the_next_step(run, tmp_path, capsys) -> None:
    bare = export_bundle(run, tmp_path / "bare")
    assert judge(bare, "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert f"bundle {bare} has no monitor" in error
    assert "rwmu-export --onnx --run RUN --world-model DIR --monitor-data DIR" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--robots", "0"], "0 robots; allowed is 1 up"),
        (["--seconds", "nan"], "walks of nan s"),
        (["--only", "pusch"], "Did you mean 'push'?"),
        (["--only"], "expected at least one argument"),
        (["--variant", "moon"], "no robot variant 'moon'"),
        (["--out", "file"], "file is a file"),
    ],
)
def test_what_can_not_be_judged_is_one_line_and_leaves_nothing(
    bundle, tmp_path, monkeypatch, capsys, words, reason
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert judge(bundle, *words) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1
    assert [place.name for place in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_is_no_bundle_is_one_line(tmp_path, capsys) -> None:
    assert judge(tmp_path / "nowhere") == 2
    assert capsys.readouterr().err.count("\n") == 1
