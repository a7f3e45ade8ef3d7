"""One pair of homes and a relay: how they come together, and after how long. Run by `test_pairs` and by `scripts/nat_table`."""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.nat.homes import Homes, Met, address_of, settle, together, until
from tests.nat.rules import IPV6, MAPPING, Kind
from tests.nat.street import Site, Street
from tests.support.daemons import RealDaemon

ROUND_TRIP_MS = 80.0
"""Between two homes, and to the relay: two towns."""
PATIENCE_S = 150.0
"""Three rounds, a call alone and a mapping take 30 s; the rest is for a machine that is busy with other things."""
MAPPED_S = 15.0
"""For a node behind a router that maps ports, or lets everybody in, to find that out."""
STAYS = "the relay stays between"


@dataclass(frozen=True)
class Pair:
    """Who calls whom."""

    caller: Kind
    called: Kind

    def __str__(self) -> str:
        return f"{self.caller} to {self.called}"


def all_pairs() -> Iterator[Pair]:
    """Every kind with every kind, each pair once; those with IPv6 only where the other end has it too: else they are symmetric ones."""
    pairs = itertools.starmap(Pair, itertools.combinations_with_replacement(Kind, 2))
    return (pair for pair in pairs if pair.called not in IPV6 or pair.caller in (Kind.PUBLIC, *IPV6))


def meet(pair: Pair, *, round_trip_ms: float = ROUND_TRIP_MS, patience_s: float = PATIENCE_S) -> Met:
    """Make the pair and a relay anew and let the one call the other."""
    with Street(round_trip_ms) as net, tempfile.TemporaryDirectory() as folder, Homes(net, Path(folder)) as homes:
        third, left, right = net.site(Kind.PUBLIC), net.site(pair.caller), net.site(pair.called)
        relay = homes.daemon("relay", third, relays=True)
        known = (address_of(relay, third),)
        called, caller = together(
            lambda: homes.daemon("called", right, bootstrap=known),
            lambda: homes.daemon("caller", left, bootstrap=known),
        )
        address = where(called, right)
        begun = time.monotonic()
        until(lambda: not caller.run("peers", "connect", address, check=False).returncode, "the call is answered")

        def over() -> bool:
            return STAYS in caller.log + called.log

        met = settle(caller, called, patience_s=patience_s, begun=begun, over=over)
        if met.way == "direct" and set(MAPPING) & set(pair_of_mapped(pair, address)):
            return Met("mapped", met.first_s, met.settled_s)
        return met


def pair_of_mapped(pair: Pair, address: str) -> tuple[Kind, ...]:
    """Whose mapping was used: of who was called by it, else of whoever has one."""
    return (pair.called,) if "/p2p-circuit/" not in address else (pair.caller, pair.called)


def where(daemon: RealDaemon, site: Site) -> str:
    """The best address that a daemon tells of itself: a public one if it has one, or soon will, else one through a relay."""
    begun = time.monotonic()
    expected = site.kind in (Kind.PUBLIC, Kind.FULL_CONE, Kind.IPV6_OPEN, *MAPPING)

    def found() -> str | None:
        status = daemon.json("status")
        told = status["addresses"]
        reached = site.kind not in IPV6 or "IPv6" in status["reach"]["reached_by"]
        own = (f"/{site.address6 if site.kind in IPV6 else site.address}/",) if reached else ()
        direct = [
            one
            for one in told
            if one.startswith(tuple(f"/ip{n}{o}" for n in (4, 6) for o in own)) and "/p2p-circuit/" not in one
        ]
        circuits = [one for one in told if "/p2p-circuit/" in one]
        late = time.monotonic() - begun > MAPPED_S
        best = direct or (circuits if not expected or late else [])
        return str(best[0]) if best else None

    return str(until(found, "an address to be called at"))


def main(arguments: Sequence[str]) -> int:
    """Print the table, of all pairs or of those whose words contain an argument. 1 if a pair did not come together."""
    pairs = [pair for pair in all_pairs() if not arguments or any(word in str(pair) for word in arguments)]
    print("| who calls | who is called | how | connected after | so after |")
    print("|---|---|---|---|---|")
    failed = 0
    for pair in pairs:
        try:
            met = meet(pair)
        except AssertionError as error:
            failed += 1
            print(f"| {pair.caller} | {pair.called} | failed | | |", flush=True)
            print(f"{pair}: {error}", file=sys.stderr)
            continue
        print(
            f"| {pair.caller} | {pair.called} | {met.way} | {met.first_s:.1f} s | {met.settled_s:.1f} s |", flush=True
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
