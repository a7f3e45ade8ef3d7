"""Connecting, being known, being turned away, coming back."""

from __future__ import annotations

import socket
import time

import pytest
import trio

from p2pnode import __version__
from p2pnode.core.ids import PeerId
from p2pnode.errors import NetworkError, UsageError
from p2pnode.net.addresses import public_key_of
from tests.support.net import (
    ECHO,
    LOOPBACK,
    NodeNet,
    echo,
    link,
    networks,
    round_trip,
    until,
    wait_connected,
)

pytestmark = [pytest.mark.trio, pytest.mark.network]


async def test_two_nodes_know_each_other() -> None:
    async with networks(2) as (a, b):
        await link(a, b)
        (view,) = a.peers()
        assert view.peer == b.peer_id
        assert view.agent == f"p2pnode/{__version__}"
        assert view.direction == "outbound"
        assert ECHO in view.protocols and "/test/kad/1.0.0" in view.protocols
        assert view.addresses == tuple(b.addresses())
        assert b.peers()[0].direction == "inbound"
        await until(lambda: a.peers()[0].rtt_ms is not None)


async def test_the_peer_id_is_the_key() -> None:
    async with NodeNet(7).open() as a:
        from nacl.signing import SigningKey

        assert public_key_of(a.peer_id) == bytes(SigningKey(bytes([7]) * 32).verify_key)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("", "does not end in /p2p/"),
        ("nonsense", "does not end in /p2p/"),
        ("/ip4/127.0.0.1/tcp/1", "does not end in /p2p/"),
        ("/ip4/127.0.0.1/tcp/1/p2p/garbage", "not a peer ID"),
        ("/ip4/999.0.0.1/tcp/1/p2p/{b}", "not a multiaddr"),
        ("/ip4/127.0.0.1/udp/1/quic-v1/p2p/{b}", "not a TCP address"),
        ("/p2p/{b}", "no address"),
        ("/ip4/127.0.0.1/tcp/99999/p2p/{b}", "not a multiaddr"),
        ("{a}", "this very node"),
    ],
)
async def test_addresses_that_cannot_be_meant(address: str, words: str) -> None:
    async with networks(1) as (a,):
        other = PeerId("12D3KooWJWoaqZhDaoEFshF7Rh1bpY9ohihFhzcW6d69Lr2NASuq")
        with pytest.raises(UsageError, match=words):
            await a.connect(address.format(a=a.addresses()[0], b=other))


async def test_nothing_listens_there() -> None:
    async with networks(2) as (a, b):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
            with pytest.raises(NetworkError, match=f"connection refused at /ip4/127.0.0.1/tcp/{port}"):
                await a.connect(f"/ip4/127.0.0.1/tcp/{port}/p2p/{b.peer_id}")


async def test_somebody_else_answers() -> None:
    async with networks(3) as (a, b, c):
        where = b.addresses()[0].partition("/p2p/")[0]
        with pytest.raises(NetworkError, match=f"another node answers at {where}: {b.peer_id}"):
            await a.connect(f"{where}/p2p/{c.peer_id}")


async def test_something_else_answers() -> None:
    async def hang_up(stream: trio.SocketStream) -> None:
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with networks(2) as (a, b), trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, hang_up, 0)
        port = listeners[0].socket.getsockname()[1]
        with pytest.raises(NetworkError, match="does not speak libp2p"):
            await a.connect(f"/ip4/127.0.0.1/tcp/{port}/p2p/{b.peer_id}")
        nursery.cancel_scope.cancel()


async def test_nobody_answers_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from p2pnode.net import dial

    monkeypatch.setattr(dial.dial, "__kwdefaults__", {"timeout_s": 0.3})
    async with networks(2) as (a, b):
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            address = f"/ip4/127.0.0.1/tcp/{silent.getsockname()[1]}"
            with pytest.raises(NetworkError, match=f"no answer within 0.3 s from {address}"):
                await a.connect(f"{address}/p2p/{b.peer_id}")


async def test_one_good_address_among_dead_ones_is_enough() -> None:
    async with networks(2) as (a, b):
        with socket.socket() as dead:
            dead.bind(("127.0.0.1", 0))
            good = b.addresses()[0].partition("/p2p/")[0]
            await a._book.remember(b.peer_id, [good, f"/ip4/127.0.0.1/tcp/{dead.getsockname()[1]}"], answered=False)
            assert await round_trip(a, b.peer_id) == b"hello"


async def test_names_are_resolved_as_the_machine_does() -> None:
    async with networks(2) as (a, b):
        port = b.addresses()[0].split("/")[4]
        await a.connect(f"/dns4/localhost/tcp/{port}/p2p/{b.peer_id}")
        assert await round_trip(a, b.peer_id) == b"hello"


async def test_a_name_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async with networks(2) as (a, b):
        monkeypatch.setattr(trio.socket, "getaddrinfo", unknown)
        with pytest.raises(NetworkError, match="the name in /dns4/nowhere/tcp/1 cannot be resolved"):
            await a.connect(f"/dns4/nowhere/tcp/1/p2p/{b.peer_id}")


