"""Serving by Bitswap: what is public goes to whoever wants it, on streams of our own, in turns, and everything about it is bounded."""

from __future__ import annotations

from collections.abc import AsyncIterator
from unittest import mock

import pytest
import trio
from pytest_trio import trio_fixture
from trio.testing import MockClock

from p2pnode.core.bitswap_ledger import MAX_WAITING_PER_PEER, MAX_WANTS_PER_PEER
from p2pnode.core.bitswap_messages import (
    MAX_MESSAGE_BYTES,
    PROTOCOL_100,
    PROTOCOL_110,
    PROTOCOL_120,
    Entry,
    Want,
    encode_wants,
)
from p2pnode.core.cid import RAW, Cid, encode_varint
from p2pnode.limits import MAX_BLOCK_BYTES, MIB
from p2pnode.services import bitswap_serve
from p2pnode.services.bitswap import Bitswap
from p2pnode.services.bitswap_serve import LOOK_AGAIN_S, MESSAGE_BYTES, SEND_TIMEOUT_S
from p2pnode.store.memory import MemoryStore
from tests.support.bitswap_peer import Foreigner
from tests.support.contents import hold, many_files
from tests.support.dags import Dag, build
from tests.support.loopback import Hub, LoopbackNetwork, a_hub
from tests.support.waiting import DEADLINE_S

pytestmark = pytest.mark.trio
UNKNOWN = Cid.of(RAW, b"unheard of")
BIG = build(bytes(range(256)) * 40, leaf_bytes=5000)
SMALL = build({"a": b"small", "b": b"tiny"})


class Held:
    """ports.Traffic that a test turns."""

    reason: str | None = None

    def waiting_reason(self) -> str | None:
        return self.reason

    async def allowed(self) -> None:
        raise AssertionError("who serves does not wait: the asker goes elsewhere")


class Server:
    """A node that serves, and foreigners to ask it."""

    def __init__(self, hub: Hub) -> None:
        self.traffic = Held()
        self.hub = hub
        self.network: LoopbackNetwork = hub.node("server")
        self.store = MemoryStore(lambda: 1_800_000_000.0 + trio.current_time())
        self.bitswap = Bitswap(self.network, self.store, self.traffic)
        self.id = self.network.peer_id

    async def holds(self, dag: Dag, *, public: bool = True) -> None:
        await hold(self.store, dag, public=public)

    def foreigner(self, name: str = "kubo", **options: object) -> Foreigner:
        return Foreigner(self.hub.node(name), **options)  # type: ignore[arg-type]


@trio_fixture
async def server() -> AsyncIterator[Server]:
    async with a_hub() as hub:
        made = Server(hub)
        await made.bitswap.start(hub.nursery)
        yield made


async def test_a_wanted_block_comes_on_a_stream_of_ours(autojump_clock: MockClock, server: Server) -> None:
    await server.holds(BIG)
    kubo = server.foreigner()
    await kubo.want(server.id, BIG.root, *BIG.leaves)
    await kubo.until(lambda: len(kubo.blocks) == 1 + len(BIG.leaves))
    assert kubo.blocks == [BIG.root, *BIG.leaves] and kubo.presences == {}
    assert server.network.opened == [("kubo", PROTOCOL_120)]  # one stream for all of it
    assert server.bitswap.server.sent_blocks == len(kubo.blocks)


async def test_presence_is_told_to_who_asks_for_it(autojump_clock: MockClock, server: Server) -> None:
    await server.holds(BIG)
    await server.holds(SMALL)
    kubo = server.foreigner()
    leaf, tiny = next(iter(BIG.leaves)), next(iter(SMALL.leaves))
    await kubo.want(server.id, leaf, tiny, UNKNOWN, want=Want.HAVE, send_dont_have=True)
    await kubo.until(lambda: len(kubo.presences) == 2 and bool(kubo.blocks))
    assert kubo.presences == {leaf: True, UNKNOWN: False}
    assert kubo.blocks == [tiny]  # cheaper than to say that we have it


async def test_nothing_is_given_while_the_budget_is_used_up_and_it_comes_when_there_is_one_again(
    autojump_clock: MockClock, server: Server
) -> None:
    await server.holds(BIG)
    server.traffic.reason = "the hour's budget is used up"
    kubo = server.foreigner()
    await kubo.want(server.id, *BIG.leaves, send_dont_have=True)
    await kubo.until(lambda: len(kubo.presences) == len(BIG.leaves))
    assert not any(kubo.presences.values()) and kubo.blocks == []  # it asks others meanwhile
    server.traffic.reason = None
    await kubo.until(lambda: len(kubo.blocks) == len(BIG.leaves), 2 * LOOK_AGAIN_S)


