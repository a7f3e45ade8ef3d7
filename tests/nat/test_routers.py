"""Routers that map ports (miniupnpd), switched off and on, and started anew: each language by itself, and by daemons as they are."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from p2pnode.net.nat.mapping import AGAIN_S, LOOK_S
from tests.nat import street
from tests.nat.homes import Homes, address_of, until
from tests.nat.reaching import becomes, mapped_ports, reach
from tests.nat.rules import Kind
from tests.nat.street import HOME, Site, Street
from tests.support.daemons import wait_until

pytestmark = pytest.mark.network

KEEPS = "tests.nat.keeps"
LANGUAGES = ("PCP", "NAT-PMP", "UPnP")
PORT = 4001


@contextmanager
def keeping(net: Street, site: Site, language: str, log: Path) -> Iterator[Path]:
    """A home that keeps a port mapped, and where it says what is."""
    command = [*net.within(site), sys.executable, "-m", KEEPS, language, f"{HOME}.1", str(PORT)]
    with log.open("w") as said, subprocess.Popen(command, stdin=subprocess.PIPE, stdout=said) as process:
        try:
            yield log
        finally:
            process.kill()


def last_said(log: Path) -> str:
    return (log.read_text().splitlines() or [""])[-1]


def speaks(language: str) -> dict[str, bool]:
    """What miniupnpd is told to speak."""
    return {"upnp": language == "UPnP", "natpmp": language != "UPnP"}


def start_anew(net: Street, site: Site, router: subprocess.Popen[bytes], language: str) -> subprocess.Popen[bytes]:
    """The router's rules are gone with it, and it knows nothing of before."""
    stop(net, site, router)
    return net.start_upnp(site, **speaks(language))


def stop(net: Street, site: Site, router: subprocess.Popen[bytes]) -> None:
    assert site.router is not None
    router.kill()
    router.wait()
    net.nft(site.router, "delete table inet miniupnpd")


def test_in_each_language_a_port_is_mapped_when_the_router_is_switched_on_and_again_when_it_starts_anew(
    tmp_path: Path,
) -> None:
    street.needed(upnp=True)
    with Street() as net, ExitStack() as stack:
        sites = {language: net.site(Kind.UPNP, maps=False) for language in LANGUAGES}
        routers = {language: net.start_upnp(site, **speaks(language)) for language, site in sites.items()}
        logs = {
            language: stack.enter_context(keeping(net, site, language, tmp_path / language))
            for language, site in sites.items()
        }
        for language, site in sites.items():
            wanted = f"/ip4/{site.address}/tcp/{PORT}"
            until(lambda log=logs[language], wanted=wanted: last_said(log) == wanted, f"a port by {language}")  # type: ignore[misc]
            assert mapped_ports(net, site.router) == 1
        for language, site in sites.items():
            routers[language] = start_anew(net, site, routers[language], language)
            assert mapped_ports(net, site.router) == 0
        for language, site in sites.items():
            until(lambda site=site: mapped_ports(net, site.router) == 1, f"the port again by {language}")  # type: ignore[misc]
        for language, site in sites.items():
            stop(net, site, routers[language])
        for language, log in logs.items():
            until(lambda log=log: last_said(log) == "nothing", f"what is known when {language} is off")  # type: ignore[misc]


def test_a_daemon_asks_by_upnp_where_nothing_else_is_on_and_says_so(tmp_path: Path) -> None:
    street.needed(upnp=True)
    with Street() as net, Homes(net, tmp_path) as homes:
        public, home = net.site(Kind.PUBLIC), net.site(Kind.UPNP, maps=False)
        net.start_upnp(home, **speaks("UPnP"))
        server = homes.daemon("server", public)
        node = homes.daemon("home", home, bootstrap=(address_of(server, public),))
        said = becomes(node, state="reachable", mapped_by="UPnP")
        assert said["public"] == [said["mapped"]] == [f"/ip4/{home.address}/tcp/{said['port']}"]
        assert "UPnP" in node.run("status").stdout
        node.stop()
        assert mapped_ports(net, home.router) == 0


@pytest.mark.long
def test_daemons_are_reached_again_within_a_minute_and_a_half_after_their_router_started_anew(tmp_path: Path) -> None:
    """The time that the docs state: a look, and where the router is spoken to at another place than before, a pause."""
    street.needed(upnp=True)
    with Street() as net, Homes(net, tmp_path) as homes:
        public = net.site(Kind.PUBLIC)
        server = homes.daemon("server", public)
        known = (address_of(server, public),)
        for language in ("PCP", "UPnP"):
            home = net.site(Kind.UPNP, maps=False)
            router = net.start_upnp(home, **speaks(language))
            node = homes.daemon(language, home, bootstrap=known)
            becomes(node, state="reachable", mapped_by=language)
            start_anew(net, home, router, language)
            begun = time.monotonic()
            wait_until(
                lambda home=home: mapped_ports(net, home.router) == 1,  # type: ignore[misc]
                what="the port again",
                timeout_s=3 * (LOOK_S + AGAIN_S),
            )
            print(f"{language}: {time.monotonic() - begun:.0f} s")
            becomes(node, state="reachable", mapped_by=language)
            assert reach(node)["verdict"] == "public"
