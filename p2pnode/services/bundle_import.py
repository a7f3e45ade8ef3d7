"""The journey "bundle import": what somebody carried over on a stick becomes records, works and contents here, as if sync had brought them.

Nothing is believed for being in the file: records pass the one door, manifests are verified, blocks are hashed. A circle that this node
is not in is left out unless the user follows it; a content is taken only if a verified manifest names it. What is damaged costs itself and
nothing else, and importing again takes up what is missing. Called by the control method `bundle.import`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import trio

from p2pnode.core.bundle import MAX_BLOCK_BYTES, Index, PageRef, decode_index, decode_records, decode_roots
from p2pnode.core.charter import Charter
from p2pnode.core.cid import Cid
from p2pnode.core.dag import verify_block
from p2pnode.core.ids import CIRCLE_PREFIX, SHORTEST_TEXT, CircleId, id_text
from p2pnode.core.record import MANIFEST, Record
from p2pnode.core.records import decode_signed
from p2pnode.core.skeleton import MAX_CONTENT_BYTES
from p2pnode.core.understanding import is_understood
from p2pnode.errors import AmbiguousError, DecodeError, NotFoundError, RefusedError
from p2pnode.local.car_file import CarFile
from p2pnode.ports import Json, Store, Tx, WallClock
from p2pnode.services.admission import Admission
from p2pnode.services.bundle_merge import SOURCE, Merged, merge_circle
from p2pnode.services.car_import import scan
from p2pnode.services.catalogue import put_manifest
from p2pnode.services.kin import is_kin
from p2pnode.services.newcomers import expect_welcome
from p2pnode.services.resolve import circle_name
from p2pnode.services.take_content import keep_content, take_content

T = TypeVar("T")
OnProgress = Callable[[Json], None]

MAX_MANIFESTS = 10_000
"""Manifests taken from one bundle: as many works as the catalogue keeps of those it only heard of."""
MAX_TOLD = 200
"""Contents that are told one by one in the answer, and reasons; the counts are always whole."""


@dataclass(slots=True)
class _Tally:
    """What one import has come to."""

    works: int = 0
    rejected: int = 0
    damaged: set[Cid] = field(default_factory=set)


class BundleImport:
    """Importing bundles, on one node."""

    def __init__(self, store: Store, admission: Admission, clock: WallClock, wake_outbox: Callable[[], None]) -> None:
        self._store, self._admission = store, admission
        self._clock, self._wake_outbox = clock, wake_outbox

    async def run(
        self, path: str, *, follow: Collection[str], follow_all: bool = False, on_progress: OnProgress
    ) -> Json:
        """Take in what may come in; `follow` are ids or names of circles of the bundle that this node shall be in from now on.

        The answer of `p2pnode bundle import`. DecodeError: it is no bundle; NotFoundError: no such circle in it; StoreError: our disk.
        """
        with await trio.to_thread.run_sync(CarFile, path) as car:
            await scan(car, on_progress)
            index = await trio.to_thread.run_sync(_read_index, car)
            tally = _Tally()
            circles = await self._merge_circles(car, index, follow, follow_all, tally, on_progress)
            await self._take_manifests(car, index, tally)
            contents = await self._take_contents(car, index, tally, on_progress)
            self._wake_outbox()
            left_out = [item for item in contents if item["state"] == "left_out"]
            return {
                "circles": circles,
                "works": tally.works,
                "rejected": tally.rejected,
                "contents": contents[:MAX_TOLD],
                "taken": sum(item["state"] == "taken" for item in contents),
                "left_out": len(left_out),
                "damage": _damage(car, tally),
            }

    # ------------------------------------------------------------ circles

    async def _merge_circles(
        self,
        car: CarFile,
        index: Index,
        follow: Collection[str],
        follow_all: bool,
        tally: _Tally,
        on_progress: OnProgress,
    ) -> list[Json]:
        pages: dict[CircleId, list[PageRef]] = {}
        for page in index.pages:
            if page.kind == "circle":
                pages.setdefault(page.circle, []).append(page)
        charters = {circle: await trio.to_thread.run_sync(_charter, car, part, tally) for circle, part in pages.items()}
        followed = set(charters) if follow_all else _chosen(charters, follow)
        told = []
        for circle, charter in charters.items():
            on_progress({"path": charter.name if charter else "", "reason": "records of a circle"})
            told.append(await self._merge_circle(car, circle, pages[circle], charter, circle in followed, tally))
        return told

    async def _merge_circle(
        self, car: CarFile, circle: CircleId, pages: list[PageRef], charter: Charter | None, follow: bool, tally: _Tally
    ) -> Json:
        item: Json = {
            "circle": id_text(CIRCLE_PREFIX, circle),
            "name": charter.name if charter else "",
            "state": "merged",
        }
        held = await self._store.read(lambda tx: circle in tx.circles())
        if not held:
            if not follow:
                return item | await self._left_out(charter)
            if charter is None:
                return item | {"state": "left_out", "reason": "its charter is missing or damaged", "new": 0}
            now = self._clock()
            try:
                await self._store.write(lambda tx: _enter(tx, circle, charter, now))
            except RefusedError as error:
                return item | {"state": "left_out", "reason": error.message, "new": 0}
            item["state"] = "followed"
        merged = await merge_circle(self._admission, circle, lambda: _pages_of(car, pages, tally, decode_records))
        return item | _counts(merged)

    async def _left_out(self, charter: Charter | None) -> Json:
        """What is told of a circle that this node is not in; `fork_of` where it is a fork of one that it is in."""
        told: Json = {"state": "left_out", "reason": "this node is not in it", "new": 0}
        parent = None if charter is None else charter.parent
        if parent is None or parent not in await self._store.read(lambda tx: tx.circles()):
            return told
        name = await self._store.read(lambda tx: circle_name(tx, parent))
        return told | {"reason": f"it is a fork of your circle {name}", "fork_of": id_text(CIRCLE_PREFIX, parent)}

    # ------------------------------------------------------------ works

    async def _take_manifests(self, car: CarFile, index: Index, tally: _Tally) -> None:
        pages = [page for page in index.pages if page.kind == "works"]
        for read in _pages_of(car, pages, tally, decode_records):
            records = await trio.to_thread.run_sync(_manifests, read, tally)
            room = MAX_MANIFESTS - tally.works
            tally.rejected += max(0, len(records) - room)
            records = records[: max(0, room)]
            tally.works += len(records)
            await self._store.write(lambda tx, records=records: self._put(tx, records), durable=False)  # type: ignore[misc]
            circles = await self._store.read(lambda tx: set(tx.circles()))
            for record in records:
                if record.circle in circles:
                    await self._admission.admit([record.sig + record.body], record.circle, SOURCE)

    def _put(self, tx: Tx, records: list[Record]) -> None:
        for record in records:
            put_manifest(tx, record, state="heard", private=False, added=self._clock())

    # ------------------------------------------------------------ contents

    async def _take_contents(self, car: CarFile, index: Index, tally: _Tally, on_progress: OnProgress) -> list[Json]:
        told: dict[Cid, Json] = {}
        pages = [page for page in index.pages if page.kind == "contents"]
        for read in _pages_of(car, pages, tally, decode_roots):
            for root in await trio.to_thread.run_sync(read):
                if root not in told:
                    told[root] = await self._take(car, root, on_progress)
        return list(told.values())

    async def _take(self, car: CarFile, root: Cid, on_progress: OnProgress) -> Json:
        works = await self._store.read(lambda tx: tx.works_with_root(root))
        item: Json = {"cid": str(root), "title": works[0].title if works else "", "bytes": 0}
        if not works:
            return item | {"state": "left_out", "reason": "no work of the bundle names it"}

        def tell(done: int, total: int) -> None:
            on_progress({"bytes": done, "total": total, "path": works[0].title})

        try:
            most = min(max(work.bytes for work in works), MAX_CONTENT_BYTES)
            taken = await take_content(self._store, car.block, root, works[0].title, max_bytes=most, on_bytes=tell)
        except (NotFoundError, DecodeError, RefusedError) as error:
            return item | {"state": "left_out", "reason": error.message}
        public = taken.fresh or taken.content.public
        now = self._clock()
        await self._store.write(lambda tx: keep_content(tx, root, now, public=public))
        return item | {"bytes": taken.skeleton.size, "state": "taken" if taken.fresh else "here"}


# ---------------------------------------------------------------- reading the file


def _read_index(car: CarFile) -> Index:
    """DecodeError, in words for a person, if there is none."""
    try:
        if len(car.roots) != 1:
            raise DecodeError("a bundle has one root")
        return decode_index(_block(car, car.roots[0]))
    except DecodeError as error:
        damage = f"; it is damaged {car.damage}" if car.damage else ""
        raise DecodeError(f"{car.path} is no bundle: {error.message}{damage}") from error


def _block(car: CarFile, cid: Cid) -> bytes:
    block = car.block(cid)
    if block is None:
        raise DecodeError(f"block {cid} is missing")
    if len(block) > MAX_BLOCK_BYTES or not verify_block(cid, block):
        raise DecodeError(f"block {cid} is damaged")
    return block


def _pages_of(
    car: CarFile, pages: list[PageRef], tally: _Tally, decode: Callable[[bytes], list[T]]
) -> Iterator[Callable[[], list[T]]]:
    for page in pages:
        yield partial(_page, car, page, tally, decode)


def _page(car: CarFile, page: PageRef, tally: _Tally, decode: Callable[[bytes], list[T]]) -> list[T]:
    """Blocking. A page that is missing or damaged is empty, and counted once for each time it is read."""
    try:
        return decode(_block(car, page.cid))
    except DecodeError:
        tally.damaged.add(page.cid)
        return []


def _charter(car: CarFile, pages: list[PageRef], tally: _Tally) -> Charter | None:
    """The circle's genesis charter, verified; it stands first in a bundle of ours."""
    for page in pages:
        for data in _page(car, page, tally, decode_records):
            try:
                record = decode_signed(data)
                if bytes(record.id) == page.circle:
                    return Charter.of(record)
            except DecodeError:
                continue
    return None