async def test_the_budget_that_is_used_up_in_the_middle_of_an_answer_ends_it(
    autojump_clock: MockClock, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bitswap_serve, "MESSAGE_BYTES", 1)  # one block a message
    await server.holds(BIG)
    kubo = server.foreigner()

    async def use_up(peer: object, message: object) -> None:
        server.traffic.reason = "the hour's budget is used up"

    kubo.on_message = use_up
    await kubo.want(server.id, *BIG.leaves, send_dont_have=True)
    await kubo.until(lambda: len(kubo.blocks) + len(kubo.presences) == len(BIG.leaves))
    assert 1 <= len(kubo.blocks) < len(BIG.leaves)


async def test_a_lack_is_told_only_to_who_wants_to_hear_it(autojump_clock: MockClock, server: Server) -> None:
    await server.holds(BIG)
    kubo = server.foreigner()
    other = Cid.of(RAW, b"another")
    await kubo.want(server.id, UNKNOWN, BIG.root)
    await kubo.want(server.id, other, send_dont_have=True)
    await kubo.until(lambda: bool(kubo.presences) and bool(kubo.blocks))
    assert kubo.presences == {other: False} and kubo.blocks == [BIG.root]


async def test_what_is_private_looks_like_what_is_unknown(autojump_clock: MockClock, server: Server) -> None:
    await server.holds(BIG, public=False)
    kubo = server.foreigner()
    leaf = next(iter(BIG.leaves))
    await kubo.want(server.id, BIG.root, send_dont_have=True)
    await kubo.want(server.id, leaf, want=Want.HAVE, send_dont_have=True)
    await kubo.until(lambda: len(kubo.presences) == 2)
    assert kubo.presences == {BIG.root: False, leaf: False} and kubo.blocks == []


async def test_a_block_is_known_by_the_cids_of_both_versions(autojump_clock: MockClock, server: Server) -> None:
    """Who fetched it as Qm... is asked for it as bafy... by those whose browser cannot tell capitals apart."""
    v1, v0 = BIG.root, Cid(0, BIG.root.codec, BIG.root.multihash)
    await server.holds(Dag(v0, {v0: BIG.interior[v1]}, BIG.leaves))
    await server.holds(SMALL)
    kubo = server.foreigner()
    small_v0 = Cid(0, SMALL.root.codec, SMALL.root.multihash)
    await kubo.want(server.id, v1, small_v0)
    await kubo.until(lambda: len(kubo.blocks) == 2)
    assert kubo.blocks == [v1, small_v0]  # each as it was asked for
    unknown = Cid(0, BIG.root.codec, UNKNOWN.multihash)
    await kubo.want(server.id, v1, unknown, want=Want.HAVE, send_dont_have=True)
    await kubo.until(lambda: unknown in kubo.presences)
    assert kubo.presences[unknown] is False and kubo.presences.get(v1, True)


async def test_urgent_wants_come_first(autojump_clock: MockClock, server: Server) -> None:
    await server.holds(BIG)
    kubo = server.foreigner()
    leaves = list(BIG.leaves)
    entries = [Entry(cid, priority) for priority, cid in enumerate(leaves)]
    await kubo.say(server.id, encode_wants(entries))
    await kubo.until(lambda: len(kubo.blocks) == len(leaves))
    assert kubo.blocks == leaves[::-1]


async def test_what_we_lack_is_sent_when_it_came_unless_it_was_cancelled(
    autojump_clock: MockClock, server: Server
) -> None:
    kubo = server.foreigner()
    first, second, *_ = BIG.leaves
    await kubo.want(server.id, first, second, send_dont_have=True)
    await kubo.until(lambda: len(kubo.presences) == 2)
    await kubo.say(server.id, encode_wants([Entry(second, cancel=True)]))
    await trio.sleep(1)
    await server.holds(BIG)
    await trio.sleep(2 * LOOK_AGAIN_S)
    assert kubo.blocks == [first]


async def test_a_full_wantlist_replaces_what_was_wanted(autojump_clock: MockClock, server: Server) -> None:
    kubo = server.foreigner()
    first, second, *_ = BIG.leaves
    await kubo.want(server.id, first)
    await trio.sleep(1)
    await kubo.want(server.id, second, full=True)
    await server.holds(BIG)
    await trio.sleep(2 * LOOK_AGAIN_S)
    assert kubo.blocks == [second]


@pytest.mark.parametrize("protocol", [PROTOCOL_110, PROTOCOL_100])
async def test_older_versions_are_answered_in_their_own(
    autojump_clock: MockClock, server: Server, protocol: str
) -> None:
    v0 = Cid(0, BIG.root.codec, BIG.root.multihash)
    await server.holds(Dag(v0, {v0: BIG.interior[BIG.root]}, BIG.leaves))
    kubo = server.foreigner(protocol=protocol)
    await kubo.want(server.id, UNKNOWN, v0, send_dont_have=True)
    await kubo.until(lambda: bool(kubo.blocks))
    assert kubo.blocks == [v0] and kubo.presences == {}
    assert server.network.opened == [("kubo", protocol)]


