"""The journey "examine yourself": what is known here, and what a few peers say of this node, turned into findings.

Peers are asked to fetch a random block of our works and to look for one in the DHT (`services.probe`). The last findings are kept, so that
whoever shows them need not examine again. Changes nothing. Called by `node.doctor` and the metrics.
"""

from __future__ import annotations

import math
import random
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

import trio

from p2pnode.config import Settings
from p2pnode.core.cid import Cid
from p2pnode.core.ids import CircleId, PeerId
from p2pnode.core.probe_messages import PROTOCOL, Answer, Ask
from p2pnode.errors import P2pnodeError
from p2pnode.local.machine import descriptors, free_bytes, lingers, runs_as_user_service
from p2pnode.ports import Emit, Json, Network, Reachability, Store, Traffic, Tx, WallClock
from p2pnode.services import doctor_checks as checks
from p2pnode.services.announcing import Share
from p2pnode.services.closed_doors import DOORS, ClosedDoors
from p2pnode.services.doctor_checks import Finding
from p2pnode.services.outbox import PROVIDE, root_key
from p2pnode.services.probe import Probes
from p2pnode.services.reachability import Standing
from p2pnode.services.watching import MAX_WATCHED

PEERS_ASKED = 5
"""Peers that one examination asks: enough that one liar or a slow line does not decide."""
WORKS_LOOKED_AT = 1000
"""Of the public works here, for the random ones: the newest."""
DISK_TIMEOUT_S = 5.0
SAID_ELSEWHERE = ("peers", "reach")
LOOK_S = 600.0
"""Between two looks at what is here that nobody asked for."""
SHARE_TIMEOUT_S = 60.0
"""For looking for a sample of our keys in the DHT."""
OUTBOX_LOOKED_AT = 10_000
"""Items of the outbox that are counted."""


class Announced(Protocol):
    """What is asked of `services.announcing`."""

    keys: int
    left: int

    @property
    def next_s(self) -> float | None: ...

    async def share(self) -> Share: ...


class Synced(Protocol):
    """What is asked of `services.sync`."""

    def last_sync(self, circle: CircleId) -> float | None: ...


