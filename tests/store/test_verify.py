"""Checking what is held: damage is found, told, never served, and mended through the door of a fetch; user files are never written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio

from p2pnode.core.cid import Cid
from p2pnode.errors import ChangedError, StoreError
from p2pnode.ports import Checked, Content, Damage
from p2pnode.store.memory import MemoryStore
from p2pnode.store.node_store import NodeStore
from p2pnode.store.verify import BEGINNING
from tests.store.samples import Tree, bytes_of, tree
from tests.store.test_content import leaves_of, publish, root_of, write_tree
from tests.store.test_crash import expected_bytes
from tests.store.test_opening import opened

SAMPLE = tree(
    {"big": bytes_of(350_000, "b"), "deep/small": b"tiny", "deep/empty": b"", "other": bytes_of(130_000, "o")}
)


async def fetched(store: NodeStore, wanted: Tree = SAMPLE) -> Content:
    incoming = await store.start_incoming(wanted.root, "A tale", wanted.blocks, wanted.files)
    for cid in incoming.missing:
        await incoming.put_leaf(cid, wanted.leaves[cid])
    return await incoming.finish()


async def check(store: NodeStore, root: Cid | None = None, *, max_bytes: int = 1 << 20) -> list[Checked]:
    """Every step of one whole verification."""
    steps, position = [], BEGINNING
    while True:
        steps.append(await store.verify_some(position, root=root, max_bytes=max_bytes))
        if steps[-1].next is None:
            return steps
        position = steps[-1].next
        assert len(steps) < 10_000


def found(steps: Sequence[Checked]) -> list[tuple[str, str]]:
    """(name of the file, reason) of all that was found damaged, each once, in order."""
    told = [(os.path.basename(one.path), one.reason) for step in steps for one in step.damaged]
    return list(dict.fromkeys(told))


async def content_of(store: NodeStore, root: Cid) -> Content:
    content = await store.read(lambda tx: tx.content(root))
    assert content is not None
    return content


@pytest.mark.trio
@pytest.mark.parametrize("max_bytes", [1, 150_000, 1 << 30])
async def test_what_is_right_is_read_once_whatever_the_steps(store: NodeStore, tmp_path: Path, max_bytes: int) -> None:
    data = bytes_of(9500, "p")
    await publish(store, write_tree(tmp_path / "work", {"a": data, "b": b"b"}), {"a": data, "b": b"b"})
    await fetched(store)
    steps = await check(store, max_bytes=max_bytes)
    assert found(steps) == []
    files = SAMPLE.size + len(data) + 1
    rows = (await store.read(lambda tx: tx.stored_bytes())) - SAMPLE.size
    assert sum(step.bytes for step in steps) == files + rows
    alone = await check(store, SAMPLE.root, max_bytes=max_bytes)
    assert sum(step.bytes for step in alone) == expected_bytes(SAMPLE)
    assert await check(store, Cid.of(SAMPLE.root.codec, b"unheard of")) == [
        Checked((1 << 62, -1, 0), 0, 0, (), 0),
        Checked(None, 0, 0, (), 0),
    ]


def damage_file(path: Path, how: str) -> None:
    if not os.access(path, os.W_OK) or os.geteuid() == 0:
        path.chmod(0o644)
    if how == "changed":
        with open(path, "r+b") as file:
            file.seek(120_000)
            file.write(b"rot")
    elif how == "short":
        os.truncate(path, 120_000)
    else:
        path.unlink()


HOW = ["changed", "short", "gone"]


@pytest.mark.trio
@pytest.mark.parametrize("how", HOW)
async def test_damage_in_the_library_is_told_not_served_and_mended(tmp_path: Path, how: str) -> None:
    told: list[Damage] = []
    async with opened(tmp_path) as store:
        store.watch_damage(told.extend)
        content = await fetched(store)
        damage_file(Path(content.base) / "big", how)
        steps = await check(store)
        assert {name for name, _ in found(steps)} == {"big"}
        assert how in {reason for _, reason in found(steps)}
        assert told == [one for step in steps for one in step.damaged] and told[0].root == SAMPLE.root
        marked = len(told)
        bad = {one.offset for one in told} - {300_000}  # the last leaf is small: its row has it, too
        cids = {offset: cid for cid, offset, _ in SAMPLE.files[0].leaves}
        for offset, cid in cids.items():
            if offset not in bad:
                assert await store.read_block(cid, public_only=True) == SAMPLE.leaves[cid]
                continue
            assert await store.read_block(cid, public_only=True) is None
            with pytest.raises(ChangedError, match="big") as caught:
                await store.read_block(cid)
            assert "--repair" in caught.value.hint
        now = await content_of(store, SAMPLE.root)
        assert (now.state, now.damaged) == ("partial", marked)
        assert found(await check(store)) == [], "what is known is not told again"
    async with opened(tmp_path) as store:  # the damage is remembered
        incoming = await store.start_incoming(SAMPLE.root, "A tale", SAMPLE.blocks, SAMPLE.files)
        assert set(incoming.missing) == {cids[offset] for offset in bad}
        with pytest.raises(StoreError, match="missing"):
            await incoming.finish()
        for cid in incoming.missing:
            await incoming.put_leaf(cid, SAMPLE.leaves[cid])
        done = await incoming.finish()
        assert (done.state, done.damaged, done.base) == ("complete", 0, content.base)
        assert (Path(done.base) / "big").read_bytes() == SAMPLE.contents["big"]
        assert (Path(done.base) / "big").stat().st_mode & 0o777 == 0o444
        assert found(await check(store)) == []


@pytest.mark.trio
async def test_small_and_empty_files_that_went_are_mended_without_anybody(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        content = await fetched(store)
        for name in ("deep/small", "deep/empty"):
            (Path(content.base) / name).unlink()
        (Path(content.base) / "deep").rmdir()
        assert sorted(found(await check(store))) == [("empty", "gone"), ("small", "gone")]
        assert await store.read_block(SAMPLE.files[1].leaves[0][0], public_only=True) == b"tiny", "the row has it"
        incoming = await store.start_incoming(SAMPLE.root, "A tale", SAMPLE.blocks, SAMPLE.files)
        assert incoming.missing == []
        assert (await incoming.finish()).state == "complete"
        assert (Path(content.base) / "deep/small").read_bytes() == b"tiny"
        assert (Path(content.base) / "deep/empty").read_bytes() == b""
        assert found(await check(store)) == []


@pytest.mark.trio
async def test_a_rotten_row_is_mended_from_its_file_and_the_other_way_round(store: NodeStore) -> None:
    await fetched(store)
    (small,) = (cid for cid, _, _ in SAMPLE.files[1].leaves)
    await store.write_rows(
        lambda tx, db: db.execute("UPDATE blocks SET data = x'00' WHERE cid = ?", (small.to_bytes(),))
    )
    before = await store.read(lambda tx: tx.stored_bytes())
    assert await store.read_block(small, public_only=True) == b"tiny", "the file has it"
    assert (await content_of(store, SAMPLE.root)).damaged == 1
    assert await store.look_again(None) == 1
    assert (await content_of(store, SAMPLE.root)).damaged == 0
    assert await store.read(lambda tx: tx.stored_bytes()) == before + 3
    if isinstance(store, MemoryStore):
        store.area.entries["A tale/deep/small"] = bytearray(b"tony")
        assert found(await check(store)) == [("small", "changed")]
        incoming = await store.start_incoming(SAMPLE.root, "A tale", SAMPLE.blocks, SAMPLE.files)
        assert incoming.missing == []
        await incoming.finish()
        assert store.area.entries["A tale/deep/small"] == b"tiny"


@pytest.mark.trio
async def test_a_rotten_interior_row_is_mended_by_whoever_brings_the_skeleton(store: NodeStore) -> None:
    await fetched(store)
    await store.write_rows(
        lambda tx, db: db.execute("UPDATE blocks SET data = x'00' WHERE cid = ?", (SAMPLE.root.to_bytes(),))
    )
    steps = await check(store)
    assert [(one.path, one.reason, one.root) for step in steps for one in step.damaged] == [
        ("", "changed", SAMPLE.root)
    ]
    assert await store.read_block(SAMPLE.root, public_only=True) is None
    assert await store.read(lambda tx: tx.has([SAMPLE.root])) == set()
    incoming = await store.start_incoming(SAMPLE.root, "A tale", SAMPLE.blocks, SAMPLE.files)
    assert incoming.missing == []
    assert (await incoming.finish()).damaged == 0
    assert await store.read_block(SAMPLE.root, public_only=True) == SAMPLE.node
    assert await store.read(lambda tx: tx.damaged_roots()) == []


@pytest.mark.trio
@pytest.mark.parametrize("how", HOW)
async def test_a_user_file_that_changed_is_told_and_never_written(tmp_path: Path, how: str) -> None:
    data = bytes_of(250_000, "mine")
    pieces = {"mine.txt": data}
    async with opened(tmp_path) as store:
        published = await publish(store, write_tree(tmp_path / "work", pieces), pieces)
        path = tmp_path / "work" / "mine.txt"
        stat = path.stat()
        damage_file(path, how)
        after = path.read_bytes() if path.exists() else None
        steps = await check(store, root_of(published))
        assert {name for name, _ in found(steps)} == {"mine.txt"}
        damaged = sum(len(step.damaged) for step in steps)
        assert (await content_of(store, root_of(published))).damaged == damaged
        assert (path.read_bytes() if path.exists() else None) == after, "it is the user's"
        assert await store.look_again(None) == 0
        path.write_bytes(data)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert await store.look_again(root_of(published)) == damaged, "the disk is back, or the change was undone"
        assert (await content_of(store, root_of(published))).state == "complete"
        for cid, offset, length in leaves_of(data):
            assert await store.read_block(cid, public_only=True) == data[offset : offset + length]


@pytest.mark.trio
async def test_a_damaged_work_of_ones_own_can_be_fetched_beside(store: NodeStore, tmp_path: Path) -> None:
    base = write_tree(tmp_path / "work", SAMPLE.contents)

    def put(tx) -> None:  # type: ignore[no-untyped-def]
        id = tx.begin_content(str(base), owned=False, public=True)
        for file in SAMPLE.files:
            tx.add_leaves(id, tx.add_file(id, file.path, file.size, 0), file.leaves)
        tx.add_blocks(id, SAMPLE.blocks)
        tx.complete_content(id, SAMPLE.root, size=SAMPLE.size, files=len(SAMPLE.files))

    await store.write(put)
    damage_file(base / "big", "short")
    assert found(await check(store)) == [("big", "short")]
    content = await fetched(store)
    assert (content.owned, content.state) == (True, "complete")
    assert (base / "big").stat().st_size == 120_000


@pytest.mark.trio
async def test_an_unfinished_fetch_has_no_damage(store: NodeStore) -> None:
    incoming = await store.start_incoming(SAMPLE.root, "A tale", SAMPLE.blocks, SAMPLE.files)
    for cid in incoming.missing[:2]:
        await incoming.put_leaf(cid, SAMPLE.leaves[cid])
    await incoming.checkpoint()
    assert found(await check(store)) == []
    assert (await content_of(store, SAMPLE.root)).state == "partial"


@pytest.mark.trio
async def test_forgetting_a_damaged_content_forgets_its_damage(store: NodeStore) -> None:
    await fetched(store)
    await store.write_rows(lambda tx, db: db.execute("UPDATE blocks SET data = x'00'"))
    await store.write_rows(lambda tx, db: db.execute("UPDATE places SET length = length + 1"))
    assert found(await check(store))
    await store.write(lambda tx: tx.forget_content(SAMPLE.root))
    assert await store.read_rows(lambda tx, db: db.execute("SELECT count(*) FROM damage").fetchone()) == (0,)
    assert await store.read(lambda tx: tx.stored_bytes()) == 0


@pytest.mark.trio
async def test_what_goes_while_it_is_read_is_gone_and_not_damaged(tmp_path: Path) -> None:
    """Whoever reads meanwhile gets the right bytes or nothing; and it can be fetched again at once."""
    told: list[Damage] = []
    async with opened(tmp_path) as store:
        store.watch_damage(told.extend)
        for _ in range(3):
            await fetched(store)
            answers: list[bytes | None] = []

            async def read(cid: Cid, answers: list[bytes | None] = answers) -> None:
                for _ in range(30):
                    data = await store.read_block(cid, public_only=True)
                    assert data in (None, SAMPLE.leaves[cid])
                    answers.append(data)

            async with trio.open_nursery() as nursery:
                for cid in SAMPLE.leaves:
                    nursery.start_soon(read, cid)
                await trio.sleep(0.005)
                await store.write(lambda tx: tx.forget_content(SAMPLE.root))
            assert None in answers
        assert told == []
        assert await store.read(lambda tx: (tx.stored_bytes(), tx.damaged_roots())) == (0, [])
