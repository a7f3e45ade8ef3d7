"""What daemons behind real routers say of themselves: reached, forwarded to, relayed."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.nat import street
from tests.nat.homes import Homes, address_of, until
from tests.nat.rules import Kind
from tests.nat.street import Street
from tests.support.daemons import RealDaemon

pytestmark = pytest.mark.network


def reach(daemon: RealDaemon) -> dict[str, Any]:
    said: dict[str, Any] = daemon.json("status")["reach"]
    return said


def becomes(daemon: RealDaemon, **wanted: object) -> dict[str, Any]:
    """What it says, once it says all of this."""

    def fits() -> dict[str, Any] | None:
        said = reach(daemon)
        return said if all(said[name] == value for name, value in wanted.items()) else None

    found: dict[str, Any] = until(fits, f"a node that is {wanted}")
    return found


def test_nodes_know_how_they_are_reached(tmp_path: Path) -> None:
    street.needed(upnp=True)
    with Street() as net:
        public, cone, closed = (net.site(kind) for kind in (Kind.PUBLIC, Kind.FULL_CONE, Kind.PORT_RESTRICTED))
        with Homes(net, tmp_path) as homes:
            server = homes.daemon("server", public)
            assert reach(server)["state"] == "alone"
            bootstrap = (address_of(server, public),)
            open_, shut = (
                homes.daemon("open", cone, bootstrap=bootstrap),
                homes.daemon("shut", closed, bootstrap=bootstrap),
            )
            # a public one knows, serves and relays, without any setting
            said = becomes(server, state="reachable", dht="server")
            assert all(f"/{public.address}/" in address for address in said["public"])
            assert said["hint"] == ""
            assert said["relay"]["on"]
            # a forwarded port makes a home reachable, and it says where
            said = becomes(open_, state="reachable")
            assert any(f"/{cone.address}/" in address for address in open_.json("status")["addresses"])
            # a closed home leans on relays, only asks the DHT, and says what would help
            said = becomes(shut, state="relayed", dht="client", verdict="private")
            assert f"forward TCP port {said['port']}" in said["hint"]
            assert "what would help" in shut.run("status").stdout
            assert not said["relay"]["on"]
            assert any(reach(relay)["relay"]["places"] for relay in (server, open_))
            assert "relay" in server.run("status").stdout


def test_a_router_forwards_a_port_and_gets_it_back(tmp_path: Path) -> None:
    street.needed(upnp=True)
    with Street() as net:
        public, home = net.site(Kind.PUBLIC), net.site(Kind.UPNP)
        with Homes(net, tmp_path) as homes:
            server = homes.daemon("server", public)
            node = homes.daemon("home", home, bootstrap=(address_of(server, public),))
            said = becomes(node, state="reachable", mapped_by="NAT-PMP")
            assert said["public"] == [said["mapped"]] == [f"/ip4/{home.address}/tcp/{said['port']}"]
            assert "forwards" in node.run("status").stdout
            assert mapped_ports(net, home.router) == 1
            node.stop()
            assert mapped_ports(net, home.router) == 0


def mapped_ports(net: Street, router: int | None) -> int:
    """How many ports miniupnpd forwards now."""
    assert router is not None
    command = ["nft", "list", "chain", "inet", "miniupnpd", "prerouting_miniupnpd"]
    said = subprocess.run(
        [*net.spaces.within(router), *command], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    return said.count("dnat")
