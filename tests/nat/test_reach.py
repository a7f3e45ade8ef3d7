"""What daemons behind real routers say of themselves: reached, forwarded to, relayed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.nat import street
from tests.nat.homes import Homes, address_of, until
from tests.nat.reaching import becomes, mapped_ports, reach
from tests.nat.rules import Kind
from tests.nat.street import Street

pytestmark = pytest.mark.network


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
            said = becomes(node, state="reachable", mapped_by="PCP")
            assert said["public"] == [said["mapped"]] == [f"/ip4/{home.address}/tcp/{said['port']}"]
            assert "forwards" in node.run("status").stdout
            assert mapped_ports(net, home.router) == 1
            node.stop()
            assert mapped_ports(net, home.router) == 0


def test_ipv6_reaches_whom_ipv4_does_not(tmp_path: Path) -> None:
    """Behind the worst router of IPv4, and a firewall of IPv6 that is opened by PCP, or not."""
    street.needed(upnp=True)
    with Street() as net, Homes(net, tmp_path) as homes:
        public = net.site(Kind.PUBLIC)
        server = homes.daemon("server", public, relays=True)
        known = (address_of(server, public),)
        kinds = (Kind.IPV6_PINHOLE, Kind.IPV6_FIREWALL)
        sites = {kind: net.site(kind) for kind in kinds}
        nodes = {kind: homes.daemon(kind, site, bootstrap=known) for kind, site in sites.items()}
        reached, shut = nodes.values()
        said = becomes(reached, state="reachable", reached_by=["IPv6"], dht="server")
        assert said["public"] == [said["opened"]] == [f"/ip6/{sites[kinds[0]].address6}/tcp/{said['port']}"]
        until(lambda: server.peer_id in reach(reached)["relays"], "a place for who has only IPv4")
        assert "by IPv6 alone, and who has only IPv4 comes through a relay" in reached.run("status").stdout
        becomes(shut, state="relayed", verdict="private", dht="client")
        assert "/ip6/fe80" not in " ".join(reached.json("status")["addresses"])
