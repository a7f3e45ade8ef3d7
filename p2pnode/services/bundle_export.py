"""The journey "bundle export": chosen works and circles in one file, for somebody whose node never meets ours.

Private works go in only if that was asked for; keys, invites and what this node merely knows (peers, own labels) never do. A charter
holds its circle's salt: whoever gets a circle can read it and may follow it, as everybody in it can. The file appears whole or not at all.
Called by the control method `bundle.export`.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import IO

import trio

from p2pnode.core.bundle import MAX_PAGES, PAGE_BYTES, PageKind, PageRef, encode_index, encode_records, encode_roots
from p2pnode.core.car import encode_header, encode_section
from p2pnode.core.cid import RAW, Cid
from p2pnode.core.ids import NO_CIRCLE, CircleId, RecordId, WorkId
from p2pnode.core.records import encode_signed
from p2pnode.errors import NotFoundError, RefusedError, StoreError
from p2pnode.limits import MIB
from p2pnode.local.output import Output
from p2pnode.ports import Json, Store, Tx, Work
from p2pnode.services.car_blocks import dag_blocks
from p2pnode.services.car_export import write_all
from p2pnode.services.views import Views

RECORDS_READ = 500
"""Records read in one transaction: a large circle is not held in memory, and others get a turn."""
ROOTS_A_PAGE = 4096
LISTED_WORKS = 1_000
"""Works read at a time."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to go into a bundle. `everything`: every circle and every own or kept work; `private`: private works too."""

    works: tuple[WorkId, ...] = ()
    circles: tuple[CircleId, ...] = ()
    everything: bool = False
    private: bool = False


class BundleExport:
    """Exporting bundles, on one node."""

    def __init__(self, store: Store, views: Views) -> None:
        self._store, self._views = store, views

    async def run(self, path: str, choice: Choice, *, on_progress: Callable[[Json], None]) -> Json:
        """Write the bundle. The answer of `p2pnode bundle export`.

        NotFoundError: no such work; RefusedError: a private work that was not asked for, nothing to write, or the path exists.
        """
        circles = await self._circles(choice)
        works = await self._works(choice, circles)
        whole, lacking = await self._held(works)
        if not circles and not works:
            raise RefusedError("there is nothing to put into a bundle", hint="name works, --circle CIRCLE, or --all")
        output = await trio.to_thread.run_sync(Output, path)
        spool: IO[bytes] = await trio.to_thread.run_sync(tempfile.TemporaryFile)
        try:
            pages = _Pages(spool)
            for circle in circles:
                await self._circle_pages(pages, circle)
            await pages.records("works", NO_CIRCLE, await self._manifests(works))
            await pages.roots(whole)
            written = await self._write(output, pages, whole, on_progress)
        except OSError as error:
            raise StoreError(f"{path} cannot be written: {error.strerror}") from error
        finally:
            spool.close()
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(output.abandon)  # nothing is left of it after `finish`
        return {
            "path": path,
            "bytes": written,
            "circles": len(circles),
            "records": pages.count,
            "works": len(works),
            "contents": len(whole),
            "lacking": [work.title for work in lacking],
        }

    # ------------------------------------------------------------ choosing

    async def _circles(self, choice: Choice) -> list[CircleId]:
        held = await self._store.read(lambda tx: tx.circles())
        return [circle for circle in held if choice.everything or circle in choice.circles]

    async def _works(self, choice: Choice, circles: Sequence[CircleId]) -> list[Work]:
        wanted: dict[WorkId, Work] = {}
        for id in choice.works:
            wanted[id] = await self._named(id, choice)
        if choice.everything:
            wanted |= {work.id: work for work in await self._all() if choice.private or not work.private}
        for circle in circles:
            try:
                asked = await self._views.ask(circle, lambda view: view.works())
            except NotFoundError:
                continue  # its charter has not arrived yet: what is here of its records goes along
            for work in await self._store.read(lambda tx, asked=asked: [tx.work(id) for id in asked]):  # type: ignore[misc]
                if work is not None and not work.private:
                    wanted.setdefault(work.id, work)
        return list(wanted.values())

    async def _named(self, id: WorkId, choice: Choice) -> Work:
        work = await self._store.read(lambda tx: tx.work(id))
        if work is None:
            raise NotFoundError("a work that was named is not known here")
        if work.private and not choice.private:
            raise RefusedError(
                f"{work.title!r} is private, and whoever gets the bundle gets it", hint="if you mean it: --private"
            )
        return work

    async def _all(self) -> list[Work]:
        works: list[Work] = []
        while part := await self._page(len(works)):
            works += part
        return works

    async def _page(self, offset: int) -> list[Work]:
        return await self._store.read(lambda tx: tx.works(limit=LISTED_WORKS, offset=offset))

    async def _held(self, works: Sequence[Work]) -> tuple[list[Cid], list[Work]]:
        """Roots that are here in full, each once, and works of which something lacks."""
        whole: dict[Cid, None] = {}
        lacking = []
        for work in works:
            content = await self._store.read(lambda tx, root=work.root: tx.content(root))  # type: ignore[misc]
            if content is not None and content.state == "complete":
                whole[work.root] = None
            else:
                lacking.append(work)
        return list(whole), lacking

    # ------------------------------------------------------------ pages

    async def _circle_pages(self, pages: _Pages, circle: CircleId) -> None:
        """The genesis charter, then control records, then the rest, each by age: whoever reads in order can admit in order."""

        def keys(tx: Tx) -> list[RecordId]:
            control = [id for _, id in tx.record_keys(circle, control=True) if id != RecordId(circle)]
            return [RecordId(circle), *control, *(id for _, id in tx.record_keys(circle, control=False))]

        ids = await self._store.read(keys)
        for at in range(0, len(ids), RECORDS_READ):
            part = ids[at : at + RECORDS_READ]
            held = await self._store.read(lambda tx, part=part: [tx.record(id) for id in part])  # type: ignore[misc]
            await pages.records("circle", circle, [encode_signed(record) for record in held if record is not None])
        await pages.flush()

    async def _manifests(self, works: Sequence[Work]) -> list[bytes]:
        """Of each work the newest manifest, and before it the first one, which proves whose it is."""

        def read(tx: Tx) -> list[bytes]:
            records = []
            for work in works:
                first = tx.record(RecordId(work.id))
                if first is not None and first.id != work.manifest.id:
                    records.append(first)
                records.append(work.manifest)
            return [encode_signed(record) for record in records]

        return await self._store.read(read)

    async def _write(
        self, output: Output, pages: _Pages, roots: Sequence[Cid], on_progress: Callable[[Json], None]
    ) -> int:
        file = await trio.to_thread.run_sync(output.create, "")
        try:
            index = encode_index(pages.listed)
            cid = Cid.of(RAW, index)
            written = await trio.to_thread.run_sync(pages.copy, file, encode_header([cid]) + encode_section(cid, index))
            seen: set[Cid] = set()
            for root in roots:
                async with aclosing(dag_blocks(self._store, root, seen)) as batches:
                    async for batch in batches:
                        part = b"".join([encode_section(cid, block) for cid, block in batch])
                        await trio.to_thread.run_sync(write_all, file, part)
                        written += len(part)
                        on_progress({"bytes": written, "path": str(root)})
            await trio.to_thread.run_sync(os.fsync, file)
        finally:
            os.close(file)
        await trio.to_thread.run_sync(output.finish)
        return written


