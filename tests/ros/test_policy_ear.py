"""What is told of a policy node's log stays true when the node, or its log, begins anew."""

from rwmu_ros.policy_ear import RestartedCount


def test_count_goes_on_over_a_log_that_began_anew():
    rows = RestartedCount()
    for told in ("0", "10", "25", "25", "3", "8"):
        rows.take(told)
    assert rows.total == 33


def test_what_is_no_count_changes_nothing():
    rows = RestartedCount()
    rows.take("7")
    for told in (None, "", "nan", "-1", "1.5"):
        rows.take(told)
    assert rows.total == 7
