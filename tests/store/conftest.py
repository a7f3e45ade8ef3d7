"""The two stores of the contract suite: a real one in a temporary folder, and the in-memory twin."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pytest_trio import trio_fixture

from p2pnode.limits import GIB
from p2pnode.store.memory import MemoryStore
from p2pnode.store.node_store import NodeStore
from p2pnode.store.sqlite import open_store
from tests.store.samples import Clock

QUOTA = GIB


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "memory"])
def flavour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@trio_fixture
async def store(flavour: str, clock: Clock, tmp_path: Path) -> AsyncIterator[NodeStore]:
    """An empty store with a quota of 1 GiB and no floor."""
    if flavour == "memory":
        yield MemoryStore(clock, quota_bytes=QUOTA)
        return
    async with open_store(tmp_path / "node.db", tmp_path / "library", QUOTA, 0, clock) as opened:
        await opened.write_rows(lambda tx, db: db.execute("DELETE FROM seqs"))  # as if there had been none before it
        yield opened
