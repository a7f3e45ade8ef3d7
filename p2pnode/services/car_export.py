"""The journey "car export": a content as an archive (CAR v1) that every IPFS program reads, the same bytes each time.

Order and repetition as `services.car_blocks` has them: two nodes that hold the same content write the same file. It goes into a hidden file
first and appears whole, over nothing. Called by the control method `car.export`; the bytes for a pipe come from `car_bytes`.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import trio

from p2pnode.core.car import encode_header, encode_section
from p2pnode.core.cid import Cid
from p2pnode.errors import NotFoundError, StoreError
from p2pnode.local.output import Output
from p2pnode.ports import Json, Store
from p2pnode.services.car_blocks import dag_blocks

PROGRESS_INTERVAL_S = 0.1
"""Progress is told at most ten times a second: more than an eye reads."""


async def car_bytes(store: Store, root: Cid) -> AsyncGenerator[bytes, None]:
    """The archive of a content, in parts of some megabytes at most. Errors as `dag_blocks`."""
    yield encode_header([root])
    async with aclosing(dag_blocks(store, root, set())) as batches:
        async for batch in batches:
            yield b"".join([encode_section(cid, block) for cid, block in batch])


async def export_car(store: Store, root: Cid, path: str, *, on_progress: Callable[[Json], None]) -> Json:
    """Write the archive to the absolute `path`. NotFoundError: not held whole; RefusedError: the path exists; StoreError: the disk."""
    content = await store.read(lambda tx: tx.content(root))
    total = content.size if content is not None else 0
    if await store.read_block(root) is None:
        raise NotFoundError(f"{root} is not here", hint="fetch it first: p2pnode get")
    output = await trio.to_thread.run_sync(Output, path)
    written, told = 0, 0.0
    try:
        file = await trio.to_thread.run_sync(output.create, "")
        try:
            async with aclosing(car_bytes(store, root)) as parts:
                async for part in parts:
                    await trio.to_thread.run_sync(write_all, file, part)
                    written += len(part)
                    if time.monotonic() - told >= PROGRESS_INTERVAL_S:
                        told = time.monotonic()
                        on_progress({"bytes": min(written, total), "total": total, "path": path})
            await trio.to_thread.run_sync(os.fsync, file)
        finally:
            os.close(file)
        await trio.to_thread.run_sync(output.finish)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(output.abandon)  # nothing is left of it after `finish`
    return {"cid": str(root), "path": path, "bytes": written}


def write_all(file: int, data: bytes) -> None:
    """All of it, at the end of an open file. OSError when the disk is full."""
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
