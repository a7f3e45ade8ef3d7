"""The laboratory's routers do what their names say, seen by single sockets; and it leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.nat import street
from tests.nat.rules import Kind
from tests.nat.street import Site, Street
from tests.support import netns

pytestmark = pytest.mark.network

SEEN_AS = str(Path(__file__).with_name("seen_as.py"))
PORT, TIMEOUT_S = 4001, 60


@contextmanager
def listening(net: Street, site: Site) -> Iterator[None]:
    command = [*net.within(site), sys.executable, SEEN_AS, "listen", "0.0.0.0", str(PORT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
            yield
        finally:
            process.kill()


def ask(net: Street, asked: list[tuple[Site, str]]) -> list[str]:
    """Where each address sees a site, or `nothing`; all at once, since silence takes its time."""
    processes = [
        subprocess.Popen(
            [*net.within(site), sys.executable, SEEN_AS, "ask", str(PORT), address, str(PORT)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for site, address in asked
    ]
    return [process.communicate(timeout=TIMEOUT_S)[0].strip() for process in processes]


def test_routers_do_what_their_names_say() -> None:
    street.needed()
    with Street() as net:
        first, second = net.site(Kind.PUBLIC), net.site(Kind.PUBLIC)
        homes = {kind: net.site(kind) for kind in (Kind.FULL_CONE, Kind.PORT_RESTRICTED, Kind.SYMMETRIC, Kind.DOUBLE)}
        with ExitStack() as stack:
            for site in (first, second, *homes.values()):
                stack.enter_context(listening(net, site))
            for kind, home in homes.items():
                seen = ask(net, [(home, first.address), (home, second.address)])
                assert all(one.startswith(f"{home.address}:") for one in seen), (kind, seen)
                kept = seen == [f"{home.address}:{PORT}"] * 2
                assert kept is (kind is not Kind.SYMMETRIC), (kind, seen)
            stranger = net.site(Kind.PUBLIC)
            answers = ask(net, [(stranger, home.address) for home in homes.values()])
            assert [answer != "nothing" for answer in answers] == [kind is Kind.FULL_CONE for kind in homes]


def test_what_a_killed_test_left_is_swept_away() -> None:
    street.needed()
    dead = subprocess.Popen(["true"])
    dead.wait()
    name, own = f"p2pn-{dead.pid}-1", f"p2pn-{os.getpid()}-0"
    for one in (name, own):
        netns.run_ip("netns", "add", one)
    left = subprocess.Popen(["ip", "netns", "exec", name, "sleep", "600"])
    try:
        netns.sweep()
        said = subprocess.run(
            ["ip", "netns", "list"], capture_output=True, text=True, timeout=TIMEOUT_S, check=True
        ).stdout
        assert name not in said and own in said
        assert left.wait(TIMEOUT_S) < 0
    finally:
        netns.run_ip("netns", "del", own)
        left.kill()
