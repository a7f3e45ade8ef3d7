"""Both stores against plain dictionaries, under any sequence of calls that hypothesis can think of."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
import trio
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from p2pnode.core.cid import RAW, Cid
from p2pnode.core.ids import CircleId, RecordId, WorkId
from p2pnode.core.record import CONTROL_KINDS, Record
from p2pnode.ports import Tx, Work
from p2pnode.store.database import ThreadEngine
from p2pnode.store.library import Library
from p2pnode.store.memory import MemoryStore
from p2pnode.store.node_store import NodeStore
from tests.store.samples import DAY, NOW, Clock, circle, key, record, work

T = TypeVar("T")
CIRCLES = [circle("c"), circle("d")]
KINDS = ["vouch", "ballot", "manifest", "charter", "unheard-of"]
STATES = ["own", "kept", "heard"]
ROOTS = [Cid.of(RAW, bytes([n])) for n in range(3)]
WORDS = ["alpha", "alphabet", "beta", "Gamma"]


class Undo(Exception):
    pass


class StoreMachine(RuleBasedStateMachine):
    """A store and what it should hold."""

    store: NodeStore
    records_made = Bundle("records_made")
    works_made = Bundle("works_made")

    def __init__(self) -> None:
        super().__init__()
        self.records: dict[RecordId, tuple[Record, bool]] = {}
        self.circles: dict[CircleId, tuple[float, bytes]] = {}
        self.seqs: dict[bytes, int] = {}
        self.works: dict[WorkId, Work] = {}
        self.pins: set[Cid] = set()

    def write(self, change: Callable[[Tx], T]) -> T:
        """Once with an exception at the end, which must leave no trace, then in earnest."""

        def undone(tx: Tx) -> None:
            change(tx)
            raise Undo

        with pytest.raises(Undo):
            trio.run(self.store.write, undone)
        return trio.run(self.store.write, change)

    def read(self, look: Callable[[Tx], T]) -> T:
        return trio.run(self.store.read, look)

    @rule(
        target=records_made,
        kind=st.sampled_from(KINDS),
        home=st.sampled_from(CIRCLES),
        author=st.sampled_from("ab"),
        counter=st.integers(0, 3),
        created=st.integers(20_000 * DAY, 20_003 * DAY),
    )
    def make_record(self, kind: str, home: bytes, author: str, counter: int, created: int) -> Record:
        return record(kind, circle=home, author=key(author), counter=counter, created=created)

    @rule(made=records_made, sig=st.integers(0, 2), own=st.booleans())
    def put_record(self, made: Record, sig: int, own: bool) -> None:
        signed = replace(made, sig=bytes([sig]) * 64)
        held = self.records.get(made.id)
        assert self.write(lambda tx: tx.put_record(signed, own=own)) is (held is None)
        if held and held[0].sig < signed.sig:
            signed = held[0]
        self.records[made.id] = (signed, own or bool(held and held[1]))

    @rule(made=records_made)
    def drop_record(self, made: Record) -> None:
        self.write(lambda tx: tx.drop_record(made.id))
        self.records.pop(made.id, None)

    @rule(author=st.sampled_from("ab"), now=st.floats(NOW - 3 * DAY, NOW + 3 * DAY))
    def next_seq(self, author: str, now: float) -> None:
        seq, created = self.write(lambda tx: tx.next_seq(key(author), now))
        held = [r.seq for r, _ in self.records.values() if r.author == key(author)]
        assert seq == max([int(now) // DAY << 16, *(n + 1 for n in [*held, self.seqs.get(key(author), -1)])])
        assert created // DAY == seq >> 16
        self.seqs[key(author)] = seq

    @rule(home=st.sampled_from(CIRCLES), salt=st.binary(min_size=32, max_size=32))
    def add_circle(self, home: CircleId, salt: bytes) -> None:
        now = NOW + len(self.circles)
        self.write(lambda tx: tx.add_circle(home, salt, now))
        self.circles[home] = (self.circles[home][0] if home in self.circles else now, salt)

    @rule(home=st.sampled_from(CIRCLES))
    def remove_circle(self, home: CircleId) -> None:
        self.write(lambda tx: tx.remove_circle(home))
        self.circles.pop(home, None)
        self.records = {id: (r, own) for id, (r, own) in self.records.items() if own or r.circle != home}

    @rule(
        target=works_made,
        number=st.integers(0, 4),
        title=st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join),
        state=st.sampled_from(STATES),
        private=st.booleans(),
        root=st.sampled_from(ROOTS),
    )
    def make_work(self, number: int, title: str, state: str, private: bool, root: Cid) -> Work:
        return work(title, number=number, id=work("w", number=number).id, state=state, private=private, root=root)

    @rule(made=works_made)
    def put_work(self, made: Work) -> None:
        self.write(lambda tx: tx.put_work(made, summary="", tags=[], words=[]))
        self.works[made.id] = made

    @rule(made=works_made, state=st.sampled_from(STATES))
    def set_work_state(self, made: Work, state: str) -> None:
        self.write(lambda tx: tx.set_work_state(made.id, state))  # type: ignore[arg-type]
        if made.id in self.works:
            self.works[made.id] = replace(self.works[made.id], state=state)  # type: ignore[arg-type]

    @rule(made=works_made)
    def drop_work(self, made: Work) -> None:
        self.write(lambda tx: tx.drop_work(made.id))
        self.works.pop(made.id, None)

    @rule(root=st.sampled_from(ROOTS), pin=st.booleans())
    def pin(self, root: Cid, pin: bool) -> None:
        self.write(lambda tx: tx.pin(root) if pin else tx.unpin(root))
        self.pins = self.pins | {root} if pin else self.pins - {root}

    @rule(
        words=st.lists(st.sampled_from(["al", "ALPHABET", "bet", "gam", "zzz"]), min_size=1, max_size=2),
        public=st.booleans(),
    )
    def search(self, words: list[str], public: bool) -> None:
        found = self.read(lambda tx: tx.search(" ".join(words), limit=99, public_only=public))
        expected = {
            w.id
            for w in self.works.values()
            if all(any(t.startswith(word.lower()) for t in w.title.lower().split()) for word in words)
            and not (public and w.private)
        }
        assert len(found) == len(expected)
        assert {w.id for w in found} == expected

    @invariant()
    def records_agree(self) -> None:
        for home in CIRCLES:
            expected = sorted(
                (r for r, _ in self.records.values() if r.circle == home), key=lambda r: (r.created, r.id)
            )
            held = self.read(lambda tx, home=home: tx.records(home))  # type: ignore[misc]
            assert [(r.id, r.sig) for r in held] == [(r.id, r.sig) for r in expected]
            for control in (True, False):
                index = self.read(lambda tx, h=home, c=control: list(tx.record_keys(h, control=c)))  # type: ignore[misc]
                assert index == [(r.created, r.id) for r in expected if (r.kind in CONTROL_KINDS) is control]

    @invariant()
    def the_rest_agrees(self) -> None:
        latest_first = sorted(self.works.values(), key=lambda w: -w.added)
        assert self.read(lambda tx: tx.works(states=STATES)) == latest_first
        assert self.read(lambda tx: tx.count_works()) == sum(w.state != "heard" for w in latest_first)
        assert [self.read(lambda tx, r=r: tx.pinned(r)) for r in ROOTS] == [r in self.pins for r in ROOTS]  # type: ignore[misc]
        in_order = sorted(self.circles, key=lambda c: (self.circles[c][0], c))
        assert self.read(lambda tx: tx.circles()) == in_order
        assert [self.read(lambda tx, c=c: tx.circle_salt(c)) for c in in_order] == [
            self.circles[c][1] for c in in_order
        ]  # type: ignore[misc]


class MemoryMachine(StoreMachine):
    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore(Clock())


class SqliteMachine(StoreMachine):
    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        self._engine = ThreadEngine(str(folder / "node.db"))
        library = Library(str(folder / "library"))
        self.store = NodeStore(self._engine, library, Clock(), quota_bytes=1 << 30, floor_bytes=0)

    def teardown(self) -> None:
        trio.run(self._engine.aclose)
        self._folder.cleanup()


@pytest.mark.parametrize(("machine", "examples"), [(MemoryMachine, 25), (SqliteMachine, 8)])
def test_any_sequence_of_calls(machine: type[StoreMachine], examples: int) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
