"""The first minute with no server: an empty node reads its first work, on a LAN and by an invite; and a node that was off for a month."""

from __future__ import annotations

import json
import sqlite3
import time
from functools import partial
from pathlib import Path

import pytest

from tests.nat import street
from tests.nat.homes import Homes, address_of, circuit_of, together, until, way_to
from tests.nat.rules import Kind
from tests.nat.street import Street
from tests.support.daemons import RealDaemon

pytestmark = pytest.mark.network

TEXT = "A commons on your own machine.\n" * 100
MINUTE_S = 60.0
MOVERS = 2
MONTH_S = 31 * 24 * 3600.0


def publish(daemon: RealDaemon, folder: Path, *more: str) -> str:
    """A work that there is something to read in; its id."""
    path = folder / "commons.txt"
    path.write_text(TEXT)
    answer = daemon.json("publish", str(path), "--title", "Commons handbook", "--licence", "CC0-1.0", *more)
    return str(answer["work"])


def read(daemon: RealDaemon, work: str, folder: Path) -> str:
    """The text of a work, fetched."""
    target = folder / "got"
    until(lambda: not daemon.run("get", work, "-o", str(target), check=False).returncode, "the work is fetched")
    return (target if target.is_file() else next(target.iterdir())).read_text()


def found(daemon: RealDaemon) -> list[str]:
    """What a search for the word brings."""
    return [hit["work"] for hit in daemon.lines("search", "handbook")]


in_time = pytest.mark.parametrize(
    "within_s", [float("inf"), pytest.param(MINUTE_S, marks=pytest.mark.long)], ids=["at all", "within a minute"]
)
"""Times are held by long runs, on a machine that has nothing else to do."""


@in_time
def test_an_empty_node_reads_a_work_of_its_lan(tmp_path: Path, within_s: float) -> None:
    street.needed()
    with Street() as net, Homes(net, tmp_path) as homes:
        house = net.site(Kind.PORT_RESTRICTED, hosts=2)
        anna = homes.daemon("anna", house, lan=True)
        work = publish(anna, tmp_path)
        begun = time.monotonic()
        ben = homes.daemon("ben", house, number=1, lan=True)
        assert until(lambda: found(ben), "ben finds it by a word") == [work]
        assert read(ben, work, tmp_path) == TEXT
        print(f"an empty node read its first work after {time.monotonic() - begun:.1f} s")
        assert time.monotonic() - begun < within_s


@in_time
def test_an_empty_node_reads_a_work_by_an_invite_across_two_routers(tmp_path: Path, within_s: float) -> None:
    """Nobody but the invite tells ben anything: not even the third node that both reach."""
    street.needed()
    with Street() as net, Homes(net, tmp_path) as homes:
        third, left, right = (net.site(kind) for kind in (Kind.PUBLIC, Kind.PORT_RESTRICTED, Kind.PORT_RESTRICTED))
        relay = homes.daemon("relay", third, relays=True)
        anna = homes.daemon("anna", left, bootstrap=(address_of(relay, third),))
        circle = anna.json("circle", "create", "Readers")["circle"]
        work = publish(anna, tmp_path, "--circle", circle)
        circuit_of(anna)
        made = anna.run("circle", "invite", circle, "--qr", "--uses", "2").stdout
        assert "█" in made or "▀" in made
        link = anna.json("circle", "invite", circle)["invite"]
        assert link.startswith("p2pnode:invite/")

        begun = time.monotonic()
        ben = homes.daemon("ben", right)
        assert ben.json("circle", "join", link)["state"] == "joined"
        assert until(lambda: found(ben), "ben finds it by a word") == [work]
        assert read(ben, work, tmp_path) == TEXT
        print(f"an empty node read its first work after {time.monotonic() - begun:.1f} s")
        assert time.monotonic() - begun < within_s
        assert relay.peer_id in {peer["peer_id"] for peer in ben.lines("peers")}
        until(lambda: way_to(ben, anna) == "punched", "the two do without the relay")


def test_a_node_that_was_off_for_a_month_finds_its_network_again(tmp_path: Path) -> None:
    """All it knew have moved but one, and nothing is configured."""
    street.needed()
    with Street() as net, Homes(net, tmp_path) as homes:
        sites = [net.site(Kind.PUBLIC) for _ in range(1 + MOVERS)]
        first = homes.daemon("first", sites[0])
        known = (address_of(first, sites[0]),)
        home = net.site(Kind.PORT_RESTRICTED)
        starts = [partial(homes.daemon, f"mover{n}", site, bootstrap=known) for n, site in enumerate(sites[1:])]
        ben, *movers = together(partial(homes.daemon, "ben", home, bootstrap=known), *starts)
        until(lambda: len(ben.lines("peers")) == 1 + MOVERS, "ben knows all")
        for one in (ben, *movers):
            one.stop()
        age(tmp_path / "ben" / "node.db")
        moved = [net.site(Kind.PUBLIC) for _ in movers]
        starts = [partial(homes.daemon, f"mover{n}", site, bootstrap=known) for n, site in enumerate(moved)]
        again, *_ = together(partial(homes.daemon, "ben", home), *starts)
        until(lambda: len(again.lines("peers")) == 1 + MOVERS, "all are found again")
        told = " ".join(address for peer in again.lines("peers") for address in peer["addresses"])
        assert all(site.address in told for site in moved)


def age(database: Path) -> None:
    """A month goes by for what a node knows of others."""
    db = sqlite3.connect(database)
    with db:
        for peer, text in db.execute("SELECT peer, addresses FROM peers").fetchall():
            older = json.dumps([[address, max(0.0, at - MONTH_S)] for address, at in json.loads(text)])
            db.execute("UPDATE peers SET addresses = ? WHERE peer = ?", (older, peer))
        db.execute("UPDATE peers SET answered = max(0, answered - ?), seen = seen - ?", (MONTH_S, MONTH_S))
        assert db.execute("SELECT count(*) FROM peers WHERE answered > 0").fetchone()[0]
    db.close()
