"""Open the store of a real node: lock, database, library, recovery. Called by the daemon and by nobody else but tests."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import trio

from p2pnode.errors import P2pnodeError
from p2pnode.limits import DISK_FLOOR_BYTES, LIBRARY_QUOTA_BYTES
from p2pnode.ports import WallClock
from p2pnode.store.database import ThreadEngine, translated
from p2pnode.store.library import Library
from p2pnode.store.library_mark import settle_mark
from p2pnode.store.lock import locked
from p2pnode.store.node_store import NodeStore


@asynccontextmanager
async def open_store(
    path: str | Path,
    library: str | Path,
    quota_bytes: int = LIBRARY_QUOTA_BYTES,
    floor_bytes: int = DISK_FLOOR_BYTES,
    clock: WallClock = time.time,
) -> AsyncIterator[NodeStore]:
    """The store in the database file `path` (made if missing) with fetched works in the folder `library`.

    RefusedError if another process has it open; StoreError, with a hint, if it is damaged, too new, or cannot be written.
    """
    async with AsyncExitStack() as stack:
        engine, area, is_new = await trio.to_thread.run_sync(_open, Path(path), Path(library), stack)
        stack.push_async_callback(engine.aclose)
        store = NodeStore(engine, area, clock, quota_bytes=quota_bytes, floor_bytes=floor_bytes)
        if is_new:  # there may have been one before it, that somebody moved away or lost
            await store.write_rows(lambda tx, _: tx.set_seq_floor(clock()))
        await store.recover()
        yield store
        with trio.CancelScope(shield=True), suppress(P2pnodeError):
            await store.note_used()


def _open(path: Path, library: Path, stack: AsyncExitStack) -> tuple[ThreadEngine, Library, bool]:
    """The blocking part, and whether the database was made just now; what `stack` holds is undone by the caller."""
    database = os.path.abspath(path)
    folder = os.path.dirname(database)
    with translated(database):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        stack.enter_context(locked(f"{database}.lock"))
    is_new = not os.path.exists(database)
    engine = ThreadEngine(database)
    try:
        with translated(str(library)):
            mark = engine.at_start(lambda connection: settle_mark(connection, os.path.abspath(library), folder))
            return engine, Library(str(library), mark), is_new
    except BaseException:
        engine.close()
        raise
