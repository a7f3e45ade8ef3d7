"""Which bodies a circle over its cap is kept without: those first that change no verdict (design 4.5).

Ids are never dropped: what was pruned stays in the sync index, so nobody sends it again, and the register rule and the caps of authors
work on as before. Of equals, every node lets go of others (by a hash with its own key): what one drops, another has. Pure; called by
`services.pruning`.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable
from dataclasses import dataclass

from p2pnode.core.ids import PublicKey, RecordId
from p2pnode.core.record import BALLOT, CHARTER, PROPOSAL, SEAL, VOUCH, WITHDRAW, Record
from p2pnode.core.verdict import CircleView

MAX_WHOLE_RECORDS = 1_000_000
"""Records of one circle that are kept with their bodies: about a gigabyte on the disk."""
PRUNED_SHARE = 0.05
"""Of the cap, beyond what is over it: one long look at a circle makes room for many records."""

UNCOUNTED, UNREAD, COUNTED, IDLE, ASKED = range(5)
"""Ballots in no greedy basis; what no tally reads (manifests that are not listed, unknown kinds); ballots that count; vouches that give
no membership today; questions that are not adopted, with their withdrawals. In this order they go."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a circle's verdicts rest on today."""

    counted: frozenset[tuple[PublicKey, bytes]]
    """(author, question) of every ballot in the greedy basis of some steward set, and of all on questions that are pending."""
    vouches: frozenset[tuple[PublicKey, bytes]]
    """(author, whom) of active vouches between members."""
    records: frozenset[RecordId]
    """Charters and seals that bind, proposals that are adopted, and the manifests that they list."""

    @classmethod
    def of(cls, view: CircleView) -> Needs:
        """A whole tally of everything that was ever asked: seconds for a large circle."""
        counted: set[tuple[PublicKey, bytes]] = set()
        records: set[RecordId] = set(view.binding)
        for asked in view.questions():
            id, decision = asked.question.id, view.decide(asked.question.id)
            if decision.tally.outcome == "pending":
                counted |= {(ballot.key, bytes(id)) for ballot in decision.ballots}
            for one in decision.tally.sets:
                counted |= {(key, bytes(id)) for key in (*one.approve, *one.reject)}
            if decision.is_adopted:
                records |= {proposal.id for proposal in asked.proposals} | {RecordId(asked.question.base)}
        members = view.membership
        vouches = {
            (key, bytes(members.keys[target]))
            for key, targets in zip(members.keys, members.vouches, strict=True)
            for target in targets
        }
        return cls(frozenset(counted), frozenset(vouches), frozenset(records))

    def rank(self, record: Record) -> int | None:
        """How soon this record's body goes, 0 first; None: never. Reads no more than a stub has."""
        if record.kind in (CHARTER, SEAL) or record.id in self.records:
            return None
        if record.kind == BALLOT:
            return COUNTED if (record.author, record.target) in self.counted else UNCOUNTED
        if record.kind == VOUCH:
            return None if (record.author, record.target) in self.vouches else IDLE
        return ASKED if record.kind in (PROPOSAL, WITHDRAW) else UNREAD


def to_prune(held: Iterable[Record], needs: Needs, node: PublicKey, count: int) -> list[RecordId]:
    """Of what is held whole (stubs will do) the `count` records whose bodies a node lets go of; fewer, if nothing else may go."""

    def order(record: Record) -> tuple[int, bytes]:
        rank = needs.rank(record)
        assert rank is not None
        return rank, hashlib.sha256(node + record.id).digest()

    may_go = (record for record in held if needs.rank(record) is not None)
    return [record.id for record in heapq.nsmallest(count, may_go, key=order)]
