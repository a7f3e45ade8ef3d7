"""Fetching between nodes whose wire is memory: many providers, lying, slow and half-empty ones, cancelling and going on, bombs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from unittest import mock

import pytest
import trio
import trio.testing
from pytest_trio import trio_fixture
from trio.testing import MockClock

from p2pnode.core import skeleton
from p2pnode.core.cid import RAW, Cid
from p2pnode.core.dagpb import Link, UnixFS, UnixFSType
from p2pnode.core.fetch_messages import MAX_REQUEST_BYTES, PROTOCOL, Status, decode_request, encode_head, encode_request
from p2pnode.core.ids import PeerId
from p2pnode.core.skeleton import MAX_DEPTH
from p2pnode.errors import DecodeError, NetworkError, RefusedError
from p2pnode.ports import Content, Stream
from p2pnode.services.fetch import fetch
from p2pnode.services.framing import receive_exactly, receive_frame, send_frame
from p2pnode.services.serve_blocks import ServeBlocks
from p2pnode.services.transfer import Transfer
from p2pnode.store.memory import ROOT, MemoryStore
from tests.support.contents import flat, hold, many_files
from tests.support.dags import Dag, Tree, build, folder, node
from tests.support.loopback import Hub, LoopbackNetwork, a_hub

pytestmark = pytest.mark.trio
BIG = b"".join(b"%d " % number for number in range(6000))
TREE: Tree = {"big": BIG, "sub": {"empty": b"", "tiny": b"t", "void": {}}, "copy": BIG}
Handler = Callable[[Stream], Awaitable[None]]
GIVE_UP_S = 3600.0
"""Virtual seconds: a fetch that cannot end fails instead of hanging."""


class World:
    """A hub, a node that fetches, and providers by name."""

    def __init__(self, hub: Hub, name: str = "fetcher") -> None:
        self.hub = hub
        self.network = hub.node(name)
        self.store = MemoryStore(self.clock)
        self.told: list[str] = []
        self.transfer = self.new_transfer(Cid.of(RAW, b""))

    def clock(self) -> float:
        return 1_800_000_000.0 + trio.current_time()

    def new_transfer(self, root: Cid) -> Transfer:
        self.transfer = Transfer(
            "t-1", root, clock=self.clock, listener=lambda t: self.told.append(f"{t.state}: {t.reason()}")
        )
        return self.transfer

    async def provider(
        self, name: str, dag: Dag, *, public: bool = True, only: Sequence[Cid] | None = None
    ) -> LoopbackNetwork:
        """An honest node that holds a DAG, or some of its leaves."""
        network, store = self.hub.node(name), MemoryStore(self.clock)
        await hold(store, dag, public=public, only=only)
        ServeBlocks(network, store).start()
        return network

    def odd_provider(self, name: str, handle: Handler) -> LoopbackNetwork:
        """A node that answers in its own way."""
        network = self.hub.node(name)
        network.serve(PROTOCOL, handle)
        return network

    async def fetch(self, root: Cid, *providers: str, **options: object) -> Content:
        """Fetch with a new transfer."""
        with trio.fail_after(GIVE_UP_S):
            return await fetch(
                self.network,
                self.store,
                root,
                "work",
                providers=[PeerId(name) for name in providers],
                find_more=options.get("find_more"),  # type: ignore[arg-type]
                transfer=self.new_transfer(root),
                max_bytes=options.get("max_bytes", 1 << 40),  # type: ignore[arg-type]
            )

    def asked(self, name: str) -> int:
        """Streams opened to a provider."""
        return sum(peer == name for peer, _ in self.network.opened)

    async def files(self, content: Content) -> dict[str, bytes]:
        """What lies in the library."""
        base = content.base.removeprefix(f"{ROOT}/")
        found = {path: bytes(data) for path, data in self.store.area.entries.items() if data is not None}
        return {
            path.removeprefix(base).removeprefix("/"): data for path, data in found.items() if path.startswith(base)
        }


@trio_fixture
async def world() -> AsyncIterator[World]:
    """Every test takes `autojump_clock` too: time jumps when everybody waits, and a stall of a minute costs nothing."""
    async with a_hub() as made:
        yield World(made)


def answering(reply: Callable[[Cid], tuple[Status, bytes] | None]) -> Handler:
    """A handler that answers each CID by `reply`; None: it falls silent for ever."""

    async def handle(stream: Stream) -> None:
        while frame := await receive_frame(stream, MAX_REQUEST_BYTES):
            for cid in decode_request(frame).cids:
                answer = reply(cid)
                if answer is None:
                    await trio.sleep_forever()
                    return
                await stream.send_all(encode_head(answer[0], len(answer[1])) + answer[1])

    return handle


# ------------------------------------------------------------ honest providers


async def test_a_folder_comes_whole_from_one_provider(autojump_clock: MockClock, world: World) -> None:
    dag = build(TREE, leaf_bytes=1000)
    await world.provider("one", dag)
    content = await world.fetch(dag.root, "one")
    assert (content.state, content.root, content.size) == ("complete", dag.root, 2 * len(BIG) + 1)
    assert await world.files(content) == flat(TREE)
    shown = world.transfer.json()
    assert (shown["state"], shown["bytes"], shown["total"]) == ("done", shown["total"], shown["total"])
    assert world.transfer.used_providers == {"one"}


@pytest.mark.parametrize(
    "tree", [b"", b"x", b"y" * 5000, many_files(300), {}], ids=["empty", "small", "file", "many", "void"]
)
async def test_any_shape_comes_whole(autojump_clock: MockClock, world: World, tree: object) -> None:
    dag = build(tree, leaf_bytes=1000)  # type: ignore[arg-type]
    await world.provider("one", dag)
    assert await world.files(await world.fetch(dag.root, "one")) == flat(tree)  # type: ignore[arg-type]


async def test_what_was_fetched_is_served_onward(autojump_clock: MockClock, world: World) -> None:
    dag = build(TREE, leaf_bytes=1000)
    first = await world.provider("one", dag)
    await world.fetch(dag.root, "one")
    ServeBlocks(world.network, world.store).start()
    first.online = False
    second = World(world.hub, "second")
    assert await second.files(await second.fetch(dag.root, "fetcher")) == flat(TREE)


async def test_others_files_with_bytes_inside_their_nodes_come_whole(autojump_clock: MockClock, world: World) -> None:
    wrapped, block = node([], UnixFS(UnixFSType.FILE, b"inside", 6))
    leaf = Cid.of(RAW, b"leaf")
    root, root_block = node(
        [Link(leaf), Link(wrapped), Link(leaf)], UnixFS(UnixFSType.FILE, size=14, block_sizes=(4, 6, 4))
    )
    await world.provider("one", Dag(root, {root: root_block, wrapped: block}, {leaf: b"leaf"}))
    assert await world.files(await world.fetch(root, "one")) == {"": b"leafinsideleaf"}


async def test_many_providers_share_the_work(autojump_clock: MockClock, world: World) -> None:
    dag = build({"big": bytes(range(256)) * 40_000}, leaf_bytes=40_000 - 7)
    names = [f"p{number}" for number in range(4)]
    for name in names:
        await world.provider(name, dag)
    await world.fetch(dag.root, *names)
    assert world.transfer.used_providers == set(names)


async def test_a_complete_content_asks_nobody(autojump_clock: MockClock, world: World) -> None:
    dag = build(TREE)
    await hold(world.store, dag)
    assert (await world.fetch(dag.root, "one")).state == "complete"
    assert not world.network.opened and world.transfer.state == "done"


async def test_two_providers_with_half_each_are_enough(autojump_clock: MockClock, world: World) -> None:
    dag = build({"big": bytes(range(256)) * 100}, leaf_bytes=999)
    leaves = list(dag.leaves)
    await world.provider("front", dag, only=leaves[: len(leaves) // 2])
    await world.provider("back", dag, only=leaves[len(leaves) // 2 :])
    content = await world.fetch(dag.root, "front", "back")
    assert content.state == "complete" and world.transfer.used_providers == {"front", "back"}


async def test_a_provider_that_comes_back_is_found_without_looking_for_more(
    autojump_clock: MockClock, world: World
) -> None:
    dag = build(TREE)
    provider = await world.provider("one", dag)
    provider.online = False

    async def come_back() -> None:
        await trio.sleep(400)
        provider.online = True

    world.hub.nursery.start_soon(come_back)
    assert (await world.fetch(dag.root, "one")).state == "complete"


async def test_an_empty_leaf_is_known_without_asking(autojump_clock: MockClock, world: World) -> None:
    dag = build(TREE, leaf_bytes=1000)
    await world.provider("one", dag, only=[cid for cid, data in dag.leaves.items() if data])
    assert await world.files(await world.fetch(dag.root, "one")) == flat(TREE)


async def test_leaves_that_another_work_holds_are_not_asked_for(autojump_clock: MockClock, world: World) -> None:
    first, second = build({"old": BIG}, leaf_bytes=1000), build({"old": BIG, "new": b"new"}, leaf_bytes=1000)
    await hold(world.store, first)
    asked: list[Cid] = []

    def note(cid: Cid) -> tuple[Status, bytes]:
        asked.append(cid)
        return Status.HAVE, (second.interior | second.leaves)[cid]

    world.odd_provider("one", answering(note))
    assert await world.files(await world.fetch(second.root, "one")) == {"old": BIG, "new": b"new"}
    assert asked == [second.root, Cid.of(RAW, b"new")]


# ------------------------------------------------------------ odd providers


async def test_a_provider_that_lies_is_dropped_and_the_fetch_completes(autojump_clock: MockClock, world: World) -> None:
    dag = build(TREE, leaf_bytes=1000)
    blocks = dag.interior | dag.leaves
    world.odd_provider("liar", answering(lambda cid: (Status.HAVE, blocks[cid] if cid in dag.interior else b"a lie")))
    honest = await world.provider("honest", dag)
    honest.online = False

    async def found() -> list[PeerId]:  # the liar had its chance, and is still the only one for a while
        honest.online = trio.current_time() > 100
        return [PeerId("honest"), PeerId("liar")]

    content = await world.fetch(dag.root, "liar", find_more=found)
    assert await world.files(content) == flat(TREE)
    assert [(peer, points) for peer, points, _ in world.network.penalties] == [("liar", 50)]
    assert world.asked("liar") == 1


async def test_a_wrong_interior_node_is_a_lie_too(autojump_clock: MockClock, world: World) -> None:
    dag = build(TREE)
    world.odd_provider("liar", answering(lambda cid: (Status.HAVE, b"a lie")))
    await world.provider("honest", dag)
    await world.fetch(dag.root, "liar", "honest")
    assert "honest" in world.transfer.used_providers
    assert [peer for peer, _, _ in world.network.penalties] == ["liar"]


async def test_a_stalled_provider_loses_its_blocks_to_another(autojump_clock: MockClock, world: World) -> None:
    dag = build(TREE, leaf_bytes=1000)
    answers = 0

    def falls_silent(cid: Cid) -> tuple[Status, bytes] | None:
        nonlocal answers
        answers += 1
        return (Status.HAVE, (dag.interior | dag.leaves)[cid]) if answers < 8 else None

    world.odd_provider("sleepy", answering(falls_silent))
    await world.provider("late", dag)

    async def find() -> list[PeerId]:
        return [PeerId("late")] if trio.current_time() > 100 else []

    content = await world.fetch(dag.root, "sleepy", find_more=find)
    assert await world.files(content) == flat(TREE)
    assert world.transfer.used_providers == {"sleepy", "late"}
    assert any("failed: nothing came for" in words for words in world.told)


async def test_a_provider_that_drips_counts_as_stalled(autojump_clock: MockClock, world: World) -> None:
    dag = build({"one": b"x" * 200_000})

    async def drip(stream: Stream) -> None:
        while frame := await receive_frame(stream, MAX_REQUEST_BYTES):
            for cid in decode_request(frame).cids:
                block = (dag.interior | dag.leaves)[cid]
                await stream.send_all(encode_head(Status.HAVE, len(block)))
                for byte in block if cid in dag.leaves else [block]:
                    await stream.send_all(bytes([byte]) if isinstance(byte, int) else byte)
                    await trio.sleep(2 if cid in dag.leaves else 0)

    world.odd_provider("dripper", drip)
    with trio.move_on_after(600):
        await world.fetch(dag.root, "dripper")
    assert world.asked("dripper") > 3
    assert any("nothing came" in words for words in world.told)


async def test_silence_in_the_middle_of_a_block_is_not_borne_for_long(autojump_clock: MockClock, world: World) -> None:
    dag = build({"one": b"x" * 200_000})

    async def half_a_leaf(stream: Stream) -> None:
        while frame := await receive_frame(stream, MAX_REQUEST_BYTES):
            for cid in decode_request(frame).cids:
                block = (dag.interior | dag.leaves)[cid]
                await stream.send_all(
                    encode_head(Status.HAVE, len(block)) + block[: 100_000 if cid in dag.leaves else None]
                )
                if cid in dag.leaves:
                    await trio.sleep_forever()

    world.odd_provider("half", half_a_leaf)
    with trio.move_on_after(30):
        await world.fetch(dag.root, "half")
    assert world.asked("half") > 1


async def test_good_blocks_before_junk_are_asked_for_again(autojump_clock: MockClock, world: World) -> None:
    dag = build(TREE, leaf_bytes=1000)
    spoiled = False

    async def spoil_once(stream: Stream) -> None:
        nonlocal spoiled
        while frame := await receive_frame(stream, MAX_REQUEST_BYTES):
            out = b""
            for cid in decode_request(frame).cids:
                block = (dag.interior | dag.leaves)[cid]
                out += encode_head(Status.HAVE, len(block)) + block
                if not spoiled and cid in dag.leaves and len(out) > 3000:
                    out += b"\x07\0\0\0\0"
                    spoiled = True
            await stream.send_all(out)

    world.odd_provider("spoiled", spoil_once)
    assert await world.files(await world.fetch(dag.root, "spoiled")) == flat(TREE)
    assert [points for _, points, _ in world.network.penalties] == [25]


@pytest.mark.parametrize(
    "junk",
    [b"\x07\x00\x00\x00\x00", b"\x00\xff\xff\xff\xff", b"\x01\x00\x00\x00\x01x", b"\x00\x00\x00\x00\x05ab", b""],
    ids=["status", "length", "missing with bytes", "cut block", "ends"],
)
async def test_junk_answers_never_stop_a_fetch(autojump_clock: MockClock, world: World, junk: bytes) -> None:
    dag = build(TREE, leaf_bytes=1000)

    async def handle(stream: Stream) -> None:
        await receive_frame(stream, MAX_REQUEST_BYTES)
        await stream.send_all(junk)

    world.odd_provider("odd", handle)
    await world.provider("honest", dag)
    assert await world.files(await world.fetch(dag.root, "odd", "honest")) == flat(TREE)


async def test_a_busy_provider_is_asked_again(autojump_clock: MockClock, world: World) -> None:
    dag = build(TREE, leaf_bytes=1000)
    refused: set[Cid] = set()

    def busy_once(cid: Cid) -> tuple[Status, bytes]:
        if cid not in refused:
            refused.add(cid)
            return Status.BUSY, b""
        return Status.HAVE, (dag.interior | dag.leaves)[cid]

    world.odd_provider("busy", answering(busy_once))
    assert await world.files(await world.fetch(dag.root, "busy")) == flat(TREE)


async def test_a_provider_that_was_fetching_itself_is_asked_again_for_what_it_lacked(
    autojump_clock: MockClock, world: World
) -> None:
    dag = build(TREE, leaf_bytes=1000)

    def later(cid: Cid) -> tuple[Status, bytes]:
        if cid in dag.leaves and trio.current_time() < 50:
            return Status.MISSING, b""
        return Status.HAVE, (dag.interior | dag.leaves)[cid]

    world.odd_provider("later", answering(later))
    assert await world.files(await world.fetch(dag.root, "later")) == flat(TREE)


async def test_useless_providers_make_place_for_others(autojump_clock: MockClock, world: World) -> None:
    dag = build(TREE)
    useless = [f"useless{number}" for number in range(12)]
    for name in useless:
        world.odd_provider(name, answering(lambda cid: (Status.MISSING, b"")))
    await world.provider("honest", dag)
    assert (await world.fetch(dag.root, *useless, "honest")).state == "complete"


# ------------------------------------------------------------ time


async def test_it_waits_in_words_and_goes_on_when_a_provider_comes(autojump_clock: MockClock, world: World) -> None:
    dag = build(TREE)
    await world.provider("late", dag)

    async def find() -> list[PeerId]:
        if trio.current_time() < 60:
            raise NetworkError("the DHT is empty")
        return [PeerId("late")]

    await world.fetch(dag.root, find_more=find)
    waited = [words for words in world.told if words.startswith("waiting")]
    assert "waiting for providers since" in waited[0] and "next try in 5 s" in waited[0]
    assert "the DHT is empty" in waited[0]
    assert world.told[-1].startswith("done")


async def test_cancelling_keeps_what_was_verified_and_the_next_fetch_asks_for_the_rest_alone(
    autojump_clock: MockClock, world: World
) -> None:
    dag = build({"big": bytes(range(256)) * 100}, leaf_bytes=999)
    given: list[Cid] = []

    def half(cid: Cid) -> tuple[Status, bytes] | None:
        if len(given) >= len(dag.leaves) // 2:
            return None
        given.append(cid)
        return Status.HAVE, (dag.interior | dag.leaves)[cid]

    world.odd_provider("half", answering(half))
    with trio.move_on_after(5):
        await world.fetch(dag.root, "half")
    assert world.transfer.state == "cancelled" and 0 < world.transfer.bytes < world.transfer.total

    asked: list[Cid] = []

    def rest(cid: Cid) -> tuple[Status, bytes]:
        asked.append(cid)
        return Status.HAVE, dag.leaves[cid]

    world.odd_provider("rest", answering(rest))
    content = await world.fetch(dag.root, "rest")
    assert await world.files(content) == {"big": bytes(range(256)) * 100}
    assert not set(asked) & set(given)
    assert set(asked) | set(given) == set(dag.leaves) | set(dag.interior)


# ------------------------------------------------------------ bad contents


async def _refused(world: World, dag: Dag, error: type[Exception], words: str, **options: object) -> None:
    await world.provider("one", dag)
    with pytest.raises(error, match=words):
        await world.fetch(dag.root, "one", **options)
    assert world.transfer.state == "failed" and world.transfer.json()["reason"]
    assert not world.network.penalties  # the provider only served what was asked for
    assert not await world.store.read(lambda tx: tx.stored_bytes())


async def test_a_dag_bomb_is_refused(autojump_clock: MockClock, world: World) -> None:
    cid, block = folder([])
    blocks = {cid: block}
    for _ in range(MAX_DEPTH):
        cid, block = folder([(b"%d" % number, cid) for number in range(50)])
        blocks[cid] = block
    with mock.patch.object(skeleton, "MAX_VISITS", 50_000):
        await _refused(world, Dag(cid, blocks), RefusedError, "nested deeper|parts")


async def test_a_content_over_what_the_caller_takes_is_refused_before_its_leaves(
    autojump_clock: MockClock, world: World
) -> None:
    dag = build(TREE, leaf_bytes=1000)
    await _refused(world, dag, RefusedError, "declares", max_bytes=50_000)


async def test_a_leaf_that_is_not_as_long_as_its_tree_says_fails_the_fetch_not_the_provider(
    autojump_clock: MockClock, world: World
) -> None:
    leaf = Cid.of(RAW, b"four")
    root, block = node([Link(leaf), Link(leaf)], UnixFS(UnixFSType.FILE, size=10, block_sizes=(5, 5)))
    await world.provider("one", Dag(root, {root: block}, {leaf: b"four"}))
    with pytest.raises(DecodeError, match="4 bytes where its tree says 5"):
        await world.fetch(root, "one")
    assert not world.network.penalties and world.transfer.state == "failed"


# ------------------------------------------------------------ serving


async def test_private_content_looks_like_no_content(autojump_clock: MockClock, world: World) -> None:
    dag = build(TREE)
    await world.provider("one", dag, public=False)
    stream = await world.network.open_stream(PeerId("one"), PROTOCOL)
    await send_frame(stream, encode_request(dag.root, [dag.root, Cid.of(RAW, b"unheard of")]))
    assert await receive_exactly(stream, 10) == 2 * bytes([Status.MISSING, 0, 0, 0, 0])


@pytest.mark.parametrize("request_bytes", [b"", b"\x80", b"junk", b"\x82"])
async def test_a_malformed_request_resets_the_stream_and_is_remembered(
    autojump_clock: MockClock, world: World, request_bytes: bytes
) -> None:
    server = await world.provider("one", build(TREE))
    stream = await world.network.open_stream(PeerId("one"), PROTOCOL)
    await send_frame(stream, request_bytes)
    with pytest.raises(NetworkError):
        await stream.receive_some(10)
    assert [(peer, points) for peer, points, _ in server.penalties] == [("fetcher", 25)]


async def test_an_oversized_request_is_not_read(autojump_clock: MockClock, world: World) -> None:
    await world.provider("one", build(TREE))
    stream = await world.network.open_stream(PeerId("one"), PROTOCOL)
    await stream.send_all((MAX_REQUEST_BYTES + 1).to_bytes(4, "big"))
    with pytest.raises(NetworkError):
        await stream.receive_some(10)


async def test_a_reader_that_never_reads_is_given_up_and_its_buffers_freed(
    autojump_clock: MockClock, world: World
) -> None:
    dag = build({"big": bytes(range(256)) * 4000}, leaf_bytes=300_000)
    network, store = world.hub.node("one"), MemoryStore(world.clock)
    await hold(store, dag)
    serving = ServeBlocks(network, store)
    serving.start()
    free = serving._turns.free
    stream = await world.network.open_stream(PeerId("one"), PROTOCOL)
    await send_frame(stream, encode_request(dag.root, list(dag.leaves)))
    await trio.testing.wait_all_tasks_blocked()
    assert serving._turns.free < free
    await trio.sleep(100)
    assert serving._turns.free == free
