"""Reading what is published into the store: a scan in a worker thread, its events in batches, at the speed of the disk.

While one batch is written the next one is read. A scan that is given up (cancelled, paused, a full disk) leaves what it hashed in the
content it was begun with; a thread that hangs on a dead mount is left behind. Called by services.publish.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import trio

from p2pnode.core.layout import Piece
from p2pnode.core.stamp import HashedFile, KnownFile
from p2pnode.core.unixfs import Block
from p2pnode.local.events import NO_MEMORY, Began, Blocks, Event, Files, Kept, Leaves, Memory, Scanned, Withdrawn
from p2pnode.local.tree import measure, scan
from p2pnode.local.walk import Skipped
from p2pnode.ports import Json, Store, Tx

BATCH_EVENTS = 500
"""Events of a scan that are stored in one transaction: a commit costs as much as hashing a few MiB."""
BATCH_S = 1.0
"""Seconds after which a batch is stored even if it is small: what a kill costs at most."""
BATCHES_AHEAD = 2
"""Batches that wait to be stored while reading goes on."""
PROGRESS_INTERVAL_S = 0.1
"""Progress is told at most ten times a second: more than an eye reads."""
RATE_WINDOW_S = 5.0
"""Seconds over which the shown rate is measured."""
MAX_SKIPPED_TOLD = 200
"""Skipped entries listed in the answer; the count is always whole."""


@dataclass(slots=True)
class Reading:
    """What one scan has come to. `content` takes the files; `earlier` is the base of what an interrupted scan left."""

    path: str
    content: int
    earlier: int | None = None
    scanned: Scanned | None = None
    skipped: list[Skipped] = field(default_factory=list)
    skipped_count: int = 0
    stop: threading.Event = field(default_factory=threading.Event)
    """Set it, and reading ends soon with GivenUp; what was hashed by then is kept."""
    failure: Exception | None = None
    """Why the scan ended early; raised once everything that it told before is stored."""
    _file: int = -1

    def keep(self, batch: Sequence[Event], tx: Tx) -> None:
        """Put a batch of events into the store."""
        blocks: list[Block] = []
        files: list[HashedFile] = []
        for event in batch:
            if isinstance(event, Files):
                files.extend(event.files)
            elif isinstance(event, Blocks):
                blocks.extend(event.blocks)
            elif isinstance(event, Kept):
                tx.adopt_files(self.content, [file for file, base in event.files if base == self.earlier])
                tx.copy_files(self.content, [file for file, base in event.files if base != self.earlier])
            elif isinstance(event, Leaves):
                tx.add_leaves(self.content, self._file, event.leaves)
            elif isinstance(event, Began):
                self._file = self._begin(tx, event)
            elif isinstance(event, Withdrawn):
                tx.drop_file(self._file)
            elif isinstance(event, Skipped):
                self.skipped_count += 1
                if len(self.skipped) < MAX_SKIPPED_TOLD:
                    self.skipped.append(event)
            else:
                self.scanned = event
        if files:
            tx.add_files(self.content, files)
        tx.add_blocks(self.content, blocks)

    def _begin(self, tx: Tx, began: Began) -> int:
        if began.known is not None:
            tx.adopt_files(self.content, [began.known.id])
            return began.known.id
        (file,) = tx.add_files(self.content, [HashedFile(began.path, began.stamp, ())])
        return file


async def read_into_store(store: Store, reading: Reading, on_progress: Callable[[Json], None]) -> Scanned:
    """Read the path into the content. UsageError, ChangedError (see local.tree.scan), StoreError or GivenUp."""
    bases = await store.read(lambda tx: tx.in_place(reading.path)[:1])
    if reading.earlier is not None:
        bases.insert(0, reading.earlier)
    progress = _Progress(on_progress, reading.stop)
    send, receive = trio.open_memory_channel[list[Event]](BATCHES_AHEAD)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_measure, reading.path, progress)
            async with receive:
                nursery.start_soon(_scan, store, reading, bases, progress, send)
                async for batch in receive:
                    await store.write(partial(reading.keep, batch), durable=False)
            nursery.cancel_scope.cancel()  # what is measured needs no end
    except* Exception as group:
        raise _first(group) from None
    finally:
        reading.stop.set()
    if reading.failure is not None:
        raise reading.failure
    assert reading.scanned is not None, "a scan ends with Scanned"
    return reading.scanned


def _first(group: BaseExceptionGroup[Exception]) -> Exception:
    error: Exception | BaseExceptionGroup[Exception] = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _measure(path: str, progress: _Progress) -> None:
    def work() -> tuple[int, int]:
        try:
            return measure(path, progress.stop.is_set)
        except OSError:
            return 0, 0  # the scan itself says what is wrong

    # libp2p brings stubs of an older trio, in which this argument had another name
    progress.total = await trio.to_thread.run_sync(work, abandon_on_cancel=True)  # type: ignore[call-arg]


async def _scan(
    store: Store,
    reading: Reading,
    bases: Sequence[int],
    progress: _Progress,
    send: trio.MemorySendChannel[list[Event]],
) -> None:
    def files(paths: Sequence[str]) -> list[KnownFile | None]:
        return trio.from_thread.run(store.read, lambda tx: tx.known_files(bases, paths))

    def leaves(file: int, offset: int, limit: int) -> list[Piece]:
        return trio.from_thread.run(store.read, lambda tx: tx.known_leaves(file, offset, limit))

    def work() -> None:
        memory = Memory(files, leaves, reading.earlier) if bases else NO_MEMORY
        events = scan(reading.path, progress, memory=memory)
        try:
            _batches(events, lambda batch: trio.from_thread.run(send.send, batch))
        finally:
            events.close()  # type: ignore[attr-defined]  # it is a generator: closing ends its threads now

    async with send:
        try:
            await trio.to_thread.run_sync(work, abandon_on_cancel=True)  # type: ignore[call-arg]  # as above
        except Exception as error:
            reading.failure = error


def _batches(events: Iterator[Event], store: Callable[[list[Event]], None]) -> None:
    batch: list[Event] = []
    began = time.monotonic()
    try:
        for event in events:
            batch.append(event)
            if len(batch) >= BATCH_EVENTS or time.monotonic() - began > BATCH_S:
                store(batch)
                batch, began = [], time.monotonic()
    finally:
        store(batch)


class GivenUp(Exception):
    """Reading was asked to stop."""


class _Progress:
    """Counts and tells; called in the scan's thread. Setting `stop` ends the scan at its next step."""

    def __init__(self, tell: Callable[[Json], None], stop: threading.Event) -> None:
        self._tell, self.stop = tell, stop
        self.total: tuple[int, int] | None = None
        self._told = 0.0
        self._window: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])

    def __call__(self, done: int, files: int, path: str) -> None:
        if self.stop.is_set():
            raise GivenUp
        now = time.monotonic()
        if now - self._told >= PROGRESS_INTERVAL_S:
            self._told = now
            trio.from_thread.run_sync(self._tell, self._shown(now, done, files, path))

    def _shown(self, now: float, done: int, files: int, path: str) -> Json:
        self._window.append((now, done))
        while now - self._window[0][0] > RATE_WINDOW_S and len(self._window) > 2:
            self._window.popleft()
        since, before = self._window[0]
        rate = max(done - before, 0) / (now - since) if now > since else 0.0
        shown: Json = {"bytes": done, "files": files, "path": path, "rate_bytes_s": int(rate)}
        if self.total is not None:
            size, count = self.total
            shown |= {"total": size, "total_files": count}
            if rate:
                shown["eta_s"] = round(max(size - done, 0) / rate, 1)
        return shown
