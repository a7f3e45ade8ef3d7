"""What changes while nodes run: a relay dies, a node is carried to another router."""

from __future__ import annotations

import itertools
import subprocess
from functools import partial
from pathlib import Path

import pytest

from tests.nat import street
from tests.nat.homes import Homes, address_of, circuit_of, together, until, way_to
from tests.nat.rules import Kind
from tests.nat.street import Street
from tests.support.daemons import RealDaemon

pytestmark = [pytest.mark.network, pytest.mark.long]


def circuits(daemon: RealDaemon) -> list[str]:
    return [one for one in daemon.json("status")["addresses"] if "/p2p-circuit/" in one]


def test_a_pair_comes_back_by_another_relay_when_theirs_dies(tmp_path: Path) -> None:
    """Behind these routers there is no way but a relay."""
    street.needed()
    with Street() as net, Homes(net, tmp_path) as homes:
        places = [net.site(Kind.PUBLIC) for _ in range(2)]
        relays = together(*(partial(homes.daemon, f"relay{n}", place, relays=True) for n, place in enumerate(places)))
        known = tuple(address_of(relay, place) for relay, place in zip(relays, places, strict=True))
        sites = net.site(Kind.SYMMETRIC), net.site(Kind.PORT_RESTRICTED)
        left, right = together(
            *(partial(homes.daemon, f"home{n}", site, bootstrap=known) for n, site in enumerate(sites))
        )
        for relay, one in itertools.product(relays, (left, right)):
            until(lambda relay=relay, one=one: relay.peer_id in " ".join(circuits(one)), "places at both relays")  # type: ignore[misc]
        through = next(one for one in circuits(right) if relays[0].peer_id in one)
        left.run("peers", "connect", through)
        assert way_to(left, right) == "relayed"

        relays[0].kill()
        until(lambda: all(relays[0].peer_id not in one for one in circuits(right)), "the place is known to be lost")
        until(lambda: way_to(left, right) == "relayed", "the pair is together again")
        other = next(one for one in left.lines("peers") if one["peer_id"] == right.peer_id)
        assert any(relays[1].peer_id in address for address in other["addresses"])

        relays[1].kill()
        until(lambda: not left.lines("peers"), "nobody is left")
        assert left.json("status")["reachability"], "it says what it is"


def test_a_node_that_is_carried_to_another_router_is_found_there(tmp_path: Path) -> None:
    """Nothing is restarted: laptops are carried about."""
    street.needed()
    with Street() as net, Homes(net, tmp_path) as homes:
        third = net.site(Kind.PUBLIC)
        relay = homes.daemon("relay", third, relays=True)
        known = (address_of(relay, third),)
        house, cafe, far = (net.site(Kind.PORT_RESTRICTED) for _ in range(3))
        laptop, server = together(
            partial(homes.daemon, "laptop", house, bootstrap=known),
            partial(homes.daemon, "server", far, bootstrap=known),
        )
        server.run("peers", "connect", circuit_of(laptop))
        until(lambda: way_to(server, laptop) == "punched", "a hole is punched")

        net.move(house, cafe)
        pid = laptop.process.pid if laptop.process else 0
        until(lambda: cafe.address in seen_at(relay, laptop), "the relay sees it at the other router")
        until(lambda: way_to(server, laptop) == "punched", "a hole is punched to where it is now")
        assert laptop.process is not None and laptop.process.pid == pid


def seen_at(relay: RealDaemon, other: RealDaemon) -> str:
    """The kernel's list of connections where the relay is, if it counts the other among its peers."""
    if not way_to(relay, other):
        return ""
    command = [*relay.within, "ss", "-tnH", "state", "established"]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