def _manifests(read: Callable[[], list[bytes]], tally: _Tally) -> list[Record]:
    """The verified manifests of a page."""
    found = []
    for data in read():
        try:
            record = decode_signed(data)
            if record.kind != MANIFEST or not is_understood(record):
                raise DecodeError("no manifest that is understood here")
        except DecodeError:
            tally.rejected += 1
            continue
        found.append(record)
    return found


# ---------------------------------------------------------------- small things


def _enter(tx: Tx, circle: CircleId, charter: Charter, now: float) -> None:
    """Be in a circle from now on, as a reader until somebody vouches; in a fork, as who one was. RefusedError as for joining."""
    if not is_kin(tx, charter):
        raise RefusedError(
            "it pretends to be a fork of a circle of yours and is none: you would have the same key in both"
        )
    if any(circle_name(tx, other).casefold() == charter.name.casefold() for other in tx.circles()):
        raise RefusedError("you are in another circle of that name")
    tx.add_circle(circle, charter.salt, now)
    expect_welcome(tx, circle)


def _chosen(charters: Mapping[CircleId, Charter | None], wanted: Collection[str]) -> set[CircleId]:
    """The circles that somebody named, by id, the beginning of one, or name. NotFoundError, AmbiguousError."""
    chosen = set()
    for given in wanted:
        found = [circle for circle, charter in charters.items() if _is_named(given, circle, charter)]
        if not found:
            raise NotFoundError(
                f"the bundle has no circle {given!r}", hint="import it without --follow: that lists them"
            )
        if len(found) > 1:
            raise AmbiguousError(f"the bundle has {len(found)} circles {given!r}", hint="give its id")
        chosen.add(found[0])
    return chosen


def _is_named(given: str, circle: CircleId, charter: Charter | None) -> bool:
    text = id_text(CIRCLE_PREFIX, circle)
    short = len(given) >= len("c-") + SHORTEST_TEXT and text.startswith(given.lower())
    return short or (charter is not None and given.casefold() == charter.name.casefold())


def _counts(merged: Merged) -> Json:
    return {"new": merged.new, "rejected": merged.rejected, "unknown": merged.unknown, "beyond": merged.beyond}


def _damage(car: CarFile, tally: _Tally) -> str | None:
    if car.damage:
        return f"it is damaged {car.damage}"
    return f"{len(tally.damaged)} of its pages are missing or damaged" if tally.damaged else None
