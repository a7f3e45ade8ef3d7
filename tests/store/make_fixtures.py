"""Writes a small database as each released schema left it, filled: `tests/data/store-NNNN.db.gz`.

Run once when a schema is released, by hand, at the commit that released it: python -m tests.store.make_fixtures NUMBER. What it wrote
is never changed again: it stands for the databases that people have. Rows are put in by plain SQL: later code has no part in them.
"""

from __future__ import annotations

import gzip
import sqlite3
import sys
import tempfile
from pathlib import Path

from p2pnode.core.cid import RAW, Cid
from p2pnode.store.migrate import migrations
from tests.store.samples import NOW, bytes_of, circle, digest, key, record, tree, work

FOLDER = Path(__file__).parents[1] / "data"
SAMPLE = tree({"big": bytes_of(200_000, "old"), "deep/small": b"tiny"})
OWN = {"mine.txt": bytes_of(100_000, "own")}
OWN_SAMPLE = tree(OWN)


def fill(db: sqlite3.Connection) -> None:
    """Something in every table that the first schema has."""
    made = [
        record(created=int(NOW), counter=0),
        record("vouch", circle=circle("c"), author=key("bob"), created=int(NOW)),
        record("profile", author=key("ada"), counter=1),
    ]
    for own, one in zip((1, 0, 1), made, strict=True):
        db.execute(
            """INSERT INTO records (record, circle, kind, control, author, target, seq, created, own, body, sig)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (
                one.id, one.circle, one.kind, int(one.kind == "vouch"), one.author, one.target,
                one.fields["seq"], one.created, own, one.body, one.sig,
            ),
        )  # fmt: skip
    db.execute("INSERT INTO seqs VALUES (?, ?)", (key("ada"), made[0].fields["seq"] + 40))
    db.execute("INSERT INTO circles VALUES (?, ?, ?)", (circle("c"), digest("salt"), NOW))
    for state, root, title in (
        ("kept", SAMPLE.root, "An old tale"),
        ("own", OWN_SAMPLE.root, "Mine"),
        ("heard", SAMPLE.root, "Hearsay"),
    ):
        _put_work(db, work(title, root=root, state=state))
    _put_content(db, 1, SAMPLE, "An old tale", owned=1)
    _put_content(db, 2, OWN_SAMPLE, "/somewhere/mine", owned=0)
    db.execute("INSERT INTO contents VALUES (3, ?, 'partial', 1, 10, 1)", (Cid.of(RAW, b"half").to_bytes(),))
    db.execute("INSERT INTO bases VALUES (3, 3, ?, 1, NULL)", (b".incoming-0.3",))
    for root in (SAMPLE.root, OWN_SAMPLE.root):
        db.execute("INSERT INTO pins VALUES (?)", (root.to_bytes(),))
    db.execute("INSERT INTO meta VALUES ('ports/kept', x'0fa1'), ('join/x', x'00')")
    db.execute("INSERT INTO outbox (kind, payload, attempts, due) VALUES ('provide', ?, 2, ?)", (digest("key"), NOW))
    db.execute("INSERT INTO peers VALUES ('peer', ?, ?, '[[\"/dns/a\", 1.0]]')", (NOW, NOW))
    db.execute("INSERT INTO provider_peers (id, peer, addresses) VALUES (1, 'peer', '[\"/dns/a\"]')")
    db.execute("INSERT INTO providers VALUES (?, 1, ?)", (digest("key"), NOW))


def _put_work(db: sqlite3.Connection, one) -> None:  # type: ignore[no-untyped-def]
    manifest = one.manifest
    cursor = db.execute(
        """INSERT INTO works (work, root, title, kind, creators, licence, bytes, files, state, private, circle, author, added, words,
        record, sig, body) VALUES (?, ?, ?, ?, '["Ada"]', ?, ?, ?, ?, 0, ?, ?, ?, '["tale"]', ?, ?, ?)""",
        (
            one.id, one.root.to_bytes(), one.title, one.kind, one.licence, one.bytes, one.files, one.state, one.circle,
            one.author, one.added, manifest.id, manifest.sig, manifest.body,
        ),
    )  # fmt: skip
    db.execute(
        "INSERT INTO works_text (rowid, title, creators, summary, tags) VALUES (?, ?, 'ada', '', '')",
        (cursor.lastrowid, one.title.lower()),
    )


def _put_content(db: sqlite3.Connection, id: int, sample, base: str, *, owned: int) -> None:  # type: ignore[no-untyped-def]
    root = sample.root.to_bytes()
    db.execute("INSERT INTO contents VALUES (?, ?, 'complete', 1, ?, ?)", (id, root, sample.size, len(sample.files)))
    db.execute("INSERT INTO bases VALUES (?, ?, ?, ?, NULL)", (id, id, base.encode(), owned))
    rows = [(sample.root, sample.node)]
    for file in sample.files:
        cursor = db.execute(
            "INSERT INTO files (base, path, size, mtime_ns) VALUES (?, ?, ?, 17)", (id, file.path.encode(), file.size)
        )
        for cid, offset, length in file.leaves:
            if owned and length <= 1 << 16:
                rows.append((cid, sample.leaves[cid]))
            else:
                db.execute("INSERT INTO places VALUES (?, ?, ?, ?)", (cid.to_bytes(), cursor.lastrowid, offset, length))
    for cid, data in rows:
        block = db.execute("INSERT INTO blocks (cid, data) VALUES (?, ?)", (cid.to_bytes(), data)).lastrowid
        db.execute("INSERT INTO refs VALUES (?, ?)", (id, block))


def database(number: int) -> bytes:
    """Such a database, as the file would be."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "node.db"
        db = sqlite3.connect(path, isolation_level=None)
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("PRAGMA journal_mode = WAL")
        for step, text in migrations()[:number]:
            db.executescript(f"BEGIN;\n{text}\nPRAGMA user_version = {step};\nCOMMIT;")
        fill(db)
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.close()
        return path.read_bytes()


if __name__ == "__main__":
    number = int(sys.argv[1])
    (FOLDER / f"store-{number:04}.db.gz").write_bytes(gzip.compress(database(number), mtime=0))
