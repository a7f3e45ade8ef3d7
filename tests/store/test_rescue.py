"""A damaged database made anew: what can be read is kept, nothing false is, and no number is ever signed twice."""

from __future__ import annotations

import os
import random
import sqlite3
from pathlib import Path

import pytest

from p2pnode.core.cid import RAW, Cid
from p2pnode.core.keys import KeyPair
from p2pnode.core.manifest import describe, first
from p2pnode.core.record import Record
from p2pnode.core.records import seq_of
from p2pnode.errors import RefusedError, StoreError
from p2pnode.ports import Work
from p2pnode.services.catalogue import put_manifest
from p2pnode.services.wanted_files import wanted_file
from p2pnode.store.node_store import NodeStore
from p2pnode.store.rescue import Rescued, problems_of, rescue
from tests.store.samples import NOW, bytes_of
from tests.store.test_migrations import opened
from tests.store.test_verify import check, found
from tests.support.dags import Dag, build, walk

KEY = KeyPair(bytes(32))
FETCHED = {"big": bytes_of(2_500_000, "f"), "deep": {"small": b"tiny", "other": bytes_of(200_000, "o")}}
MINE = {"mine": bytes_of(1_500_000, "m")}
RECORDS = 400
_SUM = """SELECT (SELECT total(length(data)) FROM blocks)
+ (SELECT total(f.size) FROM files f JOIN bases b ON b.id = f.base WHERE b.owned = 1)"""


async def fill(home: Path) -> tuple[Dag, Dag, list[Work]]:
    """A fetched work, one published in place, many small heard ones with signed manifests."""
    fetched, mine = build(FETCHED), build(MINE)
    (home / "mine").write_bytes(MINE["mine"])
    works: list[Work] = []
    async with opened(home) as store:
        await _fetch(store, fetched)
        await store.write(lambda tx: _publish(tx, mine, home))
        for number, (root, state, title) in enumerate(
            [(fetched.root, "kept", "Fetched"), (mine.root, "own", "Mine")]
            + [(fetched.root, "heard", f"Heard {n}") for n in range(RECORDS)]
        ):
            record = manifest(root, title, number)

            def put(tx, record=record, state=state):  # type: ignore[no-untyped-def]
                if state == "own":
                    tx.put_record(record, own=True)
                return put_manifest(tx, record, state=state, private=False, added=NOW)

            works.append(await store.write(put, durable=False))
        await store.write(lambda tx: [tx.pin(root) for root in (fetched.root, mine.root)])
    return fetched, mine, works


def manifest(root: Cid, title: str, number: int) -> Record:
    work = describe(title=title, root=root, bytes=1 << 30, files=9)
    return first(KEY, work, nonce=number.to_bytes(16, "big"), seq=seq_of(int(NOW), number), created=int(NOW))


async def _fetch(store: NodeStore, dag: Dag) -> None:
    skeleton = walk(dag.root, dag.interior | dag.leaves)
    files = [wanted_file(skeleton, file) for file in skeleton.files]
    incoming = await store.start_incoming(dag.root, "Fetched", skeleton.blocks.items(), files)
    for cid in incoming.missing:
        await incoming.put_leaf(cid, dag.leaves[cid])
    await incoming.finish()


def _publish(tx, dag: Dag, home: Path) -> None:  # type: ignore[no-untyped-def]
    skeleton = walk(dag.root, dag.interior | dag.leaves)
    content = tx.begin_content(str(home), owned=False, public=True)
    for file in skeleton.files:
        tx.add_leaves(content, tx.add_file(content, file.path, file.size, 0), file.leaves)
    tx.add_blocks(content, skeleton.blocks.items())
    tx.complete_content(content, dag.root, size=skeleton.size, files=len(skeleton.files))


