"""The verdict catches what makes a policy for another robot: time, order, units, dead sensors."""

import json

import numpy as np
import pytest

from rwmu_deploy.collection.transition_segment import EpisodeSpan
from rwmu_train.cli.data import main
from rwmu_train.transitions.dataset_loading import load_dataset
from rwmu_train.transitions.joint_pairing import mispaired_joints
from rwmu_train.transitions.time_alignment import align_actions
from rwmu_train.transitions.verdict import check_dataset

ACTION = slice(45, 57)
POSITION = slice(9, 21)


@pytest.fixture
def judged(segment, spec, tmp_path):
    def judge(rows, spans=()):
        segment(rows, spans)
        return check_dataset(tmp_path / "data", spec)

    return judge


@pytest.mark.parametrize("torque", [True, False])
def test_healthy_data_are_usable(judged, walking_rows, torque) -> None:
    rows = walking_rows(3000, torque=torque)
    rows[999, 65] = 1.0
    verdict = judged(
        rows,
        [
            EpisodeSpan(0, 499, "continues", (0.5, 0.0, 0.0)),
            EpisodeSpan(500, 999, "terminated", (-1.0, 0.5, 0.0)),
            EpisodeSpan(1000, 1999, "gap", (0.0, 0.0, 0.0)),
            EpisodeSpan(2000, 2999, "truncated", (0.0, 0.0, 1.0)),
        ],
    )
    assert verdict.problems == ()
    assert verdict.ok
    assert verdict.notes == ()
    assert (verdict.rows, verdict.episodes, verdict.falls, verdict.gaps) == (3000, 3, 1, 1)
    assert verdict.rows_by_source == {"sim": 3000}
    assert verdict.windows == 3 * 961
    assert verdict.usable_window_share == pytest.approx(2883 / 2961)
    assert verdict.hours == pytest.approx(1.0 / 60.0)
    commands = verdict.commands
    assert commands.lowest == {"vx_mps": -1.0, "vy_mps": 0.0, "wz_radps": 0.0}
    assert commands.highest == {"vx_mps": 0.5, "vy_mps": 0.5, "wz_radps": 1.0}
    assert commands.standing_share == pytest.approx(1 / 3)
    assert commands.occupied_share == 4 / 64
    assert verdict.time_alignment.status == "aligned"
    assert verdict.time_alignment.evidence == ("torque" if torque else "joint response")


@pytest.mark.parametrize("torque", [True, False])
@pytest.mark.parametrize(("shift", "advice"), [(1, "one row up"), (-1, "one row down")])
def test_action_column_shifted_by_a_row_is_caught(
    judged, walking_rows, torque, shift, advice
) -> None:
    rows = walking_rows(2000, torque=torque)
    rows[:, ACTION] = np.roll(rows[:, ACTION], shift, axis=0)
    verdict = judged(rows)
    assert not verdict.ok
    assert verdict.time_alignment.best_shift == shift
    assert [advice in problem for problem in verdict.problems] == [True]


