"""The catalogue and its full-text index, inside one transaction.

Works that we only heard of are bounded: the oldest make room, own and kept ones never do.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

from p2pnode.core.cid import Cid
from p2pnode.core.ids import NO_CIRCLE, CircleId, PublicKey, WorkId
from p2pnode.ports import Work
from p2pnode.store.fulltext import folded, match_expression
from p2pnode.store.rows import FIND_LIMIT, Rows, marks, record_of

MAX_HEARD_WORKS = 10_000
"""Works whose manifest is all that we have: strangers send these, so they must not grow without bound."""

_COLUMNS = (
    "work", "root", "title", "kind", "creators", "licence", "bytes", "files", "state", "private", "circle", "author",
    "added", "record", "sig", "body",
)  # fmt: skip
_SELECT = f"SELECT {', '.join('works.' + name for name in _COLUMNS)} FROM works"
_PUT = f"""INSERT INTO works ({", ".join(_COLUMNS)}, words) VALUES ({", ".join("?" * len(_COLUMNS))}, ?)
ON CONFLICT (work) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in (*_COLUMNS[1:], "words"))}
RETURNING id"""


class WorkRows(Rows):
    """The catalogue part of a transaction (ports.Tx)."""

    max_heard_works = MAX_HEARD_WORKS

    def put_work(self, work: Work, *, summary: str, tags: Sequence[str], words: Sequence[str]) -> None:
        values = (*_values(work), json.dumps(list(words), ensure_ascii=False))
        (id,) = self._db.execute(_PUT, values).fetchone()
        self._db.execute("DELETE FROM works_text WHERE rowid = ?", (id,))
        self._db.execute(
            "INSERT INTO works_text (rowid, title, creators, summary, tags) VALUES (?, ?, ?, ?, ?)",
            (id, *map(folded, (work.title, "\n".join(work.creators), summary, "\n".join(tags)))),
        )
        self._bound_heard()

    def _bound_heard(self) -> None:
        excess = self._total("heard") - self.max_heard_works
        if excess > 0:
            oldest = self._db.execute(
                "SELECT work FROM works WHERE state = 'heard' ORDER BY added, id LIMIT ?", (excess,)
            ).fetchall()
            for (work,) in oldest:
                self.drop_work(work)

    def set_work_state(self, id: WorkId, state: Literal["own", "kept", "heard"]) -> None:
        self._db.execute("UPDATE works SET state = ? WHERE work = ?", (state, id))
        self._bound_heard()

    def drop_work(self, id: WorkId) -> None:
        self._db.execute("DELETE FROM works_text WHERE rowid = (SELECT id FROM works WHERE work = ?)", (id,))
        self._db.execute("DELETE FROM works WHERE work = ?", (id,))
        # the first manifest of a revised work that is not ours and of no circle is there for the work alone
        self._db.execute("DELETE FROM records WHERE record = ? AND own = 0 AND circle = ?", (id, NO_CIRCLE))

    def work(self, id: WorkId) -> Work | None:
        row = self._db.execute(f"{_SELECT} WHERE work = ?", (id,)).fetchone()
        return _work(row) if row else None

    def work_words(self, id: WorkId) -> list[str]:
        """The DHT words under which the work is provided; empty if it is not in the catalogue."""
        row = self._db.execute("SELECT words FROM works WHERE work = ?", (id,)).fetchone()
        return list(json.loads(row[0])) if row else []

    def words_in_use(self, words: Sequence[str]) -> set[str]:
        """Those under which a public work of ours, or a kept one, is provided."""
        if not words:
            return set()
        rows = self._db.execute(
            f"""SELECT DISTINCT word.value FROM works, json_each(works.words) AS word
            WHERE works.state IN ('own', 'kept') AND works.private = 0 AND word.value IN ({marks(words)})""",
            list(words),
        )
        return {row[0] for row in rows}

    def find_works(self, low: bytes, high: bytes) -> list[Work]:
        return self._works("WHERE work BETWEEN ? AND ? ORDER BY work LIMIT ?", (low, high, FIND_LIMIT))

    def works(self, *, states: Sequence[str] = ("own", "kept"), limit: int = 1000, offset: int = 0) -> list[Work]:
        return self._works(
            f"WHERE state IN ({marks(states)}) ORDER BY added DESC, id DESC LIMIT ? OFFSET ?", (*states, limit, offset)
        )

    def works_with_root(self, root: Cid) -> list[Work]:
        return self._works("WHERE root = ? ORDER BY added, id", (root.to_bytes(),))

    def search(self, text: str, *, limit: int, public_only: bool = False) -> list[Work]:
        query = match_expression(text)
        if query is None:
            return []
        public = "AND works.private = 0" if public_only else ""
        return self._works(
            f"""JOIN works_text ON works_text.rowid = works.id WHERE works_text MATCH ? {public}
            ORDER BY works_text.rank, works.id LIMIT ?""",
            (query, limit),
        )

    def count_works(self) -> int:
        """Works that are ours or kept, as `works` lists them by default."""
        count = self._db.execute("SELECT count(*) FROM works WHERE state IN ('own', 'kept')").fetchone()[0]
        assert isinstance(count, int)
        return count

    def _works(self, rest: str, values: Sequence[object]) -> list[Work]:
        return [_work(row) for row in self._db.execute(f"{_SELECT} {rest}", values)]


def _values(work: Work) -> tuple[object, ...]:
    record = work.manifest
    return (
        work.id, work.root.to_bytes(), work.title, work.kind, json.dumps(work.creators, ensure_ascii=False), work.licence,
        work.bytes, work.files, work.state, int(work.private), work.circle, work.author, work.added,
        record.id, record.sig, record.body,
    )  # fmt: skip


def _work(row: Sequence[Any]) -> Work:
    (id, root, title, kind, creators, licence, size, files, state, private, circle, author, added, *record) = row
    return Work(
        id=WorkId(id),
        manifest=record_of(*record),
        root=Cid.from_bytes(root),
        title=title,
        kind=kind,
        creators=tuple(json.loads(creators)),
        licence=licence,
        bytes=size,
        files=files,
        state=state,
        private=bool(private),
        circle=CircleId(circle),
        author=PublicKey(author),
        added=added,
    )
