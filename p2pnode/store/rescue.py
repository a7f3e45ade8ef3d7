"""A damaged database made anew from what can be read of it. Run by `p2pnode rescue`, with no daemon running.

Nothing is believed that does not prove itself: records by their signature, blocks by their hash, contents by a walk from their root. Where
the index lost where a leaf lies, the file says it: such leaves count as damaged until they are found right. The damaged database is set
aside, never deleted. The numbers of what one signs begin above any that can have been used: a lost one must not come twice.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass, field

from p2pnode.core.cid import Cid
from p2pnode.core.dag import verify_block
from p2pnode.core.ids import WorkId
from p2pnode.core.manifest import Manifest
from p2pnode.core.record import Record
from p2pnode.core.records import decode_signed
from p2pnode.core.words import work_words
from p2pnode.errors import DecodeError, StoreError
from p2pnode.ports import Work
from p2pnode.store.database import connect, translated
from p2pnode.store.lock import locked
from p2pnode.store.migrate import migrations
from p2pnode.store.rescue_contents import LostContent, mend_contents
from p2pnode.store.salvage import Row, Table, read_table, tables
from p2pnode.store.tx import SqliteTx
from p2pnode.store.tx_records import RESCUE_MARGIN

PROBLEMS_TOLD = 20
"""Lines of SQLite's own check that are told."""
NO_QUOTA = 1 << 62
NOT_TAKEN = frozenset({"totals", "providers", "provider_peers", "damage"})
"""Triggers count the totals again; what others provide they tell again within a day; damage is found again."""


@dataclass(slots=True)
class Rescued:
    """What a rescue came to. Nothing was done when `set_aside` is empty: the database was healthy."""

    problems: list[str]
    set_aside: str = ""
    rows: dict[str, int] = field(default_factory=dict)
    incomplete: list[str] = field(default_factory=list)
    """Tables of which something could not be read."""
    lost: list[LostContent] = field(default_factory=list)
    unchecked: int = 0
    """Leaves that are to be looked for in their files."""


def problems_of(database: str) -> list[str]:
    """What SQLite itself says is wrong; empty: it is healthy. StoreError if a newer p2pnode wrote it, or there is none."""
    if not os.path.exists(database):
        raise StoreError(f"there is no database at {database}", hint="a daemon makes one when it starts")
    try:
        with closing(_open_damaged(database)) as damaged:
            version = damaged.execute("PRAGMA user_version").fetchone()[0]
            told = [str(line) for (line,) in damaged.execute(f"PRAGMA integrity_check({PROBLEMS_TOLD})")]
    except sqlite3.Error as error:
        return [str(error)]
    if version > len(migrations()):
        raise StoreError(f"the database has schema {version}: a newer p2pnode wrote it", hint="rescue it with that one")
    return [] if told == ["ok"] else told


def rescue(database: str, library: str, *, anyway: bool = False, now: float | None = None) -> Rescued:
    """Examine, and if it is damaged (or `anyway`) make anew and set the old one aside. RefusedError while somebody has it open."""
    database, moment = os.path.abspath(database), time.time() if now is None else now
    with translated(database), locked(f"{database}.lock"):
        rescued = Rescued(problems_of(database))
        if rescued.problems or anyway:
            fresh = f"{database}.rescued"
            _remove(fresh)
            _make(database, fresh, os.path.abspath(library), rescued, moment)
            rescued.set_aside = _set_aside(database, fresh, moment)
    return rescued


def _open_damaged(database: str) -> sqlite3.Connection:
    """With its log if that can be read, else without."""
    quoted = database.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    for mode in ("mode=ro", "mode=ro&immutable=1"):
        connection = sqlite3.connect(f"file:{quoted}?{mode}", uri=True, isolation_level=None)
        try:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            return connection
        except sqlite3.Error as error:
            connection.close()
            failed = error
    raise failed


