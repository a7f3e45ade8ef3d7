"""Vouches of our own: given, taken back, and renewed before they run out.

A vouch says "I know this key to be a distinct person" and holds for the days that the charter names. One durable transaction each;
only a member's vouch carries anything, so a stranger's is refused here rather than signed in vain. Called by `services.circles`.
"""

from __future__ import annotations

import logging

import trio

from p2pnode.core.ids import CIRCLE_PREFIX, RECORD_PREFIX, CircleId, PublicKey, id_text
from p2pnode.core.proposals import vouch
from p2pnode.core.record import VOUCH, Record
from p2pnode.core.records import SECONDS_A_DAY
from p2pnode.core.registers import effective
from p2pnode.errors import NotFoundError, P2pnodeError, UsageError
from p2pnode.ports import Json, Store, Tx, WallClock
from p2pnode.services.admission import Admission
from p2pnode.services.inherited import records_of
from p2pnode.services.me import Me
from p2pnode.services.proposing import refuse_stranger
from p2pnode.services.views import Views

log = logging.getLogger("p2pnode.vouches")

RENEW_PER_MILLE = 822
"""A vouch is renewed after this part of its life: 300 of 365 days, so that two months of absence lose no member."""
RENEW_INTERVAL_S = 86_400.0


class Vouches:
    """Vouching, on one node."""

    def __init__(self, store: Store, admission: Admission, views: Views, me: Me, clock: WallClock) -> None:
        self._store, self._admission, self._views = store, admission, views
        self._me, self._clock = me, clock

    async def give(self, circle: CircleId, whom: PublicKey) -> Json:
        """Vouch for a key; while an earlier vouch is fresh, that one is the answer. RefusedError if we are no member.

        `expelled` tells that it carries nothing yet: the circle would have to readmit the key.
        """
        view = await self._views.of(circle)
        me = await self._store.read(lambda tx: self._me.key(tx, circle).public)
        if whom == me:
            raise UsageError("nobody can vouch for himself")
        refuse_stranger(view, me, "your vouch would carry nobody")
        now, lasts = self._clock(), view.charter.vouch_days

        def write(tx: Tx) -> Record:
            held = standing(tx, self._me, circle, whom)
            if held and not _is_due(held, lasts, now):
                return held
            return sign(tx, self._me, self._admission, circle, whom, give=True, now=now)

        record = await self._store.write(write)
        self._admission.changed(circle)
        return {"record": id_text(RECORD_PREFIX, record.id), "expelled": whom in view.rules.expelled}

    async def revoke(self, circle: CircleId, whom: PublicKey) -> Json:
        """Take a vouch back. NotFoundError if none of ours stands."""
        now = self._clock()

        def write(tx: Tx) -> Record:
            if standing(tx, self._me, circle, whom) is None:
                raise NotFoundError("you have not vouched for that key in this circle")
            return sign(tx, self._me, self._admission, circle, whom, give=False, now=now)

        record = await self._store.write(write)
        self._admission.changed(circle)
        return {"record": id_text(RECORD_PREFIX, record.id)}

    async def renew_forever(self) -> None:
        """At the start and once a day, sign again what is about to run out."""
        while True:
            for circle in await self._store.read(lambda tx: tx.circles()):
                try:
                    await self.renew(circle)
                except P2pnodeError as error:
                    log.info("vouches in %s were not renewed: %s", id_text(CIRCLE_PREFIX, circle)[:10], error.message)
            await trio.sleep(RENEW_INTERVAL_S)

    async def renew(self, circle: CircleId) -> int:
        """Renew what is due in one circle; how many. A vouch that has run out is not revived: it may have been left to."""
        lasts, now = (await self._views.of(circle)).charter.vouch_days, self._clock()

        def write(tx: Tx) -> int:
            key = self._me.key(tx, circle).public
            targets = {PublicKey(record.target) for record in records_of(tx, circle, VOUCH, author=key)}
            held = [record for whom in sorted(targets) if (record := standing(tx, self._me, circle, whom))]
            due = [record for record in held if _is_due(record, lasts, now) and _age_days(record, now) < lasts]
            for record in due:
                sign(tx, self._me, self._admission, circle, PublicKey(record.target), give=True, now=now)
            return len(due)

        renewed = await self._store.write(write)
        if renewed:
            self._admission.changed(circle)
        return renewed


def standing(tx: Tx, me: Me, circle: CircleId, whom: PublicKey) -> Record | None:
    """Our vouch for a key, inherited or not, unless it is revoked or void; it may have run out."""
    held = effective(records_of(tx, circle, VOUCH, author=me.key(tx, circle).public, target=whom))
    return held if held and held.fields["choice"] == 1 else None


def given_here(tx: Tx, me: Me, circle: CircleId, whom: PublicKey) -> Record | None:
    """The same, but signed in this very circle: what a newcomer can check who does not hold yet what the circle inherited."""
    held = standing(tx, me, circle, whom)
    return held if held and held in tx.records(circle, kinds=[VOUCH], author=held.author, target=whom) else None


def sign(tx: Tx, me: Me, admission: Admission, circle: CircleId, whom: PublicKey, *, give: bool, now: float) -> Record:
    """A new vouch (or revocation) of ours, admitted inside the caller's transaction."""
    key = me.key(tx, circle)
    seq, created = tx.next_seq(key.public, now)
    record = vouch(key, circle=circle, whom=whom, give=give, seq=seq, created=created)
    admission.admit_own(tx, record, now)
    return record


def _is_due(record: Record, lasts_days: int, now: float) -> bool:
    return _age_days(record, now) * 1000 >= lasts_days * RENEW_PER_MILLE


def _age_days(record: Record, now: float) -> int:
    return int(now) // SECONDS_A_DAY - record.day