async def state_after(home: Path, dags: tuple[Dag, ...]) -> dict[str, object]:
    """What a start after the rescue finds. Whatever is served is right, and in the end everything that is held is."""
    async with opened(home) as store:
        assert await store.read_rows(lambda tx, db: db.execute("PRAGMA integrity_check").fetchall()) == [("ok",)]
        assert await store.read_rows(lambda tx, db: db.execute("PRAGMA foreign_key_check").fetchall()) == []
        mended = await store.look_again(None)
        assert found(await check(store)) == []
        works = {work.title: work for work in await store.read(lambda tx: tx.works(states=("own", "kept", "heard")))}
        whole = 0
        for dag in dags:
            content = await store.read(lambda tx, dag=dag: tx.content(dag.root))
            if content is not None:
                assert content.state == "complete", content
                whole += 1
                for cid, data in (dag.interior | dag.leaves).items():
                    assert await store.read_block(cid, public_only=True) == data
        stored, summed = await store.read_rows(lambda tx, db: (tx.stored_bytes(), db.execute(_SUM).fetchone()[0]))
        assert stored == summed
        assert [work.title for work in await store.read(lambda tx: tx.search("mine", limit=9))] in (["Mine"], [])
        seq = (await store.write(lambda tx: tx.next_seq(KEY.public, NOW)))[0]
        return {"mended": mended, "works": works, "whole": whole, "seq": seq}


def damage(path: Path, pages: list[int]) -> None:
    with open(path, "r+b") as file:
        for page in pages:
            file.seek(page * 4096)
            file.write(b"\xa5" * 4096)


@pytest.mark.trio
async def test_a_healthy_database_is_left_as_it_is(tmp_path: Path) -> None:
    await fill(tmp_path)
    before = (tmp_path / "node.db").read_bytes()
    rescued = rescue(str(tmp_path / "node.db"), str(tmp_path / "library"), now=NOW)
    assert rescued == Rescued([])
    assert (tmp_path / "node.db").read_bytes() == before


@pytest.mark.trio
async def test_everything_comes_through_a_rescue_of_a_healthy_one(tmp_path: Path) -> None:
    fetched, mine, works = await fill(tmp_path)
    last = works[-1].manifest.fields["seq"]
    rescued = rescue(str(tmp_path / "node.db"), str(tmp_path / "library"), anyway=True, now=NOW)
    assert (rescued.incomplete, rescued.lost, rescued.unchecked) == ([], [], 0)
    assert "node.db.damaged-" in rescued.set_aside and os.path.basename(rescued.set_aside) in os.listdir(tmp_path)
    after = await state_after(tmp_path, (fetched, mine))
    assert (after["whole"], after["mended"]) == (2, 0)
    assert after["works"] == {work.title: work for work in works}
    assert after["seq"] > last  # type: ignore[operator]


@pytest.mark.trio
@pytest.mark.parametrize("seed", range(6))
async def test_a_few_damaged_pages_cost_what_stood_on_them(tmp_path: Path, seed: int) -> None:
    fetched, mine, works = await fill(tmp_path)
    path = tmp_path / "node.db"
    rng = random.Random(seed)
    pages = path.stat().st_size // 4096
    damage(path, [rng.randrange(1, pages) for _ in range(1 + seed)])
    rescued = rescue(str(path), str(tmp_path / "library"), anyway=True, now=NOW)
    assert problems_of(str(path)) == []
    after = await state_after(tmp_path, (fetched, mine))
    assert len(after["works"]) > RECORDS // 4 or "works" in rescued.incomplete  # type: ignore[arg-type]
    assert after["whole"] == 2 - len(rescued.lost) or "contents" in rescued.incomplete
    assert {work.title for work in after["works"].values()} <= {work.title for work in works}  # type: ignore[attr-defined]
    assert after["seq"] > seq_of(int(NOW), 1024)  # type: ignore[operator]


@pytest.mark.trio
async def test_an_index_that_forgot_where_leaves_lie_is_made_again_from_the_files(tmp_path: Path) -> None:
    fetched, mine, _ = await fill(tmp_path)
    path = tmp_path / "node.db"
    with sqlite3.connect(path) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'places'").fetchone()
    db.close()
    damage(path, [page - 1])
    rescued = rescue(str(path), str(tmp_path / "library"), now=NOW)
    assert rescued.problems and "places" in rescued.incomplete
    assert (rescued.lost, rescued.unchecked) == ([], 6)
    after = await state_after(tmp_path, (fetched, mine))
    assert (after["whole"], after["mended"]) == (2, 6)