@pytest.mark.parametrize("joint", [0, 7])
@pytest.mark.parametrize(("shift", "side"), [(1, "after"), (-1, "before")])
def test_single_action_column_shifted_by_a_row_is_named(
    judged, walking_rows, joint, shift, side
) -> None:
    rows = walking_rows(2000, torque=True)
    rows[:, 45 + joint] = np.roll(rows[:, 45 + joint], shift)
    verdict = judged(rows)
    name = ("LF_HAA", "RH_HFE")[joint // 7]
    assert any(f"{name} by the row {side}" in problem for problem in verdict.problems)


def test_torque_overrules_a_policy_whose_next_action_follows_the_state(
    segment, walking_rows, spec, columns, tmp_path
) -> None:
    rng = np.random.default_rng(0)
    rows = walking_rows(2000, torque=True)
    offset = np.zeros(12)
    action = np.zeros(12)
    for t in range(len(rows)):
        before = offset
        offset = offset + 0.3 * (spec.action_scale * action - offset)
        offset = offset + rng.normal(0.0, 0.05, 12)
        velocity = (offset - before) / spec.control_dt_s
        rows[t, POSITION], rows[t, 21:33], rows[t, ACTION] = offset, velocity, action
        rows[t, 33:45] = 85.0 * (0.5 * action - offset) - 0.6 * velocity
        action = -1.2 * offset + rng.normal(0.0, 0.01, 12)
    segment(rows)
    alignment = align_actions(load_dataset(tmp_path / "data", spec))
    response = alignment.unexplained["joint response"]
    assert response["+1"] < response["+0"]
    assert (alignment.status, alignment.evidence) == ("aligned", "torque")
    assert alignment.torque_gain_ratio == pytest.approx(1.0, abs=0.01)


def test_constant_actions_leave_the_alignment_open(segment, walking_rows, spec, tmp_path) -> None:
    rows = walking_rows(1000, torque=True)
    rows[:, ACTION] = 0.5
    segment(rows)
    assert align_actions(load_dataset(tmp_path / "data", spec)).status == "undecided"


def test_torque_that_follows_from_the_state_alone_decides_nothing(
    segment, walking_rows, spec, tmp_path
) -> None:
    rows = walking_rows(2000, torque=False)
    rows[:, 33:45] = 42.5 * rows[:, ACTION] - 85.0 * rows[:, POSITION] - 0.6 * rows[:, 21:33]
    segment(rows)
    data = load_dataset(tmp_path / "data", spec)
    alignment = align_actions(data)
    assert max(alignment.unexplained["torque"].values()) < 1e-6
    assert (alignment.status, alignment.evidence) == ("aligned", "joint response")
    assert mispaired_joints(data) == {}


def test_few_rows_leave_the_alignment_open(judged, walking_rows) -> None:
    verdict = judged(walking_rows(100, torque=True))
    assert verdict.ok
    assert verdict.time_alignment.status == "undecided"
    assert any("can't be decided" in note for note in verdict.notes)


def test_rows_across_a_reset_are_not_compared(segment, walking_rows, spec, tmp_path) -> None:
    rows = walking_rows(2000, torque=False)
    rows[::10, ACTION] = 1e3  # what a reset row's action is must not matter
    spans = [EpisodeSpan(i, i + 9, "truncated", (0.0, 0.0, 0.0)) for i in range(0, 2000, 10)]
    segment(rows, spans)
    alignment = align_actions(load_dataset(tmp_path / "data", spec))
    assert alignment.status == "aligned"
    assert alignment.unexplained["joint response"]["+0"] < 1e-6


def test_swapped_action_columns_are_caught(judged, walking_rows) -> None:
    rows = walking_rows(2000, torque=True)
    rows[:, [45, 52]] = rows[:, [52, 45]]
    verdict = judged(rows)
    assert len(verdict.problems) == 1
    assert "LF_HAA by action[RH_HFE], RH_HFE by action[LF_HAA]" in verdict.problems[0]


def test_actions_in_leg_major_order_are_caught(segment, walking_rows, spec, tmp_path) -> None:
    rows = walking_rows(2000, torque=True)
    rows[:, ACTION] = rows[:, ACTION].reshape(-1, 3, 4).transpose(0, 2, 1).reshape(-1, 12)
    segment(rows)
    assert len(mispaired_joints(load_dataset(tmp_path / "data", spec))) == 10


def test_other_gain_is_noted(judged, walking_rows) -> None:
    rows = walking_rows(2000, torque=True)
    rows[:, 33:45] *= 2.0
    verdict = judged(rows)
    assert verdict.ok
    assert any("2.00 times the robot's kp" in note for note in verdict.notes)


def gravity_not_a_direction(rows):
    rows[:, 6:9] *= 9.81


def gravity_upside_down(rows):
    rows[:, 6:9] *= -1.0


def joints_in_degrees(rows):
    rows[:, POSITION] = np.degrees(rows[:, POSITION]) * 2.0


def joint_positions_instead_of_offsets(rows):
    rows[:, POSITION] += np.array([0] * 4 + [0.4, -0.4] * 2 + [-0.8, 0.8] * 2, dtype=np.float32)


def joint_far_outside(rows):
    rows[:, 9] += 2.0


def joint_velocity_in_degrees(rows):
    rows[:, 21:33] = np.degrees(rows[:, 21:33])


def base_turning_in_degrees(rows):
    rows[:, 3:6] = np.degrees(rows[:, 3:6])


def torque_in_milli(rows):
    rows[:, 33:45] *= 1000.0


def contact_forces(rows):
    rows[:, 61] *= 250.0


def dead_joint_velocity(rows):
    rows[:, 30] = 0.0


def frozen_sensors(rows):
    rows[500:600, :45] = rows[500, :45]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (gravity_not_a_direction, "no unit vector in 100.0%"),
        (gravity_upside_down, "turn its sign"),
        (joints_in_degrees, "degrees?"),
        (joint_positions_instead_of_offsets, "minus default position"),
        (joint_far_outside, "joint LF_HAA is outside -0.79 to 0.61 rad"),
        (joint_velocity_in_degrees, "joint_velocity_radps is above"),
        (base_turning_in_degrees, "base_angular_velocity_radps is above"),
        (torque_in_milli, "joint_torque_nm is above"),
        (contact_forces, "contact[LF_FOOT] is 250"),
        (dead_joint_velocity, "1 channels never change: joint_velocity_radps[LH_KFE]"),
        (frozen_sensors, "99 rows (4.95%) repeat the state"),
    ],
)
def test_wrong_unit_or_dead_sensor_is_caught(judged, walking_rows, spoil, said) -> None:
    rows = walking_rows(2001, torque=True)
    rows[:, 21:33] *= 3.0
    spoil(rows)
    verdict = judged(rows)
    assert not verdict.ok
    assert any(said in problem for problem in verdict.problems), verdict.problems


