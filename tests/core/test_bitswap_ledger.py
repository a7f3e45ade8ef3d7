"""A peer's wants: most urgent first, changed and cancelled as it says, and never more of them than there is room for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from p2pnode.core.bitswap_ledger import (
    MAX_WAITING_PER_PEER,
    MAX_WANTS_PER_PEER,
    MIN_WANTS_PER_PEER,
    Ledger,
    Room,
)
from p2pnode.core.bitswap_messages import Entry, Want
from p2pnode.core.cid import RAW, Cid


def cid(number: int) -> Cid:
    return Cid.of(RAW, b"%d" % number)


def wants(*numbers: int, **options: object) -> list[Entry]:
    return [Entry(cid(number), **options) for number in numbers]  # type: ignore[arg-type]


def taken(ledger: Ledger, limit: int = 1000) -> list[Cid]:
    return [entry.cid for entry in ledger.take(limit)]


def test_the_most_urgent_come_first_and_older_ones_among_equals() -> None:
    ledger = Ledger(Room())
    ledger.apply([Entry(cid(1), 5), Entry(cid(2), 9), Entry(cid(3), 5), Entry(cid(4), -1)], full=False)
    assert taken(ledger, 2) == [cid(2), cid(1)]
    assert taken(ledger) == [cid(3), cid(4)]
    assert taken(ledger) == [] and len(ledger) == 0


def test_cancelled_and_replaced_wants_are_gone() -> None:
    ledger = Ledger(Room())
    ledger.apply(wants(1, 2, 3), full=False)
    ledger.apply([Entry(cid(2), cancel=True), Entry(cid(9), cancel=True)], full=False)
    assert taken(ledger, 1) == [cid(1)]
    ledger.apply(wants(4), full=True)
    assert taken(ledger) == [cid(4)]


def test_a_want_for_a_block_is_not_weakened_and_one_for_presence_is_strengthened() -> None:
    ledger = Ledger(Room())
    ledger.apply([Entry(cid(1)), Entry(cid(2), want=Want.HAVE)], full=False)
    ledger.apply([Entry(cid(1), want=Want.HAVE), Entry(cid(2))], full=False)
    assert [entry.want for entry in ledger.take(9)] == [Want.BLOCK, Want.BLOCK]


def test_a_new_priority_counts() -> None:
    ledger = Ledger(Room())
    ledger.apply(wants(1, 2, priority=5), full=False)
    ledger.apply([Entry(cid(2), 8)], full=False)
    assert taken(ledger) == [cid(2), cid(1)]


def test_what_we_lacked_waits_until_we_look_again() -> None:
    ledger = Ledger(Room())
    ledger.apply(wants(1, 2, 3), full=False)
    for entry in ledger.take(3):
        ledger.wait(entry)
    assert (len(ledger), ledger.waiting) == (0, 3)
    ledger.apply([Entry(cid(2), cancel=True)], full=False)
    ledger.look_again()
    assert taken(ledger) == [cid(1), cid(3)] and ledger.waiting == 0


def test_a_flood_is_bounded_for_one_peer_and_for_all() -> None:
    room = Room(limit=MAX_WANTS_PER_PEER + 100)
    flooder, second, third = Ledger(room), Ledger(room), Ledger(room)
    flooder.apply(wants(*range(MAX_WANTS_PER_PEER + 7)), full=False)
    assert (len(flooder), flooder.refused) == (MAX_WANTS_PER_PEER, 7)
    second.apply(wants(*range(1000)), full=False)
    third.apply(wants(*range(1000)), full=False)
    assert len(second) == 100 and len(third) == MIN_WANTS_PER_PEER  # a flood leaves everybody a little
    for entry in flooder.take(MAX_WANTS_PER_PEER):
        flooder.wait(entry)
    assert flooder.waiting == MAX_WAITING_PER_PEER
    flooder.clear()
    assert room.used == 100 + MIN_WANTS_PER_PEER and flooder.waiting == 0


def test_one_that_changes_its_mind_for_ever_uses_no_more_memory() -> None:
    ledger = Ledger(Room())
    for number in range(5 * MAX_WANTS_PER_PEER):
        ledger.apply([Entry(cid(1), number)], full=False)
    assert len(ledger._urgency) <= 2 * MAX_WANTS_PER_PEER + 1
    assert taken(ledger) == [cid(1)]


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("want"), st.integers(0, 12), st.integers(0, 3)),
        st.tuples(st.just("cancel"), st.integers(0, 12), st.just(0)),
        st.tuples(st.just("take"), st.integers(1, 4), st.just(0)),
        st.tuples(st.just("full"), st.integers(0, 12), st.integers(0, 3)),
    ),
    max_size=60,
)


@given(OPERATIONS)
def test_it_is_a_queue_with_priorities_whatever_happens(operations: list[tuple[str, int, int]]) -> None:
    room = Room()
    ledger, model = Ledger(room), dict[Cid, tuple[int, int]]()
    for step, (what, number, priority) in enumerate(operations):
        if what == "take":
            best = sorted(model, key=lambda c: (-model[c][0], model[c][1]))[:number]
            assert taken(ledger, number) == best
            for one in best:
                del model[one]
            continue
        if what == "full":
            model.clear()
        if what == "cancel":
            model.pop(cid(number), None)
        elif cid(number) not in model or model[cid(number)][0] != priority:
            model[cid(number)] = (priority, step)
        ledger.apply([Entry(cid(number), priority, what == "cancel")], full=what == "full")
        assert len(ledger) == room.used == len(model)
