"""A street: a piece of public internet in network namespaces, and homes on it behind routers of every kind.

The street itself is a router in the middle (11.0.0.0/8: nobody is really there), each site has a way to it, over a cable or over a slow
link (`tests.support.netns`). All homes have the same addresses, 192.168.1.0/24, as homes have: who dials another's private address finds
himself at home. Everything goes with `Street`; what a killed test left is swept by the next one.
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import pytest

from tests.nat.rules import IPV6, LAN, MAPPING, WAN, Kind, rules_of, upnp_configuration
from tests.support import netns
from tests.support.netns import Link, Namespaces

HOME = "192.168.1"
CARRIER = "100.64.0"
"""Between the two routers of a double NAT."""
TIMEOUT_S = 20.0
UP_S = 20.0


@dataclass
class Site:
    """One way to the street: a router with homes, or a public host. `hosts` are numbers of namespaces."""

    kind: Kind
    address: str
    """The public one."""
    router: int | None
    hosts: list[int] = field(default_factory=list)
    address6: str = ""
    """Of the first host, by IPv6; "" where the site has none."""


def needed(*, upnp: bool = False, slow: bool = False) -> None:
    """Skip the test where the laboratory cannot be built; the reason names the package."""
    netns.needed(tun=slow)
    for command, package in (("nft", "nftables"), *((("miniupnpd", "miniupnpd"),) if upnp else ())):
        if not shutil.which(command, path="/usr/sbin:/sbin:/usr/bin:/bin"):
            pytest.skip(f"there is no `{command}` here (Debian: apt install {package})")


class Street:
    """Sites on one public street. `round_trip_ms` is what lies between two sites; 0: cables."""

    def __init__(self, round_trip_ms: float = 0.0) -> None:
        self._stack = ExitStack()
        self._round_trip_ms = round_trip_ms
        self._sites = 0
        self._numbers = itertools.count(1)
        self.spaces = Namespaces(1)

    def __enter__(self) -> Street:
        netns.sweep()
        try:
            self._stack.enter_context(self.spaces)
            self._forward(0)
            self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="p2pn-nat-")))
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def site(self, kind: Kind, hosts: int = 1, *, maps: bool = True) -> Site:
        """A new site with so many hosts, the first of which a full cone lets everybody reach. `maps` False: `start_upnp` comes later."""
        self._sites += 1
        near, far = f"11.0.{self._sites}.1", f"11.0.{self._sites}.2"
        edge = self.spaces.add()
        self._join_street(edge, near, far)
        far6 = self._join_street6(edge, near, self._sites) if kind in (Kind.PUBLIC, *IPV6) else ""
        if kind is Kind.PUBLIC:
            return Site(kind, far, None, [edge], far6)
        site = Site(kind, far, edge)
        router = edge
        if kind is Kind.DOUBLE:
            self._rule(edge, rules_of(Kind.PORT_RESTRICTED, f"{CARRIER}.2"))
            self._bridge(edge, f"{CARRIER}.1/24")
            router = site.router = self.spaces.add()
            self._plug(edge, router, WAN, f"{CARRIER}.2/24", f"{CARRIER}.1")
        self._rule(router, rules_of(kind, f"{HOME}.2"))
        self._bridge(router, f"{HOME}.1/24")
        for _ in range(hosts):
            host = self.spaces.add()
            site.hosts.append(host)
            self._plug(router, host, "eth0", f"{HOME}.{1 + len(site.hosts)}/24", f"{HOME}.1")
            if kind in IPV6:
                self._plug6(router, host, f"2600:0:{self._sites}:1::", len(site.hosts) + 1)
        if kind in IPV6:
            site.address6 = f"2600:0:{self._sites}:1::2"
        if kind in MAPPING and maps:
            self.start_upnp(site, upnp=kind is Kind.UPNP)
        return site

    def within(self, site: Site, number: int = 0) -> tuple[str, ...]:
        """What stands before a command that runs on a host of the site."""
        return self.spaces.within(site.hosts[number])

    def move(self, source: Site, target: Site) -> None:
        """The first host of a site is carried to another site: other router, other address; what runs on it goes on."""
        host = source.hosts.pop(0)
        self.ip(host, "link", "del", "eth0")
        target.hosts.append(host)
        assert target.router is not None
        self._plug(target.router, host, "eth0", f"{HOME}.{10 + len(target.hosts)}/24", f"{HOME}.1")

    def start_upnp(self, site: Site, *, upnp: bool = True, natpmp: bool = True) -> subprocess.Popen[bytes]:
        """The site's router maps ports for who asks in these languages. Ends with the street."""
        assert site.router is not None
        name = self._folder / f"upnp-{site.router}-{next(self._numbers)}"
        name.write_text(upnp_configuration(f"{HOME}.1", str(name), upnp=upnp, natpmp=natpmp))
        if site.kind not in IPV6:
            self.nft(site.router, UPNP_TABLE)
        command = ["miniupnpd", "-d", "-f", str(name), "-P", f"{name}.pid", "-o", site.address]
        with name.with_suffix(".log").open("wb") as log:
            process = subprocess.Popen([*self.spaces.within(site.router), *command], stdout=log, stderr=log)
        self._stack.callback(_end, process)
        return process

    def ip(self, number: int, *arguments: str) -> None:
        """`ip` within a namespace."""
        netns.run_ip("-n", self.spaces.names[number], *arguments)

    def nft(self, number: int, rules: str) -> None:
        """Load rules in a namespace, beside those that are there."""
        command = [*self.spaces.within(number), "nft", "-f", "-"]
        done = subprocess.run(command, input=rules, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        if done.returncode:
            raise AssertionError(f"nft: {done.stderr.strip()}")

    def _join_street(self, edge: int, near: str, far: str) -> None:
        if self._round_trip_ms:
            link = Link(delay_ms=self._round_trip_ms / 4, rate_mbit=200, queue_packets=500)
            self.spaces.slow_link(0, near, edge, far, link)
            self._rename(edge, far, WAN)
            self.ip(edge, "route", "add", "default", "dev", WAN)
        else:
            self.spaces.cable(0, f"{near}/24", edge, f"{far}/24")
            self._rename(edge, far, WAN)
            self.ip(edge, "route", "add", "default", "via", near)

    def _join_street6(self, edge: int, near: str, number: int) -> str:
        """IPv6 on the way to the street, and 2600:0:N::/48 behind it; the address at the site's end."""
        net = f"2600:0:{number}:"
        street = self._name_of(0, near)
        for end in (0, edge):
            self.spaces.set(end, "net.ipv6.conf.all.forwarding", "1")
        self.ip(0, "address", "add", f"{net}:1/64", "dev", street, "nodad")
        self.ip(edge, "address", "add", f"{net}:2/64", "dev", WAN, "nodad")
        via = () if self._round_trip_ms else ("via", f"{net}:2")
        back = () if self._round_trip_ms else ("via", f"{net}:1")
        self.ip(0, "-6", "route", "add", f"{net}:/48", *via, "dev", street)
        self.ip(edge, "-6", "route", "add", "default", *back, "dev", WAN)
        return f"{net}:2"

    def _plug6(self, router: int, host: int, net: str, number: int) -> None:
        """IPv6 for a host at a router's bridge, whose address in the local network is the usual one of routers."""
        if number == 2:
            self.ip(router, "address", "add", f"{net}1/64", "dev", LAN, "nodad")
            self.ip(router, "address", "add", "fe80::1/64", "dev", LAN, "nodad")
        self.ip(host, "address", "add", f"{net}{number}/64", "dev", "eth0", "nodad")
        self.ip(host, "-6", "route", "add", "default", "via", "fe80::1", "dev", "eth0")

    def _name_of(self, number: int, address: str) -> str:
        """Of the interface that has an address."""
        command = ["ip", "-n", self.spaces.names[number], "-o", "address", "show", "to", address]
        return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=True).stdout.split()[1]

    def _rename(self, number: int, address: str, name: str) -> None:
        """Call the interface that has an address by a name that rules can know."""
        old = self._name_of(number, address)
        self.ip(number, "link", "set", old, "down")
        self.ip(number, "link", "set", old, "name", name)
        self.ip(number, "link", "set", name, "up")

    def _rule(self, router: int, rules: str) -> None:
        self._forward(router)
        self.nft(router, rules)

    def _forward(self, number: int) -> None:
        self.spaces.set(number, "net.ipv4.ip_forward", "1")

    def _bridge(self, router: int, address: str) -> None:
        self.ip(router, "link", "add", LAN, "type", "bridge")
        self.ip(router, "address", "add", address, "dev", LAN)
        self.ip(router, "link", "set", LAN, "up")

    def _plug(self, router: int, host: int, name: str, address: str, gateway: str) -> None:
        """A cable from a router's bridge to a host."""
        port = f"p{host}"
        ends = ("add", port, "type", "veth", "peer", name, "netns", self.spaces.names[host])
        self.ip(router, "link", *ends)
        self.ip(router, "link", "set", port, "master", LAN, "up")
        self.ip(host, "address", "add", address, "dev", name)
        self.ip(host, "link", "set", name, "up")
        self.ip(host, "route", "add", "default", "via", gateway)


UPNP_TABLE = """
table inet miniupnpd {
    chain forward { type filter hook forward priority -25; policy accept; }
    chain prerouting { type nat hook prerouting priority -100; policy accept; }
    chain postrouting { type nat hook postrouting priority 90; policy accept; }
    chain miniupnpd { }
    chain prerouting_miniupnpd { }
    chain postrouting_miniupnpd { }
}
add rule inet miniupnpd forward jump miniupnpd
add rule inet miniupnpd prerouting jump prerouting_miniupnpd
add rule inet miniupnpd postrouting jump postrouting_miniupnpd
"""


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