def test_a_last_file_of_a_few_rows_has_no_dead_channels(judged, walking_rows) -> None:
    rows = walking_rows(2001, torque=True)[:20]
    dead_joint_velocity(rows)
    assert not any("never change" in problem for problem in judged(rows).problems)


def test_resting_contact_columns_and_missing_falls_are_only_noted(judged, walking_rows) -> None:
    rows = walking_rows(2000, torque=True)
    rows[:, 57] = 0.0
    verdict = judged(rows)
    assert verdict.ok
    assert any("contact[LF_THIGH]" in note for note in verdict.notes)
    assert any("no fall" in note for note in verdict.notes)


def test_fall_without_its_flag_is_a_problem(judged, walking_rows) -> None:
    rows = walking_rows(1000, torque=True)
    verdict = judged(rows, [EpisodeSpan(0, 999, "terminated", (0.0, 0.0, 0.0))])
    assert any("termination flag is 0" in problem for problem in verdict.problems)


def test_episodes_shorter_than_a_window_are_a_problem(judged, walking_rows) -> None:
    spans = [EpisodeSpan(i, i + 38, "gap", (0.0, 0.0, 0.0)) for i in range(0, 390, 39)]
    verdict = judged(walking_rows(390, torque=True), spans)
    assert (verdict.windows, verdict.usable_window_share) == (0, 0.0)
    assert any("longest has 39" in problem for problem in verdict.problems)


def test_command_tells_usable_from_not_usable_from_unreadable(
    segment, walking_rows, tmp_path, capsys
) -> None:
    rows = walking_rows(1000, torque=True)
    segment(rows, folder="good")
    rows[:, ACTION] = np.roll(rows[:, ACTION], 1, axis=0)
    segment(rows, folder="late")
    torn = segment(rows, folder="torn")
    torn.write_bytes(torn.read_bytes()[:-5])
    report = tmp_path / "verdict.json"
    assert main(["check", str(tmp_path / "good"), "--json", str(report)]) == 0
    document = json.loads(report.read_text())
    assert document["ok"] is True
    assert document["rows"] == 1000
    assert "verdict: usable" in capsys.readouterr().out
    assert main(["check", str(tmp_path / "late"), "--json", str(report)]) == 1
    assert json.loads(report.read_text())["time_alignment"]["best_shift"] == 1
    assert "verdict: NOT usable" in capsys.readouterr().out
    for bad in ("torn", "nowhere"):
        assert main(["check", str(tmp_path / bad)]) == 2
        captured = capsys.readouterr()
        assert captured.err.startswith("error: ")
        assert captured.err.count("\n") == 1


def test_stats_tell_mean_and_range_of_every_column(segment, random_rows, tmp_path, capsys) -> None:
    rows = random_rows(50)
    segment(rows)
    report = tmp_path / "stats.json"
    assert main(["stats", str(tmp_path / "data"), "--json", str(report)]) == 0
    columns = json.loads(report.read_text())["columns"]
    assert len(columns) == 66
    assert columns[21]["column"] == "joint_velocity_radps[LF_HAA]"
    assert columns[21]["unit"] == "rad/s"
    assert columns[21]["mean"] == pytest.approx(rows[:, 21].mean(dtype=np.float64))
    assert (columns[21]["min"], columns[21]["max"]) == (rows[:, 21].min(), rows[:, 21].max())
    assert "50 rows of anymal_d" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [[], ["judge"], ["check"], ["check", ".", "--robot", "spot"], ["check", ".", "--window", "x"]],
)
def test_wrong_arguments_are_one_line_and_exit_code_2(arguments, capsys) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_one_wrong_file_among_right_ones_is_named(walking_rows, spec, tmp_path) -> None:
    for seed in range(4):
        rows = walking_rows(1000, torque=True, seed=seed)
        if seed == 2:
            rows[:, ACTION] = np.roll(rows[:, ACTION], 1, axis=0)
        text = "".join(",".join(f"{v:.9g}" for v in row) + "\n" for row in rows)
        (tmp_path / f"state_action_data_{seed}.csv").write_text(text)
    (problem,) = check_dataset(tmp_path, spec).problems
    assert problem.startswith("state_action_data_2.csv: time alignment")


def test_refused_file_is_named_and_the_others_are_judged(segment, walking_rows, spec) -> None:
    paths = [segment(walking_rows(1000, torque=True, seed=seed)) for seed in range(3)]
    paths[1].write_bytes(paths[1].read_bytes()[:-1])
    verdict = check_dataset(paths[0].parent, spec)
    assert verdict.rows == 2000
    (problem,) = verdict.problems
    assert problem.startswith(f"left out: {paths[1]}: row 999 (line 1000) is cut off")
