"""Our network against js-libp2p on 127.0.0.1, each side asking the other: streams, DHT and gossip as both read the specifications.

One JavaScript process serves all tests; each test is a new peer to it.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trio
from libp2p.crypto.ed25519 import create_new_key_pair as ed25519_pair
from libp2p.crypto.keys import PublicKey
from libp2p.crypto.rsa import create_new_key_pair as rsa_pair
from libp2p.peer.id import ID

from p2pnode.core.cid import RAW, Cid
from p2pnode.core.ids import PeerId
from p2pnode.errors import NetworkError
from p2pnode.net import identify
from p2pnode.net.bans import BAN_POINTS
from p2pnode.net.kad import wire as kad
from p2pnode.net.kad.values import key_of_peer
from p2pnode.net.network import Libp2pNetwork
from p2pnode.net.serving import BROKEN_RULE_POINTS, PING_PROTOCOL
from p2pnode.ports import PeerView, Stream
from tests.interop.js_node import JsNode
from tests.support.net import DEADLINE_S, ECHO, NodeNet, echo, link, read_all, round_trip, until, wait_connected

pytestmark = [pytest.mark.trio, pytest.mark.network, pytest.mark.foreign]

MIB = 1 << 20
KAD = "/test/kad/1.0.0"
TOPIC = "/p2pnode/circle/interop/1"
DIGEST, RESET, LISTEN, SLOW = "/test/digest/1", "/test/reset/1", "/test/listen/1", "/test/slow/1"
SIZES = [16 * MIB, pytest.param(64 * MIB, marks=pytest.mark.long)]
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def js(foreign: Path) -> Iterator[JsNode]:
    node = JsNode(foreign, KAD)
    try:
        yield node
    finally:
        node.close()


@asynccontextmanager
async def ours(count: int = 1, *, network: str = "apart") -> AsyncIterator[list[Libp2pNetwork]]:
    """Running networks that js-libp2p has never met, and whose DHT is not its own unless the test is about that."""
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(NodeNet(next(_numbers), network=network).open()) for _ in range(count)]
        for node in nodes:
            node.serve(ECHO, echo)
            node.serve(DIGEST, digest)
        yield nodes


@asynccontextmanager
async def met(js: JsNode, *, network: str = "apart") -> AsyncIterator[Libp2pNetwork]:
    """One network of ours that dialled js-libp2p, and both have heard who the other is."""
    async with ours(network=network) as (node,):
        await node.connect(js.address)
        await wait_connected(node, js.peer_id)
        with trio.fail_after(DEADLINE_S):
            await js.until(lambda connected: node.peer_id in connected, "connected")
        yield node


async def digest(stream: Stream) -> None:
    """Speaks only after the end of what it is sent: a half-closed stream is what makes that possible."""
    hashed = hashlib.sha256()
    while data := await stream.receive_some(1 << 18):
        hashed.update(data)
    await stream.send_all(hashed.digest())


def key_and_value(public: PublicKey) -> tuple[bytes, bytes]:
    """What a public key is put as."""
    return key_of_peer(PeerId(ID.from_pubkey(public).to_base58())), public.serialize()


def view_of(node: Libp2pNetwork, peer: PeerId) -> PeerView:
    return next(view for view in node.peers() if view.peer == peer)


@pytest.mark.parametrize("dialler", ["ours", "theirs"])
async def test_each_introduces_itself_and_answers_pings(js: JsNode, dialler: str) -> None:
    async with ours() as (node,):
        if dialler == "ours":
            await node.connect(js.address)
        else:
            dialled = await js("dial", address=node.addresses()[0])
            assert dialled == {"peer": node.peer_id, "muxer": "/yamux/1.0.0", "encryption": "/noise"}
        await wait_connected(node, js.peer_id)
        view = view_of(node, js.peer_id)
        assert view.agent.startswith("js-libp2p/")
        assert view.direction == ("outbound" if dialler == "ours" else "inbound")
        assert js.address in view.addresses
        assert {KAD, PING_PROTOCOL, ECHO} <= set(view.protocols)

        with trio.fail_after(DEADLINE_S):
            known = await js.until(lambda known: "agent" in known, "known", peer=node.peer_id)
        assert known["agent"] == identify.AGENT
        assert known["addresses"] == [address.partition("/p2p/")[0] for address in node.addresses()]
        assert {"/apart/kad/1.0.0", PING_PROTOCOL, ECHO, "/meshsub/1.1.0"} <= set(known["protocols"])

        assert await js("ping", peer=node.peer_id) >= 0
        stream = await node.open_stream(js.peer_id, PING_PROTOCOL)
        with trio.fail_after(DEADLINE_S):
            for number in range(2):
                await stream.send_all(bytes([number]) * 32)
                assert b"".join([await stream.receive_some(1) for _ in range(32)]) == bytes([number]) * 32
        await stream.aclose()
        await until(lambda: view_of(node, js.peer_id).rtt_ms is not None)  # the ping of Yamux


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("protocol", [ECHO, DIGEST])
async def test_what_we_send_comes_back_after_our_end(js: JsNode, protocol: str, size: int) -> None:
    async with met(js) as node:
        stream = await node.open_stream(js.peer_id, protocol)
        sent, heard, tail = hashlib.sha256(), hashlib.sha256(), b""

        async def send() -> None:
            for number in range(size // MIB):
                piece = number.to_bytes(4, "big") * (MIB // 4)
                sent.update(piece)
                await stream.send_all(piece)
            await stream.send_eof()

        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(send)
                while tail_part := await stream.receive_some(1 << 18):
                    heard.update(tail_part)
                    tail = tail_part
        assert (tail if protocol == DIGEST else heard.digest()) == sent.digest()
        await stream.aclose()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("protocol", [ECHO, DIGEST])
async def test_what_they_send_comes_back_after_their_end(js: JsNode, protocol: str, size: int) -> None:
    async with met(js) as node:
        result = await js("exchange", peer=node.peer_id, protocol=protocol, bytes=size)
        if protocol == ECHO:
            assert result["read"] == size and result["heard"] == result["sent"]
        else:
            assert result["heard"] == hashlib.sha256(bytes.fromhex(result["sent"])).hexdigest()


async def test_a_short_question_that_ends_at_once_is_answered(js: JsNode) -> None:
    """Proposal, question and end in one flight make js-libp2p hang at times, so our end waits for its yes."""
    async with met(js) as node:
        for number in range(10):
            question = bytes([number]) * 5
            assert await round_trip(node, js.peer_id, question) == question


async def test_their_reset_is_no_end_to_us(js: JsNode) -> None:
    async with met(js) as node:
        stream = await node.open_stream(js.peer_id, RESET)
        with trio.fail_after(DEADLINE_S):
            assert await stream.receive_some(4) == b"part"
            await stream.send_all(b"go on")
            with pytest.raises(NetworkError):
                await stream.receive_some(1)


async def test_our_reset_is_no_end_to_them(js: JsNode) -> None:
    async def refuse(stream: Stream) -> None:
        await stream.send_all(b"part")
        await stream.receive_some(2)
        raise NetworkError("no more of this")

    async with met(js) as node:
        node.serve(RESET, refuse)
        result = await js("read until it ends", peer=node.peer_id, protocol=RESET)
        assert result == {"heard": "part", "ending": "StreamResetError"}

        stream = await node.open_stream(js.peer_id, LISTEN)
        await stream.send_all(b"hello")
        assert await stream.receive_some(5) == b"heard"
        await stream.reset()
        assert await js("ending", protocol=LISTEN) == "StreamResetError"

        stream = await node.open_stream(js.peer_id, LISTEN)
        await stream.send_all(b"hello")
        assert await stream.receive_some(5) == b"heard"
        await stream.aclose()
        assert await js("ending", protocol=LISTEN) == "end"


async def test_unknown_protocols_are_refused_in_words(js: JsNode) -> None:
    async with met(js) as node:
        with pytest.raises(NetworkError, match="does not speak"):
            await node.open_stream(js.peer_id, "/test/nobody/1")
        with pytest.raises(Exception, match="UnsupportedProtocolError"):
            await js("read until it ends", peer=node.peer_id, protocol="/test/nobody/1")


@pytest.mark.long
async def test_our_pause_of_seven_seconds_loses_nothing_of_theirs(js: JsNode) -> None:
    async def pause(stream: Stream) -> None:
        await trio.sleep(7)
        await digest(stream)

    async with met(js) as node:
        node.serve(SLOW, pause)
        async with trio.open_nursery() as nursery:

            async def beside() -> None:
                result = await js("exchange", peer=node.peer_id, protocol=ECHO, bytes=MIB)
                assert result["heard"] == result["sent"]

            nursery.start_soon(beside)
            result = await js("exchange", peer=node.peer_id, protocol=SLOW, bytes=40 * MIB)
        assert result["heard"] == hashlib.sha256(bytes.fromhex(result["sent"])).hexdigest()


@pytest.mark.long
async def test_their_pause_of_seven_seconds_loses_nothing_of_ours(js: JsNode) -> None:
    async with met(js) as node:
        stream = await node.open_stream(js.peer_id, SLOW)
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stream.send_all, bytes(40 * MIB))
                assert (await js("exchange", peer=node.peer_id, protocol=ECHO, bytes=MIB))["read"] == MIB
            await stream.send_eof()
            assert await read_all(stream) == str(40 * MIB).encode()


async def test_each_finds_in_the_dht_what_the_other_provides(js: JsNode) -> None:
    """Near knows js-libp2p, far knows near only: what far finds went over both implementations."""
    async with ours(2, network="test") as (near, far):
        await near.connect(js.address)
        await wait_connected(near, js.peer_id)
        await link(far, near)
        await until(lambda: js.peer_id in near.dht.table and len(far.dht.table) == 2)

        theirs = Cid.of(RAW, b"what js-libp2p provides")
        await js("provide", cid=str(theirs))
        for node in (near, far):
            assert await node.find_providers(theirs.digest) == [js.peer_id]

        mine = Cid.of(RAW, b"what we provide")
        assert await far.provide(mine.digest) == 2  # near and js-libp2p hold it, and said so when asked
        providers = await js("providers", cid=str(mine))
        assert providers[far.peer_id] == [address.partition("/p2p/")[0] for address in far.addresses()]
        assert await near.find_providers(mine.digest) == [far.peer_id]

        assert await js("find peer", peer=far.peer_id) == providers[far.peer_id]
        assert await far.dht.find_addresses(js.peer_id) == [js.address.partition("/p2p/")[0]]


async def test_a_dht_of_values_costs_its_peers_no_points(js: JsNode) -> None:
    """Values are legal in Kademlia: whoever asks for one, or puts one that is not kept here, has broken no rule."""
    async with met(js, network="test") as node:
        await until(lambda: js.peer_id in node.dht.table)
        with trio.fail_after(DEADLINE_S):
            await js.until(lambda found: node.peer_id in found["answered"], "get value", key=b"/test/first".hex())
            for number in range(BAN_POINTS // BROKEN_RULE_POINTS + 1):
                key = f"/test/{number}".encode().hex()
                assert (await js("put value", key=key, value="00"))[node.peer_id] is False
                found = await js("get value", key=key)
                assert found["values"] == ["00"] and node.peer_id in found["answered"]  # the one that it kept itself
        assert node.banned() == []


async def test_each_finds_in_the_dht_the_public_key_that_the_other_put(js: JsNode) -> None:
    """Near knows js-libp2p, far knows near only. The owners are nobody who is there: js-libp2p knows the keys of its peers anyway."""
    async with ours(2, network="test") as (near, far):
        await near.connect(js.address)
        await link(far, near)
        await until(lambda: js.peer_id in near.dht.table and len(far.dht.table) == 2)
        with trio.fail_after(DEADLINE_S):
            for create in (ed25519_pair(bytes([201]) * 32), rsa_pair(2048)):
                key, value = key_and_value(create.public_key)
                assert await far.dht.put_value(key, value) == 2
                assert (await js("get value", key=key.hex()))["values"][0] == value.hex()

            key, value = key_and_value(ed25519_pair(bytes([202]) * 32).public_key)
            told = await js.until(lambda told: len(told) >= 2, "put value", key=key.hex(), value=value.hex())
            assert told[near.peer_id] and told[far.peer_id]
            assert await far.dht.get_value(key) == value


async def test_false_public_keys_are_refused_on_both_sides(js: JsNode) -> None:
    key, value = key_and_value(ed25519_pair(bytes([203]) * 32).public_key)
    _, false = key_and_value(ed25519_pair(bytes([204]) * 32).public_key)
    async with met(js, network="test") as node:
        await until(lambda: js.peer_id in node.dht.table)
        with trio.fail_after(DEADLINE_S):
            told = await js.until(lambda told: node.peer_id in told, "put value", key=key.hex(), value=false.hex())
            assert told[node.peer_id] is False
            stream = await node.open_stream(js.peer_id, KAD)
            await stream.send_all(kad.encode(kad.KadMessage("PUT_VALUE", key, value=value)))
            assert await stream.receive_some(1)  # true: it echoes the request
            await stream.reset()
            stream = await node.open_stream(js.peer_id, KAD)
            with pytest.raises(NetworkError):  # it resets at once, perhaps while we are still sending
                await stream.send_all(kad.encode(kad.KadMessage("PUT_VALUE", key, value=false)))
                assert await stream.receive_some(1) == b"the end"


async def test_gossip_is_heard_both_ways_and_over_each_other(js: JsNode) -> None:
    """left - js-libp2p - right: what left says reaches right only if js-libp2p takes our signature and relays it, and we its relay."""
    async with ours(2) as (left, right):
        inboxes: dict[PeerId, list[bytes]] = {}
        forwarders: set[PeerId] = set()

        async def join(node: Libp2pNetwork) -> None:
            inbox = inboxes[node.peer_id] = []

            def deliver(forwarder: PeerId, data: bytes) -> None:
                forwarders.add(forwarder)
                inbox.append(data)

            await node.join_topic(TOPIC, lambda forwarder, data: True, deliver)
            await node.connect(js.address)
            await until(lambda: js.peer_id in node.gossip.neighbours(TOPIC))
            # js-libp2p relays to its mesh only, and offers nothing of before to who joins it
            with trio.fail_after(DEADLINE_S):
                await js.until(lambda mesh: node.peer_id in mesh, "mesh", topic=TOPIC)

        await js("subscribe", topic=TOPIC)
        for node in (left, right):
            await join(node)

        said = [b"left says", b"js says", b"right says"]
        await left.publish(TOPIC, said[0])
        assert set(await js("publish", topic=TOPIC, data=said[1].hex())) == {left.peer_id, right.peer_id}
        await right.publish(TOPIC, said[2] + bytes(60_000))
        said[2] += bytes(60_000)
        await until(lambda: len(inboxes[left.peer_id]) == 2 and len(inboxes[right.peer_id]) == 2)
        assert sorted(inboxes[left.peer_id]) == sorted([said[1], said[2]])
        assert sorted(inboxes[right.peer_id]) == sorted([said[0], said[1]])
        assert forwarders == {js.peer_id}
        heard = {(message["type"], message["from"], message["data"]) for message in await js("inbox")}
        assert heard == {("signed", left.peer_id, said[0].hex()), ("signed", right.peer_id, said[2].hex())}