async def test_messages_stay_within_what_others_take(server: Server) -> None:
    """On a real clock: what is large is worked on in threads."""
    large = build({name: data * 3400 for name, data in many_files(6, 600).items()}, leaf_bytes=MAX_BLOCK_BYTES)
    many = build(many_files(3000, 200))
    for one in (large, many):
        await server.holds(one)
    kubo = server.foreigner()
    wanted = [*large.leaves, *many.leaves]
    await kubo.want(server.id, *wanted)
    await kubo.until(lambda: len(kubo.blocks) == len(wanted), DEADLINE_S)
    assert max(kubo.sizes) <= MAX_BLOCK_BYTES + MESSAGE_BYTES + 4096 < MAX_MESSAGE_BYTES
    assert len(kubo.heard) < 30  # and tiny blocks share messages


async def test_a_flood_of_wants_is_bounded_and_delays_nobody(autojump_clock: MockClock, server: Server) -> None:
    await server.holds(BIG)
    flooder, kubo = server.foreigner("flooder"), server.foreigner("kubo")
    for start in range(0, 12_000, 1000):
        await flooder.want(server.id, *[Cid.of(RAW, b"%d" % n) for n in range(start, start + 1000)])
    await kubo.want(server.id, *BIG.leaves)
    await kubo.until(lambda: len(kubo.blocks) == len(BIG.leaves), 5)
    await trio.sleep(10)
    asker = server.bitswap.server._askers[flooder.peer_id]
    assert len(asker.ledger) <= MAX_WANTS_PER_PEER and asker.ledger.waiting <= MAX_WAITING_PER_PEER
    assert flooder.heard == []


async def test_readers_who_do_not_read_hold_up_nobody_else(autojump_clock: MockClock, server: Server) -> None:
    dag = build(bytes(range(256)) * 4096 + b"end", leaf_bytes=MIB)  # larger than a stream's window
    await server.holds(dag)
    with mock.patch.multiple(bitswap_serve, TURNS=4, SLOW_TURNS=2):
        server.bitswap.server = type(server.bitswap.server)(server.network, server.store)
        server.bitswap.server.start(server.hub.nursery)
    deaf = [server.foreigner(f"deaf{number}", reads=False) for number in range(4)]
    for one in deaf:
        await one.want(server.id, *dag.leaves)
    await trio.sleep(SEND_TIMEOUT_S + 1)  # all turns were theirs; now each has shown how slow it is
    for one in deaf:
        await one.want(server.id, *dag.leaves)
    await trio.sleep(1)
    kubo = server.foreigner()
    await kubo.want(server.id, *dag.leaves)
    await kubo.until(lambda: len(kubo.blocks) == 2, 5)
    await trio.sleep(4 * SEND_TIMEOUT_S)
    assert all(len(asker.ledger) == 0 for asker in server.bitswap.server._askers.values())


async def test_who_is_gone_is_not_dialled_for_its_wants(autojump_clock: MockClock, server: Server) -> None:
    kubo = server.foreigner()
    await kubo.want(server.id, *BIG.leaves)
    await trio.sleep(1)
    await kubo.network.disconnect(server.id)
    await server.holds(BIG)
    await trio.sleep(2 * LOOK_AGAIN_S)
    assert server.network.opened == [] and server.bitswap.server._askers == {}
    await kubo.want(server.id, *BIG.leaves, full=True)  # and when it is back, it is served
    await kubo.until(lambda: len(kubo.blocks) == len(BIG.leaves))


async def test_who_goes_in_the_middle_of_an_answer_is_not_dialled_for_the_rest(
    autojump_clock: MockClock, server: Server
) -> None:
    await server.holds(many := build({f"{n}": b"%d" % n * 40_000 for n in range(30)}))
    deaf = server.foreigner("deaf", reads=False)
    await deaf.want(server.id, *many.leaves)
    await trio.sleep(1)
    assert len(server.network.opened) == 1  # the first message fills the window and stays there
    await deaf.network.disconnect(server.id)
    await trio.sleep(10)
    assert len(server.network.opened) == 1 and server.network.peers() == []


async def test_a_malformed_message_ends_its_stream_and_is_charged(autojump_clock: MockClock, server: Server) -> None:
    kubo = server.foreigner()
    for rubbish in (b"\x0a\xff\xff", encode_varint(MAX_MESSAGE_BYTES + 1), b"\xff" * 20):
        stream = await kubo.network.open_stream(server.id, PROTOCOL_120)
        await stream.send_all(rubbish if rubbish[0] != 0x0A else b"\x03" + rubbish)
        with pytest.raises(Exception, match="reset"):
            await stream.receive_some(1)
    assert server.network.penalties == [("kubo", 25, mock.ANY)]  # the others are charged by whoever serves streams
