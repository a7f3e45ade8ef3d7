"""Two daemons that cannot reach each other fetch through a third: network namespaces without a way between the two."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from p2pnode.net.relay.places import CIRCUIT_BYTES
from tests.support import netns
from tests.support.daemons import RealDaemon, wait_until
from tests.support.netns import Namespaces

pytestmark = pytest.mark.network

NETS = ("10.88.1", "10.88.2")
EVERYWHERE = "/ip4/0.0.0.0/tcp/0"


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RealDaemon, RealDaemon, RealDaemon]]:
    """(left, relay, right): left and right each have a cable to the relay, which forwards nothing."""
    netns.needed()
    tmp_path = tmp_path_factory.mktemp("three")
    with Namespaces(3) as spaces:
        for side, net in ((0, NETS[0]), (2, NETS[1])):
            spaces.cable(1, f"{net}.1/24", side, f"{net}.2/24")
        spaces.set(1, "net.ipv4.ip_forward", "0")
        relay = RealDaemon(tmp_path / "relay", listen=EVERYWHERE, within=spaces.within(1))
        relay.environment["P2PNODE_RELAY_SERVE"] = "true"
        relay.start()
        daemons = [relay]
        try:
            for side, (name, net) in enumerate(zip(("left", "right"), NETS, strict=True)):
                address = next(address for address in relay.addresses if f"/{net}." in address)
                daemon = RealDaemon(
                    tmp_path / name, listen=EVERYWHERE, within=spaces.within(2 * side), bootstrap=(address,)
                )
                daemons.append(daemon.start())
            yield daemons[1], relay, daemons[2]
        finally:
            for daemon in reversed(daemons):
                daemon.stop()


def circuit_of(daemon: RealDaemon) -> str:
    """Its first address through a relay, once it has one."""
    return str(
        wait_until(
            lambda: next((a for a in daemon.json("status")["addresses"] if "/p2p-circuit/" in a), None),
            what="a place at the relay",
        )
    )


def test_a_work_is_found_and_fetched_through_a_relay_without_a_word(
    three: tuple[RealDaemon, RealDaemon, RealDaemon], tmp_path: Path
) -> None:
    """Nobody is told an address: the DHT knows who provides, and where he can be called."""
    left, _, right = three
    path = tmp_path / "work.bin"
    path.write_bytes(os.urandom(3 << 20))
    work = left.json("publish", str(path), "--title", "behind a wall", "--licence", "CC0-1.0")["work"]
    circuit_of(left)
    right.run("get", work, "-o", str(tmp_path / "got"))
    assert (tmp_path / "got").read_bytes() == path.read_bytes()


def test_a_daemon_is_called_through_a_relay_and_by_no_other_way(
    three: tuple[RealDaemon, RealDaemon, RealDaemon],
) -> None:
    left, relay, right = three
    assert relay.json("status")["reachability"].startswith("connected to 2")
    address = circuit_of(left)
    assert f"/p2p/{relay.peer_id}/p2p-circuit/p2p/{left.peer_id}" in address
    assert "reachable through a relay" in left.json("status")["reachability"]
    assert subprocess.run([*right.within, "ip", "route", "get", f"{NETS[0]}.2"], capture_output=True).returncode

    assert right.json("peers", "connect", address) == {"peer_id": left.peer_id}
    (seen,) = [peer for peer in right.lines("peers") if peer["peer_id"] == left.peer_id]
    assert any("/p2p-circuit/" in where for where in seen["addresses"])


@pytest.mark.long
def test_a_work_larger_than_a_circuit_may_carry_goes_on_through_the_next(
    three: tuple[RealDaemon, RealDaemon, RealDaemon], tmp_path: Path
) -> None:
    left, _, right = three
    path = tmp_path / "large.bin"
    path.write_bytes(os.urandom(CIRCUIT_BYTES + (20 << 20)))
    work = left.json("publish", str(path), "--title", "behind a wall, and large", "--licence", "CC0-1.0")["work"]
    circuit_of(left)
    right.run("get", work, "-o", str(tmp_path / "got"))
    assert (tmp_path / "got").read_bytes() == path.read_bytes()


def test_words_for_what_a_relay_cannot_do(three: tuple[RealDaemon, RealDaemon, RealDaemon]) -> None:
    left, relay, right = three
    through = next(address for address in relay.addresses if f"/{NETS[1]}." in address)
    stranger = "12D3KooWPA6ax6t3jqTyGq73Zm1RmwppYqxaXzrtarfcTWGp5Wzx"
    missing = right.run("peers", "connect", f"{through}/p2p-circuit/p2p/{stranger}", check=False)
    assert missing.returncode == 1 and "the peer holds no place at it" in missing.stderr
    no_relay = left.run("peers", "connect", f"/p2p/{relay.peer_id}/p2p-circuit/p2p/{right.peer_id}", check=False)
    assert no_relay.returncode == 2
