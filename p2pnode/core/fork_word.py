"""Word of a fork: a record in the parent circle that carries the fork's first charter, so that every member hears of it by ordinary sync.

Nothing in it has to be believed: the charter's id is the fork, its parent is the circle that the record lies in, and whoever signed
the one signed the other. A program that does not know the kind keeps and passes it on, and no tally ever counts it. Pure; written by
`services.forking`, read by `services.fork_news`.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2pnode.core.charter import Charter
from p2pnode.core.fields import octets
from p2pnode.core.ids import NO_CIRCLE, CircleId, PublicKey, RecordId
from p2pnode.core.keys import KeyPair
from p2pnode.core.record import CHARTER, FORK, Record
from p2pnode.core.records import decode_signed, encode_signed, make
from p2pnode.core.verdict import CircleView
from p2pnode.errors import DecodeError


@dataclass(frozen=True, slots=True)
class ForkWord:
    """`charter` is the fork's first, `genesis` the signed record that holds it; `founder` has that name in both circles."""

    charter: Charter
    genesis: Record
    founder: PublicKey

    @property
    def fork(self) -> CircleId:
        """The circle that was founded."""
        return self.charter.circle

    @property
    def created(self) -> int:
        """When, in seconds since 1970, as its founder claims."""
        return self.genesis.created


def word_of(record: Record) -> ForkWord:
    """What such a record tells. DecodeError if it is none, or if what it carries is no fork of that circle by its author."""
    if record.kind != FORK or record.is_stub:
        raise DecodeError("no word of a fork")
    genesis = decode_signed(octets(record.fields, "data"))
    if genesis.kind != CHARTER or genesis.circle != NO_CIRCLE or genesis.id != RecordId(record.target):
        raise DecodeError("it carries no first charter")
    charter = Charter.of(genesis)
    if charter.parent != record.circle or genesis.author != record.author:
        raise DecodeError("it is no fork of this circle by who tells of it")
    return ForkWord(charter, genesis, record.author)


def tell_of(key: KeyPair, *, parent: CircleId, genesis: Record, seq: int, created: int) -> Record:
    """The record. UsageError if the charter is too large for one of its kind."""
    return make(key, FORK, circle=parent, target=genesis.id, seq=seq, created=created, data=encode_signed(genesis))


def comes_along(view: CircleView, charter: Charter) -> int:
    """How many members of the parent vouches lead to from the fork's stewards, as they are today: who would be in it."""
    membership = view.membership
    waiting = [membership.index[key] for key in charter.stewards if key in membership.index]
    reached = set(waiting)
    while waiting:
        onward = set(membership.vouches[waiting.pop()]) - reached
        reached |= onward
        waiting.extend(onward)
    return len(reached)
