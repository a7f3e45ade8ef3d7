"""The client of IPFS's DHT: both of its protocols are asked and told, none is served, and strangers are let go."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import trio
from trio.testing import MockClock

from p2pnode.core.ids import PeerId
from p2pnode.errors import NetworkError, UsageError
from p2pnode.net.dht import Dht
from p2pnode.net.ipfs_dht import IDLE_S, LAN_PROTOCOL, MAX_DIALLED, PROTOCOLS, TIDY_S, WAN_PROTOCOL, IpfsDht
from p2pnode.net.kad.wire import Contact
from p2pnode.net.network import Libp2pNetwork
from p2pnode.ports import Stream
from tests.support.net import NodeNet, link, networks, until

KEY = b"\x1e\x20" + bytes(range(32))
"""A blake3 multihash: the keys of our own DHT are all sha2-256."""


@pytest.mark.trio
@pytest.mark.network
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_what_it_tells_is_found_by_others_and_what_they_provide_by_it(protocol: str) -> None:
    """The server is our own DHT under their protocol: js-libp2p and Kubo are tests/interop's."""
    async with networks(2) as (server, other), NodeNet(9).open() as guest:
        guest.join_ipfs()
        for node in (server, other):
            serve_as(node, protocol)
        assert guest.ipfs is not None
        await link(other, server)
        await link(guest, server)
        await until(lambda: len(guest.ipfs.dhts[protocol].table) == 1)  # type: ignore[union-attr]
        assert await guest.ipfs.provide(KEY) == 2  # one that it knew, one that it was told of
        assert await theirs[other].find_providers(KEY) == [guest.peer_id]
        await theirs[other].provide(KEY[:-1] + b"!")
        assert await guest.ipfs.find_providers(KEY[:-1] + b"!") == [other.peer_id]
        served = {view.peer: set(view.protocols) for view in server.peers()}[guest.peer_id]
        assert served.isdisjoint(PROTOCOLS)  # a client: nobody is to ask it, or to keep it in a table


theirs: dict[Libp2pNetwork, Dht] = {}


def serve_as(node: Libp2pNetwork, protocol: str) -> None:
    """Serve a DHT of IPFS by a second DHT of ours."""

    async def open_stream(contact: Contact) -> Stream:
        return await node._open(contact.peer, protocol, contact.addresses, 5.0)

    dht = Dht(
        node._own_contact,
        open_stream,
        node.peers_table.is_connected,
        node._book,
        NodeNet(8).records,
        lambda: 0.0,
        bytes,
    )
    theirs[node] = dht
    node.serve(protocol, dht.server.serve)
    met: Callable[[Contact], None] = node.dht.met
    node.dht.met = lambda contact: (met(contact), dht.met(contact))[0]  # type: ignore[method-assign]


class Dials:
    """What an IpfsDht needs of a network, noted."""

    def __init__(self) -> None:
        self.connected: set[PeerId] = set()
        self.opened: list[tuple[str, Contact]] = []
        self.left: list[PeerId] = []
        book = NodeNet(1).book
        own = Contact(PeerId("12D3KooWSCufgHzV4fCwRijfH2k3abrpAJxTKxEvN1FDuRXA2U9x"), ())
        self.dht = IpfsDht(lambda: own, self.open, self.connected.__contains__, self.leave, book, lambda: 0.0)

    async def open(self, protocol: str, contact: Contact) -> Stream:
        self.opened.append((protocol, contact))
        self.connected.add(contact.peer)
        return None  # type: ignore[return-value]

    async def leave(self, peer: PeerId) -> None:
        self.left.append(peer)

    async def dial(self, name: str, addresses: Sequence[str] = ("/ip4/192.0.2.1/tcp/1",)) -> None:
        await self.dht._dial(WAN_PROTOCOL, Contact(PeerId(name), tuple(addresses)))


@pytest.mark.trio
async def test_strangers_dialled_for_a_look_up_are_let_go_and_others_not(autojump_clock: MockClock) -> None:
    dials = Dials()
    dials.connected.add(PeerId("friend"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(dials.dht._let_go)
        for name in ("stranger", "useful", "friend"):
            await dials.dial(name)
        await trio.sleep(IDLE_S - 1)
        dials.dht.used(PeerId("useful"))
        await trio.sleep(TIDY_S + 2)
        assert dials.left == ["stranger"]
        await trio.sleep(IDLE_S + TIDY_S)
        assert dials.left == ["stranger", "useful"]
        for number in range(MAX_DIALLED + 7):
            await dials.dial(f"many{number}")
        await trio.sleep(TIDY_S + 1)
        assert dials.left[2:] == [f"many{number}" for number in range(7)]  # too many are not waited for
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_private_addresses_of_strangers_are_dialled_only_where_there_are_no_others() -> None:
    dials = Dials()
    await dials.dial("both", ("/ip4/10.0.0.1/tcp/22", "/ip4/1.2.3.4/tcp/1", "/ip4/127.0.0.1/tcp/80"))
    await dials.dial("near", ("/ip4/127.0.0.1/tcp/80",))
    assert [contact.addresses for _, contact in dials.opened] == [("/ip4/1.2.3.4/tcp/1",), ("/ip4/127.0.0.1/tcp/80",)]
    with pytest.raises(NetworkError):  # and nobody else is asked where that may be
        await dials.dial("nowhere", ())


@pytest.mark.trio
async def test_keys_are_multihashes_within_what_the_wire_takes() -> None:
    dials = Dials()
    for dht in dials.dht.dhts.values():
        dht.table.add(Contact(PeerId("12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X"), ()), lambda peer: True)
    for key in (b"", bytes(81)):
        with pytest.raises(UsageError):
            await dials.dht.provide(key)
        with pytest.raises(UsageError):
            await dials.dht.find_providers(key)
    assert set(dials.dht.dhts) == {WAN_PROTOCOL, LAN_PROTOCOL}
