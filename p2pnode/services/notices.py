"""What concerns this person, kept until it is read: decisions on what they asked, verdicts on works they hold, who vouches for them.

Made from two views of a circle whenever its records change (`services.following`), at most MAX_NOTICES of them, the oldest go first.
Nothing here leaves the node. Read through the control socket.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from p2pnode.core.concerns import Concern
from p2pnode.core.ids import (
    CIRCLE_PREFIX,
    KEY_PREFIX,
    QUESTION_PREFIX,
    WORK_PREFIX,
    CircleId,
    id_text,
)
from p2pnode.ports import Emit, Json, Store, Tx, WallClock
from p2pnode.services.fork_news import note_told
from p2pnode.services.newcomers import forget_newcomer

MAX_NOTICES = 500
"""Kept at a time: months of an active circle; who never reads them loses the oldest."""
PREFIX = "notice/"
SHORT_KEY_CHARACTERS = 10
"""Of a key in a sentence, as the screens show it; the notice has all of it beside."""
WORDS = {
    "member": "You are a member of this circle now.",
    "not_member": "No chain of vouches makes you a member of this circle any more: ask a member to vouch for you.",
    "expelled": "The circle has expelled you.",
    "steward": "You are a steward of this circle now.",
    "rules": "The circle's rules have changed.",
    "vouched": "A member vouches for you.",
    "unvouched": "A member's vouch for you is gone.",
    "decided": "What you proposed is adopted.",
    "undone": "What you proposed is adopted no more.",
    "called": "A proposal calls you to look at it.",
    "one_voucher": "Only one member vouches for you: ask a second one, or you drop out when that vouch goes.",
    "parted": "The circle parts: more than one future of the same rules was adopted or sealed.",
    "two_faced": "A steward sealed more than one future of the same rules: those seals are void.",
    "grown": "The circle has a dozen members and rules for a few: a steward can propose the rules for a grown circle.",
}


class Notices:
    """The notices of one node."""

    def __init__(self, store: Store, clock: WallClock, emit: Emit) -> None:
        self._store, self._clock, self._emit = store, clock, emit

    async def keep(self, circle: CircleId, name: str, found: Sequence[Concern]) -> None:
        """Note what concerns us in a circle of that name, and tell it."""
        now = int(self._clock())
        for notice in await self._store.write(lambda tx: _keep(tx, circle, name, found[-MAX_NOTICES:], now)):
            self._emit("notice.added", notice)

    async def list(self) -> Json:
        """The notices that were not taken away yet, newest first. The answer of `notices`."""
        kept = await self._store.read(lambda tx: tx.meta_with_prefix(PREFIX))
        return {"items": [json.loads(value) for _, value in reversed(kept)]}

    async def clear(self) -> Json:
        """Take all of them away."""

        def write(tx: Tx) -> int:
            held = tx.meta_with_prefix(PREFIX)
            for name, _ in held:
                tx.set_meta(name, None)
            return len(held)

        return {"cleared": await self._store.write(write)}


def _keep(tx: Tx, circle: CircleId, name: str, found: Sequence[Concern], now: int) -> list[Json]:
    held = [key for key, _ in tx.meta_with_prefix(PREFIX)]
    number = int(held[-1].removeprefix(PREFIX)) + 1 if held else 0
    told = [_told(tx, circle, name, concern, now) for concern in found]
    for concern in found:
        if concern.kind == "member":
            forget_newcomer(tx, circle)
        elif concern.fork is not None:
            note_told(tx, concern.fork)
    for offset, notice in enumerate(told):
        tx.set_meta(f"{PREFIX}{number + offset:016d}", json.dumps(notice).encode())
    for key in held[: max(0, len(held) + len(told) - MAX_NOTICES)]:
        tx.set_meta(key, None)
    return told


def _told(tx: Tx, circle: CircleId, name: str, concern: Concern, now: int) -> Json:
    notice: Json = {"kind": concern.kind, "circle": id_text(CIRCLE_PREFIX, circle), "circle_name": name, "at": now}
    before, after = (word.replace("_", " ") for word in concern.what)
    notice["text"] = WORDS.get(concern.kind) or f"The circle now says {after} of this work; it said {before}."
    if concern.kind == "member" and concern.key is not None:
        short = id_text(KEY_PREFIX, concern.key)[:SHORT_KEY_CHARACTERS]
        notice["text"] = f"You are a member of this circle now: {short} vouches for you."
    if concern.fork is not None:
        notice |= {"text": concern.what[1], "fork": id_text(CIRCLE_PREFIX, concern.fork), "fork_name": concern.what[0]}
    if concern.question is not None:
        notice["proposal"] = id_text(QUESTION_PREFIX, concern.question)
    if concern.key is not None:
        notice["key"] = id_text(KEY_PREFIX, concern.key)
    if concern.work is not None:
        row = tx.work(concern.work)
        notice |= {"work": id_text(WORK_PREFIX, concern.work), "title": row.title if row else ""}
    return notice