@pytest.mark.trio
@pytest.mark.parametrize("what", ["letter", "header", "empty", "cut"])
async def test_a_database_of_which_nothing_can_be_read_begins_anew_and_repeats_no_number(
    tmp_path: Path, what: str
) -> None:
    await fill(tmp_path)
    path = tmp_path / "node.db"
    data = path.read_bytes()
    wrong = {
        "letter": b"This is no database, it is a letter to my aunt. " * 200,
        "header": bytes(100) + data[100:],
        "empty": b"",
        "cut": data[:5000],
    }[what]
    path.write_bytes(wrong)
    rescued = rescue(str(path), str(tmp_path / "library"), anyway=True, now=NOW)
    assert (tmp_path / os.path.basename(rescued.set_aside)).read_bytes() == wrong
    after = await state_after(tmp_path, ())
    assert after["seq"] > seq_of(int(NOW), 1024)  # type: ignore[operator]


@pytest.mark.trio
async def test_a_work_of_ones_own_whose_row_is_lost_comes_back_by_its_manifest(tmp_path: Path) -> None:
    _, mine, _ = await fill(tmp_path)
    async with opened(tmp_path) as store:
        await store.write_rows(lambda tx, db: db.execute("DELETE FROM works"))
    rescue(str(tmp_path / "node.db"), str(tmp_path / "library"), anyway=True, now=NOW)
    async with opened(tmp_path) as store:
        (work,) = await store.read(lambda tx: tx.works())
        assert (work.title, work.state, work.private, work.root) == ("Mine", "own", False, mine.root)


@pytest.mark.trio
async def test_forged_rows_do_not_come_through(tmp_path: Path) -> None:
    fetched, mine, works = await fill(tmp_path)
    tiny = Cid.of(RAW, b"tiny")
    async with opened(tmp_path) as store:

        def forge(tx, db) -> None:  # type: ignore[no-untyped-def]
            db.execute("UPDATE works SET sig = x'00', title = 'Forged' WHERE title = 'Heard 3'")
            db.execute("UPDATE works SET title = 'Also forged' WHERE title = 'Heard 4'")
            for cid in (mine.root, tiny):
                db.execute("UPDATE blocks SET data = x'00' WHERE cid = ?", (cid.to_bytes(),))

        await store.write_rows(forge)
    rescued = rescue(str(tmp_path / "node.db"), str(tmp_path / "library"), anyway=True, now=NOW)
    assert [(one.titles, one.owned) for one in rescued.lost] == [(("Mine",), False)]
    assert (tmp_path / "mine").read_bytes() == MINE["mine"]
    with sqlite3.connect(tmp_path / "node.db") as db:
        assert db.execute("SELECT count(*) FROM blocks WHERE data = x'00'").fetchone() == (0,)
    db.close()
    after = await state_after(tmp_path, (fetched,))
    titles = {work.title for work in after["works"].values()}  # type: ignore[attr-defined]
    assert titles == {work.title for work in works} - {"Heard 3"}, "what a row says of a work is read from its manifest"
    assert after["works"]["Mine"].state == "heard"  # type: ignore[index]


@pytest.mark.trio
async def test_who_has_it_open_is_not_rescued_under_his_feet(tmp_path: Path) -> None:
    async with opened(tmp_path):
        with pytest.raises(RefusedError, match="has this store open"):
            rescue(str(tmp_path / "node.db"), str(tmp_path / "library"))
    with pytest.raises(StoreError, match="there is no database"):
        rescue(str(tmp_path / "nowhere.db"), str(tmp_path / "library"))
    with sqlite3.connect(tmp_path / "node.db") as db:
        db.execute("PRAGMA user_version = 999")
    db.close()
    with pytest.raises(StoreError, match="newer p2pnode"):
        rescue(str(tmp_path / "node.db"), str(tmp_path / "library"))
