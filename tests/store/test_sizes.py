"""How large the blocks are that may be served: the index alone answers, for files and rows, and says nothing of what is private."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2pnode.core.cid import RAW, Cid
from p2pnode.store.node_store import NodeStore
from tests.store.samples import bytes_of
from tests.store.test_content import leaves_of, publish, write_tree
from tests.support.contents import hold
from tests.support.dags import build

UNKNOWN = Cid.of(RAW, b"unheard of")


@pytest.mark.trio
async def test_sizes_of_public_blocks_are_told_and_of_others_not(store: NodeStore, tmp_path: Path) -> None:
    shown, hidden = bytes_of(1500), bytes_of(1700)[1:]
    await publish(store, write_tree(tmp_path / "shown", {"a": shown}), {"a": shown})
    await publish(store, write_tree(tmp_path / "hidden", {"a": hidden}), {"a": hidden}, public=False)
    rows, secret = build({"f": b"some bytes"}), build({"f": b"other bytes"})
    await hold(store, rows)
    await hold(store, secret, public=False)
    asked = [UNKNOWN, *[cid for cid, _, _ in leaves_of(shown)], *[cid for cid, _, _ in leaves_of(hidden)]]
    assert await store.public_sizes(asked) == [None, 1000, 500, None, None]
    held = [*rows.interior, *rows.leaves, *secret.interior, *secret.leaves]
    sizes = [*map(len, rows.interior.values()), *map(len, rows.leaves.values()), None, None]
    assert await store.public_sizes(held) == sizes