async def test_ipv6() -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    async with NodeNet(1, listen=("/ip6/::1/tcp/0",)).open() as a, NodeNet(2, listen=("/ip6/::1/tcp/0",)).open() as b:
        b.serve(ECHO, echo)
        await link(a, b)
        assert a.addresses()[0].startswith("/ip6/::1/tcp/")
        assert await round_trip(a, b.peer_id) == b"hello"


async def test_many_who_want_one_peer_share_a_dial() -> None:
    async with networks(2) as (a, b):
        await a._book.remember(b.peer_id, b.addresses(), answered=False)
        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(round_trip, a, b.peer_id)
        assert len(a.peers_table.connections(b.peer_id)) == 1


async def test_a_banned_peer_stays_out_until_the_ban_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    async with networks(2) as (a, b):
        await link(b, a)
        a.penalise(b.peer_id, 99, "it sent a bad leaf")
        assert await round_trip(b, a.peer_id) == b"hello"
        a.penalise(b.peer_id, 2, "it sent another")
        await wait_connected(a, b.peer_id, connected=False)
        await wait_connected(b, a.peer_id, connected=False)
        assert [(ban.peer, ban.reason) for ban in a.banned()] == [(b.peer_id, "it sent another")]
        with pytest.raises(NetworkError):
            await round_trip(b, a.peer_id)
        with pytest.raises(NetworkError, match="banned"):
            await a.connect(b.addresses()[0])
        later = time.time() + 31 * 60
        monkeypatch.setattr(a, "_clock", lambda: later)
        a.bans.is_banned(b.peer_id, later)
        await link(b, a)


async def test_a_node_comes_back_and_finds_its_acquaintances() -> None:
    first, second = NodeNet(1), NodeNet(2)
    async with second.open() as b:
        async with first.open() as a:
            a_listens = a.addresses()[0].partition("/p2p/")[0]
            await link(a, b)
        first.listen = (a_listens,)
        async with first.open() as a:
            b.serve(ECHO, echo)
            await wait_connected(a, b.peer_id)
            assert await round_trip(a, b.peer_id) == b"hello"


async def test_bootstrap_is_dialled_again_when_it_comes_up_late() -> None:
    late = NodeNet(2)
    async with late.open() as b:
        address = b.addresses()[0]
    late.listen = (address.partition("/p2p/")[0],)
    async with NodeNet(1).open(bootstrap=[address]) as a:
        await trio.sleep(0.1)
        async with late.open() as b:
            await wait_connected(a, b.peer_id)


async def test_a_port_that_is_taken() -> None:
    async with networks(1) as (a,):
        taken = a.addresses()[0].partition("/p2p/")[0]
        with pytest.raises(NetworkError, match=f"cannot listen on {taken}: address already in use"):
            async with NodeNet(9, listen=(taken,)).open():
                pass


async def test_wildcards_are_told_as_addresses() -> None:
    async with NodeNet(1, listen=("/ip4/0.0.0.0/tcp/0",)).open() as a:
        assert all("/0.0.0.0/" not in address and address.endswith(f"/p2p/{a.peer_id}") for address in a.addresses())
        assert any(address.startswith("/ip4/127.0.0.1/") for address in a.addresses())


async def test_closing_with_twenty_peers_is_quick_and_leaves_no_listener() -> None:
    async with networks(20) as others:
        async with NodeNet(200).open() as hub:
            where = hub.addresses()[0]
            async with trio.open_nursery() as nursery:
                for other in others:
                    nursery.start_soon(link, other, hub)
            began = trio.current_time()
        assert trio.current_time() - began < 10  # 20 x 0.2 s one after the other and then some would be the defect
        port = int(where.split("/")[4])
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
        for other in others:
            await wait_connected(other, hub.peer_id, connected=False)


async def test_what_the_caller_raises_comes_out_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        async with NodeNet(1).open():
            raise ZeroDivisionError


async def test_malformed_arguments() -> None:
    with pytest.raises(UsageError):
        async with NodeNet(1, listen=("/ip4/127.0.0.1/udp/1",)).open():
            pass
    with pytest.raises(UsageError):
        async with NodeNet(1).open(bootstrap=[LOOPBACK]):
            pass


async def test_connections_per_peer_are_limited() -> None:
    async with networks(2) as (a, b):
        await link(a, b)
        where = b.addresses()[0].partition("/p2p/")[0]
        from p2pnode.net.addresses import to_id
        from p2pnode.net.dial import dial

        outcomes = []
        for _ in range(6):
            try:
                await dial(a._swarm, to_id(b.peer_id), [where])
                outcomes.append(True)
            except NetworkError:
                outcomes.append(False)
        assert outcomes.count(True) <= 2
        assert len(b.peers_table.connections(a.peer_id)) <= 3
        assert await round_trip(a, b.peer_id) == b"hello"
