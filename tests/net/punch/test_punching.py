"""Hole punching between nodes of one process, which have no routers: who is answered, what is called, and what becomes of the relay.

On loopback nothing may be called by the rules, so the tests that need it let everything be called. Routers: tests/nat.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio

from p2pnode.core.ids import PeerId
from p2pnode.errors import NetworkError
from p2pnode.net.host import listen_on
from p2pnode.net.network import Libp2pNetwork
from p2pnode.net.punch import punching, retiring
from p2pnode.net.punch.messages import PROTOCOL, decode, encode
from p2pnode.net.relay.circuit import is_relayed
from p2pnode.net.relay.places import RelayLimits
from p2pnode.net.stream import Libp2pStream
from p2pnode.net.varint import receive_prefixed
from tests.support.net import DEADLINE_S, ECHO, LOOPBACK, NodeNet, echo, round_trip, until, wait_connected

pytestmark = [pytest.mark.trio, pytest.mark.network]

ELSEWHERE = "/ip4/11.0.0.7/tcp/4001"


@asynccontextmanager
async def called() -> AsyncIterator[tuple[Libp2pNetwork, Libp2pNetwork]]:
    """(who called, who was called): connected through a relay, listening nowhere; each may have called the other."""
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(NodeNet(1).open(relay_limits=RelayLimits()))
        right = await stack.enter_async_context(NodeNet(2, listen=()).open(relays=relay.addresses()))
        left = await stack.enter_async_context(NodeNet(3, listen=()).open(relays=relay.addresses()))
        for node in (left, right):
            node.serve(ECHO, echo)
        await until(lambda: relay.peer_id in right.relaying.relays)
        circuit = next(address for address in right.addresses() if "/p2p-circuit/" in address)
        await left.connect(circuit)
        await wait_connected(left, right.peer_id)
        await wait_connected(right, left.peer_id)
        yield left, right


def relayed(one: Libp2pNetwork, other: Libp2pNetwork, *, opened: bool) -> list[Any]:
    """Connections of libp2p through a relay, of those that `one` opened or did not."""
    found = one.peers_table.connections(other.peer_id)
    return [each for each in found if is_relayed(each.muxed_conn) and each.muxed_conn.is_initiator is opened]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """What would have been called, and is not."""
    made: list[Sequence[str]] = []

    async def note(swarm: Any, peer: PeerId, addresses: Sequence[str], **_: Any) -> bool:
        made.append(addresses)
        return False

    monkeypatch.setattr(punching, "open_at_once", note)
    return made


async def ask(connections: Sequence[Any], asking: Libp2pNetwork, asked: Libp2pNetwork, data: bytes) -> bytes | None:
    """The answer to a first message on one of these connections, b"" for a reset."""
    stream = await asking._open_on(asked.peer_id, PROTOCOL, connections)
    with trio.fail_after(DEADLINE_S):
        try:
            await stream.send_all(data)
            return await receive_prefixed(stream, 4096)
        except NetworkError:
            return b""
        finally:
            await stream.reset()


async def test_who_called_is_asked_and_calls_what_it_is_told(calls: list[Sequence[str]]) -> None:
    async with called() as (left, right):
        left.outside.seen.told(PeerId("somebody"), ELSEWHERE)
        stream = await right._open_on(left.peer_id, PROTOCOL, relayed(right, left, opened=False))
        with trio.fail_after(DEADLINE_S):
            for round_ in (1, 2, 3):
                await stream.send_all(encode("CONNECT", [ELSEWHERE]))
                answer = await receive_prefixed(stream, 4096)
                assert answer is not None and decode(answer).addresses == (ELSEWHERE,)
                await stream.send_all(encode("SYNC"))
                await until(lambda round_=round_: len(calls) == round_)  # type: ignore[misc]
            assert calls == [[ELSEWHERE]] * 3
            assert await receive_prefixed(stream, 4096) is None  # and no fourth one


async def test_who_was_called_calls_nobody_because_he_is_told_to(calls: list[Sequence[str]]) -> None:
    async with called() as (left, right):
        right.outside.seen.told(PeerId("somebody"), ELSEWHERE)
        assert await ask(relayed(left, right, opened=True), left, right, encode("CONNECT", [ELSEWHERE])) == b""
        assert not right.punching._begun and not calls


async def test_nobody_is_asked_over_a_direct_connection(calls: list[Sequence[str]]) -> None:
    async with NodeNet(1).open() as left, NodeNet(2).open() as right:
        await left.connect(right.addresses()[0])
        await wait_connected(right, left.peer_id)
        for one, other in ((left, right), (right, left)):
            connections = one.peers_table.connections(other.peer_id)
            assert await ask(connections, one, other, encode("CONNECT", [ELSEWHERE])) == b""
        assert not calls


NONSENSE = {
    encode("CONNECT", ["/ip4/192.168.1.1/tcp/4001", "/ip4/127.0.0.1/tcp/4001"]): 0,
    encode("CONNECT"): 0,
    encode("SYNC"): 1,
    b"\x05rubbish": 1,
    b"\xff\xff\x7f": 1,
}
"""What is said first, and whether it breaks a rule."""


async def test_nonsense_and_local_addresses_end_it(calls: list[Sequence[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    async with called() as (left, right):
        blamed: list[PeerId] = []

        def blame_only(peer: PeerId, *_: object) -> bool:
            blamed.append(peer)
            return False

        monkeypatch.setattr(left.bans, "penalise", blame_only)
        for data, blame in NONSENSE.items():
            connections = relayed(right, left, opened=False)
            with trio.fail_after(DEADLINE_S):
                before = len(blamed)
                assert await ask(connections, right, left, data) == b""
                while blame and len(blamed) == before:  # one stream at a time: the last one may not be over yet
                    await trio.sleep(0.05)
                    assert await ask(connections, right, left, data) == b""
        assert not calls and set(blamed) == {right.peer_id} and len(blamed) >= sum(NONSENSE.values())


async def test_there_is_an_end_to_rounds(calls: list[Sequence[str]]) -> None:
    async with called() as (left, right):
        left.punching._begun.extend([trio.current_time()] * punching.MAX_ROUNDS)
        assert await ask(relayed(right, left, opened=False), right, left, encode("CONNECT", [ELSEWHERE])) == b""
        assert not calls


async def test_a_direct_connection_is_made_and_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(punching, "punchable", lambda addresses: [one for one in addresses if "p2p" not in one])
    monkeypatch.setattr(punching.Punching, "_alone", _not_alone)
    monkeypatch.setattr(retiring, "LOOK_S", 0.05)
    async with called() as (left, right):
        ends = [(left, right), (right, left)]
        for one, _ in ends:
            assert await listen_on(one._host, [LOOPBACK]) is None
        for one, other in ends:
            await until(partial(one.peers_table.is_connected_directly, other.peer_id))
        assert {view.way for view in left.peers() if view.peer == right.peer_id} <= {"punched", "direct"}

        assert await round_trip(left, right.peer_id, b"by the new one") == b"by the new one"
        fresh = await right.open_stream(left.peer_id, ECHO)
        assert isinstance(fresh, Libp2pStream) and not is_relayed(fresh.raw.muxed_conn)
        for one, other in ends:
            await until(lambda one=one, other=other: not relayed(one, other, opened=one is left))  # type: ignore[misc]
            assert one.peers_table.is_connected_directly(other.peer_id)


async def _not_alone(*_: Any) -> bool:
    return False


async def test_a_transfer_that_does_not_end_is_cut_after_a_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retiring, "LOOK_S", 0.05)
    monkeypatch.setattr(retiring, "GRACE_S", 0.5)
    async with called() as (left, right):
        stream = await left._open_on(right.peer_id, ECHO, relayed(left, right, opened=True))
        await stream.send_all(b"on its way")
        assert await listen_on(right._host, [LOOPBACK]) is None
        await left._reach.connect_directly(right.peer_id, right._direct_addresses()[0])
        await until(lambda: stream.is_lost)
        with pytest.raises(NetworkError):
            await stream.send_all(b"too late")
        assert await round_trip(left, right.peer_id, b"directly") == b"directly"
