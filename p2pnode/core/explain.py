"""Why a circle says what it says: the part of an explanation that is the same on every node.

A JSON object of the rule in numbers, the electorate, every ballot with the reason why it counts or not, the margin and what a flip
would cost at least. Ids stand in full, nothing local is in it: `canonical` of it is equal, byte for byte, wherever the
records and the day are. What only one node knows (provisional, names, own ballot) is added beside it by the services.
`core.telling` turns it into sentences. Called by `core.verdict`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import date, timedelta
from typing import Any

from p2pnode.core.charter import Charter
from p2pnode.core.decision import Decision
from p2pnode.core.electorate import Electorate
from p2pnode.core.flow import is_capacity
from p2pnode.core.ids import (
    CIRCLE_PREFIX,
    KEY_PREFIX,
    QUESTION_PREFIX,
    RECORD_PREFIX,
    WORK_PREFIX,
    PublicKey,
    WorkId,
    id_text,
)
from p2pnode.core.membership import Membership
from p2pnode.core.record import Value
from p2pnode.core.records import ABSTAIN
from p2pnode.core.standing import VOID, Ballot
from p2pnode.core.tally import Counter, cost_to_flip, counting_order

VERSION = 1
LISTED_BALLOTS = 1_000
"""Ballots that are written out; the others are counted in `ballots_omitted`. One line of the control socket has 1 MiB."""
_SUBJECT_PREFIX = {"expel": KEY_PREFIX, "readmit": KEY_PREFIX, "charter": CIRCLE_PREFIX}


def canonical(verdict: Mapping[str, Any]) -> bytes:
    """The one byte form of a verdict part: sorted keys, no spaces, UTF-8."""
    return json.dumps(verdict, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def head(charter: Charter, day: int) -> dict[str, Any]:
    """Whose verdict it is, by which charter, of which day."""
    return {
        "v": VERSION,
        "circle": id_text(CIRCLE_PREFIX, charter.circle),
        "charter": id_text(RECORD_PREFIX, charter.id),
        "day": day_text(day),
    }


def day_text(day: int) -> str:
    """A UTC day counted from 1970, as YYYY-MM-DD."""
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()


def work(work: WorkId, verdict: str, complaints: Iterable[str], decisions: Iterable[Decision]) -> dict[str, Any]:
    """A work's verdict, and every question about it with its state."""
    asked = [
        {
            "question": id_text(QUESTION_PREFIX, one.question.id),
            "class": one.question.class_,
            "state": one.state,
            "outcome": one.tally.outcome,
            "approve": one.approve,
            "reject": one.reject,
        }
        for one in decisions
    ]
    return {
        "work": id_text(WORK_PREFIX, work),
        "verdict": verdict,
        "complaints": list(complaints),
        "questions": asked,
    }


def question(electorate: Electorate, day: int, decision: Decision) -> dict[str, Any]:
    """Everything about one question; `electorate` are those who decide on it."""
    tally, charter = decision.tally, electorate.charter
    told = head(charter, day) | _asked(charter, decision)
    told |= {
        "state": decision.state,
        "outcome": tally.outcome,
        "effective": decision.effective,
        "electorate": _electorate(charter, electorate.membership),
        "cast": asdict(decision.cast),
        "ballots": _ballots(charter, decision),
    }
    if len(decision.ballots) > LISTED_BALLOTS:
        told["ballots_omitted"] = len(decision.ballots) - LISTED_BALLOTS
    if tally.rule is not None:
        told["rule"] = asdict(tally.rule) | {"k": charter.k, "f": charter.f, "margin_over": tally.rule.b * charter.k}
    if decision.sealing is not None:
        by = [id_text(KEY_PREFIX, key) for key in decision.sealing.by]
        told["seals"] = {"by": by, "needed": decision.sealing.needed}
    if tally.worst is not None:
        told |= _result(charter, decision, electorate.counter)
    return told


def _asked(charter: Charter, decision: Decision) -> dict[str, Any]:
    asked = decision.question
    steward = asked.class_ == "stewards" and asked.subject in charter.stewards
    prefix = WORK_PREFIX if asked.work else _SUBJECT_PREFIX.get(asked.class_, KEY_PREFIX if steward else CIRCLE_PREFIX)
    told: dict[str, Any] = {
        "question": id_text(QUESTION_PREFIX, asked.id),
        "class": asked.class_,
        "subject": id_text(prefix, asked.subject),
        "patch": to_json(asked.patch),
        "proposals": [id_text(RECORD_PREFIX, proposal.id) for proposal in decision.asked.proposals],
    }
    if asked.base:
        told["base"] = id_text(RECORD_PREFIX, asked.base)
    return told


def _electorate(charter: Charter, members: Membership) -> dict[str, Any]:
    """Its size, and a digest of members and vouches by which two nodes see at once whether they count in the same graph."""
    graph = hashlib.sha256(b"".join(members.keys))
    for targets in members.vouches:
        graph.update(f"{targets}\n".encode())
    return {
        "members": len(members.keys),
        "vouches": sum(map(len, members.vouches)),
        "stewards": [id_text(KEY_PREFIX, steward) for steward in charter.stewards],
        "graph": graph.hexdigest(),
    }


def _result(charter: Charter, decision: Decision, counter: Counter) -> dict[str, Any]:
    tally, cast = decision.tally, decision.cast
    worst = tally.worst
    assert worst is not None
    told: dict[str, Any] = {
        "sets": len(tally.sets),
        "left_out": [id_text(KEY_PREFIX, key) for key in worst.left_out],
        "counted": {"approve": decision.approve, "reject": decision.reject},
        "margin": worst.margin,
        "least_approve": tally.least_approve,
        "cost_to_flip": {"at_least": cost_to_flip(tally), "of": "members that are not stewards"},
    }
    counted = decision.approve + decision.reject
    if counted < cast.approve + cast.reject and is_capacity(2 * charter.k):
        would = counter.would_count(decision.of_members, worst.left_out, 2 * charter.k)
        if would > counted:
            told["larger_k"] = {"k": 2 * charter.k, "would_count": would}
    return told


def _ballots(charter: Charter, decision: Decision) -> list[dict[str, Any]]:
    """Members' ballots first, each group in the order in which ballots are counted."""
    members = {ballot.key for ballot in decision.of_members}
    worst = decision.tally.worst
    counted = {*worst.approve, *worst.reject} if worst else set()
    ordered = sorted(
        decision.ballots, key=lambda one: (one.key not in members, counting_order(charter.circle, one.key))
    )
    return [_ballot(ballot, members, counted) for ballot in ordered[:LISTED_BALLOTS]]


def _ballot(ballot: Ballot, members: set[PublicKey], counted: set[PublicKey]) -> dict[str, Any]:
    if ballot.key not in members:
        why = "not_a_member"
    elif ballot.choice in (VOID, ABSTAIN):
        why = ballot.choice
    else:
        why = "counted" if ballot.key in counted else "no_room"
    return {
        "key": id_text(KEY_PREFIX, ballot.key),
        "choice": ballot.choice,
        "records": [id_text(RECORD_PREFIX, record) for record in ballot.records],
        "counted": why == "counted",
        "why": why,
    }


def to_json(value: Value) -> Any:
    """A record's value as JSON: bytes as hexadecimal text."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {name: to_json(item) for name, item in value.items()}
    return [to_json(item) for item in value] if isinstance(value, tuple) else value
