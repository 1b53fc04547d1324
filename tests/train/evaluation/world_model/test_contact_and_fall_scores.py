"""What is said of contacts and falls: every row once, from true states, by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rwmu_deploy.contract.errors import TransitionFileError
from rwmu_train.evaluation.world_model.contact_and_fall_scores import (
    contact_scores,
    detection,
    fall_score,
)
from rwmu_train.evaluation.world_model.teacher_forced import TeacherForced, teacher_force
from rwmu_train.world_model.ensemble import WorldModel


@pytest.fixture
def model(facts) -> WorldModel:
    torch.manual_seed(0)
    return WorldModel(facts.architecture)


def test_precision_recall_and_f1_by_hand() -> None:
    said = np.array([1, 1, 1, 0, 0, 0], bool)
    true = np.array([1, 1, 0, 1, 1, 0], bool)
    score = detection(said, true)
    assert (score.rows, score.precision, score.recall) == (4, 2 / 3, 2 / 4)
    assert score.f1 == pytest.approx(2 * (2 / 3) * (1 / 2) / (2 / 3 + 1 / 2))


def test_what_never_happens_and_is_never_said_has_no_score() -> None:
    score = detection(np.zeros(3, bool), np.zeros(3, bool))
    assert (score.rows, score.precision, score.recall, score.f1) == (0, None, None, None)


def judged(fall_probability, fell) -> TeacherForced:
    rows = len(fell)
    return TeacherForced(
        np.array([[0.9, 0.1]] * rows, np.float32),
        np.array([[True, True]] * rows),
        np.array(fall_probability, np.float32),
        np.array(fell, bool),
        rows_available=rows,
        falls_without_history=0,
    )


def test_falls_by_hand() -> None:
    score = fall_score(judged([0.9, 0.6, 0.4, 0.2], [1, 0, 1, 0]))
    assert score.falls == 2
    assert (score.at_half.precision, score.at_half.recall) == (0.5, 0.5)
    assert score.average_precision == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert score.recall_at_precision == {0.5: 1.0, 0.9: 0.5}
    assert score.remark is not None
    assert "only 2 falls" in score.remark


def test_without_falls_it_is_said_that_nothing_can_be_said() -> None:
    score = fall_score(judged([0.9, 0.1], [0, 0]))
    assert (score.average_precision, score.recall_at_precision, score.curve) == (None,) * 3
    assert score.remark is not None
    assert "no falls" in score.remark


def test_contacts_keep_their_names() -> None:
    scores = contact_scores(judged([0.0], [0]), ("LF", "RF"))
    assert scores["LF"].recall == 1.0
    assert scores["RF"].recall == 0.0


def test_every_row_after_a_history_is_judged_once(model, small_dataset, facts) -> None:
    """Episodes of 300, 450 and 150 rows, in pieces of up to 200; one fall, on the last row."""
    joined = replace(
        small_dataset,
        episode_start=np.array([0, 300, 750]),
        episode_end=np.array([300, 750, 900]),
        episode_end_kind=("truncated", "truncated", "terminated"),
    )
    found = teacher_force(model, joined, facts.normaliser, facts.history, seed=0)
    rows = np.concatenate([np.arange(8, 300), np.arange(308, 750), np.arange(758, 900)])
    assert found.rows_available == len(found.fell) == len(rows)
    assert found.fell.tolist() == (rows == 899).tolist()
    np.testing.assert_array_equal(found.contact, small_dataset.contacts[rows] > 0.5)
    assert found.falls_without_history == 0


@torch.no_grad()
def test_a_row_is_predicted_from_the_history_before_it(model, small_dataset, facts) -> None:
    one = replace(
        small_dataset, episode_start=np.array([150]), episode_end=np.array([170]),
        episode_end_kind=("truncated",),
    )  # fmt: skip
    found = teacher_force(model, one, facts.normaliser, facts.history, seed=0)
    rows = torch.from_numpy(small_dataset.rows[150:170])
    columns = small_dataset.columns
    state = facts.normaliser.normalise(rows[:, columns.state])
    inputs = torch.cat([state[:-1], rows[1:, columns.action.slice]], dim=-1)
    features = model.auxiliary_sequence(inputs[:, None])[:, :, 0]
    contact, fall = model.contact_and_termination_logits(features)
    np.testing.assert_allclose(
        found.contact_probability, torch.sigmoid(contact).mean(0)[7:], atol=1e-6
    )
    np.testing.assert_allclose(found.fall_probability, torch.sigmoid(fall).mean(0)[7:], atol=1e-6)


def test_of_many_rows_a_random_part_is_judged_and_counted(model, small_dataset, facts) -> None:
    found = teacher_force(
        model, small_dataset, facts.normaliser, facts.history, seed=0, most_rows=200
    )
    assert found.rows_available == 6 * 142
    assert len(found.fell) == 2 * 142


def test_falls_before_a_whole_history_are_counted(model, small_dataset, facts) -> None:
    early = replace(small_dataset, episode_start=small_dataset.episode_start.copy())
    early.episode_start[-1] = 895
    found = teacher_force(model, early, facts.normaliser, facts.history, seed=0)
    assert (found.fell.sum(), found.falls_without_history) == (0, 1)
    with pytest.raises(TransitionFileError, match="after the 200 rows of history"):
        teacher_force(model, small_dataset, facts.normaliser, 200, seed=0)
