"""Fetching into the library: the contract of both stores."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from p2pnode.core.cid import RAW, Cid
from p2pnode.errors import RefusedError, StoreError, UsageError
from p2pnode.limits import SMALL_LEAF_BYTES
from p2pnode.ports import Content, Incoming, Tx, WantedFile
from p2pnode.store import incoming as incoming_module
from p2pnode.store.library import FileArea
from p2pnode.store.memory import MemoryArea
from p2pnode.store.node_store import NodeStore
from tests.store.samples import Tree, bytes_of, tree

SAMPLE = tree(
    {
        "big": bytes_of(250_000),
        "deep/er/small": b"small",
        "empty": b"",
        "twin": b"small",
        "big again": bytes_of(250_000),
        "ünï": bytes_of(100_001, "u"),
    }
)


async def begin(store: NodeStore, wanted: Tree = SAMPLE, name: str = "A tale") -> Incoming:
    return await store.start_incoming(wanted.root, name, wanted.blocks, wanted.files)


async def fetch(store: NodeStore, wanted: Tree = SAMPLE, name: str = "A tale") -> Content:
    incoming = await begin(store, wanted, name)
    for cid in incoming.missing:
        await incoming.put_leaf(cid, wanted.leaves[cid])
    return await incoming.finish()


def area_of(store: NodeStore) -> FileArea:
    return store._area


def file_bytes(store: NodeStore, content: Content, path: str) -> bytes:
    """What another program sees in the library."""
    whole = f"{content.base}/{path}" if path else content.base
    area = area_of(store)
    if isinstance(area, MemoryArea):
        held = area.entries[whole.removeprefix(f"{area.root}/")]
        assert held is not None
        return bytes(held)
    with open(whole, "rb") as file:
        return file.read()


@pytest.mark.trio
async def test_a_fetched_work_is_plain_files_and_serves_every_block(store: NodeStore) -> None:
    content = await fetch(store)
    assert (content.state, content.owned, content.public) == ("complete", True, True)
    assert (content.size, content.files) == (SAMPLE.size, 6)
    assert content.base.endswith("/A tale")
    for path, data in SAMPLE.contents.items():
        assert file_bytes(store, content, path) == data
    for cid, data in SAMPLE.leaves.items():
        assert await store.read_block(cid, public_only=True) == data
    assert await store.read_block(SAMPLE.root, public_only=True) == SAMPLE.node
    assert area_of(store).names() == ["A tale"]


@pytest.mark.trio
async def test_missing_lists_each_leaf_once_in_file_order(store: NodeStore) -> None:
    incoming = await begin(store)
    expected = list(dict.fromkeys(cid for file in SAMPLE.files for cid, _, _ in file.leaves))
    assert incoming.missing == expected
    await incoming.put_leaf(expected[1], SAMPLE.leaves[expected[1]])
    assert incoming.missing == [expected[0], *expected[2:]]
    await incoming.put_leaf(expected[1], SAMPLE.leaves[expected[1]])  # from a second provider
    with pytest.raises(StoreError, match="missing"):
        await incoming.finish()


@pytest.mark.trio
async def test_what_is_partial_is_known_and_served_after_a_checkpoint(store: NodeStore) -> None:
    incoming = await begin(store)
    large, small = SAMPLE.files[0].leaves[0][0], SAMPLE.files[1].leaves[0][0]
    await incoming.put_leaf(large, SAMPLE.leaves[large])
    await incoming.put_leaf(small, b"small")
    assert await store.read_block(large) is None  # not on the disk for sure
    await incoming.checkpoint()
    assert await store.read_block(large, public_only=True) == SAMPLE.leaves[large]
    assert await store.read_block(small, public_only=True) == b"small"
    content = await store.read(lambda tx: tx.content(SAMPLE.root))
    assert content is not None and (content.state, content.size) == ("partial", SAMPLE.size)


@pytest.mark.trio
async def test_a_checkpoint_comes_by_itself(store: NodeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming_module, "CHECKPOINT_BYTES", 400_000)
    incoming = await begin(store)
    first, second = incoming.missing[:2]
    await incoming.put_leaf(first, SAMPLE.leaves[first])  # lies twice: 200,000 bytes
    assert await store.read(lambda tx: tx.has([first, second])) == set()
    await incoming.put_leaf(second, SAMPLE.leaves[second])
    assert await store.read(lambda tx: tx.has([first, second])) == {first, second}


@pytest.mark.trio
async def test_asking_again_resumes(store: NodeStore) -> None:
    incoming = await begin(store)
    first = incoming.missing[0]
    await incoming.put_leaf(first, SAMPLE.leaves[first])
    again = await begin(store)
    assert first not in again.missing
    del incoming, again  # a later task holds nothing of it
    await store.read(lambda tx: tx.stored_bytes())
    content = await fetch(store)
    assert file_bytes(store, content, "big") == SAMPLE.contents["big"]


@pytest.mark.trio
async def test_a_finished_work_is_not_fetched_again(store: NodeStore) -> None:
    content = await fetch(store)
    again = await begin(store)
    assert again.missing == []
    assert await again.finish() == content
    assert area_of(store).names() == ["A tale"]


@pytest.mark.trio
async def test_finishing_twice_is_finishing_once(store: NodeStore) -> None:
    incoming = await begin(store)
    for cid in incoming.missing:
        await incoming.put_leaf(cid, SAMPLE.leaves[cid])
    assert await incoming.finish() == await incoming.finish()


@pytest.mark.trio
async def test_leaves_of_other_works_are_copied_not_fetched(store: NodeStore) -> None:
    await fetch(store)
    other = tree({"x": bytes_of(250_000), "y": b"small", "z": b"new"})
    incoming = await begin(store, other, "Other")
    assert [other.leaves[cid] for cid in incoming.missing] == [b"new"]
    await incoming.put_leaf(incoming.missing[0], b"new")
    content = await incoming.finish()
    await store.write(lambda tx: tx.forget_content(SAMPLE.root))
    for path, data in other.contents.items():
        assert file_bytes(store, content, path) == data
    for cid, data in other.leaves.items():
        assert await store.read_block(cid) == data


@pytest.mark.trio
async def test_forgetting_removes_files_and_frees_every_byte(store: NodeStore) -> None:
    content = await fetch(store)
    listed = await store.write(lambda tx: tx.forget_content(SAMPLE.root))
    assert sorted(listed) == sorted(f"{content.base}/{path}" for path in SAMPLE.contents)
    assert area_of(store).names() == []
    assert await store.read(lambda tx: tx.stored_bytes()) == 0
    assert await store.read_block(SAMPLE.files[0].leaves[0][0]) is None


@pytest.mark.trio
async def test_forgetting_while_it_is_fetched_ends_the_fetch(store: NodeStore) -> None:
    incoming = await begin(store)
    await incoming.put_leaf(incoming.missing[0], SAMPLE.leaves[incoming.missing[0]])
    await incoming.checkpoint()
    await store.write(lambda tx: tx.forget_content(SAMPLE.root))
    for cid in incoming.missing:
        await incoming.put_leaf(cid, SAMPLE.leaves[cid])
    with pytest.raises(StoreError):
        await incoming.finish()
    assert await store.read(lambda tx: (tx.content(SAMPLE.root), tx.stored_bytes())) == (None, 0)
    assert (await fetch(store)).state == "complete"


@pytest.mark.trio
async def test_one_file_gets_its_own_name_and_names_are_unique(store: NodeStore) -> None:
    one, two = tree({"": bytes_of(150_000, 1)}), tree({"": bytes_of(10, 2)})
    first = await fetch(store, one, "Ta/le: one?.txt")
    assert first.base.endswith("/Ta_le_ one_.txt")
    second = await fetch(store, two, "Ta/le: one?.txt")
    assert second.base.endswith("/Ta_le_ one_ (2).txt")
    assert file_bytes(store, first, "") == one.contents[""]
    assert file_bytes(store, second, "") == two.contents[""]
    assert await store.read_block(next(iter(one.leaves)))


@pytest.mark.trio
async def test_empty_folders_and_bytes_inside_nodes_are_written_too(store: NodeStore) -> None:
    leaf = bytes_of(70_000)
    files = [
        WantedFile("inline", 5, (), ((0, b"he"), (2, b"llo"))),
        WantedFile("both", 70_003, ((Cid.of(RAW, leaf), 3, 70_000),), ((0, b"abc"),)),
    ]
    incoming = await store.start_incoming(SAMPLE.root, "x", SAMPLE.blocks, files, folders=["", "empty/inner"])
    await incoming.put_leaf(Cid.of(RAW, leaf), leaf)
    content = await incoming.finish()
    assert file_bytes(store, content, "inline") == b"hello"
    assert file_bytes(store, content, "both") == b"abc" + leaf
    assert area_of(store).exists("x/empty/inner")
    await store.write(lambda tx: tx.forget_content(SAMPLE.root))
    assert area_of(store).names() == []


@pytest.mark.trio
async def test_the_leaf_of_an_empty_file_need_not_be_fetched(store: NodeStore) -> None:
    empty = Cid.of(RAW, b"")
    incoming = await store.start_incoming(empty, "nothing", [], [WantedFile("", 0, ((empty, 0, 0),))])
    assert incoming.missing == []
    content = await incoming.finish()
    assert file_bytes(store, content, "") == b""
    assert await store.read_block(empty, public_only=True) == b""


@pytest.mark.trio
async def test_a_leaf_of_the_wrong_length_or_of_another_work_is_refused(store: NodeStore) -> None:
    incoming = await begin(store)
    with pytest.raises(RefusedError, match="bytes where"):
        await incoming.put_leaf(incoming.missing[0], b"short")
    with pytest.raises(UsageError):
        await incoming.put_leaf(Cid.of(RAW, b"other"), b"other")
    assert len(incoming.missing) == len(SAMPLE.leaves)


HOSTILE = ["/etc/x", "../x", "a/../../x", "a//b", "./a", "a/.", "a\0b", "a\\b", "x" * 256, "/".join("a" * 65)]


@pytest.mark.trio
@pytest.mark.parametrize("path", HOSTILE, ids=range(len(HOSTILE)))
async def test_paths_that_lead_elsewhere_are_refused(store: NodeStore, path: str) -> None:
    with pytest.raises(RefusedError):
        await store.start_incoming(SAMPLE.root, "x", [], [WantedFile(path, 0, ()), WantedFile("ok", 0, ())])
    with pytest.raises(RefusedError):
        await store.start_incoming(SAMPLE.root, "x", [], [WantedFile("ok", 0, ())], folders=[path])
    assert area_of(store).names() == []


LEAF = Cid.of(RAW, b"x")
IMPOSSIBLE = {
    "a path twice": [WantedFile("a", 0, ()), WantedFile("a", 0, ())],
    "a file as a folder": [WantedFile("a", 0, ()), WantedFile("a/b", 0, ())],
    "a nameless file beside others": [WantedFile("", 0, ()), WantedFile("b", 0, ())],
    "a gap": [WantedFile("a", 3, ((LEAF, 0, 1), (LEAF, 2, 1)))],
    "too long": [WantedFile("a", 1, ((LEAF, 0, 1), (LEAF, 1, 1)))],
    "too short": [WantedFile("a", 2, ((LEAF, 0, 1),))],
    "an overlap": [WantedFile("a", 2, ((LEAF, 0, 1), (LEAF, 0, 1)))],
    "negative": [WantedFile("a", 0, ((LEAF, 0, 1), (Cid.of(RAW, b"y"), 1, -1)))],
    "leaf and inline overlap": [WantedFile("a", 2, ((LEAF, 0, 1),), ((0, b"i"),))],
    "two lengths": [WantedFile("a", 3, ((LEAF, 0, 1), (LEAF, 1, 2)))],
}


@pytest.mark.trio
@pytest.mark.parametrize("files", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
async def test_files_that_cannot_be_are_refused(store: NodeStore, files: list[WantedFile]) -> None:
    with pytest.raises(RefusedError):
        await store.start_incoming(SAMPLE.root, "x", [], files)
    assert await store.read(lambda tx: tx.content(SAMPLE.root)) is None


@pytest.mark.trio
async def test_the_quota_is_checked_before_anything_is_written(store: NodeStore) -> None:
    small = sum(len(data) for data in SAMPLE.leaves.values() if len(data) <= SMALL_LEAF_BYTES)
    need = SAMPLE.size + len(SAMPLE.node) + small
    store._quota_bytes = need - 1
    with pytest.raises(RefusedError, match=r"owns 0 bytes") as caught:
        await begin(store)
    assert "raise quota_bytes" in caught.value.hint
    assert (area_of(store).names(), await store.read(lambda tx: tx.stored_bytes())) == ([], 0)
    store._quota_bytes = need
    await fetch(store)
    assert await store.read(lambda tx: tx.stored_bytes()) == need
    with pytest.raises(RefusedError):
        await begin(store, tree({"x": b"x"}), "one more byte")


@pytest.mark.trio
async def test_a_fetch_reserves_its_space(store: NodeStore) -> None:
    store._quota_bytes = SAMPLE.size + 200_000
    await begin(store)
    with pytest.raises(RefusedError):
        await begin(store, tree({"x": bytes_of(200_000, "x")}), "second")


@pytest.mark.trio
async def test_the_floor_is_kept_at_the_start_and_while_writing(
    store: NodeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = SAMPLE.size + 999
    monkeypatch.setattr(area_of(store), "free_bytes", lambda: free)
    store._floor_bytes = 1000
    with pytest.raises(RefusedError, match="free"):
        await begin(store)
    assert await store.read(lambda tx: tx.content(SAMPLE.root)) is None
    free = SAMPLE.size + 1000
    incoming = await begin(store)
    await incoming.put_leaf(incoming.missing[0], SAMPLE.leaves[incoming.missing[0]])
    free = 999
    with pytest.raises(RefusedError, match="free"):
        await incoming.checkpoint()
    free = SAMPLE.size
    await incoming.checkpoint()
    for cid in incoming.missing:
        await incoming.put_leaf(cid, SAMPLE.leaves[cid])
    assert (await incoming.finish()).state == "complete"


@pytest.mark.trio
async def test_another_naming_of_the_same_root_begins_anew(store: NodeStore) -> None:
    incoming = await begin(store)
    await incoming.put_leaf(incoming.missing[0], SAMPLE.leaves[incoming.missing[0]])
    await incoming.checkpoint()
    renamed = [WantedFile(f"x/{f.path}", f.size, f.leaves) for f in SAMPLE.files]
    other = await store.start_incoming(SAMPLE.root, "Renamed", SAMPLE.blocks, renamed)
    for cid in other.missing:
        await other.put_leaf(cid, SAMPLE.leaves[cid])
    content = await other.finish()
    assert file_bytes(store, content, "x/big") == SAMPLE.contents["big"]
    assert area_of(store).names() == ["Renamed"]


@pytest.mark.trio
async def test_many_tasks_may_put_leaves_at_once(store: NodeStore) -> None:
    incoming = await begin(store)
    async with trio.open_nursery() as nursery:
        for cid in incoming.missing * 2:
            nursery.start_soon(incoming.put_leaf, cid, SAMPLE.leaves[cid])
    content = await incoming.finish()
    for path, data in SAMPLE.contents.items():
        assert file_bytes(store, content, path) == data


@pytest.mark.trio
async def test_a_copy_of_what_is_published_in_place_rests_on_itself(store: NodeStore, tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(SAMPLE.contents["big"])
    one = tree({"": SAMPLE.contents["big"]})
    leaves = one.files[0].leaves

    def publish(tx: Tx) -> int:
        id = tx.begin_content(str(tmp_path / "mine"), owned=False, public=False)
        tx.add_leaves(id, tx.add_file(id, "", 250_000, 1), leaves)
        tx.add_blocks(id, one.blocks)
        return tx.complete_content(id, one.root, size=250_000, files=1)

    id = await store.write(publish)
    incoming = await begin(store, one, "Copy")
    assert incoming.missing == []
    content = await incoming.finish()
    assert (content.id, content.owned, content.state) == (id, True, "complete")
    (tmp_path / "mine").unlink()
    for cid, data in one.leaves.items():
        assert await store.read_block(cid) == data
    await store.write(lambda tx: tx.forget_content(one.root))
    assert (area_of(store).names(), await store.read(lambda tx: tx.stored_bytes())) == ([], 0)
