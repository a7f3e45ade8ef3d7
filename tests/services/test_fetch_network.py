"""The same journey on the real wire and the real disk: libp2p on loopback, SQLite, files published in place."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio

from p2pnode.core.cid import Cid
from p2pnode.core.fetch_messages import (
    HEAD_BYTES,
    MAX_REQUEST_BYTES,
    PROTOCOL,
    Status,
    decode_head,
    decode_request,
    encode_head,
    encode_request,
)
from p2pnode.local.tree import scan
from p2pnode.net.network import Libp2pNetwork
from p2pnode.ports import Store, Stream, Tx
from p2pnode.services import serve_blocks
from p2pnode.services.fetch import fetch
from p2pnode.services.framing import receive_exactly, receive_frame, send_frame
from p2pnode.services.publish_reading import Reading
from p2pnode.services.serve_blocks import ServeBlocks
from p2pnode.services.transfer import Transfer
from p2pnode.services.walk import read_skeleton
from p2pnode.store.sqlite import open_store
from tests.support.net import networks
from tests.support.trees import assert_same_tree

pytestmark = [pytest.mark.trio, pytest.mark.network]
DEADLINE_S = 60.0
MIB = 1 << 20


def _make(folder: Path) -> Path:
    rng = random.Random(7)
    (folder / "small").mkdir(parents=True)
    (folder / "big.bin").write_bytes(rng.randbytes(24 * MIB + 5))
    (folder / "empty").touch()
    for number in range(300):
        (folder / "small" / f"{number} é.txt").write_bytes(rng.randbytes(rng.randrange(5000)))
    return folder


async def _publish(store: Store, folder: Path) -> Cid:
    content = await store.write(lambda tx: tx.begin_content(str(folder), owned=False, public=True))
    reading = Reading(str(folder), content)
    events = await trio.to_thread.run_sync(lambda: list(scan(str(folder))))

    def put(tx: Tx) -> Cid:
        reading.keep(events, tx)
        scanned = reading.scanned
        assert scanned is not None, "a scan ends with Scanned"
        tx.complete_content(content, scanned.root, size=scanned.size, files=scanned.files)
        return scanned.root

    return await store.write(put)


def _lie(store: Store, after: int):  # type: ignore[no-untyped-def]
    """A provider whose every block after the first few has one wrong byte."""
    answered = 0

    async def handle(stream: Stream) -> None:
        nonlocal answered
        while frame := await receive_frame(stream, MAX_REQUEST_BYTES):
            for cid in decode_request(frame).cids:
                block = bytearray(await store.read_block(cid) or b"")
                answered += 1
                if answered > after and block:
                    block[0] ^= 1
                await stream.send_all(encode_head(Status.HAVE, len(block)) + block)

    return handle


async def _fetch(
    network: Libp2pNetwork, store: Store, root: Cid, providers: list[Libp2pNetwork]
) -> tuple[Path, Transfer]:
    transfer = Transfer("t-1", root, clock=time.time)
    peers = [provider.peer_id for provider in providers]
    with trio.fail_after(DEADLINE_S):
        for provider in providers:
            await network.connect(provider.addresses()[0])
        content = await fetch(network, store, root, "work", providers=peers, find_more=None, transfer=transfer)
    return Path(content.base), transfer


def _shown(library: Path) -> list[str]:
    return [path.name for path in library.iterdir() if not path.name.startswith(".")]


async def test_two_providers_one_of_whom_lies(tmp_path: Path) -> None:
    folder = _make(tmp_path / "published")
    async with (
        networks(3) as (fetcher, honest, liar),
        open_store(tmp_path / "a.db", tmp_path / "a", 1 << 30, 0, time.time) as held,
        open_store(tmp_path / "b.db", tmp_path / "b", 1 << 30, 0, time.time) as store,
    ):
        root = await _publish(held, folder)
        ServeBlocks(honest, held).start()
        liar.serve(PROTOCOL, _lie(held, after=3))
        base, transfer = await _fetch(fetcher, store, root, [liar, honest])
        assert_same_tree(folder, base)
        assert honest.peer_id in transfer.used_providers
        assert transfer.json()["state"] == "done"


async def test_a_fetch_that_was_cut_off_goes_on_after_a_restart(tmp_path: Path) -> None:
    folder = _make(tmp_path / "published")
    async with (
        networks(2) as (fetcher, provider),
        open_store(tmp_path / "a.db", tmp_path / "a", 1 << 30, 0, time.time) as held,
    ):
        root = await _publish(held, folder)
        served: list[Cid] = []

        async def half(stream: Stream) -> None:
            while frame := await receive_frame(stream, MAX_REQUEST_BYTES):
                for cid in decode_request(frame).cids:
                    block = await held.read_block(cid)
                    assert block is not None
                    if len(block) > MIB - 1 and len(served) > 8:
                        stalled.set()
                        await trio.sleep_forever()
                    served.append(cid)
                    await stream.send_all(encode_head(Status.HAVE, len(block)) + block)

        stalled = trio.Event()
        provider.serve(PROTOCOL, half)
        async with (
            open_store(tmp_path / "b.db", tmp_path / "b", 1 << 30, 0, time.time) as store,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(_fetch, fetcher, store, root, [provider])
            with trio.fail_after(DEADLINE_S):
                await stalled.wait()
            nursery.cancel_scope.cancel()
        assert not _shown(tmp_path / "b")  # nothing shows before it is whole
        asked: list[Cid] = []

        async def note(stream: Stream) -> None:
            while frame := await receive_frame(stream, MAX_REQUEST_BYTES):
                for cid in decode_request(frame).cids:
                    asked.append(cid)
                    block = await held.read_block(cid)
                    assert block is not None
                    await stream.send_all(encode_head(Status.HAVE, len(block)) + block)

        provider.serve(PROTOCOL, note)
        async with open_store(tmp_path / "b.db", tmp_path / "b", 1 << 30, 0, time.time) as store:
            base, _ = await _fetch(fetcher, store, root, [provider])
            assert_same_tree(folder, base)
        again = [cid for cid in asked if cid in served]
        assert len(again) <= 1, "what was verified was fetched again"
        assert root not in asked


async def test_a_modest_asker_gets_its_share_beside_a_greedy_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over libp2p: one asks on four streams for all it may, the other on one; the disk is what they compete for."""
    monkeypatch.setattr(serve_blocks, "MAX_BUFFERED_BATCHES", 2)
    folder = _make(tmp_path / "published")
    async with (
        networks(3) as (provider, greedy, modest),
        open_store(tmp_path / "a.db", tmp_path / "a", 1 << 30, 0, time.time) as held,
    ):
        root = await _publish(held, folder)
        walked = await read_skeleton(held, root)
        leaves = [cid for file in walked.files for cid, _, length in file.leaves if length == MIB]
        read = held.read_blocks

        async def slowly(cids: Sequence[Cid], *, public_only: bool = False, max_bytes: int) -> list[bytes | None]:
            await trio.sleep(0.02)
            return await read(cids, public_only=public_only, max_bytes=max_bytes)

        monkeypatch.setattr(held, "read_blocks", slowly)
        ServeBlocks(provider, held).start()
        got: Counter[str] = Counter()

        async def ask(asker: Libp2pNetwork) -> None:
            stream = await asker.open_stream(provider.peer_id, PROTOCOL)
            while True:
                await send_frame(stream, encode_request(root, leaves))
                for _ in leaves:
                    status, length = decode_head(await receive_exactly(stream, HEAD_BYTES))
                    await receive_exactly(stream, length)
                    got[asker.peer_id] += length
                    if status is Status.HAVE and got.total() > 120 * MIB:
                        nursery.cancel_scope.cancel()

        with trio.fail_after(DEADLINE_S):
            for asker in (greedy, modest):
                await asker.connect(provider.addresses()[0])
            async with trio.open_nursery() as nursery:
                for _ in range(serve_blocks.STREAMS_PER_PEER):
                    nursery.start_soon(ask, greedy)
                nursery.start_soon(ask, modest)
        assert got[modest.peer_id] > 0.4 * got[greedy.peer_id], got  # by streams it would be a quarter
