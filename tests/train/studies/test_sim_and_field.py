"""rwmu-eval sim-and-field: Table 1's mixes, beside who collected and who never saw the field."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_study import TINY_FROM_DATA

from rwmu_deploy.cli.command_line import EXIT_BAD_INPUT, EXIT_OK
from rwmu_train.cli.eval import main
from rwmu_train.policy.policy_checkpoint import load_policy
from rwmu_train.presets import ONLINE, PRESETS
from rwmu_train.studies.judged_policies import OnlineWork
from rwmu_train.studies.offline_cell import Judging, OfflineWork
from rwmu_train.studies.sim_and_field import Online, Parts, sim_and_field

JUDGING = Judging("field", robots=4, seconds=1.0)


def study(out: Path, *words: str | Path) -> int:
    return main(["sim-and-field", "--out", str(out), *map(str, words)])


def test_mixes_are_those_of_the_paper_and_share_their_parts(online_run) -> None:
    parts = Parts.of(1_000_000, [online_run], "mixed", "expert")
    assert [part.rows for part in (*parts.sim, *parts.field)] == [200_000] * 8
    assert len({part.seed for part in (*parts.sim, *parts.field)}) == 8
    assert {part.variant.name for part in parts.field} == {"field"}
    assert {part.variant.name for part in parts.sim} == {"nominal"}
    sim = [(Path(f"sim_{n}"), (f"s{n}",)) for n in range(5)]
    field = [(Path(f"field_{n}"), (f"f{n}",)) for n in range(3)]
    made = sim_and_field(
        OfflineWork("anymal_d_flat", PRESETS["quick"], (), (), JUDGING),
        *(sim, field, 1_000_000, 2, False, online_run, Online((), ONLINE), {}),
    )
    data = {cell.group: cell.work.settings().get("data_sha256") for cell in made.cells}
    assert data == {
        "1 M sim + 0 field": ("s0", "s1", "s2", "s3", "s4"),
        "800 K sim + 200 K field": ("s0", "s1", "s2", "s3", "f0"),
        "600 K sim + 400 K field": ("s0", "s1", "s2", "f0", "f1"),
        "400 K sim + 600 K field": ("s0", "s1", "f0", "f1", "f2"),
        "collecting policy": None,
        "online PPO, nominal": None,
    }
    seeds = [cell.seed for cell in made.cells if cell.group == "online PPO, nominal"]
    assert seeds == [0, 1]
    assert {cell.work.settings()["judging"].variant for cell in made.cells} == {"field"}


def test_every_mix_is_learned_from_and_judged_in_the_field(online_run, tmp_path, capsys) -> None:
    out = tmp_path / "out"
    words = ("--policies", online_run, "--online", online_run, "--rows", "2500", *TINY_FROM_DATA)
    assert study(out, *words) == EXIT_OK
    document = json.loads((out / "study.json").read_text())
    assert [group["cells_done"] for group in document["groups"]] == [1] * 6
    assert document["data"]["field_2"]["variant"] == "field"
    assert document["data"]["sim_4"]["rows"] >= 500
    collector, online = (cell["figures"] for cell in document["cells"][4:])
    assert collector == online  # the same policy, in the same robots
    text = (out / "results.md").read_text()
    assert "| 2 K sim + 0.5 K field |" in text
    for cell in document["cells"]:
        assert f"| {cell['figures']['episode_return']:.2f} |" in text
    assert (out / "figure.png").stat().st_size > 10_000
    before = {path: path.stat().st_mtime_ns for path in out.glob("*/*/re*.json")}
    assert len(before) == 8 + 6
    assert study(out, *words) == EXIT_OK
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert "6 of 6 are done already" in capsys.readouterr().out


def test_online_ppo_is_trained_where_no_run_is_given(tmp_path) -> None:
    ppo = replace(ONLINE.ppo, iterations=2, steps_per_iteration=4, checkpoint_every=1)
    preset = replace(ONLINE, ppo=ppo, robots=8)
    work = OnlineWork("anymal_d_flat", preset, JUDGING)
    told = []
    figures = work.figures(tmp_path, 0, lambda *said: told.append(said))
    assert figures == work.figures(tmp_path, 0, None)
    assert told == [("online PPO", 1, 2), ("online PPO", 2, 2), ("judging", 0, 1)]
    assert work.settings()["preset"] == preset
    _, facts = load_policy(tmp_path)
    assert facts.training_method == "online_ppo"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--policies", "nowhere"], "--policies nowhere has no stages"),
        (["--field-set", "exprt"], "Did you mean 'expert'?"),
        (["--rows", "4"], "0 rows by"),
        (["--rows", "100"], "allowed is 26 up"),
        (["--online", "nowhere"], "nowhere"),
        (["--online-iterations", "0"], "--online-iterations is 0"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    online_run, tmp_path, capsys, words, said
) -> None:
    options = ("--policies", online_run, *TINY_FROM_DATA, *words)
    assert study(tmp_path / "out", *options) == EXIT_BAD_INPUT
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
