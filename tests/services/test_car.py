"""Archives: the same bytes every time, everything that comes in verified, resumed where it was cut, and nothing shown that was private."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import trio

from p2pnode.core.car import PRAGMA_V2, encode_header, encode_section
from p2pnode.core.cid import RAW, Cid
from p2pnode.core.dagpb import Link, UnixFS, UnixFSType
from p2pnode.core.skeleton import MAX_DEPTH
from p2pnode.errors import DecodeError, NotFoundError, P2pnodeError, RefusedError, StoreError, UsageError
from p2pnode.local.car_file import CarFile
from p2pnode.ports import Json
from p2pnode.services.car_blocks import dag_blocks
from p2pnode.services.car_export import export_car
from p2pnode.services.car_import import CarImport
from p2pnode.services.export import export
from p2pnode.services.new_work import NewWork
from p2pnode.services.publish import Description
from tests.support.contents import flat, hold, many_files
from tests.support.dags import Dag, Tree, build, node
from tests.support.people import Person, people

pytestmark = pytest.mark.trio

DEADLINE_S = 30.0
TREE: Tree = {"a": b"A" * 3_000_000, "d": {"b": b"hi", "same": b"A" * 3_000_000, "none": b""}, **many_files(200)}


def _ignore(progress: Json) -> None:
    pass


def importing(person: Person) -> CarImport:
    return CarImport(person.store, person.me, person.admission, person.clock, lambda: None)


async def take(person: Person, path: Path, new: NewWork | None = None) -> Json:
    with trio.fail_after(DEADLINE_S):
        return await importing(person).run(str(path), new, on_progress=_ignore)


def archive(path: Path, dag: Dag, *, spoil: Callable[[Cid, bytes], bytes | None] = lambda cid, block: block) -> Path:
    """An archive in no particular order; `spoil` changes blocks, None leaves one out."""
    blocks = {**dag.leaves, **dag.interior}
    sections = [encode_section(cid, new) for cid, block in blocks.items() if (new := spoil(cid, block)) is not None]
    path.write_bytes(encode_header([dag.root]) + b"".join(sections))
    return path


async def written_out(person: Person, dag: Dag, path: Path) -> dict[str, bytes]:
    await export(person.store, dag.root, str(path))
    return on_disk(path)


def on_disk(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


async def test_out_and_in_again(tmp_path: Path) -> None:
    dag = build(TREE)
    async with people("anna", "ben") as (anna, ben):
        await hold(anna.store, dag)
        told = await export_car(anna.store, dag.root, str(tmp_path / "a.car"), on_progress=_ignore)
        assert told["bytes"] == (tmp_path / "a.car").stat().st_size
        (item,) = (await take(ben, tmp_path / "a.car"))["items"]
        assert (item["cid"], item["fresh"], item["files"]) == (str(dag.root), True, 204)
        assert await written_out(ben, dag, tmp_path / "out") == flat(TREE)
        await export_car(ben.store, dag.root, str(tmp_path / "b.car"), on_progress=_ignore)
        assert (tmp_path / "a.car").read_bytes() == (tmp_path / "b.car").read_bytes()
        (again,) = (await take(ben, tmp_path / "a.car"))["items"]
        assert not again["fresh"]
        assert await ben.store.read(lambda tx: tx.pinned(dag.root))


async def test_blocks_come_depth_first_and_once() -> None:
    dag = build({"a": {"x": b"1", "y": b"2"}, "b": b"1", "c": {"x": b"1", "y": b"2"}})
    async with people("anna") as (anna,):
        await hold(anna.store, dag)
        order = [cid async for batch in dag_blocks(anna.store, dag.root, set()) for cid, _ in batch]
    folder = next(cid for cid in dag.interior if cid != dag.root)
    assert order == [dag.root, folder, Cid.of(RAW, b"1"), Cid.of(RAW, b"2")]


async def test_an_export_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    dag = build(TREE)
    async with people("anna") as (anna,):
        await hold(anna.store, dag, only=list(dag.leaves)[:3])
        with pytest.raises(NotFoundError):
            await export_car(anna.store, dag.root, str(tmp_path / "a.car"), on_progress=_ignore)
        with pytest.raises(NotFoundError):
            await export_car(anna.store, Cid.of(RAW, b"nothing"), str(tmp_path / "b.car"), on_progress=_ignore)
        (tmp_path / "taken").write_text("mine")
        with pytest.raises(RefusedError):
            await export_car(anna.store, dag.root, str(tmp_path / "taken"), on_progress=_ignore)
    assert list(on_disk(tmp_path)) == ["taken"]


async def test_wrong_bytes_are_found_and_what_was_right_is_kept(tmp_path: Path) -> None:
    dag = build(TREE)
    kept, bad = next(iter(dag.leaves)), list(dag.leaves)[-1]
    async with people("anna") as (anna,):
        lie = archive(tmp_path / "lie.car", dag, spoil=lambda cid, block: b"X" * len(block) if cid == bad else block)
        with pytest.raises(DecodeError, match=str(bad)):
            await take(anna, lie)
        content = await anna.store.read(lambda tx: tx.content(dag.root))
        assert content is not None and content.state == "partial"
        only = archive(tmp_path / "rest.car", dag, spoil=lambda cid, block: None if cid == kept else block)
        (item,) = (await take(anna, only))["items"]
        assert item["fresh"], "what stood before the lie was here from the first try"
        assert await written_out(anna, dag, tmp_path / "out") == flat(TREE)


async def test_a_file_that_lacks_something_says_what(tmp_path: Path) -> None:
    dag = build({"a": b"1" * 100, "b": b"2" * 100})
    lost = Cid.of(RAW, b"2" * 100)
    async with people("anna") as (anna,):
        path = archive(tmp_path / "a.car", dag, spoil=lambda cid, block: None if cid == lost else block)
        with pytest.raises(NotFoundError, match=str(lost)) as raised:
            await take(anna, path)
        assert "p2pnode get" in raised.value.hint


@pytest.mark.parametrize("cut", [1, 60, 5_000_000, -1])
async def test_a_file_that_is_cut_short_is_refused(cut: int, tmp_path: Path) -> None:
    path = archive(tmp_path / "a.car", build({"big": random.Random(1).randbytes(6_000_000)}))
    path.write_bytes(path.read_bytes()[:cut])
    async with people("anna") as (anna,):
        with pytest.raises(DecodeError):
            await take(anna, path)
        assert await anna.store.read(lambda tx: tx.stored_bytes()) == 0


async def test_version_2_and_unreachable_blocks_are_read(tmp_path: Path) -> None:
    dag = build({"a": b"hi"})
    inner = archive(tmp_path / "v1", dag).read_bytes() + encode_section(Cid.of(RAW, b"stray"), b"stray")
    head = bytes(16) + (51).to_bytes(8, "little") + len(inner).to_bytes(8, "little") + bytes(8)
    (tmp_path / "v2").write_bytes(PRAGMA_V2 + head + inner + b"an index of some kind")
    async with people("anna") as (anna,):
        answer = await take(anna, tmp_path / "v2")
        assert (answer["items"][0]["cid"], answer["blocks"]) == (str(dag.root), 3)
        assert await anna.store.read_block(Cid.of(RAW, b"stray")) is None
        (tmp_path / "v2").write_bytes(PRAGMA_V2 + head + inner[:-10])
        with pytest.raises(DecodeError):
            await take(anna, tmp_path / "v2")


async def test_with_a_title_it_is_a_work(tmp_path: Path) -> None:
    dag = build(TREE)
    new = NewWork(Description(title="Bees", tags=["insects"]), None, False)
    async with people("anna") as (anna,):
        path = archive(tmp_path / "a.car", dag)
        (item,) = (await take(anna, path, new))["items"]
        (work,) = await anna.store.read(lambda tx: tx.works())
        assert (work.title, work.root, work.state, work.files) == ("Bees", dag.root, "own", 204)
        assert item["work"].startswith("w-")
        assert [kind for kind, _ in await anna.outbox()].count("provide") > 1
        with pytest.raises(RefusedError, match="already published"):
            await take(anna, path, new)
        with pytest.raises(UsageError):
            await take(anna, path, NewWork(Description(title=" "), None, False))


async def test_private_stays_private(tmp_path: Path) -> None:
    dag = build({"diary": b"secret"})
    new = NewWork(Description(title="Diary"), None, True)
    async with people("anna") as (anna,):
        path = archive(tmp_path / "a.car", dag)
        await take(anna, path, new)
        assert await anna.store.read_block(dag.root, public_only=True) is None
        assert await anna.outbox() == []
        await take(anna, path)
        assert await anna.store.read_block(dag.root, public_only=True) is None, "importing again shows nothing"
        assert await anna.outbox() == []


async def test_what_was_heard_of_is_kept_when_its_content_comes(tmp_path: Path) -> None:
    async with people("anna", "ben") as (anna, ben):
        work = await anna.publish("Wild Bees")
        held = await anna.store.read(lambda tx: tx.work(work))
        assert held is not None
        await ben.store.write(lambda tx: ben._on_manifest(tx, held.manifest))
        path = tmp_path / "a.car"
        path.write_bytes(encode_header([held.root]) + encode_section(held.root, b"Wild Bees"))
        await take(ben, path)
        kept = await ben.store.read(lambda tx: tx.work(work))
        assert kept is not None and kept.state == "kept"


async def test_roots_and_files_that_cannot_be(tmp_path: Path) -> None:
    async with people("anna") as (anna,):
        path = tmp_path / "a.car"
        path.write_bytes(encode_header([]))
        with pytest.raises(RefusedError, match="no root"):
            await take(anna, path)
        path.write_bytes(encode_header([Cid.of(RAW, b"1"), Cid.of(RAW, b"2")]))
        with pytest.raises(RefusedError, match="2 roots"):
            await take(anna, path, NewWork(Description(title="Both"), None, False))
        for odd in (tmp_path, tmp_path / "none", Path("/dev/null")):
            with pytest.raises((UsageError, StoreError)):
                await take(anna, odd)
        path.write_bytes(b"PK\3\4 not an archive of ours")
        with pytest.raises(DecodeError, match="no CAR"):
            await take(anna, path)


async def test_bombs_end_at_the_limits_of_a_fetch(tmp_path: Path) -> None:
    dag = Dag(Cid.of(RAW, b"x"), {}, {Cid.of(RAW, b"x"): b"x"})
    for _ in range(MAX_DEPTH + 1):
        dag.root, block = node([Link(dag.root, b"d", 1)], UnixFS(UnixFSType.DIRECTORY))
        dag.interior[dag.root] = block
    async with people("anna") as (anna,):
        with pytest.raises(RefusedError):
            await take(anna, archive(tmp_path / "deep.car", dag))
        assert await anna.store.read(lambda tx: tx.stored_bytes()) == 0


async def test_an_import_can_be_cancelled_and_goes_on(tmp_path: Path) -> None:
    dag = build({f"f{number}": bytes([number]) * 1_000_000 for number in range(40)})
    path = archive(tmp_path / "a.car", dag)
    async with people("anna") as (anna,):
        with trio.CancelScope() as scope:

            def stop(progress: Json) -> None:
                if progress.get("path") and progress["bytes"] > 20_000_000:
                    scope.cancel()

            await importing(anna).run(str(path), None, on_progress=stop)
        assert scope.cancelled_caught
        first: list[int] = []

        def note(progress: Json) -> None:
            if progress.get("path"):
                first.append(progress["bytes"])

        await importing(anna).run(str(path), None, on_progress=note)
        assert first[0] >= 8_000_000, "what was verified is not read again"
        content = await anna.store.read(lambda tx: tx.content(dag.root))
        assert content is not None and content.state == "complete"


@pytest.mark.parametrize("seed", range(20))
async def test_a_file_changed_anywhere_does_no_harm(seed: int, tmp_path: Path) -> None:

    rng = random.Random(seed)
    data = bytearray(archive(tmp_path / "a.car", build({"a": b"1" * 300, "b": {"c": b"2" * 300}})).read_bytes())
    for _ in range(rng.randint(1, 4)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    (tmp_path / "a.car").write_bytes(data)
    async with people("anna") as (anna,):
        with suppress(P2pnodeError):
            await take(anna, tmp_path / "a.car")


async def test_a_reader_sees_the_damage(tmp_path: Path) -> None:
    dag = build(TREE)
    path = archive(tmp_path / "a.car", dag)
    path.write_bytes(path.read_bytes()[:-100_000])
    with CarFile(str(path)) as car:
        car.scan()
        assert car.damage is not None and "byte" in car.damage
        assert 0 < len(car) < len(dag.leaves) + len(dag.interior)
