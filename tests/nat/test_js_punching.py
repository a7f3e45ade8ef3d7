"""Hole punching against js-libp2p (`@libp2p/dcutr`), behind routers: either side asks, either side is asked.

js-libp2p calls from any port, so that openings never cross: each test has one side that can be reached, and lets the protocol find it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.interop.js_node import JsNode
from tests.nat import street
from tests.nat.homes import Homes, address_of, circuit_of, until
from tests.nat.rules import Kind
from tests.nat.street import Site, Street
from tests.support.daemons import RealDaemon

pytestmark = [pytest.mark.network, pytest.mark.foreign]

PORT = 4001


@contextmanager
def js_at(net: Street, site: Site, folder: Path) -> Iterator[JsNode]:
    """js-libp2p on a host, which says that it is found at its router's address. Its DHT is another: ours must not tell us that."""
    listen, announce = f"/ip4/0.0.0.0/tcp/{PORT}", f"/ip4/{site.address}/tcp/{PORT}"
    node = JsNode(
        folder, "/test/kad/1.0.0", street={"listen": [listen], "announce": [announce]}, within=net.within(site)
    )
    try:
        yield node
    finally:
        node.close()


def direct_to(js: JsNode, peer: str) -> Callable[[], list[Any]]:
    return lambda: [way for way in js.ask("ways", peer=peer) if way["direct"] and way["status"] == "open"]


def test_js_is_asked_and_calls_us(foreign: Path, tmp_path: Path) -> None:
    """It called our node through a relay, and is behind a router that nobody comes in by: a call without its help is lost. Ours lets
    in nobody but js-libp2p's home, which our node cannot know."""
    street.needed()
    with Street() as net, Homes(net, tmp_path) as homes:
        third, home, near = net.site(Kind.PUBLIC), net.site(Kind.PORT_RESTRICTED), net.site(Kind.PORT_RESTRICTED)
        let_in = f'iifname "wan" ip saddr {home.address} tcp dport 1024-65535 dnat to {street.HOME}.2'
        assert near.router is not None
        net.nft(near.router, f"add rule ip nat prerouting {let_in}")
        relay = homes.daemon("relay", third, relays=True)
        ours = homes.daemon("ours", near, bootstrap=(address_of(relay, third),))
        circuit = circuit_of(ours)
        with js_at(net, home, foreign) as js:
            js.ask("dial", address=circuit)
            until(direct_to(js, ours.peer_id), "js has a direct connection to us")
            until(lambda: js.peer_id in asked_of(ours), "it was our asking that brought it")
            assert js.ask("ping", peer=ours.peer_id) >= 0
            until(lambda: "direct" in ways_of(ours, js), "and so do we")


def test_js_asks_and_is_called_by_us(foreign: Path, tmp_path: Path) -> None:
    """We called it through a relay, and our own addresses say nothing: it has to ask where others see us."""
    street.needed()
    with Street() as net, Homes(net, tmp_path) as homes:
        third, home, open_ = net.site(Kind.PUBLIC), net.site(Kind.PORT_RESTRICTED), net.site(Kind.PUBLIC)
        relay = homes.daemon("relay", third, relays=True)
        ours = homes.daemon("ours", home, bootstrap=(address_of(relay, third),))
        circuit_of(ours)
        with js_at(net, open_, foreign) as js:
            js.ask("listen at", relay=address_of(relay, third))
            circuit = f"{address_of(relay, third)}/p2p-circuit/p2p/{js.peer_id}"
            until(
                lambda: not ours.run("peers", "connect", circuit, check=False).returncode, "js has a place at the relay"
            )
            until(direct_to(js, ours.peer_id), "js has a direct connection to us")
            until(lambda: "punched" in ways_of(ours, js), "and so do we, by its asking")
            assert js.ask("ping", peer=ours.peer_id) >= 0


def ways_of(daemon: RealDaemon, js: JsNode) -> set[str]:
    return {peer["way"] for peer in daemon.lines("peers") if peer["peer_id"] == js.peer_id}


def asked_of(daemon: RealDaemon) -> str:
    """What it logged of direct ways that it made."""
    return "\n".join(line for line in daemon.log.splitlines() if "is connected directly" in line)
