"""Contents published in place, shared rows, reading and forgetting: the contract of both stores."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from p2pnode.core.cid import DAG_PB, RAW, Cid
from p2pnode.errors import ChangedError, RefusedError, StoreError
from p2pnode.limits import MAX_BLOCK_BYTES
from p2pnode.ports import Content, Tx
from p2pnode.store.node_store import NodeStore
from tests.store.samples import bytes_of, digest

LEAF = 1000


def write_tree(folder: Path, contents: Mapping[str, bytes]) -> Path:
    for path, data in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def leaves_of(data: bytes) -> list[tuple[Cid, int, int]]:
    cuts = range(0, len(data), LEAF)
    return [(Cid.of(RAW, data[at : at + LEAF]), at, len(data[at : at + LEAF])) for at in cuts]


async def publish(
    store: NodeStore, base: Path, contents: Mapping[str, bytes], *, public: bool = True, blocks: tuple[bytes, ...] = ()
) -> Content:
    """Publish in place, as services.publish does: the root is a row that names the contents."""
    root_block = digest(sorted(contents.items()))
    root = Cid.of(DAG_PB, root_block)

    def all_of(tx: Tx) -> None:
        id = tx.begin_content(str(base), owned=False, public=public)
        for path, data in contents.items():
            tx.add_leaves(id, tx.add_file(id, path, len(data), 1), leaves_of(data))
        tx.add_blocks(id, [(root, root_block), *((Cid.of(DAG_PB, block), block) for block in blocks)])
        tx.complete_content(id, root, size=sum(map(len, contents.values())), files=len(contents))

    await store.write(all_of)
    content = await store.read(lambda tx: tx.content(root))
    assert content is not None and content.root is not None
    return content


def root_of(content: Content) -> Cid:
    assert content.root is not None
    return content.root


@pytest.mark.trio
async def test_a_folder_in_place_is_read_leaf_by_leaf(store: NodeStore, tmp_path: Path) -> None:
    contents = {"a.txt": bytes_of(2500), "deep/b": bytes_of(10, "b"), "empty": b""}
    base = write_tree(tmp_path / "work", contents)
    content = await publish(store, base, contents)
    assert (content.state, content.base, content.owned, content.public) == ("complete", str(base), False, True)
    assert (content.size, content.files) == (2510, 3)
    for data in contents.values():
        for cid, offset, length in leaves_of(data):
            assert await store.read_block(cid) == data[offset : offset + length]
    assert await store.read_block(root_of(content)) == digest(sorted(contents.items()))
    assert await store.read_block(Cid.of(RAW, b"unheard of")) is None
    assert await store.read(lambda tx: tx.stored_bytes()) == 32  # the root's row; the user's files are not ours


@pytest.mark.trio
async def test_a_single_file_is_its_own_base(store: NodeStore, tmp_path: Path) -> None:
    data = bytes_of(1500)
    (tmp_path / "one").write_bytes(data)
    await publish(store, tmp_path / "one", {"": data})
    assert await store.read_block(leaves_of(data)[1][0]) == data[1000:]


@pytest.mark.trio
async def test_a_name_that_is_not_utf8_is_kept(store: NodeStore, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    try:
        write_tree(tmp_path / "work", {name: b"bytes"})
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    await publish(store, tmp_path / "work", {name: b"bytes"})
    assert await store.read_block(Cid.of(RAW, b"bytes")) == b"bytes"


@pytest.mark.trio
async def test_strangers_read_what_a_public_content_holds(store: NodeStore, tmp_path: Path) -> None:
    common, secret = bytes_of(LEAF, "common"), bytes_of(LEAF, "secret")
    private = await publish(
        store,
        write_tree(tmp_path / "private", {"a": common + secret}),
        {"a": common + secret},
        public=False,
        blocks=(b"node",),
    )
    common_cid, secret_cid, node = Cid.of(RAW, common), Cid.of(RAW, secret), Cid.of(DAG_PB, b"node")
    for cid in (common_cid, secret_cid, node, root_of(private)):
        assert await store.read_block(cid) is not None
        assert await store.read_block(cid, public_only=True) is None
    public = await publish(store, write_tree(tmp_path / "public", {"b": common}), {"b": common}, blocks=(b"node",))
    assert await store.read_block(common_cid, public_only=True) == common
    assert await store.read_block(node, public_only=True) == b"node"
    assert await store.read_block(secret_cid, public_only=True) is None
    await store.write(lambda tx: tx.set_public(root_of(public), False))
    assert await store.read_block(common_cid, public_only=True) is None
    await store.write(lambda tx: tx.set_public(root_of(private), True))
    assert await store.read_block(secret_cid, public_only=True) == secret


@pytest.mark.trio
async def test_what_is_still_being_built_is_not_public(store: NodeStore) -> None:
    def begin(tx: Tx) -> None:
        tx.add_blocks(tx.begin_content("/nowhere", owned=False, public=True), [(Cid.of(DAG_PB, b"x"), b"x")])

    await store.write(begin)
    assert await store.read_block(Cid.of(DAG_PB, b"x"), public_only=True) is None


@pytest.mark.trio
async def test_forgetting_drops_exactly_what_nothing_else_uses(store: NodeStore, tmp_path: Path) -> None:
    common, only = bytes_of(LEAF, "common"), bytes_of(LEAF, "only")
    one = await publish(
        store, write_tree(tmp_path / "1", {"a": common + only}), {"a": common + only}, blocks=(b"n", b"1")
    )
    two = await publish(store, write_tree(tmp_path / "2", {"b": common}), {"b": common}, blocks=(b"n", b"2"))
    assert await store.write(lambda tx: tx.forget_content(root_of(one))) == []
    held = {Cid.of(RAW, common), Cid.of(DAG_PB, b"n"), Cid.of(DAG_PB, b"2"), root_of(two)}
    gone = {Cid.of(RAW, only), Cid.of(DAG_PB, b"1"), root_of(one)}
    assert await store.read(lambda tx: tx.has(held | gone)) == held
    assert await store.read_block(Cid.of(RAW, common)) == common
    assert await store.read_block(Cid.of(RAW, only)) is None
    assert await store.read(lambda tx: tx.content(root_of(one))) is None
    assert (tmp_path / "1" / "a").exists()  # the user's file stays
    await store.write(lambda tx: tx.forget_content(root_of(two)))
    assert await store.read(lambda tx: (tx.has(held), tx.stored_bytes())) == (set(), 0)


@pytest.mark.trio
async def test_the_same_content_in_two_places_is_one_content_and_either_serves(
    store: NodeStore, tmp_path: Path
) -> None:
    contents = {"a": bytes_of(1500)}
    one = await publish(store, write_tree(tmp_path / "1", contents), contents, public=False)
    two = await publish(store, write_tree(tmp_path / "2", contents), contents)
    assert (two.id, two.public) == (one.id, True)
    (tmp_path / "1" / "a").write_bytes(b"spoilt")
    assert await store.read_block(leaves_of(contents["a"])[0][0]) == contents["a"][:1000]
    (tmp_path / "1" / "a").unlink()
    assert await store.read_block(leaves_of(contents["a"])[1][0]) == contents["a"][1000:]
    again = await publish(store, tmp_path / "2", contents)
    assert again.id == one.id
    bases = await store.read_rows(lambda tx, db: db.execute("SELECT path FROM bases").fetchall())
    assert len(bases) == 2  # publishing a path again replaces what was known of it
    await store.write(lambda tx: tx.forget_content(root_of(one)))
    assert await store.read_block(leaves_of(contents["a"])[0][0]) is None


DAMAGES = {
    "changed": lambda path: path.write_bytes(bytes(2500)),
    "cut": lambda path: os.truncate(path, 10),
    "gone": lambda path: path.unlink(),
    "a fifo": lambda path: (path.unlink(), os.mkfifo(path)),
    "a link": lambda path: (path.rename(path.with_suffix(".x")), path.symlink_to(path.with_suffix(".x"))),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.trio
@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_file_that_changed_is_named_and_nothing_wrong_is_served(
    store: NodeStore, tmp_path: Path, damage: str
) -> None:
    data = bytes_of(2500)
    base = write_tree(tmp_path / "work", {"a.txt": data})
    await publish(store, base, {"a.txt": data})
    DAMAGES[damage](base / "a.txt")
    for cid, _, _ in leaves_of(data):
        with pytest.raises(ChangedError, match=r"a\.txt") as caught:
            await store.read_block(cid)
        assert "publish it again" in caught.value.hint


@pytest.mark.trio
async def test_a_damaged_row_is_never_served(store: NodeStore, tmp_path: Path) -> None:
    content = await publish(store, write_tree(tmp_path / "work", {"a": b"a"}), {"a": b"a"})
    await store.write_rows(lambda tx, db: db.execute("UPDATE blocks SET data = x'00'"))
    with pytest.raises(StoreError, match="damaged"):
        await store.read_block(root_of(content))


@pytest.mark.trio
async def test_rows_keep_to_the_quota_and_to_the_size_of_a_block(store: NodeStore) -> None:
    def add(tx: Tx, data: bytes) -> None:
        tx.add_blocks(tx.begin_content("/x", owned=False, public=True), [(Cid.of(DAG_PB, data[:9]), data)])

    store._quota_bytes = 100
    await store.write(lambda tx: add(tx, bytes(60)))
    with pytest.raises(RefusedError, match="60 bytes") as caught:
        await store.write(lambda tx: add(tx, b"x" * 41))
    assert "quota_bytes" in caught.value.hint
    assert await store.read(lambda tx: tx.stored_bytes()) == 60
    store._quota_bytes = 1 << 30
    with pytest.raises(RefusedError, match="over the limit"):
        await store.write(lambda tx: add(tx, bytes(MAX_BLOCK_BYTES + 1)))


@pytest.mark.trio
async def test_has_takes_many(store: NodeStore) -> None:
    cids = [Cid.of(DAG_PB, b"%d" % n) for n in range(1500)]

    def some(tx: Tx) -> None:
        id = tx.begin_content("/x", owned=False, public=True)
        tx.add_blocks(id, ((cid, b"%d" % n) for n, cid in enumerate(cids) if n % 2))

    await store.write(some)
    assert await store.read(lambda tx: tx.has(iter(cids))) == set(cids[1::2])
    assert await store.read(lambda tx: tx.has([])) == set()
