"""Reading many blocks in one hop: the same answers as one by one, cut by size, and never past one that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2pnode.core.cid import RAW, Cid
from p2pnode.errors import ChangedError
from p2pnode.store.node_store import NodeStore
from tests.store.samples import bytes_of
from tests.store.test_content import leaves_of, publish, write_tree

UNKNOWN = Cid.of(RAW, b"unheard of")


@pytest.mark.trio
async def test_many_blocks_come_in_their_order_with_gaps_for_what_is_not_held(store: NodeStore, tmp_path: Path) -> None:
    data = bytes_of(4500)
    await publish(store, write_tree(tmp_path / "work", {"a": data}), {"a": data})
    cids = [cid for cid, _, _ in leaves_of(data)]
    expected = [data[at : at + 1000] for at in range(0, 4500, 1000)]
    asked = [cids[3], UNKNOWN, *cids]
    assert await store.read_blocks(asked, max_bytes=1 << 20) == [expected[3], None, *expected]
    assert await store.read_blocks(asked, public_only=True, max_bytes=1 << 20) == [expected[3], None, *expected]


@pytest.mark.trio
async def test_it_stops_when_there_are_bytes_enough(store: NodeStore, tmp_path: Path) -> None:
    data = bytes_of(4500)
    await publish(store, write_tree(tmp_path / "work", {"a": data}), {"a": data})
    cids = [cid for cid, _, _ in leaves_of(data)]
    assert len(await store.read_blocks(cids, max_bytes=1)) == 1
    assert len(await store.read_blocks(cids, max_bytes=2000)) == 2
    assert len(await store.read_blocks(cids, max_bytes=2001)) == 3


@pytest.mark.trio
async def test_private_blocks_are_gaps(store: NodeStore, tmp_path: Path) -> None:
    data = bytes_of(1500)
    await publish(store, write_tree(tmp_path / "work", {"a": data}), {"a": data}, public=False)
    cids = [cid for cid, _, _ in leaves_of(data)]
    assert await store.read_blocks(cids, public_only=True, max_bytes=1 << 20) == [None, None]


@pytest.mark.trio
async def test_it_stops_before_a_block_that_changed_and_says_so_when_that_is_first(
    store: NodeStore, tmp_path: Path
) -> None:
    data = bytes_of(3500)
    base = write_tree(tmp_path / "work", {"a": data})
    await publish(store, base, {"a": data})
    (base / "a").write_bytes(data[:2000] + b"!" + data[2001:])
    cids = [cid for cid, _, _ in leaves_of(data)]
    assert await store.read_blocks(cids, max_bytes=1 << 20) == [data[:1000], data[1000:2000]]
    with pytest.raises(ChangedError):
        await store.read_blocks(cids[2:], max_bytes=1 << 20)
    assert await store.read_blocks(cids[3:], max_bytes=1 << 20) == [data[3000:]]