def _make(database: str, fresh: str, library: str, rescued: Rescued, now: float) -> None:
    with closing(connect(fresh)) as db:
        db.execute("PRAGMA foreign_keys = OFF")
        db.execute("BEGIN")
        with suppress(sqlite3.Error), closing(_open_damaged(database)) as damaged:
            for table in tables(db):
                if table.name not in NOT_TAKEN:
                    rescued.rows[table.name] = _copy(damaged, db, table, library)
                    rescued.incomplete += [table.name] if table.lost else []
        tx = _tx(db, library)
        _restore_own_works(tx, db, now)
        rescued.lost, rescued.unchecked = mend_contents(tx, db, library, now)
        tx.set_seq_floor(now, margin=RESCUE_MARGIN)
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _tx(db: sqlite3.Connection, library: str) -> SqliteTx:
    return SqliteTx(db, library=library, quota_bytes=NO_QUOTA)


def _copy(damaged: sqlite3.Connection, db: sqlite3.Connection, table: Table, library: str) -> int:
    """Put its rows into the new database; how many were worth it."""
    tx, taken = _tx(db, library), Counter[bool]()
    for row in read_table(damaged, table):
        try:
            taken[_put(tx, db, table.name, row)] += 1
        except (sqlite3.Error, DecodeError, ValueError, TypeError, OverflowError, KeyError):
            taken[False] += 1  # what a damaged page says need not make sense
    table.lost = table.lost or taken[False] > 0
    return taken[True]


def _put(tx: SqliteTx, db: sqlite3.Connection, name: str, row: Row) -> bool:
    """One row, if it proves itself."""
    if name == "records":
        tx.put_record(decode_signed(row["sig"] + row["body"]), own=bool(row["own"]))
        return True
    if name == "works":
        _put_work(tx, decode_signed(row["sig"] + row["body"]), row["state"], bool(row["private"]), float(row["added"]))
        return True
    if name == "blocks" and not verify_block(Cid.from_bytes(row["cid"]), row["data"]):
        return False
    columns, marks = ", ".join(row), ", ".join("?" * len(row))
    db.execute(f"INSERT OR IGNORE INTO {name} ({columns}) VALUES ({marks})", tuple(row.values()))
    return True


def _put_work(tx: SqliteTx, record: Record, state: str, private: bool, added: float) -> None:
    manifest = Manifest.of(record)
    if state not in ("own", "kept", "heard"):
        raise ValueError(state)
    work = Work(
        id=WorkId(record.target if "base" in record.fields else record.id),
        manifest=record,
        root=manifest.root,
        title=manifest.title,
        kind=manifest.kind,
        creators=tuple(creator.name for creator in manifest.creators),
        licence=manifest.licence,
        bytes=manifest.bytes,
        files=manifest.files,
        state=state,  # type: ignore[arg-type]  # one of the three, as was just seen
        private=private,
        circle=record.circle,
        author=record.author,
        added=added,
    )
    tx.put_work(work, summary=manifest.summary, tags=manifest.tags, words=work_words(manifest))


def _restore_own_works(tx: SqliteTx, db: sqlite3.Connection, now: float) -> None:
    """Works whose catalogue row is lost: the manifest was signed here and its content is held. Private, until its owner says otherwise."""
    rows = db.execute("SELECT sig, body FROM records WHERE own = 1 AND kind = 'manifest'").fetchall()
    for sig, body in rows:
        with suppress(DecodeError):
            record = decode_signed(sig + body)
            work = WorkId(record.target if "base" in record.fields else record.id)
            content = tx.content(Manifest.of(record).root)
            if tx.work(work) is None and content is not None and not content.owned:
                _put_work(tx, record, "own", not content.public, now)


def _set_aside(database: str, fresh: str, now: float) -> str:
    """The damaged one gets a name of its own, log first: a log must never be applied to another database. Then the new one its name."""
    day = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
    aside = f"{database}.damaged-{day}"
    for suffix in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.replace(database + suffix, aside + suffix)
    with suppress(FileNotFoundError):
        os.remove(aside)
    os.link(database, aside)
    _remove_log(fresh)
    os.replace(fresh, database)
    descriptor = os.open(os.path.dirname(database), os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return aside


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.remove(path)
    _remove_log(path)


def _remove_log(path: str) -> None:
    for suffix in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.remove(path + suffix)
