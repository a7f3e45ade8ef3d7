"""People with a stick: nodes that export and import bundles, and bundles taken apart and put together otherwise."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from p2pnode.core.bundle import PageKind, PageRef, decode_index, decode_records, encode_index, encode_records
from p2pnode.core.car import decode_header, decode_section, encode_header, encode_section
from p2pnode.core.cid import RAW, Cid
from p2pnode.core.ids import CircleId, WorkId, parse_id
from p2pnode.core.verdict import CircleView
from p2pnode.ports import Json
from p2pnode.services.bundle_export import BundleExport, Choice
from p2pnode.services.bundle_import import BundleImport
from p2pnode.services.catalogue import hit, verdicts
from p2pnode.services.publish import Description, Publish
from tests.support.loopback import Hub, a_hub
from tests.support.people import Person

DEADLINE_S = 30.0
ALL = Choice(everything=True)


def ignore(progress: Json) -> None:
    pass


class Carrier(Person):
    """A person with a stick."""

    def __init__(self, hub: Hub, name: str) -> None:
        super().__init__(hub, name)
        self.publishing = Publish(self.store, self.me, self.admission, self.clock, lambda: None)

    async def share(self, path: Path, title: str, *, circle: CircleId | None = None, private: bool = False) -> WorkId:
        answer = await self.publishing.run(
            str(path), Description(title=title), circle=circle, private=private, on_progress=ignore
        )
        return WorkId(parse_id("w", answer["work"]))

    async def write(self, path: Path, choice: Choice = ALL) -> Json:
        return await BundleExport(self.store, self.views).run(str(path), choice, on_progress=ignore)

    async def read(self, path: Path, *, follow: tuple[str, ...] = (), follow_all: bool = False) -> Json:
        importing = BundleImport(self.store, self.admission, self.clock, lambda: None)
        return await importing.run(str(path), follow=follow, follow_all=follow_all, on_progress=ignore)

    async def catalogue(self) -> list[Json]:
        works = await self.store.read(lambda tx: tx.works(states=("own", "kept", "heard")))
        said = await verdicts(self.store, self.views, [work.id for work in works])
        return sorted((hit(work, said[work.id], local=True) for work in works), key=lambda one: str(one["work"]))

    async def verdict(self, circle: CircleId, work: WorkId) -> Json:
        def explain(view: CircleView) -> Json:
            question = view.work_questions(work)[0]
            return view.explain(question)

        return await self.views.ask(circle, explain)


@asynccontextmanager
async def carriers(*names: str) -> AsyncIterator[list[Carrier]]:
    with trio.fail_after(DEADLINE_S):
        async with a_hub() as hub:
            yield [Carrier(hub, name) for name in names]


def make(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).mkdir()
    (folder / name / "text.txt").write_bytes(data)
    (folder / name / "big.bin").write_bytes(data * 300_000)
    return folder / name


Page = tuple[PageKind, CircleId, bytes]


def blocks_of(path: Path) -> tuple[Cid, dict[Cid, bytes]]:
    data = path.read_bytes()
    header, at = decode_header(data)
    found = {}
    while at < len(data):
        section = decode_section(data[at:])
        found[section.cid] = data[at + section.start : at + section.end]
        at += section.end
    return header.roots[0], found


def write(path: Path, pages: Sequence[Page], contents: dict[Cid, bytes]) -> Path:
    """A bundle of these pages, index last: its place is nobody's business."""
    refs = [PageRef(kind, circle, Cid.of(RAW, block)) for kind, circle, block in pages]
    index = encode_index(refs)
    sections = [encode_section(Cid.of(RAW, block), block) for _, _, block in pages]
    sections += [encode_section(cid, block) for cid, block in contents.items()]
    sections.append(encode_section(Cid.of(RAW, index), index))
    path.write_bytes(encode_header([Cid.of(RAW, index)]) + b"".join(sections))
    return path


def rewrite(source: Path, target: Path, change: Callable[[list[bytes]], list[bytes]]) -> Path:
    """The bundle with the records of every circle changed."""
    root, blocks = blocks_of(source)
    pages: list[Page] = []
    for page in decode_index(blocks.pop(root)).pages:
        block = blocks.pop(page.cid, b"")
        if page.kind == "circle":
            block = encode_records(change(decode_records(block)))
        pages.append((page.kind, page.circle, block))
    return write(target, pages, blocks)
