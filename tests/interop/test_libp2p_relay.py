"""Relays against js-libp2p on 127.0.0.1: js through ours, ours through js, and what either side refuses."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from p2pnode.core.ids import PeerId
from p2pnode.errors import NetworkError
from p2pnode.net.network import Libp2pNetwork
from p2pnode.net.relay.places import RelayLimits
from p2pnode.ports import Stream
from tests.interop.js_node import JsError, JsNode
from tests.support.net import DEADLINE_S, ECHO, NodeNet, echo, read_all, round_trip, until

pytestmark = [pytest.mark.trio, pytest.mark.network, pytest.mark.foreign]

KIB, MIB = 1 << 10, 1 << 20
UNLIMITED, SINK = "/test/unlimited/1", "/test/sink/1"
JS_LIMITS = {"maxReservations": 8, "defaultDurationLimit": 60_000, "defaultDataLimit": 4 * MIB}
SILENCE_S = 40.0
"""Until a connection without a sign of life is given up: 27.5 s, on a busy machine."""
_numbers = itertools.count(101)


@pytest.fixture(scope="module")
def js(foreign: Path) -> Iterator[JsNode]:
    node = JsNode(foreign, "/test/kad/1.0.0")
    try:
        yield node
    finally:
        node.close()


@pytest.fixture(scope="module")
def js_relay(foreign: Path) -> Iterator[JsNode]:
    node = JsNode(foreign, "/test/kad/1.0.0", relay=JS_LIMITS)
    try:
        yield node
    finally:
        node.close()


@asynccontextmanager
async def ours(*, relays: tuple[str, ...] = (), limits: RelayLimits | None = None) -> AsyncIterator[Libp2pNetwork]:
    """A node of ours that js-libp2p has never met; without limits it listens nowhere."""
    node = NodeNet(next(_numbers), network="apart", **({} if limits else {"listen": ()}))
    async with node.open(relay_limits=limits, relays=relays) as network:
        network.serve(ECHO, echo)
        for relay in relays:
            await until(lambda relay=relay: relay.rpartition("/")[2] in network.relaying.relays)  # type: ignore[misc]
        yield network


async def swallow(stream: Stream) -> None:
    while await stream.receive_some(1 << 16):
        pass
    await stream.send_all(b"all of it")


async def reachable_through(js: JsNode, relay: Libp2pNetwork) -> str:
    """js-libp2p's address at our relay, once it holds a place there."""
    await js("listen at", relay=relay.addresses()[0])
    with trio.fail_after(DEADLINE_S):
        addresses = await js.until(lambda told: any(relay.peer_id in one for one in told), "addresses")
    return str(next(one for one in addresses if relay.peer_id in one))


def circuit_of(node: Libp2pNetwork, relay: PeerId) -> str:
    return next(address for address in node.addresses() if f"/p2p/{relay}/p2p-circuit/" in address)


async def test_js_is_called_through_our_relay(js: JsNode) -> None:
    async with ours(limits=RelayLimits(circuit_s=90, circuit_bytes=8 * MIB)) as relay, ours() as caller:
        address = await reachable_through(js, relay)
        assert address == f"{relay.addresses()[0]}/p2p-circuit/p2p/{js.peer_id}"
        assert relay.relaying.hop is not None and relay.relaying.hop.places == 1

        assert await caller.connect(address) == js.peer_id
        assert not caller.peers_table.is_connected_directly(js.peer_id)
        data = bytes(range(256)) * 2 * KIB
        assert await round_trip(caller, js.peer_id, data) == data
        told = await js("limits", peer=caller.peer_id)
        assert f"/p2p/{relay.peer_id}/p2p-circuit/p2p/{caller.peer_id}" in told["address"]
        assert 0 < told["seconds"] <= 90 and 0 < told["bytes"] < 8 * MIB - len(data)

        with pytest.raises(
            NetworkError
        ):  # by default js-libp2p serves and opens nothing on a connection that has limits
            stream = await caller.open_stream(js.peer_id, UNLIMITED)
            assert await read_all(stream) == b"ended before its end"
        with pytest.raises(JsError, match="NoValidAddressesError"):  # it looks for a direct way instead
            await js("open unlimited", peer=caller.peer_id)


async def test_js_calls_us_through_our_relay_until_the_limit(js: JsNode) -> None:
    async with (
        ours(limits=RelayLimits(circuit_bytes=2 * MIB)) as relay,
        ours(relays=tuple(relay.addresses())) as called,
    ):
        dialled = await js("dial", address=circuit_of(called, relay.peer_id))
        assert dialled == {"peer": called.peer_id, "muxer": "/yamux/1.0.0", "encryption": "/noise"}
        result = await js("exchange", peer=called.peer_id, protocol=ECHO, bytes=MIB)
        assert result["read"] == MIB and result["heard"] == result["sent"]
        with pytest.raises(JsError, match=r"undefined|Reset|Closed"):
            await js("exchange", peer=called.peer_id, protocol=ECHO, bytes=2 * MIB)
        await until(lambda: relay.relaying.hop is not None and relay.relaying.hop.circuits == 0)


async def test_we_are_called_and_call_through_a_relay_of_js(js: JsNode, js_relay: JsNode) -> None:
    async with ours(relays=(js_relay.address,)) as called, ours() as caller:
        assert called.peer_id in await js_relay("reservations")
        address = circuit_of(called, js_relay.peer_id)
        assert address == f"{js_relay.address}/p2p-circuit/p2p/{called.peer_id}"
        await caller.connect(address)
        data = hashlib.sha256(b"through js").digest() * 8 * KIB
        assert await round_trip(caller, called.peer_id, data) == data
        caller.serve(ECHO, echo)
        assert await round_trip(called, caller.peer_id, b"and back") == b"and back"

        assert (await js("dial", address=address))["peer"] == called.peer_id
        result = await js("exchange", peer=called.peer_id, protocol=ECHO, bytes=MIB)
        assert result["heard"] == result["sent"]

        called.serve(SINK, swallow)
        with pytest.raises(NetworkError):  # 4 MiB in both directions together are what this relay gives
            stream = await caller.open_stream(called.peer_id, SINK)
            with trio.fail_after(SILENCE_S):  # at times it tells one end only; the other finds the silence
                await stream.send_all(bytes(5 * MIB))
                await stream.send_eof()
                assert await stream.receive_some(1) == b"never"
        assert await round_trip(called, js_relay.peer_id, b"the relay is still there") == b"the relay is still there"


async def test_js_says_no_in_words(js: JsNode, js_relay: JsNode) -> None:
    async with ours() as node, ours() as stranger:
        await node.connect(js_relay.address)
        with pytest.raises(NetworkError, match="holds no place"):
            await node.connect(f"{js_relay.address}/p2p-circuit/p2p/{stranger.peer_id}")
        with pytest.raises(NetworkError, match="does not speak"):
            await node.connect(f"{js.address}/p2p-circuit/p2p/{stranger.peer_id}")
