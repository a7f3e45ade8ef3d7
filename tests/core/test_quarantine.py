"""The quarantine holds a bounded number of bytes, and gives back what waits for somebody."""

from __future__ import annotations

from p2pnode.core.quarantine import RECORD_OVERHEAD_BYTES, Quarantine
from tests.support.circles import Circle, key


def test_the_oldest_goes_first_and_coming_again_is_being_new() -> None:
    circle = Circle()
    records = [circle.ballot(key("a"), b"%d" % number) for number in range(4)]
    cost = len(records[0].body) + RECORD_OVERHEAD_BYTES
    quarantine = Quarantine(limit_bytes=3 * cost + 2)
    for record in (*records[:3], records[0], records[3]):
        quarantine.put(circle.id, record)
    assert [record.id in quarantine for record in records] == [True, False, True, True]
    assert quarantine.bytes <= 3 * cost + 2


def test_what_waits_is_found_by_circle_and_author() -> None:
    circle, other = Circle(), Circle("other")
    mine, yours = circle.ballot(key("a"), b"q"), circle.ballot(key("b"), b"q")
    quarantine = Quarantine()
    quarantine.put(circle.id, mine)
    quarantine.put(circle.id, yours)
    assert quarantine.of(circle.id, [key("a").public]) == [mine]
    assert quarantine.of(other.id, [key("a").public]) == []
    quarantine.remove([mine.id, mine.id])
    assert quarantine.of(circle.id, [key("a").public]) == []
    quarantine.remove([yours.id])
    assert (len(quarantine), quarantine.bytes) == (0, 0)


def test_a_record_larger_than_the_whole_quarantine_does_not_stay() -> None:
    circle = Circle()
    quarantine = Quarantine(limit_bytes=10)
    quarantine.put(circle.id, circle.ballot(key("a"), b"q"))
    assert (len(quarantine), quarantine.bytes) == (0, 0)