class _Pages:
    """Pages that are being filled. They go into a file of their own first: the index, which stands before them, names their hashes."""

    def __init__(self, spool: IO[bytes]) -> None:
        self._spool = spool
        self.listed: list[PageRef] = []
        self.count = 0
        self._kind: PageKind = "circle"
        self._circle = NO_CIRCLE
        self._records: list[bytes] = []
        self._size = 0

    async def records(self, kind: PageKind, circle: CircleId, records: Iterable[bytes]) -> None:
        """Add signed records to pages of that kind."""
        if (kind, circle) != (self._kind, self._circle):
            await self.flush()
            self._kind, self._circle = kind, circle
        for record in records:
            self._records.append(record)
            self._size += len(record)
            self.count += 1
            if self._size >= PAGE_BYTES:
                await self.flush()

    async def roots(self, roots: Sequence[Cid]) -> None:
        """Add content roots."""
        await self.flush()
        for at in range(0, len(roots), ROOTS_A_PAGE):
            await self._put("contents", NO_CIRCLE, encode_roots(roots[at : at + ROOTS_A_PAGE]))

    async def flush(self) -> None:
        """Finish the page that is being filled."""
        if self._records:
            block = encode_records(self._records)
            self._records, self._size = [], 0
            await self._put(self._kind, self._circle, block)

    async def _put(self, kind: PageKind, circle: CircleId, block: bytes) -> None:
        if len(self.listed) >= MAX_PAGES:
            raise RefusedError(f"this would be more than the {MAX_PAGES} pages that a bundle has", hint="choose less")
        cid = Cid.v1(RAW, hashlib.sha256(block).digest())
        self.listed.append(PageRef(kind, circle, cid))
        await trio.to_thread.run_sync(self._spool.write, encode_section(cid, block))

    def copy(self, file: int, head: bytes) -> int:
        """Blocking: `head` and all pages to an open file; the bytes written."""
        write_all(file, head)
        self._spool.seek(0)
        written = len(head)
        while part := self._spool.read(MIB):
            write_all(file, part)
            written += len(part)
        return written
