"""Two devices with one identity that signed apart: a void register of ours is signed again by one of them, and by one only.

Two ballots (or vouches) of one author with one number void each other everywhere (`core.registers`). Whoever sees a void of his own waits
1-60 s at random, reads again, and only if it is still void signs what was said last, under a higher number. Another device that
waits longer then finds it mended. Where both were too quick it is void once more, and they wait again. Called by the node.
"""

from __future__ import annotations

import logging
import random
from collections import defaultdict
from collections.abc import Callable

import trio

from p2pnode.core.ids import CircleId, PublicKey, QuestionId
from p2pnode.core.proposals import cast
from p2pnode.core.record import BALLOT, VOUCH, Record
from p2pnode.core.registers import effective
from p2pnode.errors import NotFoundError, P2pnodeError
from p2pnode.ports import Store, Tx, WallClock
from p2pnode.services import vouches
from p2pnode.services.admission import Admission
from p2pnode.services.me import Me

LEAST_WAIT_S, MOST_WAIT_S = 1.0, 60.0
"""Before a void register is read again (protocol, registers): two devices seldom choose the same second of sixty."""
SETTLE_S = 1.0
"""After a change of records, before the look: they come in bursts."""

Register = tuple[str, bytes]
"""(kind, target) among our own records of one circle."""

log = logging.getLogger("p2pnode.devices")


def random_wait_s() -> float:
    """How long this device leaves it to the others."""
    return random.SystemRandom().uniform(LEAST_WAIT_S, MOST_WAIT_S)


class Voids:
    """Void registers of ours, on one node. `may_sign` raises a P2pnodeError on a device that signs nothing in circles."""

    def __init__(
        self,
        store: Store,
        admission: Admission,
        me: Me,
        clock: WallClock,
        may_sign: Callable[[], None],
        wait_s: Callable[[], float] = random_wait_s,
    ) -> None:
        self._store, self._admission, self._me, self._clock = store, admission, me, clock
        self._may_sign, self._wait_s = may_sign, wait_s
        self._changed: set[CircleId] = set()
        self._wake = trio.Event()
        admission.watch(lambda change: self._look_at(change.circle))

    async def run(self) -> None:
        """Look at every circle once, then at each whose records changed; mend one circle at a time."""
        self._changed |= set(await self._store.read(lambda tx: tx.circles()))
        while True:
            if not self._changed:
                self._wake = trio.Event()
                await self._wake.wait()
                await trio.sleep(SETTLE_S)
            circle = self._changed.pop()
            try:
                await self.mend(circle)
            except P2pnodeError as error:
                log.info("a void ballot or vouch was not signed again: %s", error.message)

    async def mend(self, circle: CircleId) -> list[Record]:
        """Wait, read again and sign what is still void in one circle. What was signed. RefusedError where this device signs nothing."""
        if not await self._voids(circle):
            return []
        self._may_sign()
        await trio.sleep(self._wait_s())
        now = self._clock()

        def write(tx: Tx) -> list[Record]:
            return [
                self._sign(tx, circle, pair, now) for pair in find_voids(tx, circle, self._me.key(tx, circle).public)
            ]

        signed = await self._store.write(write)
        if signed:
            log.info("%d ballots or vouches that two devices had signed apart were signed again", len(signed))
            self._admission.changed(circle)
        return signed

    async def _voids(self, circle: CircleId) -> list[tuple[Record, ...]]:
        try:
            return await self._store.read(lambda tx: find_voids(tx, circle, self._me.key(tx, circle).public))
        except NotFoundError:
            return []  # we left it

    def _sign(self, tx: Tx, circle: CircleId, pair: tuple[Record, ...], now: float) -> Record:
        """What was said last; of the same second the smaller id, so that every device chooses alike."""
        said = min(pair, key=lambda record: (-record.created, record.id))
        if said.kind == VOUCH:
            whom, give = PublicKey(said.target), said.fields["choice"] == 1
            return vouches.sign(tx, self._me, self._admission, circle, whom, give=give, now=now)
        key = self._me.key(tx, circle)
        seq, created = tx.next_seq(key.public, now)
        record = cast(
            key,
            circle=circle,
            question=QuestionId(said.target),
            choice=str(said.fields["choice"]),
            reason=str(said.fields["reason"]),
            seq=seq,
            created=created,
        )
        self._admission.admit_own(tx, record, now)
        return record

    def _look_at(self, circle: CircleId) -> None:
        self._changed.add(circle)
        self._wake.set()


def find_voids(tx: Tx, circle: CircleId, author: PublicKey) -> list[tuple[Record, ...]]:
    """The pairs of that author's registers which void each other."""
    registers: dict[Register, list[Record]] = defaultdict(list)
    for record in tx.records(circle, kinds=[BALLOT, VOUCH], author=author):
        registers[record.kind, record.target].append(record)
    return [tuple(held) for held in registers.values() if len(held) > 1 and effective(held) is None]
