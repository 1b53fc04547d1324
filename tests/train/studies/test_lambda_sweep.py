"""rwmu-eval lambda-sweep: one policy a lambda and seed, and nothing twice."""

import json
from pathlib import Path

import pytest
from tiny_study import TINY_PRESET, results

from rwmu_deploy.cli.command_line import EXIT_BAD_INPUT, EXIT_OK
from rwmu_train.cli.eval import main
from rwmu_train.policy.policy_checkpoint import load_policy


def sweep(data: Path, model: Path, out: Path, *words: str) -> int:
    places = ("--data", data, "--world-model", model, "--out", out)
    return main(["lambda-sweep", *map(str, places), *TINY_PRESET, *words])


def test_policies_of_every_lambda_are_trained_once_and_shown_beside_each_other(
    small_folder, five_members, tmp_path, capsys
) -> None:
    words = (small_folder, five_members, tmp_path / "out", "--lambdas", "0", "5")
    assert sweep(*words) == EXIT_OK
    document = json.loads((tmp_path / "out/study.json").read_text())
    assert [cell["name"] for cell in document["cells"]] == ["lambda_0-seed_0", "lambda_5-seed_0"]
    weights = [c["settings"]["preset"]["reward"]["uncertainty_weight"] for c in document["cells"]]
    assert weights == [0.0, 5.0]
    text = (tmp_path / "out/results.md").read_text()
    for cell in document["cells"]:
        assert cell["error"] is None
        assert f"| {cell['figures']['episode_return']:.2f} |" in text
        assert f"| {cell['figures']['uncertainty']:.3f} |" in text
        _, facts = load_policy(tmp_path / "out/cells" / cell["name"])
        assert facts.seed == cell["seed"]
    assert (tmp_path / "out/figure.png").stat().st_size > 10_000
    assert "2 cells, " in capsys.readouterr().out

    # As after kill -9 just before the second policy was judged.
    before = results(tmp_path / "out")
    (tmp_path / "out/cells/lambda_5-seed_0/result.json").unlink()
    figures = document["cells"][1]["figures"]
    assert sweep(*words) == EXIT_OK
    after = results(tmp_path / "out")
    assert after["lambda_0-seed_0"] == before["lambda_0-seed_0"]
    assert after["lambda_5-seed_0"] > before["lambda_5-seed_0"]
    again = json.loads((tmp_path / "out/study.json").read_text())["cells"][1]["figures"]
    measured = ("imagined_reward_per_s", "uncertainty", "episode_return", "velocity_ratio")
    assert {name: again[name] for name in measured} == {name: figures[name] for name in measured}
    assert "1 of 2 are done already" in capsys.readouterr().out


def test_the_last_policy_is_judged_unless_the_chosen_one_is_asked_for(
    small_folder, five_members, tmp_path
) -> None:
    figures, said = {}, {}
    for judge in ("last", "chosen"):
        out = tmp_path / judge
        # At this rate one iteration of the critic alone, then one that ruins the policy.
        ruin = ("ppo.learning_rate=0.5", "ppo.desired_kl=1000", "cloning.trust_region_weight=0")
        words = ("--lambdas", "0", "--judge", judge, "--set", *ruin)
        assert sweep(small_folder, five_members, out, *words) == EXIT_OK
        (cell,) = json.loads((out / "study.json").read_text())["cells"]
        figures[judge], said[judge] = cell["figures"], (out / "results.md").read_text()
    assert "the policy after the last iteration" in said["last"]
    assert "the policy that the imagined score" in said["chosen"]
    assert figures["chosen"]["chosen_iteration"] == figures["last"]["chosen_iteration"] == 0
    name = "imagined_reward_per_s"
    assert figures["chosen"][name] > figures["last"][name]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--lambdas", "-1"], "--lambdas -1 has -1; allowed are finite numbers from 0 up"),
        (["--lambdas", "0", "nan"], "--lambdas 0 nan has nan; allowed"),
        (["--lambdas", "inf"], "has inf; allowed"),
        (["--lambdas", "1", "2", "1"], "has 1; allowed are finite numbers from 0 up, each once"),
        (["--lambdas", "much"], "invalid float value: 'much'"),
        (["--seeds", "0"], "--seeds is 0; allowed is 1 up"),
        (["--policy-iterations", "-2"], "--policy-iterations is -2"),
        (["--episodes", "0"], "--episodes is 0"),
        (["--seconds", "nan"], "--seconds is nan"),
        (["--preset", "quik"], "Did you mean 'quick'?"),
        (["--set", "world_model.members=1"], "--set world_model... does nothing here"),
        (["--task", "anymal"], "no task 'anymal'"),
        (["--judge", "best"], "invalid choice: 'best'"),
        (["--world-model", "nowhere"], "nowhere"),
        (["--data", "nowhere"], "there is no file or folder nowhere"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    small_folder, five_members, tmp_path, capsys, words, said
) -> None:
    out = tmp_path / "out"
    assert sweep(small_folder, five_members, out, *words) == EXIT_BAD_INPUT
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_a_penalty_needs_members_that_can_disagree(
    small_folder, one_member, tmp_path, capsys
) -> None:
    words = ("--lambdas", "0", "0.5")
    assert sweep(small_folder, one_member, tmp_path / "out", *words) == EXIT_BAD_INPUT
    assert "lambda is 0.5, but the world model has one member" in capsys.readouterr().err


def test_a_folder_of_another_world_model_is_refused(
    small_folder, five_members, one_member, tmp_path, capsys
) -> None:
    folder = tmp_path / "out/cells/lambda_0-seed_0"
    folder.mkdir(parents=True)
    (folder / "settings.json").write_text('{"seed": 0, "task": "other"}')
    words = (small_folder, five_members, tmp_path / "out", "--lambdas", "0")
    assert sweep(*words) == EXIT_BAD_INPUT
    assert "settings.json has task other; now it is anymal_d_flat" in capsys.readouterr().err
