"""From every released schema to the newest: nothing is lost, a crash in the middle is safe, and what was released is never changed."""

from __future__ import annotations

import gzip
import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from p2pnode.core.ids import NO_CIRCLE, PeerId
from p2pnode.store.database import connect
from p2pnode.store.migrate import migrations, schema_version
from p2pnode.store.node_store import NodeStore
from p2pnode.store.sqlite import open_store
from tests.store.make_fixtures import FOLDER, OWN_SAMPLE, SAMPLE
from tests.store.samples import NOW, Clock, circle, digest, key
from tests.store.test_verify import check, found

RELEASED = {"0001_first.sql": "6d2f2b0c"}
"""Schemas that people have, by the beginning of the SHA-256 of their file."""
FIXTURES = sorted(path.name for path in FOLDER.glob("store-*.db.gz"))


def old_home(folder: Path, fixture: str) -> Path:
    """A home as that version left it, with the library's files."""
    (folder / "node.db").write_bytes(gzip.decompress((FOLDER / fixture).read_bytes()))
    for path, data in SAMPLE.contents.items():
        target = folder / "library" / "An old tale" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return folder


@asynccontextmanager
async def opened(home: Path) -> AsyncIterator[NodeStore]:
    async with open_store(home / "node.db", home / "library", 1 << 30, 0, Clock()) as store:
        yield store


def test_what_was_released_is_as_it_was() -> None:
    folder = Path(__file__).parents[2] / "p2pnode" / "store" / "migrations"
    for name, begins in RELEASED.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest().startswith(begins), f"{name} is frozen"
    numbers = {int(name.split("_")[0]) for name in RELEASED}
    assert {f"store-{number:04}.db.gz" for number in numbers} == set(FIXTURES), "each has a database of its time"


@pytest.mark.trio
@pytest.mark.parametrize("fixture", FIXTURES)
async def test_nothing_is_lost_on_the_way_to_the_newest_schema(tmp_path: Path, fixture: str) -> None:
    home = old_home(tmp_path, fixture)
    before = rows(home / "node.db")
    async with opened(home) as store:
        assert await store.read_rows(lambda tx, db: schema_version(db)) == len(migrations())
        assert await store.read_rows(lambda tx, db: db.execute("PRAGMA integrity_check").fetchall()) == [("ok",)]
        assert await store.read_rows(lambda tx, db: db.execute("PRAGMA foreign_key_check").fetchall()) == []
        kinds = [one.kind for one in await store.read(lambda tx: tx.records(NO_CIRCLE))]
        assert sorted(kinds) == ["ballot", "profile"]
        assert [one.kind for one in await store.read(lambda tx: tx.records(circle("c")))] == ["vouch"]
        assert (await store.write(lambda tx: tx.next_seq(key("ada"), NOW)))[0] == (int(NOW) // 86_400 << 16) + 41
        assert await store.read(lambda tx: tx.circle_salt(circle("c"))) == digest("salt")
        works = {work.title: work for work in await store.read(lambda tx: tx.works(states=("own", "kept", "heard")))}
        assert {title: work.state for title, work in works.items()} == {
            "An old tale": "kept",
            "Mine": "own",
            "Hearsay": "heard",
        }
        assert [w.title for w in await store.read(lambda tx: tx.search("OLD tal", limit=9))] == ["An old tale"]
        content = await store.read(lambda tx: tx.content(SAMPLE.root))
        assert content is not None and (content.state, content.owned) == ("complete", True)
        for cid, data in SAMPLE.leaves.items():
            assert await store.read_block(cid, public_only=True) == data
        mine = await store.read(lambda tx: tx.content(OWN_SAMPLE.root))
        assert mine is not None and (mine.base, mine.owned) == ("/somewhere/mine", False)
        assert await store.read(lambda tx: tx.pinned(SAMPLE.root))
        assert await store.read(lambda tx: tx.get_meta("ports/kept")) == bytes.fromhex("0fa1")
        assert [item.attempts for item in await store.read(lambda tx: tx.due_outbox(NOW, 9))] == [2]
        assert await store.address_book.addresses(PeerId("peer")) == ["/dns/a"]
        assert await store.provider_records.get(digest("key"), NOW) == [(PeerId("peer"), ["/dns/a"])]
        assert found(await check(store, SAMPLE.root)) == []
        stocks = {one.root: one for one in await store.read(lambda tx: tx.stock())}
        assert stocks[SAMPLE.root].bytes == SAMPLE.size + len(SAMPLE.node) + 4
    after = rows(home / "node.db")
    for table, count in before.items():
        assert after[table] >= count - (table in ("contents", "bases")), f"rows of {table} are lost"


def rows(path: Path) -> dict[str, int]:
    with sqlite3.connect(path) as db:
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        counts = {name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}
    db.close()
    return {name: count for name, count in counts.items() if not name.startswith(("sqlite", "works_text"))}


MIGRATE_AND_DIE = """
import os, signal, sqlite3, sys
from p2pnode.store import database
left = int(sys.argv[2])
class Dying(sqlite3.Connection):
    def executescript(self, text):
        self.set_trace_callback(self.count)
        return super().executescript(text)
    def count(self, statement):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
connect = sqlite3.connect
sqlite3.connect = lambda *a, **k: connect(*a, factory=Dying, **k)
database.connect(sys.argv[1]).close()
print("migrated")
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 on this system")
@pytest.mark.parametrize("fixture", FIXTURES)
def test_a_crash_in_the_middle_of_a_migration_leaves_one_schema_or_the_next(tmp_path: Path, fixture: str) -> None:
    seen: set[int] = set()
    data = gzip.decompress((FOLDER / fixture).read_bytes())
    for statement in [*range(1, 8), *range(10, 60, 7)]:
        home = tmp_path / str(statement)
        home.mkdir()
        (home / "node.db").write_bytes(data)
        command = [sys.executable, "-c", MIGRATE_AND_DIE, str(home / "node.db"), str(statement)]
        child = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert child.returncode in (0, -signal.SIGKILL), child.stderr
        bare = sqlite3.connect(home / "node.db")
        seen.add(version := schema_version(bare))
        columns = {name for (_, name, *_) in bare.execute("PRAGMA table_info(contents)")}
        assert ("used" in columns) is (version >= 2)
        bare.close()
        after = connect(str(home / "node.db"))
        assert schema_version(after) == len(migrations())
        assert after.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        after.close()
        if child.returncode == 0:
            break
    assert {int(fixture[6:10]), len(migrations())} <= seen, "it was killed in the middle, and once not at all"


@pytest.mark.trio
@pytest.mark.parametrize("fixture", FIXTURES)
async def test_an_old_home_opens_twice(tmp_path: Path, fixture: str) -> None:
    home = old_home(tmp_path, fixture)
    for _ in range(2):
        async with opened(home) as store:
            assert (await store.read(lambda tx: tx.count_works())) == 2
        assert "node.db-wal" not in os.listdir(home), "closing folds the log in"


@pytest.mark.trio
async def test_a_log_that_was_lost_costs_what_was_not_in_the_database_yet(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.write(lambda tx: tx.set_meta("a", b"1"))
    async with opened(tmp_path) as store:
        await store.write(lambda tx: tx.set_meta("b", b"2"))
        copy = tmp_path / "copy"
        copy.mkdir()
        (copy / "node.db").write_bytes((tmp_path / "node.db").read_bytes())  # without node.db-wal
        await trio.lowlevel.checkpoint()
    async with opened(copy) as store:
        assert await store.read(lambda tx: (tx.get_meta("a"), tx.get_meta("b"))) == (b"1", None)
