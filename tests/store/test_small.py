"""Pins, outbox and small values: the contract of both stores."""

from __future__ import annotations

import pytest

from p2pnode.core.cid import RAW, Cid
from p2pnode.ports import OutboxItem
from p2pnode.store.node_store import NodeStore

ROOT = Cid.of(RAW, b"root")


@pytest.mark.trio
async def test_pins(store: NodeStore) -> None:
    assert not await store.read(lambda tx: tx.pinned(ROOT))
    await store.write(lambda tx: (tx.pin(ROOT), tx.pin(ROOT)))
    assert await store.read(lambda tx: tx.pinned(ROOT))
    await store.write(lambda tx: tx.unpin(ROOT))
    assert not await store.read(lambda tx: tx.pinned(ROOT))


@pytest.mark.trio
async def test_the_outbox_gives_what_is_due_in_order(store: NodeStore) -> None:
    late = await store.write(lambda tx: tx.enqueue("gossip", b"late", 20.0))
    soon = await store.write(lambda tx: tx.enqueue("provide", b"\0soon", 10.0))
    assert await store.read(lambda tx: tx.due_outbox(9.9, 10)) == []
    assert await store.read(lambda tx: tx.due_outbox(10.0, 10)) == [OutboxItem(soon, "provide", b"\0soon", 0, 10.0)]
    assert [i.id for i in await store.read(lambda tx: tx.due_outbox(99.0, 10))] == [soon, late]
    assert [i.id for i in await store.read(lambda tx: tx.due_outbox(99.0, 1))] == [soon]
    await store.write(lambda tx: tx.retry_outbox(soon, 30.0))
    items = await store.read(lambda tx: tx.due_outbox(99.0, 10))
    assert [(i.id, i.attempts, i.due) for i in items] == [(late, 0, 20.0), (soon, 1, 30.0)]
    await store.write(lambda tx: tx.done_outbox(late))
    assert await store.write(lambda tx: tx.enqueue("gossip", b"", 0.0)) > soon  # ids are never used twice


@pytest.mark.trio
async def test_small_values(store: NodeStore) -> None:
    await store.write(lambda tx: [tx.set_meta(name, name.encode()) for name in ("join/b", "join/a", "jo%", "port")])
    assert await store.read(lambda tx: tx.get_meta("port")) == b"port"
    assert await store.read(lambda tx: tx.get_meta("none")) is None
    assert await store.read(lambda tx: tx.meta_with_prefix("join/")) == [("join/a", b"join/a"), ("join/b", b"join/b")]
    assert await store.read(lambda tx: tx.meta_with_prefix("jo%")) == [("jo%", b"jo%")]
    await store.write(lambda tx: (tx.set_meta("join/a", None), tx.set_meta("port", b"")))
    assert await store.read(lambda tx: tx.meta_with_prefix("join/")) == [("join/b", b"join/b")]
    assert await store.read(lambda tx: tx.get_meta("port")) == b""
