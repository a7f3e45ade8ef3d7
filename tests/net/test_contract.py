"""What everything behind `ports.Network` promises: one suite for the network of libp2p and for the fake that services are tested on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import pairwise

import pytest
import trio

from p2pnode.core.ids import PeerId
from p2pnode.errors import NetworkError, UsageError
from p2pnode.ports import Network, Stream
from tests.support import loopback, net
from tests.support.loopback import MAX_GOSSIP_BYTES
from tests.support.net import DEADLINE_S, ECHO, link, read_all, round_trip, until, wait_connected

pytestmark = pytest.mark.trio

Networks = Callable[[int], AbstractAsyncContextManager[Sequence[Network]]]
KEY, OTHER_KEY = b"k" * 32, b"o" * 32
TOPIC = "p2pnode/circle/contract"
WAIT = "/test/wait/1"


@asynccontextmanager
async def loopback_networks(count: int) -> AsyncIterator[Sequence[Network]]:
    async with loopback.a_hub() as hub:
        nodes = [hub.node(f"node{number}") for number in range(count)]
        for node in nodes:
            node.serve(ECHO, net.echo)
        yield nodes


@pytest.fixture(
    params=[
        pytest.param(loopback_networks, id="loopback"),
        pytest.param(net.networks, id="libp2p", marks=pytest.mark.network),
    ]
)
def networks(request: pytest.FixtureRequest) -> Networks:
    """Opens that many networks, not connected yet, that answer ECHO."""
    made: Networks = request.param
    return made


async def wait(stream: Stream) -> None:
    await stream.send_all(b"!")
    await trio.sleep_forever()


async def ends_in_an_error(stream: Stream) -> bool:
    with trio.fail_after(DEADLINE_S):
        try:
            await read_all(stream)
        except NetworkError:
            return True
    return False


# ------------------------------------------------------------ streams


async def test_bytes_come_back_exactly_after_a_half_close_in_both_directions(networks: Networks) -> None:
    async with networks(2) as (a, b):
        await link(a, b)
        assert await round_trip(a, b.peer_id, b"there and back") == b"there and back"
        assert await round_trip(b, a.peer_id, b"the other way") == b"the other way"


async def test_more_than_any_window_arrives_whole_while_it_is_read(networks: Networks) -> None:
    async with networks(2) as (a, b):
        await link(a, b)
        data = bytes(range(251)) * 5000
        stream = await a.open_stream(b.peer_id, ECHO)

        async def send() -> None:
            await stream.send_all(memoryview(data))
            await stream.send_eof()

        with trio.fail_after(DEADLINE_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(send)
                assert await read_all(stream) == data


async def test_who_writes_waits_for_who_reads(networks: Networks) -> None:
    async with networks(2) as (a, b):
        await link(a, b)
        b.serve(WAIT, wait)
        stream = await a.open_stream(b.peer_id, WAIT)
        with trio.move_on_after(0.5) as patience:
            await stream.send_all(bytes(16 << 20))
        assert patience.cancelled_caught


async def test_a_stream_knows_its_peer_and_gives_no_more_than_asked_for(networks: Networks) -> None:
    peers: list[PeerId] = []

    async def note(stream: Stream) -> None:
        peers.append(stream.peer)
        await stream.send_all(b"hello")

    async with networks(2) as (a, b):
        await link(a, b)
        b.serve("/test/note/1", note)
        stream = await a.open_stream(b.peer_id, "/test/note/1")
        parts = [await stream.receive_some(2) for _ in range(4)]
        assert b"".join(parts) == b"hello" and max(map(len, parts)) <= 2
        assert (stream.peer, peers) == (b.peer_id, [a.peer_id])


async def test_the_end_is_told_again_and_again(networks: Networks) -> None:
    async with networks(2) as (a, b):
        await link(a, b)
        stream = await a.open_stream(b.peer_id, ECHO)
        await stream.send_eof()
        await stream.send_eof()
        assert [await stream.receive_some(10) for _ in range(2)] == [b"", b""]
        with pytest.raises(NetworkError):
            await stream.send_all(b"late")
        await stream.aclose()
        await stream.aclose()
        with pytest.raises(NetworkError):
            await stream.receive_some(1)


async def test_what_was_sent_before_a_close_arrives(networks: Networks) -> None:
    read: list[bytes] = []

    async def keep(stream: Stream) -> None:
        read.append(await read_all(stream))

    async with networks(2) as (a, b):
        await link(a, b)
        b.serve("/test/keep/1", keep)
        stream = await a.open_stream(b.peer_id, "/test/keep/1")
        await stream.send_all(b"the last words")
        await stream.aclose()
        await until(lambda: read == [b"the last words"])


async def test_a_reset_is_an_error_on_the_other_side_and_never_an_end(networks: Networks) -> None:
    seen: list[bool] = []

    async def read(stream: Stream) -> None:
        seen.append(await ends_in_an_error(stream))

    async with networks(2) as (a, b):
        await link(a, b)
        b.serve("/test/read/1", read)
        stream = await a.open_stream(b.peer_id, "/test/read/1")
        await stream.send_all(b"the beginning of something")
        await stream.reset()
        await stream.reset()
        await until(lambda: bool(seen))
        with pytest.raises(NetworkError):
            await stream.send_all(b"more")
    assert seen == [True]


async def test_a_lost_connection_breaks_its_streams(networks: Networks) -> None:
    async with networks(2) as (a, b):
        await link(a, b)
        b.serve(WAIT, wait)
        stream = await a.open_stream(b.peer_id, WAIT)
        assert await stream.receive_some(1) == b"!"
        await b.disconnect(a.peer_id)
        assert await ends_in_an_error(stream)


async def test_a_handler_that_fails_resets_and_the_node_lives_on(networks: Networks) -> None:
    async def fail(stream: Stream) -> None:
        raise KeyError("a bug")

    async with networks(2) as (a, b):
        await link(a, b)
        b.serve("/test/fail/1", fail)
        assert await ends_in_an_error(await a.open_stream(b.peer_id, "/test/fail/1"))
        assert await round_trip(a, b.peer_id) == b"hello"


async def test_a_handler_that_returns_closes_its_stream(networks: Networks) -> None:
    async def leave(stream: Stream) -> None:
        await stream.send_all(b"bye")

    async with networks(2) as (a, b):
        await link(a, b)
        b.serve("/test/leave/1", leave)
        with trio.fail_after(DEADLINE_S):
            assert await read_all(await a.open_stream(b.peer_id, "/test/leave/1")) == b"bye"


async def test_a_protocol_nobody_speaks(networks: Networks) -> None:
    async with networks(2) as (a, b):
        await link(a, b)
        with pytest.raises(NetworkError, match="does not speak /test/nothing/1"):
            await a.open_stream(b.peer_id, "/test/nothing/1")


async def test_streams_per_peer_are_limited_and_counted_down(networks: Networks) -> None:
    async with networks(3) as (a, b, c):
        await link(a, b)
        await link(c, b)
        b.serve(WAIT, wait, streams_per_peer=2)
        held = [await a.open_stream(b.peer_id, WAIT) for _ in range(2)]
        assert [await stream.receive_some(1) for stream in held] == [b"!", b"!"]
        assert await ends_in_an_error(await a.open_stream(b.peer_id, WAIT))
        assert await (await c.open_stream(b.peer_id, WAIT)).receive_some(1) == b"!"
        b.serve(ECHO, net.echo, streams_per_peer=1)
        for _ in range(3):
            assert await round_trip(a, b.peer_id) == b"hello"


async def test_an_old_acquaintance_is_dialled_again_by_open_stream(networks: Networks) -> None:
    async with networks(2) as (a, b):
        await link(a, b)
        await a.disconnect(b.peer_id)
        await wait_connected(a, b.peer_id, connected=False)
        await wait_connected(b, a.peer_id, connected=False)
        assert await round_trip(a, b.peer_id) == b"hello"


# ------------------------------------------------------------ peers


async def test_events_begin_with_who_is_there(networks: Networks) -> None:
    async with networks(3) as (a, b, c):
        await link(a, b)
        async with a.peer_events() as events:
            with trio.fail_after(DEADLINE_S):
                first = await anext(events)
                assert (first.peer, first.connected) == (b.peer_id, True)
                assert ECHO in first.protocols
                await c.connect(a.addresses()[0])
                second = await anext(events)
                assert (second.peer, second.connected) == (c.peer_id, True)
                await a.disconnect(b.peer_id)
                third = await anext(events)
                assert (third.peer, third.connected) == (b.peer_id, False)
        assert [view.peer for view in a.peers()] == [c.peer_id]


async def test_a_connection_is_seen_from_both_sides_and_made_once(networks: Networks) -> None:
    async with networks(2) as (a, b):
        await link(a, b)
        assert await a.connect(b.addresses()[0]) == b.peer_id
        assert await b.connect(a.addresses()[0]) == a.peer_id
        ((mine,), (yours,)) = (a.peers(), b.peers())
        assert (mine.peer, mine.direction) == (b.peer_id, "outbound")
        assert (yours.peer, yours.direction) == (a.peer_id, "inbound")
        assert ECHO in mine.protocols and ECHO in yours.protocols
        assert all(address.endswith(f"/p2p/{b.peer_id}") for address in (*mine.addresses, *b.addresses()))


async def test_disconnecting_a_stranger_does_nothing(networks: Networks) -> None:
    async with networks(2) as (a, b):
        await a.disconnect(b.peer_id)
        assert a.peers() == []


@pytest.mark.parametrize(
    "address", ["", "nonsense", "/ip4/127.0.0.1/tcp/1", "/p2p/{b}", "/ip4/127.0.0.1/tcp/1/p2p/", "{a}"]
)
async def test_addresses_that_cannot_be_meant(networks: Networks, address: str) -> None:
    async with networks(2) as (a, b):
        with pytest.raises(UsageError):
            await a.connect(address.format(a=a.addresses()[0], b=b.peer_id))


async def test_nobody_is_there(networks: Networks) -> None:
    async with networks(2) as (a, b):
        gone = b.addresses()[0].replace(b.peer_id, STRANGER)
        with pytest.raises(NetworkError):
            await a.connect(gone)
        with pytest.raises(NetworkError):
            await a.open_stream(STRANGER, ECHO)
        with pytest.raises(UsageError):
            await a.open_stream(a.peer_id, ECHO)
        assert a.peers() == []


STRANGER = PeerId("12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH6")


async def test_a_hundred_points_disconnect_and_ban(networks: Networks) -> None:
    async with networks(2) as (a, b):
        await link(b, a)
        a.penalise(b.peer_id, 60, "it sent a bad leaf")
        assert await round_trip(b, a.peer_id) == b"hello"
        a.penalise(b.peer_id, 60, "it sent another")
        await wait_connected(a, b.peer_id, connected=False)
        await wait_connected(b, a.peer_id, connected=False)
        with pytest.raises(NetworkError):
            await round_trip(b, a.peer_id)
        with pytest.raises(NetworkError):
            await a.connect(b.addresses()[0])
        assert a.peers() == []


# ------------------------------------------------------------ DHT


async def test_what_is_provided_is_found_once_and_never_by_oneself(networks: Networks) -> None:
    async with networks(3) as (a, b, c):
        await link(a, b)
        await link(c, b)
        for _ in range(2):
            assert await a.provide(KEY) >= 1
        assert await b.provide(KEY) >= 1
        assert sorted(await c.find_providers(KEY)) == sorted([a.peer_id, b.peer_id])
        assert await a.find_providers(KEY) == [b.peer_id]
        assert len(await c.find_providers(KEY, limit=1)) == 1
        assert await c.find_providers(OTHER_KEY) == []


async def test_who_is_alone_tells_nobody(networks: Networks) -> None:
    async with networks(1) as (a,):
        assert await a.provide(KEY) == 0
        assert await a.find_providers(KEY) == []


async def test_a_key_is_a_digest(networks: Networks) -> None:
    async with networks(1) as (a,):
        with pytest.raises(UsageError):
            await a.provide(b"short")
        with pytest.raises(UsageError):
            await a.find_providers(b"short")


# ------------------------------------------------------------ topics


class Inbox:
    """Joins the topic and keeps what was delivered, and what it was asked about."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.delivered: list[tuple[PeerId, bytes]] = []
        self.asked: list[bytes] = []

    def validate(self, forwarder: PeerId, data: bytes) -> bool:
        self.asked.append(data)
        if data.startswith(b"raise"):
            raise KeyError("a bug in the validator")
        return not data.startswith(b"bad")

    async def join(self) -> None:
        await self.network.join_topic(TOPIC, self.validate, lambda peer, data: self.delivered.append((peer, data)))

    @property
    def messages(self) -> list[bytes]:
        return [data for _, data in self.delivered]


