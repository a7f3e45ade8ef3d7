"""From what people type to what is meant: whole or shortened ids, CIDs, and names of one's own circles.

A short id that fits several things is an AmbiguousError that lists them; one that fits nothing a NotFoundError that says what to try.
"""

from __future__ import annotations

from collections.abc import Sequence

from p2pnode.core.charter import Charter
from p2pnode.core.ids import (
    CIRCLE_PREFIX,
    KEY_PREFIX,
    QUESTION_PREFIX,
    TEXT_CHARACTERS,
    WORK_PREFIX,
    CircleId,
    PublicKey,
    QuestionId,
    RecordId,
    WorkId,
    id_text,
    parse_id,
    prefix_range,
    split_text,
)
from p2pnode.core.record import PROPOSAL, VOUCH
from p2pnode.errors import AmbiguousError, NotFoundError, UsageError
from p2pnode.ports import Tx, Work
from p2pnode.services.inherited import inherited_targets
from p2pnode.services.join import waiting

SHOWN_CHOICES = 5
"""Candidates that an ambiguous id's message lists."""
SHOWN_CHARACTERS = 60
"""Of what somebody typed, in an error."""


def find_work(tx: Tx, text: str) -> Work:
    """A work of the catalogue."""
    low, high = _range(WORK_PREFIX, text, "a work", "p2pnode search")
    works = tx.find_works(low, high)
    ids = [work.id for work in works]
    chosen = _one(WORK_PREFIX, text, ids, "work", hint="search for it first, or give its whole id to `get`")
    return next(work for work in works if work.id == chosen)


def whole_work_id(text: str) -> WorkId | None:
    """The id if it was given whole: then the network can be asked for it."""
    parts = split_text(text)
    if parts is None or parts[0] != WORK_PREFIX or len(parts[1]) != TEXT_CHARACTERS:
        return None
    return WorkId(parse_id(WORK_PREFIX, text))


def find_circle(tx: Tx, text: str) -> CircleId:
    """One of our circles, by id or by its exact name."""
    circles = tx.circles()
    parts = split_text(text)
    if parts is not None and parts[0] == CIRCLE_PREFIX:
        low, high = prefix_range(parts[1])
        found = [circle for circle in circles if low <= circle <= high]
    else:
        found = [circle for circle in circles if circle_name(tx, circle).casefold() == text.strip().casefold()]
    if not found:
        _say_if_waiting(tx, text)
    return CircleId(_one(CIRCLE_PREFIX, text, found, "circle", hint="your circles: p2pnode circle list"))


def _say_if_waiting(tx: Tx, text: str) -> None:
    """A circle in `circle list` is not unknown, even if it has not let one in yet."""
    for one in waiting(tx):
        if text.strip() and (
            one.invite.name.casefold() == text.strip().casefold()
            or id_text(CIRCLE_PREFIX, one.invite.circle).startswith(text)
        ):
            raise NotFoundError(
                f"you are not in {one.invite.name!r} yet: {one.reason}", hint="how it goes: p2pnode circle list"
            )


def circle_name(tx: Tx, circle: CircleId) -> str:
    """The name in the charter; empty while the charter has not arrived."""
    record = tx.record(RecordId(circle))
    return Charter.of(record).name if record else ""


def find_question(tx: Tx, text: str) -> QuestionId:
    """A question that somebody proposed in one of our circles."""
    low, high = _range(QUESTION_PREFIX, text, "a proposal", "p2pnode proposals")
    found = [*tx.find_targets(low, high, kinds=[PROPOSAL]), *inherited_targets(tx, low, high, PROPOSAL)]
    return QuestionId(_one(QUESTION_PREFIX, text, found, "proposal", hint="open ones: p2pnode circle show CIRCLE"))


def find_key(tx: Tx, text: str) -> PublicKey:
    """A key: whole, or shortened if somebody vouched for it here."""
    parts = split_text(text)
    if parts is not None and parts[0] == KEY_PREFIX and len(parts[1]) == TEXT_CHARACTERS:
        return PublicKey(parse_id(KEY_PREFIX, text))
    low, high = _range(KEY_PREFIX, text, "a key", "p2pnode circle show CIRCLE")
    found = [*tx.find_targets(low, high, kinds=[VOUCH]), *inherited_targets(tx, low, high, VOUCH)]
    return PublicKey(
        _one(KEY_PREFIX, text, found, "key", hint="give the whole key; they see it with: p2pnode identity show")
    )


def _range(prefix: str, text: str, what: str, where: str) -> tuple[bytes, bytes]:
    parts = split_text(text)
    if parts is None or parts[0] != prefix:
        raise UsageError(
            f"{text!r} is not {what}",
            hint=f"it looks like {prefix}-abcdef..., whole or from six characters on; find it with: {where}",
        )
    return prefix_range(parts[1])


def _one(prefix: str, text: str, found: Sequence[bytes], what: str, *, hint: str) -> bytes:
    distinct = list(dict.fromkeys(found))
    if not distinct:
        raise NotFoundError(f"no {what} {text!r} is known here", hint=hint)
    if len(distinct) > 1:
        listed = ", ".join(id_text(prefix, value)[:16] for value in distinct[:SHOWN_CHOICES])
        raise AmbiguousError(f"{text!r} fits {len(distinct)} of them: {listed}")
    return distinct[0]
