"""What must hold after a node was killed anywhere: nothing that was finished is lost, nothing wrong is held, nothing lies about."""

from __future__ import annotations

import os
from pathlib import Path

from p2pnode.core.cid import Cid
from p2pnode.core.ids import NO_CIRCLE
from p2pnode.errors import ChangedError
from p2pnode.services.export import read_skeleton
from p2pnode.store.node_store import NodeStore
from tests.support.kill_journeys import opened, quota_of


async def check(folder: Path, journey: str, must: set[str]) -> dict[str, int]:
    """What holds after any kill. Opens the store as the next start would; AssertionError says what is wrong."""
    async with opened(folder, quota_of(journey)) as store:
        assert await store.read_rows(lambda tx, db: db.execute("PRAGMA integrity_check").fetchall()) == [("ok",)]
        assert await store.read_rows(lambda tx, db: db.execute("PRAGMA foreign_key_check").fetchall()) == []
        stored, summed = await store.read_rows(lambda tx, db: (tx.stored_bytes(), db.execute(_SUM).fetchone()[0]))
        assert stored == summed <= quota_of(journey), (stored, summed)
        for cid in sorted(must):
            await _check_whole(store, folder, Cid.parse(cid))
        await _check_rest(store, folder, spoiled=journey == "mend")
        seqs = [(record.author, record.fields["seq"]) for record in await store.read(lambda tx: tx.records(NO_CIRCLE))]
        assert len(seqs) == len(set(seqs)), "two records of one seq: an equivocation"
        return {"stored": stored, "whole": len(must)}


_SUM = """SELECT (SELECT total(length(data)) FROM blocks)
+ (SELECT total(f.size) FROM files f JOIN bases b ON b.id = f.base WHERE b.owned = 1)"""


async def _check_whole(store: NodeStore, folder: Path, root: Cid) -> None:
    content = await store.read(lambda tx: tx.content(root))
    assert content is not None and content.state == "complete", f"{root} was finished and is {content}"
    skeleton = await read_skeleton(store, root)
    cids = [*skeleton.blocks, *(cid for file in skeleton.files for cid, _, _ in file.leaves)]
    for cid in dict.fromkeys(cids):
        data = await store.read_block(cid, public_only=True)
        assert data is not None and Cid.of(cid.codec, data) == cid, f"{cid} of {root}"
    source = next(
        one for one in sorted((folder / "sources").iterdir()) if content.base == str(one) or _same(one, content.base)
    )
    assert source


def _same(one: Path, base: str) -> bool:
    """Whether every file of the source lies under `base` with the same bytes."""
    names = [path.relative_to(one) for path in one.rglob("*") if path.is_file()]
    other = Path(base)
    return all((other / name).is_file() and (other / name).read_bytes() == (one / name).read_bytes() for name in names)


async def _check_rest(store: NodeStore, folder: Path, *, spoiled: bool) -> None:
    """No stray files; works that are listed have their content; what the index says is held is right (or, `spoiled`, not served)."""
    known = await store.read_rows(
        lambda tx, db: {os.fsdecode(p) for (p,) in db.execute("SELECT path FROM bases WHERE owned = 1")}
    )
    strays = set(os.listdir(folder / "library")) - known
    assert not strays, f"nobody knows of {strays}"
    for work in await store.read(lambda tx: tx.works()):
        assert await store.read(lambda tx, root=work.root: tx.content(root)) is not None, f"{work.title} has no content"  # type: ignore[misc]
    places = await store.read_rows(lambda tx, db: db.execute("SELECT DISTINCT cid FROM places").fetchall())
    damaged = await store.read_rows(lambda tx, db: {cid for (cid,) in db.execute("SELECT cid FROM damage")})
    for (binary,) in places:
        if binary in damaged:
            continue
        cid = Cid.from_bytes(binary)
        try:
            data = await store.read_block(cid)
        except ChangedError as error:
            assert spoiled, f"the index says that {cid} is held: {error}"
            continue
        assert data is not None and Cid.of(cid.codec, data) == cid
