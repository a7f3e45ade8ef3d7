"""One SQLite database between a trio program and the disk: connections, threads, transactions, errors.

There is one writing connection, used by one worker thread at a time, and a few reading ones that see WAL snapshots. No statement
ever runs on trio's own thread. A caller that is cancelled while it waits for its turn leaves nothing behind; a transaction that
began also finishes. Knows no table; `store.tx` does.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, LifoQueue
from typing import Protocol, TypeVar

import trio

from p2pnode.errors import FullDiskError, StoreError, TimedOutError
from p2pnode.limits import KIB, MIB
from p2pnode.store.migrate import migrate

T = TypeVar("T")
R = TypeVar("R")

READERS = 4
"""Reading connections: more would wait for the disk or the interpreter anyway."""
BUSY_TIMEOUT_S = 5.0
"""How long another program's lock on the database is waited for."""
JOURNAL_BYTES = 64 * MIB
"""The write-ahead log is cut back to this after a checkpoint, so that one large transaction does not keep its space for ever."""
CACHE_KIB = 16 * KIB
"""Pages the writing connection keeps: a tree of 80,000 files touches more than SQLite's default of 2 MiB."""
FILE_THREADS = 4
"""Threads that write, sync and rename library files."""
BLOCK_THREADS = 8
"""Threads that read blocks from files: a dead network mount may hold these, and nothing else of the node."""
CLOSE_WAIT_S = 2.0
"""How long closing waits for a reading thread that was left behind."""


class Engine(Protocol):
    """Where transactions and file work run: worker threads (ThreadEngine), or at once in the caller (store.memory)."""

    async def write(self, work: Callable[[sqlite3.Connection], T], *, durable: bool = True) -> T:
        """Run in one transaction; an exception rolls it back. Durable: it is on the disk when this returns."""
        ...

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run on a snapshot; changes are refused by SQLite."""
        ...

    def read_in_thread(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """As `read`, at once in the caller's own worker thread."""
        ...

    async def on_disk(self, work: Callable[[], T]) -> T:
        """Run blocking file work. OSError becomes StoreError."""
        ...

    async def look_up(self, find: Callable[[sqlite3.Connection], T], then: Callable[[T], R], *, deadline_s: float) -> R:
        """`find` in the database, `then` read a file, in one go. TimedOutError past the deadline: a slow mount is left behind."""
        ...


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn the errors of SQLite and of the file system into StoreError with what a person can do about it."""
    try:
        yield
    except sqlite3.Error as error:
        raise _translated(f"{what}: {error}", str(error).lower()) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise _translated(f"{error.filename or what}: {reason}", reason.lower()) from error


def _translated(message: str, reason: str) -> StoreError:
    if "full" in reason or "no space" in reason or "quota" in reason:
        return FullDiskError(message)
    return StoreError(message, hint=_hint(reason))


def _hint(reason: str) -> str:
    if "readonly" in reason or "read-only" in reason or "permission" in reason or "unable to open" in reason:
        return "make the node's home and library writable for this user"
    if "file exists" in reason or "not a directory" in reason:
        return "a file lies where a folder should be: move it away, or name another folder"
    if "locked" in reason or "busy" in reason:
        return "another program holds the database: close it and try again"
    if "not a database" in reason or "malformed" in reason or "corrupt" in reason:
        return "the database is damaged: stop the node, then p2pnode rescue makes it anew; files are not touched"
    return "see whether the disk is healthy and still connected"


def connect(path: str, *, readonly: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode: transactions are begun and ended by name. sqlite3.Error if it cannot be opened."""
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        if readonly:
            connection.execute("PRAGMA query_only = ON")
        else:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA journal_size_limit = {JOURNAL_BYTES}")
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            connection.execute("PRAGMA foreign_keys = ON")
            migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def write_transaction(
    connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T], *, durable: bool = True
) -> T:
    """Begin, work, commit; roll back on any exception, also one of the commit itself."""
    connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
    connection.execute("BEGIN IMMEDIATE")
    return _ended(connection, work)


def read_transaction(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    """One snapshot for all statements of `work`."""
    connection.execute("BEGIN")
    return _ended(connection, work)


def _ended(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite rolled back by itself after some errors of the disk
            connection.execute("ROLLBACK")
        raise
    return result


class ThreadEngine:
    """The engine of a real node. Close it once nobody uses it any more."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._closed = False
        with translated(path):
            self._writer = connect(path)
            self._readers: LifoQueue[sqlite3.Connection] = LifoQueue()
            for _ in range(READERS):
                self._readers.put(connect(path, readonly=True))
        self._writing = trio.CapacityLimiter(1)
        self._reading = trio.CapacityLimiter(READERS)
        self._filing = trio.CapacityLimiter(FILE_THREADS)
        self._blocks = trio.CapacityLimiter(BLOCK_THREADS)

    async def write(self, work: Callable[[sqlite3.Connection], T], *, durable: bool = True) -> T:
        def run() -> T:
            self._check_open()
            with translated(self._path):
                return write_transaction(self._writer, work, durable=durable)

        return await trio.to_thread.run_sync(run, limiter=self._writing)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await trio.to_thread.run_sync(self.read_in_thread, work, limiter=self._reading)

    def read_in_thread(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with translated(self._path), self._reader() as connection:
            return read_transaction(connection, work)

    async def on_disk(self, work: Callable[[], T]) -> T:
        def run() -> T:
            with translated("the library"):
                return work()

        return await trio.to_thread.run_sync(run, limiter=self._filing)

    async def look_up(self, find: Callable[[sqlite3.Connection], T], then: Callable[[T], R], *, deadline_s: float) -> R:
        def run() -> R:
            with translated(self._path), self._reader() as connection:
                found = read_transaction(connection, find)
            return then(found)  # without a connection: this is what may hang on a dead mount

        with trio.move_on_after(deadline_s):
            # libp2p brings stubs of an older trio, in which this argument had another name
            return await trio.to_thread.run_sync(run, abandon_on_cancel=True, limiter=self._blocks)  # type: ignore[call-arg]
        raise TimedOutError(
            f"reading a file took longer than {deadline_s:.0f} s",
            hint="see whether its disk or network mount still answers",
        )

    async def aclose(self) -> None:
        """Wait for the transaction under way, fold the log into the database and close every connection."""
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(self.close, limiter=self._writing)

    def at_start(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """One transaction before anybody else uses the engine; blocking."""
        return write_transaction(self._writer, work)

    def close(self) -> None:
        self._closed = True
        with suppress(Empty):
            for _ in range(READERS):
                self._readers.get(timeout=CLOSE_WAIT_S).close()
        with suppress(sqlite3.Error):
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._writer.close()

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        self._check_open()
        connection = self._readers.get()
        try:
            yield connection
        finally:
            self._readers.put(connection)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("the store is closed", hint="the node is stopping; start it again")