class Doctor:
    """Examines one node."""

    def __init__(
        self,
        store: Store,
        network: Network,
        clock: WallClock,
        *,
        traffic: Traffic,
        sync: Synced,
        announced: Announced,
        standing: Callable[[], tuple[Reachability, Standing]],
        dialled_back: Callable[[], Awaitable[int]],
        watched: Callable[[], int],
        library: str,
        settings: Settings,
    ) -> None:
        self._store, self._network, self._clock = store, network, clock
        self._traffic, self._sync, self._watched = traffic, sync, watched
        self._announced, self._standing = announced, standing
        self._dialled_back = dialled_back
        self._library, self._settings = library, settings
        self.probes = Probes(network, clock, traffic)
        self.doors = ClosedDoors()
        self.last: tuple[Finding, ...] = ()
        self.last_at: float | None = None
        self._here_now: tuple[Finding, ...] = ()

    async def run(self) -> None:
        """Look at what is here now and then, for ever, so that `health` is known; no peer is asked without a person's wish."""
        while True:
            await trio.sleep(LOOK_S)
            self._here_now = tuple(await self._here())

    def health(self) -> Finding | None:
        """What the last looks found to be bad, beside what `reachability` says anyway; None: nothing is known to be."""
        asked = {finding.check: finding for finding in (*self.last, *self._here_now) if finding.check not in DOORS}
        now = [*asked.values(), *self.doors.findings()]
        return next((one for one in now if one.state == "bad" and one.check not in SAID_ELSEWHERE), None)

    async def examine(self, emit: Emit, *, ask: bool = True) -> tuple[Finding, ...]:
        """Everything, in the order in which a person reads it; `ask` False asks no peer. Each finding is an event, too."""
        if ask:
            await self._dialled_back()  # so that what is said of being reached is true now
        self._here_now = tuple(await self._here())
        found = [*self._here_now, *(await self._outside() if ask else ())]
        for finding in found:
            emit("doctor.finding", finding_json(finding))
        if ask:
            self.last, self.last_at = tuple(found), self._clock()
        return tuple(found)

    async def _here(self) -> list[Finding]:
        """What this node knows by itself."""
        peers, numbers = self._network.peers(), self._network.numbers()
        stored, damaged, waiting, circles = await self._store.read(_read)
        now = self._clock()
        lags = [None if at is None else max(0.0, now - at) for at in map(self._sync.last_sync, circles)]
        free = await self.free_bytes()
        tried = sum(attempts > 0 for attempts in waiting)
        linger = checks.check_linger(runs_as_user_service(), lingers())
        return [
            checks.check_peers(len(peers), lan=self._settings.lan, bootstrap=len(self._settings.bootstrap)),
            checks.check_ports(self._network.addresses()),
            checks.check_reach(*self._standing()),
            checks.check_dht(numbers.dht_peers, len(peers)),
            checks.check_announcing(len(waiting), tried, more=len(waiting) >= OUTBOX_LOOKED_AT),
            checks.check_round(self._announced.keys, self._announced.left, self._announced.next_s),
            checks.check_sync(lags),
            checks.check_disk(free, self._settings.floor_bytes, stored, self._settings.quota_bytes),
            checks.check_damage(damaged),
            checks.check_descriptors(descriptors()),
            checks.check_watches(self._watched(), MAX_WATCHED),
            checks.check_limits(self._traffic.waiting_reason()),
            *([linger] if linger is not None else []),
            *self.doors.findings(),
        ]

    async def free_bytes(self) -> int | None:
        """Of the library's disk; None if it is away or does not answer: a dead mount must not hold anybody up."""

        def look() -> int | None:
            return self._store.free_bytes() or (None if free_bytes(self._library) else 0)

        with trio.move_on_after(DISK_TIMEOUT_S):
            # libp2p brings stubs of an older trio, in which this argument had another name
            return await trio.to_thread.run_sync(look, abandon_on_cancel=True)  # type: ignore[call-arg]
        return None

    async def _outside(self) -> list[Finding]:
        """What others say of it."""
        speakers = [peer.peer for peer in self._network.peers() if PROTOCOL in peer.protocols]
        asked = random.sample(speakers, min(PEERS_ASKED, len(speakers)))
        samples = await self._store.read(lambda tx: _samples(tx, max(1, len(asked))))
        answers: list[Answer] = []
        offsets: list[float] = []
        shares: list[Share] = []
        async with trio.open_nursery() as nursery:
            for at, peer in enumerate(asked):
                ask = samples[at % len(samples)] if samples else Ask()
                nursery.start_soon(self._ask, peer, ask, answers, offsets)
            with trio.move_on_after(SHARE_TIMEOUT_S):
                shares.append(await self._announced.share())
        return [
            checks.check_read_back(answers, len(asked), len(samples)),
            checks.check_found(answers, len(samples)),
            checks.check_share(shares[0] if shares else None),
            checks.check_clock(offsets),
        ]

    async def _ask(self, peer: PeerId, ask: Ask, answers: list[Answer], offsets: list[float]) -> None:
        """A peer that does not answer says nothing of us."""
        try:
            answer = await self.probes.ask(peer, ask)
        except P2pnodeError:
            return
        offsets.append(answer.time_ms / 1000 - self._clock())
        answers.append(answer)


def worst(findings: Iterable[Finding]) -> str:
    """The gravest state among them: good, note or bad."""
    states = {finding.state for finding in findings}
    return next((state for state in ("bad", "note") if state in states), "good")


def finding_json(finding: Finding) -> Json:
    """As the control socket carries it."""
    return {"check": finding.check, "state": finding.state, "words": finding.words, "hint": finding.hint}


def _read(tx: Tx) -> tuple[int, int, list[int], list[CircleId]]:
    """Bytes stored, damaged contents, attempts of each item that waits to be announced, circles."""
    waiting = [item.attempts for item in tx.due_outbox(math.inf, OUTBOX_LOOKED_AT) if item.kind == PROVIDE]
    return tx.stored_bytes(), len(tx.damaged_roots()), waiting, tx.circles()


def _samples(tx: Tx, count: int) -> list[Ask]:
    """Random leaves of random public works that are whole, our own before what we keep."""
    works = [work for work in tx.works(states=("own",), limit=WORKS_LOOKED_AT) if not work.private]
    works = works or [work for work in tx.works(states=("kept",), limit=WORKS_LOOKED_AT) if not work.private]
    asks: list[Ask] = []
    for work in random.sample(works, min(count, len(works))):
        leaf = _leaf(tx, work.root)
        if leaf is not None:
            asks.append(Ask(work.root, leaf, root_key(work.root)))
    return asks


def _leaf(tx: Tx, root: Cid) -> Cid | None:
    content = tx.content(root)
    if content is None or not content.public or content.state != "complete":
        return None
    return next(iter(tx.sample(root, 1)), None)
