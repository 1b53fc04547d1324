"""All figures of a small judgement, by hand. A step is 0.1 s, the onset at step 50."""

import json

import pytest
from walked import walked

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.evaluation.monitor.monitor_judgement import (
    ALL,
    MONITOR,
    ORDINARY_Z,
    MonitorSettings,
    judge_monitor,
)
from rwmu_train.evaluation.monitor.monitor_table import (
    acting_lines,
    detection_lines,
    ranking_table,
    undisturbed_words,
)
from rwmu_train.pictures.monitor_picture import typical_robot


def judged():
    friction, push = walked(200, robots=2, falls=(89,)), walked(200, robots=2)
    friction.statistics[60:90, 0, 2] = 3.0
    friction.statistics[170:, 1, 2] = 3.0
    push.statistics[51, :, 1] = 2.0
    acting = {"friction": walked(200, robots=2)}
    return judge_monitor(walked(300), {"friction": friction, "push": push}, acting, [ORDINARY_Z])


def test_every_disturbance_is_counted_and_ranked_by_every_number() -> None:
    judgement = judged()
    friction = judgement.detections["friction"]
    assert (friction.seen, friction.falls, friction.lead_s) == (2, 1, pytest.approx(3.0))
    assert list(judgement.rankings) == ["friction", "push", ALL]
    # Windows of friction: that of the fall, and of the other robot three less the last, whole
    # ones: 51 to 101, 101 to 151. One of three is above all others, two are equal to them.
    of_monitor = judgement.rankings["friction"][MONITOR]
    assert of_monitor.auroc == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert judgement.rankings["push"][MONITOR].auroc == 1.0
    assert judgement.rankings[ALL][MONITOR].auroc == pytest.approx((3 + 2 * 0.5) / 5)
    assert judgement.rankings[ALL][ORDINARY_Z].auroc == 0.5


def test_tables_say_it_in_words() -> None:
    judgement = judged()
    assert undisturbed_words(judgement.undisturbed) == (
        "Nothing happens: 0.01 robot hours, 0 false cautions (0 an hour), 0 false losts, 0 falls."
    )
    assert detection_lines(judgement)[0] == [
        *("ground friction 0.3", "2/2", "1.00", "12.00"),
        *("0/2", "1", "1/1", "3.00"),
    ]
    assert ranking_table(judgement) == (
        ["disturbance", "monitor", "z of walking"],
        [
            ["ground friction 0.3", "0.667 (33%)", "0.500 (0%)"],
            ["a push of 1.5 m/s", "1.000 (100%)", "0.500 (0%)"],
            ["all", "0.800 (60%)", "0.500 (0%)"],
        ],
    )
    assert acting_lines(judgement) == [["ground friction 0.3", "1/2", "0/2"]]


def test_json_has_every_figure_and_no_number_that_json_lacks() -> None:
    document = json.loads(json.dumps(judged().to_dict(), allow_nan=False))
    assert document["disturbances"]["push"]["acting"] is None
    assert document["disturbances"]["friction"]["acting"]["falls"] == 0
    assert document["disturbances"]["friction"]["median_s"] == pytest.approx(1.0)
    assert document["windows_of_all"]["monitor"]["auroc"] == pytest.approx(0.8)


def test_the_typical_robot_is_seen_as_late_as_half_of_them() -> None:
    walk = walked(200, robots=5, falls=(20,))
    for robot, step in ((0, 10), (1, 150), (2, 60), (3, 90)):
        walk.statistics[step, robot, 0] = 2.0
    assert typical_robot(walk, 50) == 3
    assert typical_robot(walked(200, robots=2, falls=(20,)), 50) == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"robots": 0}, "0 robots; allowed is 1 up"),
        ({"seconds": 9.0}, "walks of 9.0 s; allowed is 10 to 3600"),
        ({"seconds": float("nan")}, "walks of nan s"),
        ({"seed": -1}, "seed -1"),
    ],
)
def test_what_can_not_be_simulated_is_refused(changes: dict, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        MonitorSettings(**changes)
