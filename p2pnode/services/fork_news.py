"""Forks of our circles that others founded: heard of by the parent's ordinary sync, told once, and joined by their id or ignored.

Who is a member of the parent and comes along in what the fork inherits needs no invite: the vouches are there, and everybody has the
same name in both. Called by `services.circles` and `services.following`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from p2pnode.core.concerns import Concern
from p2pnode.core.fork_word import ForkWord, comes_along, word_of
from p2pnode.core.ids import CIRCLE_PREFIX, KEY_PREFIX, CircleId, PeerId, PublicKey, id_text
from p2pnode.core.record import FORK
from p2pnode.core.records import encode_signed
from p2pnode.core.verdict import CircleView
from p2pnode.errors import AmbiguousError, DecodeError, NotFoundError, RefusedError
from p2pnode.ports import Json, Store, Tx, WallClock
from p2pnode.services.admission import Admission
from p2pnode.services.forking import refuse_second_name
from p2pnode.services.kin import is_kin
from p2pnode.services.newcomers import expect_welcome
from p2pnode.services.views import Views

MAX_FORKS_TOLD = 20
"""Of one circle, the newest: a member can sign 64 such records, and nobody chooses among more."""
MAX_WORDS_READ = 500
"""Of one circle at a time, the newest: each costs two signatures, a tenth of a second in all."""
SOURCE = PeerId("fork")
"""Where the door is told that a first charter came from; no peer has such an ID."""
TOLD_PREFIX = "fork-told/"


class ForkNews:
    """What one node knows of forks that it is not in."""

    def __init__(self, store: Store, admission: Admission, views: Views, clock: WallClock) -> None:
        self._store, self._admission, self._views, self._clock = store, admission, views, clock

    async def of(self, circle: CircleId) -> list[Json]:
        """Forks of a circle of ours that this node is not in, the newest first. For `circle show`."""
        words = await self._store.read(lambda tx: _words(tx, circle))
        return await self._views.ask(circle, lambda view: [_told(view, word) for word in _of_members(view, words)])

    async def join(self, text: str) -> Json:
        """Be in a fork that we heard of. The answer of `circle join`. NotFoundError, AmbiguousError, RefusedError."""
        word = await self._store.read(lambda tx: _find(tx, text))
        now = self._clock()

        def write(tx: Tx) -> None:
            refuse_second_name(tx, word.charter.name)
            if not is_kin(tx, word.charter):
                raise RefusedError("it says that it was forked from a circle of yours, and is no fork of it")
            tx.add_circle(word.fork, word.charter.salt, now)
            expect_welcome(tx, word.fork)

        await self._store.write(write)
        await self._admission.admit([encode_signed(word.genesis)], word.fork, SOURCE)
        return {
            "circle": id_text(CIRCLE_PREFIX, word.fork),
            "name": word.charter.name,
            "state": "joined",
            "reason": "what it inherits comes from others who are in it",
        }


async def new_forks(store: Store, views: Views, circle: CircleId, me: PublicKey) -> list[Concern]:
    """Forks of a circle that we were not told of yet, the oldest first; the notice that is kept marks them as told."""
    words = await store.read(lambda tx: _words(tx, circle, only_new=True))
    if not words:
        return []

    def concerning(view: CircleView) -> list[Concern]:
        found = [word for word in reversed(_of_members(view, words)) if word.founder != me]
        return [
            Concern("forked", key=word.founder, fork=word.fork, what=(word.charter.name, fork_text(view, word)))
            for word in found
        ]

    return await views.ask(circle, concerning)


def fork_text(view: CircleView, word: ForkWord) -> str:
    """The notice, with the command."""
    count, founder = comes_along(view, word.charter), id_text(KEY_PREFIX, word.founder)[:10]
    day = time.strftime("%Y-%m-%d", time.gmtime(word.created))
    return (
        f"{founder} forked this circle into “{word.charter.name}”, cut on {day}; {count} of {len(view.members)} members would be in it."
        f" Come along with: p2pnode circle join {id_text(CIRCLE_PREFIX, word.fork)[:12]}, or ignore it."
    )


def note_told(tx: Tx, fork: CircleId) -> None:
    """Inside the transaction that keeps the notice."""
    tx.set_meta(TOLD_PREFIX + fork.hex(), b"1")


def _is_told(tx: Tx, fork: CircleId) -> bool:
    return tx.get_meta(TOLD_PREFIX + fork.hex()) is not None


def _words(tx: Tx, circle: CircleId, *, only_new: bool = False) -> list[ForkWord]:
    """Of forks that we are not in, or were not even told of, each once, the newest first."""
    known, salt, found = set(tx.circles()), tx.circle_salt(circle), dict[CircleId, ForkWord]()
    held = (record for record in tx.records(circle, kinds=(FORK,)) if CircleId(record.target) not in known)
    new = [record for record in held if not (only_new and _is_told(tx, CircleId(record.target)))]
    for record in sorted(new, key=lambda one: one.created, reverse=True)[:MAX_WORDS_READ]:
        try:
            word = word_of(record)
        except DecodeError:
            continue
        if word.charter.salt == salt:
            found.setdefault(word.fork, word)
    return sorted(found.values(), key=lambda word: (word.created, word.fork), reverse=True)


def _of_members(view: CircleView, words: Sequence[ForkWord]) -> list[ForkWord]:
    return [word for word in words if view.is_member(word.founder)][:MAX_FORKS_TOLD]


def _told(view: CircleView, word: ForkWord) -> Json:
    return {
        "circle": id_text(CIRCLE_PREFIX, word.fork),
        "name": word.charter.name,
        "by": id_text(KEY_PREFIX, word.founder),
        "created": word.created,
        "stewards": len(word.charter.stewards),
        "members": comes_along(view, word.charter),
    }


def _find(tx: Tx, text: str) -> ForkWord:
    found = {
        word.fork: word
        for circle in tx.circles()
        for word in _words(tx, circle)
        if id_text(CIRCLE_PREFIX, word.fork).startswith(text.strip().lower())
    }
    if not found:
        if any(id_text(CIRCLE_PREFIX, circle).startswith(text.strip().lower()) for circle in tx.circles()):
            raise RefusedError("you are in that circle already", hint="your circles: p2pnode circle list")
        raise NotFoundError(
            f"no fork {text[:16]!r} of a circle of yours is known here",
            hint="circles are joined with an invite, which a member makes: p2pnode circle invite CIRCLE;"
            " only forks by their id, which p2pnode circle show names",
        )
    if len(found) > 1:
        raise AmbiguousError(f"{len(found)} forks begin with {text[:16]!r}", hint="give more of its id")
    return next(iter(found.values()))