async def chain(nodes: Sequence[Network]) -> list[Inbox]:
    """All joined, each linked to the next, and each hearing both neighbours."""
    inboxes = [Inbox(node) for node in nodes]
    for inbox in inboxes:
        await inbox.join()
    for left, right in pairwise(inboxes):
        await link(left.network, right.network)
    for number, inbox in enumerate(inboxes):
        await heard(inbox, b"hello from %d" % number, [other for other in inboxes if other is not inbox])
    for inbox in inboxes:
        inbox.delivered.clear()
        inbox.asked.clear()
    return inboxes


async def heard(speaker: Inbox, data: bytes, listeners: Sequence[Inbox]) -> None:
    """Say it until all have heard it: neighbours learn of each other's topics in their own time."""
    with trio.fail_after(DEADLINE_S):
        while not all(data in listener.messages for listener in listeners):
            await speaker.network.publish(TOPIC, data)
            await trio.sleep(0.05)


async def test_a_message_goes_hop_by_hop_and_is_delivered_once_but_not_to_its_author(networks: Networks) -> None:
    async with networks(4) as nodes:
        inboxes = await chain(nodes)
        await nodes[0].publish(TOPIC, b"one")
        await nodes[3].publish(TOPIC, b"two")
        await until(lambda: all(len(inbox.messages) >= 1 for inbox in inboxes))
        await until(lambda: all(len(inbox.messages) >= 2 for inbox in inboxes[1:3]))
        assert inboxes[0].delivered == [(nodes[1].peer_id, b"two")]
        assert inboxes[3].delivered == [(nodes[2].peer_id, b"one")]
        assert sorted(inboxes[1].delivered) == sorted([(nodes[0].peer_id, b"one"), (nodes[2].peer_id, b"two")])


