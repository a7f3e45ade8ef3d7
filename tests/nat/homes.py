"""Real daemons on the street: one in a home, one that everybody reaches and that relays, and what they say of each other."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.nat.street import Site, Street
from tests.support.daemons import RealDaemon, wait_until

DEADLINE_S = 240.0


class Homes:
    """Daemons that end before their street does."""

    def __init__(self, net: Street, folder: Path) -> None:
        self._net = net
        self._folder = folder
        self._stack = ExitStack()

    def __enter__(self) -> Homes:
        return self

    def __exit__(self, *failure: object) -> None:
        self._stack.close()

    def daemon(
        self,
        name: str,
        site: Site,
        *,
        number: int = 0,
        bootstrap: tuple[str, ...] = (),
        relays: bool = False,
        lan: bool = False,
    ) -> RealDaemon:
        """A daemon on a host of a site, running."""
        within = self._net.within(site, number)
        one = RealDaemon(self._folder / name, listen=None, within=within, bootstrap=bootstrap, lan=lan)
        if relays:
            one.environment["P2PNODE_RELAY_SERVE"] = "true"
        one.start()
        self._stack.callback(_end, one)
        return one


def together(*starts: Callable[[], RealDaemon]) -> list[RealDaemon]:
    """Daemons that start at the same time."""
    with ThreadPoolExecutor(len(starts)) as pool:
        return [one.result() for one in [pool.submit(start) for start in starts]]


def _end(daemon: RealDaemon) -> None:
    if daemon.process is not None:
        daemon.kill()


def address_of(daemon: RealDaemon, site: Site) -> str:
    """Where a public daemon is found."""
    return next(address for address in daemon.addresses if f"/{site.address}/" in address)


def circuit_of(daemon: RealDaemon) -> str:
    """Its first address through a relay, once it has one."""

    def circuit() -> str | None:
        return next((one for one in daemon.json("status")["addresses"] if "/p2p-circuit/" in one), None)

    return str(wait_until(circuit, what="a place at a relay", timeout_s=DEADLINE_S))


def way_to(daemon: RealDaemon, other: RealDaemon) -> str:
    """How a daemon is connected to another: direct, punched, relayed; "" if it is not."""
    found = [peer for peer in daemon.lines("peers") if peer["peer_id"] == other.peer_id]
    return str(found[0]["way"]) if found else ""


@dataclass(frozen=True)
class Met:
    """How two daemons came together: `way`, and after how many seconds anything and this way stood."""

    way: str
    first_s: float
    settled_s: float


def settle(daemon: RealDaemon, other: RealDaemon, *, patience_s: float, begun: float, over: Callable[[], bool]) -> Met:
    """Wait until the connection is not relayed, or until that is not to be expected any more: `over`, or out of patience."""
    first_s = 0.0
    while True:
        way, now = way_to(daemon, other), time.monotonic() - begun
        if way and not first_s:
            first_s = now
        if way in ("direct", "punched") or now > patience_s or (way and over()):
            return Met(way, first_s, now)
        time.sleep(0.1)


def until(condition: Callable[[], Any], what: str) -> Any:
    """As `wait_until`, with the laboratory's deadline."""
    return wait_until(condition, what=what, timeout_s=DEADLINE_S)
