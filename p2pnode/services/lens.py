"""Through whose eyes the catalogue is seen: everybody's, one circle's, or only one's own; and one's own marks, which always win.

A mark is local and unsigned: *hide* (do not show it to me), *block* (nor fetch it, nor tell others of it), *keep* (show and keep it,
whatever any circle decides). Through a circle's lens one sees what it lists, under the description that its edits made. Called by the
methods that list works; the store keeps the marks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from p2pnode.core.ids import CIRCLE_PREFIX, WORK_PREFIX, WorkId, id_text
from p2pnode.errors import RefusedError, UsageError
from p2pnode.ports import Json, Store, Tx
from p2pnode.services.resolve import find_circle

MARKS: Final = ("hide", "block", "keep")
ONLY_ME = "me"
PREFIX = "mark/"
SHOWN_BY_CIRCLES = ("listed", "disputed")

Sight = Callable[[Json], Json | None]
"""A hit as it is seen, or None: it is not shown."""


class Lens:
    """Marks and lenses of one node."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def mark(self, work: WorkId, word: str | None) -> Json:
        """Set one's mark on a work; None takes it away. UsageError for a word that is no mark."""
        if word is not None and word not in MARKS:
            raise UsageError(f"{word!r} is no mark", hint=f"one of: {', '.join(MARKS)}, none")

        def write(tx: Tx) -> None:
            tx.set_meta(PREFIX + work.hex(), None if word is None else word.encode())
            if word == "keep" and (row := tx.work(work)) is not None and tx.content(row.root) is not None:
                tx.pin(row.root)

        await self._store.write(write)
        return {"work": id_text(WORK_PREFIX, work), "mark": word}

    async def marked(self) -> Json:
        """Every work that is marked. The answer of `marks`."""

        def read(tx: Tx) -> list[Json]:
            items = []
            for work, word in _marks(tx).items():
                row = tx.work(work)
                items.append({"work": id_text(WORK_PREFIX, work), "title": row.title if row else "", "mark": word})
            return items

        return {"items": await self._store.read(read)}

    async def sight(self, lens: str | None, *, all: bool = False) -> Sight:
        """How hits are seen now. `lens`: a circle, "me" (only one's own marks decide), or None; `all` shows hidden ones too."""

        def read(tx: Tx) -> tuple[dict[str, str], str | None]:
            marks = {id_text(WORK_PREFIX, work): word for work, word in _marks(tx).items()}
            circle = None if lens in (None, ONLY_ME) else id_text(CIRCLE_PREFIX, find_circle(tx, str(lens)))
            return marks, circle

        marks, circle = await self._store.read(read)

        def see(hit: Json) -> Json | None:
            mark = marks.get(str(hit["work"]))
            seen = hit if mark is None else hit | {"mark": mark}
            if mark in ("hide", "block") and not all:
                return None
            if circle is None or mark == "keep":
                return seen
            return _through(seen, circle)

        return see


def is_blocked(tx: Tx, work: WorkId) -> bool:
    """Whether the owner of this node wants nothing to do with that work."""
    return tx.get_meta(PREFIX + work.hex()) == b"block"


def refuse_blocked(tx: Tx, work: WorkId) -> None:
    """RefusedError for a work that its owner blocked."""
    if is_blocked(tx, work):
        raise RefusedError(
            "you have blocked this work", hint=f"to allow it again: p2pnode mark {id_text(WORK_PREFIX, work)} none"
        )


def see_all(hits: Iterable[Json], see: Sight) -> list[Json]:
    """The hits that are shown."""
    return [seen for hit in hits if (seen := see(hit)) is not None]


def _through(hit: Json, circle: str) -> Json | None:
    said = next((one for one in hit["verdicts"] if one["circle"] == circle), None)
    if said is None or said["verdict"] not in SHOWN_BY_CIRCLES:
        return None
    title = (said.get("fields") or {}).get("title")
    return hit | {"title": title, "title_by_author": hit["title"]} if title else hit


def _marks(tx: Tx) -> dict[WorkId, str]:
    held = tx.meta_with_prefix(PREFIX)
    return {WorkId(bytes.fromhex(name.removeprefix(PREFIX))): word.decode() for name, word in held}
