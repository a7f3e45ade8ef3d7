"""Forks for tests of the pure core: a parent of three with one listed work, and cuts of it, honest and not, put together by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from p2pnode.core import charter, cut, encoding, records
from p2pnode.core.charter import Charter
from p2pnode.core.ids import CircleId
from p2pnode.core.record import Record
from p2pnode.core.records import APPROVE, encode_signed, make
from p2pnode.core.verdict import CircleView
from tests.core.circles import DAY, DAY_S, Circle, person, work_id

WORK = work_id("a")


def at(counter: int) -> dict[str, int]:
    """`seq` and `created` of a founder's record on the usual day, far above those of `Circle`."""
    return {"seq": records.seq_of(DAY * DAY_S, 10_000 + counter), "created": DAY * DAY_S + 60}


def parent(*, salt: bytes = bytes(32)) -> Circle:
    """founder vouches for ben, ben for cleo; the founder and ben list a work."""
    circle = Circle(salt=salt)
    circle.vouch("founder", "ben")
    circle.vouch("ben", "cleo")
    question = circle.listed("founder", WORK)
    circle.cast("ben", question, APPROVE)
    return circle


@dataclass(frozen=True)
class Fork:
    """A fork's first charter and what carries its cut; `records` are all of them."""

    genesis: Record
    carriers: tuple[Record, ...]
    more: list[Record] = field(default_factory=list)

    @property
    def charter(self) -> Charter:
        return Charter.of(self.genesis)

    @property
    def id(self) -> CircleId:
        return self.charter.circle

    @property
    def records(self) -> list[Record]:
        return [self.genesis, *self.carriers, *self.more]

    def view(self, day: int = DAY) -> CircleView:
        return CircleView(self.charter, self.records, day)


def part(items: Iterable[bytes]) -> bytes:
    return encoding.encode({"records": tuple(items)})


def index(digests: Iterable[bytes]) -> bytes:
    return encoding.encode({"parts": tuple(digests)})


def fork(
    of: CircleId,
    pieces: Sequence[bytes],
    *,
    by: object = "founder",
    salt: bytes = bytes(32),
    named: bytes | None = None,
) -> Fork:
    """A fork whose charter names the first piece (or `named`), and records that carry all of them."""
    digest = records.cut_digest(pieces[0]) if named is None else named
    stamp, place = at(0), (of, digest)
    genesis = charter.genesis(
        person(by),
        name="fork",
        purpose="",
        salt=salt,
        seq=stamp["seq"],
        created=stamp["created"],
        fork_of=place,
    )
    circle = CircleId(genesis.id)
    carriers = [cut.carry(person(by), circle=circle, piece=one, **at(1 + n)) for n, one in enumerate(pieces)]
    return Fork(genesis, tuple(carriers))


def honest(of: Circle, *extra: Record, without: int = 0) -> Fork:
    """Everything of a parent, as the program packs it, less the last records, with some more."""
    kept = of.records[: len(of.records) - without]
    return fork(of.id, cut.cut_of([*kept, *extra]).pieces)


def by_hand(of: Circle, items: Iterable[bytes], **options: Any) -> Fork:
    """A cut of one part with exactly these signed records."""
    only = part(items)
    return fork(of.id, [index([records.cut_digest(only)]), only], **options)


def _signed(of: Circle) -> list[bytes]:
    return [encode_signed(record) for record in of.records]


def _forged(of: Circle) -> Fork:
    items = _signed(of)
    items[1] = items[1][:63] + bytes([items[1][63] ^ 1]) + items[1][64:]
    return by_hand(of, items)


def _foreign(of: Circle) -> Fork:
    other = Circle(("stranger",))
    return by_hand(of, [*_signed(of), encode_signed(other.vouch("stranger", "eve"))])


def _of_fork(of: Circle) -> Fork:
    """An index that lists itself: no part can be an index, so nothing loops."""
    only = index([bytes(32)])
    return fork(of.id, [index([records.cut_digest(only)]), only])


def _many_parts(of: Circle) -> Fork:
    parts = [part([bytes([n % 256, n // 256])]) for n in range(cut.MAX_PARTS + 1)]
    return fork(of.id, [index(map(records.cut_digest, parts))])


def _person_question(of: Circle) -> Fork:
    asked = Circle.propose
    asked(of, "founder", "expel", person("ben").public)
    return by_hand(of, _signed(of))


def _profile(of: Circle) -> Fork:
    me = person("ben")
    made = make(me, "profile", circle=bytes(32), target=me.public, **at(9), name="Ben", about="")
    return by_hand(of, [*_signed(of), encode_signed(made)])


HOSTILE: Mapping[str, Callable[[Circle], Fork]] = {
    "a record with a signature that does not verify": _forged,
    "a record of a circle that is no ancestor": _foreign,
    "a record that stands there twice": lambda of: by_hand(of, [*_signed(of), _signed(of)[1]]),
    "no first charter of the parent": lambda of: by_hand(of, _signed(of)[1:]),
    "a charter of somebody else's circle": lambda of: by_hand(
        of, [*_signed(of), encode_signed(Circle(("eve",)).genesis)]
    ),
    "a parent of another salt": lambda of: by_hand(of, _signed(of), salt=b"\x07" * 32),
    "a decision about a person": _person_question,
    "a kind that is not inherited": _profile,
    "an index in the place of a part": _of_fork,
    "an index of too many parts": _many_parts,
    "an index that lists a part twice": lambda of: fork(of.id, [index([bytes(32), bytes(32)])]),
    "an empty index": lambda of: fork(of.id, [index([])]),
    "bytes that are no index": lambda of: fork(of.id, [b"\xc0"]),
    "a part that is no map": lambda of: fork(of.id, [index([records.cut_digest(b"\x01")]), b"\x01"]),
}
"""Cuts that are void, by what is wrong with them."""
