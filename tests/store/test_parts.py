"""A part of a content in the library: only the chosen files get room, they are shown when they are whole, and the rest may follow."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from p2pnode.errors import RefusedError, StoreError
from p2pnode.ports import Content
from p2pnode.store import incoming as incoming_module
from p2pnode.store.node_store import NodeStore
from p2pnode.store.recovery import recover
from p2pnode.store.sqlite import open_store
from tests.store.samples import Clock, bytes_of, tree
from tests.store.test_incoming import area_of, begin, file_bytes

pytestmark = pytest.mark.trio
SAMPLE = tree(
    {
        "big": bytes_of(250_000),
        "deep/er/small": b"small",
        "empty": b"",
        "twin": b"small",
        "big again": bytes_of(250_000),
        "other": bytes_of(100_001, "u"),
    }
)
BIG, SMALL, EMPTY, TWIN, AGAIN, OTHER = range(6)


async def get(store: NodeStore, chosen: list[int] | None, *, name: str = "A tale") -> tuple[int, Content]:
    """How many leaves had to come, and what is there then."""
    incoming = await store.start_incoming(SAMPLE.root, name, SAMPLE.blocks, SAMPLE.files, chosen=chosen)
    missing = incoming.missing
    for cid in missing:
        await incoming.put_leaf(cid, SAMPLE.leaves[cid])
    return len(missing), await incoming.finish(chosen)


async def test_a_chosen_file_is_shown_alone_and_takes_only_its_own_room(store: NodeStore) -> None:
    came, content = await get(store, [SMALL, OTHER])
    assert came == 3 and content.state == "partial"
    assert file_bytes(store, content, "deep/er/small") == b"small"
    assert file_bytes(store, content, "other") == bytes_of(100_001, "u")
    assert not content.base.rpartition("/")[2].startswith(".")
    assert area_of(store).size(f"{Path(content.base).name}/big") == -1
    stored = await store.read(lambda tx: tx.stored_bytes())
    assert stored == 100_001 + 5 + 5 + len(SAMPLE.node) + 1  # the last leaf of `other` is one byte and a row


async def test_the_rest_follows_as_a_set_difference_in_the_same_place(store: NodeStore) -> None:
    _, part = await get(store, [TWIN, BIG])
    came, more = await get(store, [AGAIN, SMALL])
    assert came == 0, "what an equal file has is copied from it"
    assert more.base == part.base and more.state == "partial"
    came, whole = await get(store, None)
    assert whole.state == "complete" and whole.base == part.base
    for path, data in SAMPLE.contents.items():
        assert file_bytes(store, whole, path) == data
    assert came == 2


async def test_more_may_be_chosen_while_it_comes(store: NodeStore) -> None:
    incoming = await store.start_incoming(SAMPLE.root, "A tale", SAMPLE.blocks, SAMPLE.files, chosen=[])
    assert incoming.missing == []
    await incoming.choose([SMALL])
    [small] = incoming.missing
    await incoming.put_leaf(small, b"small")
    await incoming.choose([SMALL, TWIN, EMPTY])
    assert incoming.missing == []
    with pytest.raises(StoreError, match="missing"):
        await incoming.finish([SMALL, OTHER])
    with pytest.raises(StoreError, match="missing"):
        await incoming.finish()
    content = await incoming.finish([SMALL])
    assert file_bytes(store, content, "deep/er/small") == b"small"


async def test_what_is_chosen_passes_the_quota_or_not(clock: Clock, tmp_path: Path) -> None:
    async with open_store(tmp_path / "node.db", tmp_path / "library", 150_000, 0, clock) as store:
        with pytest.raises(RefusedError, match="may own"):
            await begin(store, SAMPLE)
        incoming = await store.start_incoming(SAMPLE.root, "A tale", SAMPLE.blocks, SAMPLE.files, chosen=[OTHER])
        with pytest.raises(RefusedError, match="may own"):
            await incoming.choose([BIG])
        for cid in incoming.missing:
            await incoming.put_leaf(cid, SAMPLE.leaves[cid])
        assert (await incoming.finish([OTHER])).state == "partial"


async def test_a_part_that_was_being_shown_when_the_node_was_killed_is_not_taken_for_the_whole(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(Exception):
        pass

    def die(*_arguments: object, **_options: object) -> None:
        raise Killed

    async with open_store(tmp_path / "node.db", tmp_path / "library", 1 << 30, 0, clock) as store:
        monkeypatch.setattr(incoming_module, "settle", die)
        with pytest.raises(Killed):
            await get(store, [OTHER])
        monkeypatch.undo()
    async with open_store(tmp_path / "node.db", tmp_path / "library", 1 << 30, 0, clock) as store:
        content = await store.read(lambda tx: tx.content(SAMPLE.root))
        assert content is not None and content.state == "partial" and Path(content.base).name == "A tale"
        await store.write_rows(lambda tx, connection: recover(tx, connection, area_of(store)))
        came, whole = await get(store, None)
        assert whole.state == "complete" and whole.base == content.base and came == 4
        assert await trio.Path(whole.base, "big").read_bytes() == bytes_of(250_000)


async def test_what_is_not_whole_is_not_shown_beside_what_is(store: NodeStore) -> None:
    incoming = await store.start_incoming(SAMPLE.root, "A tale", SAMPLE.blocks, SAMPLE.files, chosen=[BIG, SMALL])
    leaves = incoming.missing
    await incoming.put_leaf(leaves[0], SAMPLE.leaves[leaves[0]])
    await incoming.put_leaf(leaves[-1], SAMPLE.leaves[leaves[-1]])
    content = await incoming.finish([SMALL])
    base = Path(content.base).name
    assert area_of(store).size(f"{base}/deep/er/small") == 5 and area_of(store).size(f"{base}/big") == -1
    assert await store.read(lambda tx: tx.content_files(SAMPLE.root, 9)) == [("deep/er/small", 5)]
    assert await store.read_block(leaves[0], public_only=True) == SAMPLE.leaves[leaves[0]], "it is served all the same"
    held = await store.read(lambda tx: tx.held_bytes(SAMPLE.root))
    assert held == 100_005
    del incoming
    came, content = await get(store, [BIG], name="Another name")
    assert came == 2 and file_bytes(store, content, "big") == bytes_of(250_000)
    came, whole = await get(store, None)
    assert whole.state == "complete" and whole.base == content.base
    for path, data in SAMPLE.contents.items():
        assert file_bytes(store, whole, path) == data
    shown = dict(await store.read(lambda tx: tx.content_files(SAMPLE.root, 9)))
    assert shown == {path: len(data) for path, data in SAMPLE.contents.items()}


async def test_a_kill_between_naming_a_file_and_saying_so_costs_nothing(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_store(tmp_path / "node.db", tmp_path / "library", 1 << 30, 0, clock) as store:
        await get(store, [BIG])
        with monkeypatch.context() as patched:
            patched.setattr(incoming_module.StoreIncoming, "_settle", None)
            with pytest.raises(TypeError):
                await get(store, [OTHER])
    async with open_store(tmp_path / "node.db", tmp_path / "library", 1 << 30, 0, clock) as store:
        came, whole = await get(store, None)
        assert whole.state == "complete" and came == 1  # the one small leaf
        for path, data in SAMPLE.contents.items():
            assert file_bytes(store, whole, path) == data
