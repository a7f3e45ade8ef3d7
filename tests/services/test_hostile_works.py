"""Works and trees that were made by hand to hurt whoever fetches them, from a real peer into one whole node in this process."""

from __future__ import annotations

import os
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from p2pnode.config import Home, Settings
from p2pnode.core import encoding
from p2pnode.core.cid import RAW, Cid
from p2pnode.core.dagpb import Link, UnixFS, UnixFSType
from p2pnode.core.fetch_messages import MAX_REQUEST_BYTES, Status, decode_request, encode_head
from p2pnode.core.keys import KeyPair
from p2pnode.core.manifest import describe, first
from p2pnode.core.records import encode_signed, seq_of
from p2pnode.core.search_messages import QUESTION_BYTES
from p2pnode.daemon import open_node
from p2pnode.errors import DecodeError, P2pnodeError, RefusedError
from p2pnode.net.network import Libp2pNetwork
from p2pnode.ports import Stream
from p2pnode.services.framing import receive_frame, send_frame
from p2pnode.services.node import Node
from tests.support.dags import folder, node
from tests.support.hostile import HOSTILE_TITLE, LOOPBACK, hostile_network
from tests.support.net import link
from tests.support.rubbish import FETCH, SEARCH

pytestmark = [pytest.mark.trio, pytest.mark.network]

NETWORK = "handmade"
DEADLINE_S = 60
SMALL = b"a leaf"


@asynccontextmanager
async def meeting(tmp_path: Path) -> AsyncIterator[tuple[Node, Libp2pNetwork]]:
    """A node, and a hostile network that it is connected to."""
    home = Home(tmp_path / "home")
    home.path.mkdir()
    settings = Settings(listen=(LOOPBACK,), lan=False, network=NETWORK)
    async with (
        hostile_network(b"hand".ljust(32), NETWORK) as hostile,
        open_node(home, settings, lambda name, data: None, trio.Event()) as one,
    ):
        hostile.serve(SEARCH, _no_answer)  # who does not speak it is no neighbour to ask
        await link(one.network, hostile)  # type: ignore[arg-type]
        yield one, hostile


async def _no_answer(stream: Stream) -> None:
    await receive_frame(stream, QUESTION_BYTES)
    await send_frame(stream, encoding.encode({"works": ()}))


def provide(hostile: Libp2pNetwork, blocks: Mapping[Cid, bytes]) -> None:
    """Serve these blocks faithfully: it is the tree that lies."""

    async def serve(stream: Stream) -> None:
        while (frame := await receive_frame(stream, MAX_REQUEST_BYTES)) is not None:
            for cid in decode_request(frame).cids:
                block = blocks.get(cid)
                status = Status.MISSING if block is None else Status.HAVE
                await stream.send_all(encode_head(status, len(block or b"")) + (block or b""))

    hostile.serve(FETCH, serve)


async def get(one: Node, text: str, path: Path) -> None:
    with trio.fail_after(DEADLINE_S):
        await one.transfers.get(text, str(path), on_progress=lambda shown: None)


def files_of(path: Path) -> dict[str, bytes]:
    return {
        os.path.join(root, name)[len(str(path)) + 1 :]: (Path(root) / name).read_bytes()
        for root, _, names in os.walk(path)
        for name in names
    }


async def test_names_that_lead_elsewhere(tmp_path: Path) -> None:
    names = [
        *(b"..", b".", b"../../outside", b"/etc/outside", b"a/b", b"a\0b", b"\x1b[2J", b"\xff\xfe", b"-rf", b"~"),
        *(b"C:evil", b"CON", b"nul.txt", b"dot.", b"line\nbreak", "\u202egnp.exe".encode(), b"n" * 300, b""),
        *(b"same", b"same", b"SAME", "e\u0301".encode(), "\u00e9".encode()),
    ]
    leaves = [b"leaf %d" % number for number in range(len(names))]
    cids = [Cid.of(RAW, leaf) for leaf in leaves]
    root, block = folder(list(zip(names, cids, strict=True)))
    inner = node(
        [Link(cid, name, len(leaf)) for name, cid, leaf in zip(names, cids, leaves, strict=True)],
        UnixFS(UnixFSType.DIRECTORY),
    )
    async with meeting(tmp_path) as (one, hostile):
        provide(hostile, {root: block, inner[0]: inner[1], **dict(zip(cids, leaves, strict=True))})
        before = set(os.listdir(tmp_path))
        with pytest.raises(P2pnodeError):  # the declared lengths are false
            await get(one, str(root), tmp_path / "false")
        await get(one, str(inner[0]), tmp_path / "out")
        written = files_of(tmp_path / "out")
        assert sorted(written.values()) == sorted(leaves)
        assert all(name.isprintable() and "/" not in name for name in written), list(written)
        assert set(os.listdir(tmp_path)) - before == {"out"}
        assert "outside" not in os.listdir("/etc")


async def test_a_bomb_of_folders(tmp_path: Path) -> None:
    """Twenty levels, each of which links the next one ten times: 10^20 files in two kilobytes."""
    leaf = Cid.of(RAW, SMALL)
    blocks = {leaf: SMALL}
    below = leaf
    for _ in range(20):
        cid, block = node([Link(below, b"%d" % n, 6) for n in range(10)], UnixFS(UnixFSType.DIRECTORY))
        blocks[cid] = block
        below = cid
    async with meeting(tmp_path) as (one, hostile):
        provide(hostile, blocks)
        with pytest.raises(RefusedError):
            await get(one, str(below), tmp_path / "out")
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("size", [2**62, 2**64 - 1, 10**15])
async def test_a_file_that_claims_to_be_endless(tmp_path: Path, size: int) -> None:
    leaf = Cid.of(RAW, SMALL)
    root, block = node([Link(leaf, b"", 6)], UnixFS(UnixFSType.FILE, size=size, block_sizes=(size,)))
    async with meeting(tmp_path) as (one, hostile):
        provide(hostile, {root: block, leaf: SMALL})
        with pytest.raises((DecodeError, RefusedError)):
            await get(one, str(root), tmp_path / "out")
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "title", [HOSTILE_TITLE, "../../../../evil", "..", "/evil", "CON", "x" * 300, "\u202e", "a\0b"]
)
async def test_a_work_whose_title_and_numbers_lie(tmp_path: Path, title: str) -> None:
    """Eight petabytes in a thousand million files, says its manifest; the content is what its tree says."""
    rng, leaf = random.Random(1), Cid.of(RAW, SMALL)
    now = int(time.time())
    work = describe(title=title, root=leaf, bytes=2**53 - 1, files=10**9, summary=title, tags=["findable"])
    record = first(KeyPair(rng.randbytes(32)), work, nonce=rng.randbytes(16), seq=seq_of(now, 0), created=now)

    async def answer(stream: Stream) -> None:
        await receive_frame(stream, QUESTION_BYTES)
        await send_frame(stream, encoding.encode({"works": (encode_signed(record),)}))

    async with meeting(tmp_path) as (one, hostile):
        provide(hostile, {leaf: SMALL})
        hostile.serve(SEARCH, answer)
        found = await one.search.run("findable", local=False, timeout_s=3, on_hit=lambda hit: None)
        assert [hit["bytes"] for hit in found["items"]] == [2**53 - 1]
        await get(one, found["items"][0]["work"], tmp_path / "out")
        assert (tmp_path / "out").read_bytes() == SMALL
        kept = list(files_of(tmp_path / "home" / "library").values())
        assert kept in ([SMALL], []), "kept in the library, or as a row of the store"
        assert sorted(os.listdir(tmp_path)) == ["home", "out"]
