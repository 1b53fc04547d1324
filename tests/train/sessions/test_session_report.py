"""`rwmu-data session`: everything that a session did, on one page, whatever a kill left of it."""

import json
from dataclasses import replace

import numpy as np
import pytest

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.errors import LogError
from rwmu_deploy.patrol.collect_plan import CollectPlan
from rwmu_deploy.patrol.collect_session import LOOK_S, CollectSession, Sight
from rwmu_deploy.patrol.session_folder import SessionFolder
from rwmu_train.cli.data import main
from rwmu_train.sessions.session_facts import read_facts

RANGE = CommandRange((-1.0, -0.5, -1.0), (1.0, 0.5, 1.0))
PLAN = CollectPlan()
FACTS = {
    "robot": "anymal_d",
    "bundle": "flat",
    "bundle_sha256": "0" * 64,
    "source": "topic odom",
    "plan": PLAN.to_dict(),
    "command_range": [list(RANGE.lower), list(RANGE.upper)],
}


def collect(folder, looks, doubt=0.3):
    """A robot on a circle of 1 m, which is damped for a second in the middle."""
    session_folder = SessionFolder(folder, FACTS)
    session = CollectSession(
        PLAN, RANGE, progress=session_folder.progress(), on_event=session_folder.note_event
    )
    for look in range(looks):
        angle = 0.02 * look
        sight = Sight(
            pose=np.array([np.cos(angle), np.sin(angle), angle]),
            received_s=look * LOOK_S,
            velocity=np.array([0.2, 0.0, 0.2]),
            phase="policy",
            state="DAMP" if look in range(50, 60) else "RUN",
            reasons=("tilt_roll: <1 rad>",) if look in range(50, 60) else (),
            doubt=doubt,
            rows=5 * look,
        )
        if look in (0, 60):
            session.set_origin(np.zeros(3))
        session.look(look * LOOK_S, sight)
        assert session.latest is not None
        session_folder.note_look(session.latest)
    session_folder.save_progress(session.progress())
    session_folder.close()


def test_a_page_and_figures_of_everything(tmp_path, capsys):
    collect(tmp_path, 100)
    assert main(["session", str(tmp_path)]) == 0
    page = (tmp_path / "report.html").read_text()
    for said in ("Session of anymal_d", "topic odom", "damped", "tilt_roll: &lt;1 rad&gt;"):
        assert said in page
    assert page.count("<svg") == 3
    document = json.loads((tmp_path / "report.json").read_text())
    assert document["deepest_out_m"] == pytest.approx(-2.0, abs=0.01)
    assert sum(document["mode_s"].values()) == pytest.approx(10.0)
    assert [event["kind"] for event in document["events"]].count("damped") == 1
    said = capsys.readouterr().out
    assert "never nearer to the edge than 2.00 m" in said


def test_all_starts_are_told_together(tmp_path):
    collect(tmp_path, 40)
    collect(tmp_path, 40)
    facts = read_facts(tmp_path)
    assert facts.start.tolist() == [0] * 40 + [1] * 40
    assert (np.diff(facts.numbers["t_s"]) >= 0.0).all()
    assert facts.progress["starts"] == 2
    assert "resumed" in [event.kind for event in facts.events]


def test_a_line_that_a_kill_tore_is_left_out_and_counted(tmp_path):
    collect(tmp_path, 40)
    path = tmp_path / "path_0.csv"
    whole = path.read_text()
    path.write_text(whole[:-25])
    facts = read_facts(tmp_path)
    assert len(facts.mode) == 39
    assert facts.torn_lines == 1


def test_a_bundle_without_a_world_model_has_no_doubt(tmp_path):
    collect(tmp_path, 40, doubt=float("nan"))
    assert main(["session", str(tmp_path), "--out", str(tmp_path / "p.html")]) == 0
    assert "no world model on board" in (tmp_path / "p.html").read_text()


def test_folders_that_are_no_session_are_refused(tmp_path, capsys):
    assert main(["session", str(tmp_path)]) == 2
    assert "holds no session" in capsys.readouterr().err
    SessionFolder(tmp_path, FACTS).close()
    with pytest.raises(LogError, match="never began"):
        read_facts(tmp_path)


def test_a_path_of_other_columns_is_refused(tmp_path):
    collect(tmp_path, 40)
    path = tmp_path / "path_0.csv"
    path.write_text(path.read_text().replace("x_m,y_m", "y_m,x_m", 1))
    with pytest.raises(LogError, match=r"path_0\.csv begins with t_s,y_m"):
        read_facts(tmp_path)


def test_a_plan_that_this_version_does_not_know_is_refused_by_name(tmp_path):
    collect(tmp_path, 40)
    session = json.loads((tmp_path / "session.json").read_text())
    session["plan"]["speed"] = 1
    (tmp_path / "session.json").write_text(json.dumps(session))
    from rwmu_deploy.contract.errors import ConfigError

    with pytest.raises(ConfigError, match="plan has no 'speed'"):
        read_facts(tmp_path)


def test_the_plan_of_a_session_is_the_one_it_walked_by(tmp_path):
    collect(tmp_path, 5)
    assert read_facts(tmp_path).plan == replace(PLAN)
