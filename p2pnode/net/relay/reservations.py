"""Our own places at relays: asked for, renewed before they end, given up when the relay is gone; and the addresses that follow.

`candidates` says where places may be asked for, best first; at most RELAYS_WANTED are held at once. Run by `relaying`.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable, Container, Sequence
from dataclasses import dataclass

import trio

from p2pnode.core.ids import PeerId
from p2pnode.errors import P2pnodeError
from p2pnode.net.addresses import is_circuit, usable
from p2pnode.net.relay.messages import Reservation
from p2pnode.ports import WallClock

log = logging.getLogger("p2pnode.net")

RELAYS_WANTED = 2
"""Places held: one that dies leaves another."""
ADDRESSES_PER_RELAY = 2
"""Circuit addresses told of one relay (IPv4 and IPv6): half of what peers keep of us stays for direct ones."""
LEAST_LIFE_S, LONGEST_LIFE_S = 60.0, 24 * 3600.0
"""A place's life is believed within these: a relay whose clock is wrong must neither be asked all the time nor never again."""
FIRST_RETRY_S, LAST_RETRY_S = 10.0, 600.0
"""Back-off of a relay that said no, doubling."""
ROUND_S = 1.0


@dataclass(frozen=True, slots=True)
class _Held:
    addresses: tuple[str, ...]
    renew_at: float
    ends_at: float


Candidates = Callable[[], Sequence[tuple[PeerId, str]]]
Reserve = Callable[[PeerId, str], Awaitable[Reservation]]


class Reservations:
    """Times in here are trio's; only what a relay says is wall-clock time. `changed` is called when our addresses change."""

    def __init__(self, candidates: Candidates, reserve: Reserve, changed: Callable[[], None], clock: WallClock) -> None:
        self._candidates = candidates
        self._reserve = reserve
        self._changed = changed
        self._clock = clock
        self._held: dict[PeerId, _Held] = {}
        self._retry: dict[PeerId, tuple[float, float]] = {}

    @property
    def relays(self) -> list[PeerId]:
        """Where we hold a place."""
        return list(self._held)

    @property
    def addresses(self) -> list[str]:
        """Where we can be reached through relays, without /p2p at the end."""
        return [address for held in self._held.values() for address in held.addresses]

    def hurry(self) -> None:
        """Ask again at once where we were refused."""
        self._retry.clear()

    def let_go(self, but: Container[PeerId]) -> None:
        """We are reached without them: only these are kept. The relay keeps the place until its time is over."""
        before = len(self._held)
        self._held = {relay: held for relay, held in self._held.items() if relay in but}
        if len(self._held) < before:
            self._changed()

    def gone(self, relay: PeerId) -> None:
        """The last connection to a relay went, and with it our place."""
        if self._held.pop(relay, None) is not None:
            log.info("the place at the relay %s is lost with the connection", relay)
            self._changed()

    async def run(self) -> None:
        """For ever."""
        while True:
            for relay, address in self._due():
                await self._try(relay, address)
            await trio.sleep(ROUND_S * random.uniform(0.8, 1.2))

    def _due(self) -> list[tuple[PeerId, str]]:
        now = trio.current_time()
        for relay in [relay for relay, held in self._held.items() if held.ends_at <= now]:
            self.gone(relay)
        self._retry = {relay: entry for relay, entry in self._retry.items() if entry[0] + LAST_RETRY_S > now}
        candidates = list(self._candidates())
        wanted = {relay for relay, _ in candidates}  # who is reached without them lets them go
        renewals = [(relay, "") for relay, held in self._held.items() if held.renew_at <= now and relay in wanted]
        new = [
            (relay, address)
            for relay, address in candidates
            if relay not in self._held and self._retry.get(relay, (0.0, 0.0))[0] <= now
        ]
        return renewals + new[: max(0, RELAYS_WANTED - len(self._held))]

    async def _try(self, relay: PeerId, address: str) -> None:
        try:
            given = await self._reserve(relay, address)
        except P2pnodeError as error:
            pause = min(LAST_RETRY_S, 2 * self._retry.get(relay, (0.0, FIRST_RETRY_S / 2))[1])
            now = trio.current_time()
            self._retry[relay] = (now + pause * random.uniform(0.8, 1.2), pause)
            if relay in self._held:
                held = self._held[relay]
                self._held[relay] = _Held(held.addresses, min(held.ends_at, now + FIRST_RETRY_S), held.ends_at)
            log.info("no place at the relay %s: %s", relay, error.message)
            return
        self._retry.pop(relay, None)
        self._keep(relay, address, given)

    def _keep(self, relay: PeerId, address: str, given: Reservation) -> None:
        now = trio.current_time()
        before = self._held.get(relay)
        life = min(LONGEST_LIFE_S, max(LEAST_LIFE_S, given.expires - self._clock()))
        direct = [where for where in usable([address, *given.addresses]) if not is_circuit(where)]
        circuits = tuple(f"{where}/p2p/{relay}/p2p-circuit" for where in direct[:ADDRESSES_PER_RELAY])
        if before is not None:
            circuits = before.addresses or circuits
        self._held[relay] = _Held(circuits, now + life / 2, now + life)
        if before is None:
            log.info("a place at the relay %s for %.0f s", relay, life)
            self._changed()
