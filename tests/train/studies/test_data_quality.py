"""rwmu-eval data-quality: each set with and without uncertainty, each once."""

import json
import math
from pathlib import Path

import pytest
from tiny_study import TINY_FROM_DATA, results

from rwmu_deploy.cli.command_line import EXIT_BAD_INPUT, EXIT_OK
from rwmu_train.cli.eval import main
from rwmu_train.presets import PRESETS
from rwmu_train.studies.data_quality import without_uncertainty


def study(out: Path, *words: str | Path) -> int:
    return main(["data-quality", "--out", str(out), *map(str, words)])


def test_mbpo_has_one_member_no_penalty_and_nothing_else_changed() -> None:
    preset = without_uncertainty(PRESETS["quick"])
    assert preset.world_model.members == 1
    assert preset.reward.uncertainty_weight == 0.0
    assert preset.imagination.uncertainty_unit == "absolute"
    assert math.isinf(preset.imagination.end_above_uncertainty)
    assert preset.ppo == PRESETS["quick"].ppo
    assert preset.cloning == PRESETS["quick"].cloning


def test_both_methods_learn_from_each_set_once(tmp_path, capsys) -> None:
    words = ("--sets", "random", "--rows", "600", *TINY_FROM_DATA)
    out = tmp_path / "out"
    assert study(out, *words) == EXIT_OK
    said = capsys.readouterr().out
    assert "data random: 600 rows of random in the nominal robot" in said
    document = json.loads((out / "study.json").read_text())
    assert document["data"]["random"]["rows"] == 600
    mopo, mbpo = (cell["figures"] for cell in document["cells"])
    assert [cell["group"] for cell in document["cells"]] == [
        "random, MOPO-PPO",
        "random, MBPO-PPO",
    ]
    assert mopo["uncertainty"] > 0.0
    assert mbpo["uncertainty"] == 0.0
    text = (out / "results.md").read_text()
    assert f"| {mopo['episode_return']:.2f} |" in text
    assert f"| {mbpo['episode_return']:.2f} |" in text
    assert (out / "figure.png").stat().st_size > 10_000

    # As after kill -9 before the second policy was judged: its world model is not trained again.
    (out / "cells/random-mbpo-ppo-seed_0/result.json").unlink()
    model = out / "cells/random-mbpo-ppo-seed_0/world_model/world_model.safetensors"
    before, weights = results(out), model.stat().st_mtime_ns
    assert study(out, *words) == EXIT_OK
    after = results(out)
    assert before.items() < after.items()
    assert model.stat().st_mtime_ns == weights
    again = json.loads((out / "study.json").read_text())["cells"][1]["figures"]
    assert again["episode_return"] == mbpo["episode_return"]


def test_seeds_may_share_the_first_ones_world_model(tmp_path) -> None:
    out = tmp_path / "out"
    words = ("--sets", "random", "--rows", "600", "--seeds", "2", "--jobs", "2", *TINY_FROM_DATA)
    assert study(out, *words, "--one-world-model") == EXIT_OK
    models = {path.parent.name for path in out.glob("cells/*/world_model")}
    assert models == {"random-mbpo-ppo-seed_0", "random-mopo-ppo-seed_0"}
    first, second = json.loads((out / "study.json").read_text())["cells"][:2]
    assert first["figures"]["world_model_error"] == second["figures"]["world_model_error"]
    assert first["figures"]["episode_return"] != second["figures"]["episode_return"]
    assert "share one world model" in (out / "results.md").read_text()
    # A study whose seeds had models of their own is another one.
    assert study(out, *words) == EXIT_BAD_INPUT


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--sets", "ramdom"], "Did you mean 'random'?"),
        (["--sets", "random", "random"], "has random twice"),
        ([], "the set 'medium' needs policies, and --policies is missing"),
        (["--policies", "nowhere"], "--policies nowhere has no stages"),
        (["--sets", "random", "--rows", "0"], "0 rows by"),
        (["--sets", "random", "--rows", "12"], "are 12 each; allowed is 26 up"),
        (["--sets", "random", "--set", "reward.uncertainty_weight=0"], "or it would be MBPO-PPO"),
        (
            ["--sets", "random", "--set", "reward.uncertainty_weight=nan"],
            "uncertainty_weight=nan; allowed",
        ),
        (
            ["--sets", "random", "--set", "world_model.members=1"],
            "lambda is 2, but the world model has one member",
        ),
        (["--sets", "random", "--world-model-iterations", "0"], "--world-model-iterations is 0"),
        (["--sets", "random", "--seeds", "-1"], "--seeds is -1"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path, capsys, words, said) -> None:
    assert study(tmp_path / "out", *TINY_FROM_DATA, *words) == EXIT_BAD_INPUT
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