async def test_what_was_said_twice_is_delivered_once(networks: Networks) -> None:
    async with networks(2) as nodes:
        _, listener = await chain(nodes)
        for data in (b"same", b"same", b"last"):
            await nodes[0].publish(TOPIC, data)
        await until(lambda: b"last" in listener.messages)
        assert listener.messages == [b"same", b"last"]


async def test_what_a_validator_refuses_is_neither_delivered_nor_relayed(networks: Networks) -> None:
    async with networks(3) as nodes:
        _, middle, last = await chain(nodes)
        for data in (b"bad", b"raise", b"good"):
            await nodes[0].publish(TOPIC, data)
        await until(lambda: last.messages == [b"good"])
        assert middle.messages == [b"good"]
        assert sorted(middle.asked) == [b"bad", b"good", b"raise"] and last.asked == [b"good"]


async def test_who_left_or_never_joined_hears_nothing_and_may_speak(networks: Networks) -> None:
    async with networks(2) as (a, b):
        _, listener = await chain([a, b])
        await a.leave_topic(TOPIC)
        await b.publish(TOPIC, b"to nobody")
        await a.publish("p2pnode/circle/unheard", b"of another topic")
        await heard(Inbox(a), b"from outside", [listener])
        assert listener.messages == [b"from outside"]


async def test_joining_again_replaces_the_callables(networks: Networks) -> None:
    async with networks(2) as (a, b):
        _, old = await chain([a, b])
        new = Inbox(b)
        await new.join()
        await a.publish(TOPIC, b"news")
        await until(lambda: new.messages == [b"news"])
        assert old.messages == []


@pytest.mark.parametrize("size", [0, MAX_GOSSIP_BYTES + 1])
async def test_what_is_no_message_is_not_sent(networks: Networks, size: int) -> None:
    async with networks(1) as (a,):
        await a.join_topic(TOPIC, lambda peer, data: True, lambda peer, data: None)
        with pytest.raises(UsageError):
            await a.publish(TOPIC, bytes(size))


async def test_a_message_of_the_largest_size_arrives(networks: Networks) -> None:
    async with networks(2) as nodes:
        _, listener = await chain(nodes)
        await nodes[0].publish(TOPIC, bytes(MAX_GOSSIP_BYTES))
        await until(lambda: listener.messages == [bytes(MAX_GOSSIP_BYTES)])
