"""Only newer and good messages replace a value, and every other one is counted."""

from __future__ import annotations

from typing import NamedTuple

from rwmu_ros.newest_message import NewestMessage

from rwmu_deploy.contract.errors import RobotLinkError


class Stamped(NamedTuple):
    stamp_ns: int
    value: float


def convert(message: Stamped) -> float:
    if message.value < 0.0:
        raise RobotLinkError(f"value is {message.value}", fix="Send a positive one.")
    return message.value


def stamped_topic() -> NewestMessage[Stamped, float]:
    return NewestMessage("test", convert, lambda message: message.stamp_ns)


def test_messages_1_4_2_3_leave_4() -> None:
    topic = stamped_topic()
    for index, stamp in enumerate((1, 4, 2, 3)):
        topic.offer(Stamped(stamp, float(stamp)), now_s=float(index))
    assert topic.newest == (4.0, 1.0)
    assert topic.counts() == {"accepted": 2, "refused": 0, "out_of_order": 2}


def test_repeated_stamp_is_dropped() -> None:
    topic = stamped_topic()
    assert topic.offer(Stamped(7, 1.0), 0.0)
    assert not topic.offer(Stamped(7, 2.0), 1.0)
    assert topic.newest == (1.0, 0.0)


def test_refused_message_leaves_the_value_to_age() -> None:
    topic = stamped_topic()
    topic.offer(Stamped(1, 1.0), 10.0)
    assert not topic.offer(Stamped(2, -1.0), 10.5)
    assert topic.newest == (1.0, 10.0)
    assert topic.age_s(10.5) == 0.5
    assert topic.counts()["refused"] == 1
    assert "value is -1.0" in topic.last_refusal


def test_refused_message_does_not_move_the_order() -> None:
    topic = stamped_topic()
    topic.offer(Stamped(100, -1.0), 0.0)
    assert topic.offer(Stamped(5, 1.0), 1.0)


def test_age_is_of_the_receipt_and_not_of_the_stamp() -> None:
    topic = stamped_topic()
    topic.offer(Stamped(3_600_000_000_000, 1.0), now_s=5.0)
    assert topic.age_s(5.25) == 0.25


def test_without_a_message_there_is_no_age() -> None:
    assert stamped_topic().age_s(1.0) is None


def test_after_forgetting_any_stamp_may_come() -> None:
    topic = stamped_topic()
    topic.offer(Stamped(100, 1.0), 0.0)
    topic.forget()
    assert topic.newest is None
    assert topic.offer(Stamped(1, 2.0), 1.0)
    assert topic.counts()["accepted"] == 2
