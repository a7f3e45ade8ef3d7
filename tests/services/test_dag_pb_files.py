"""Files as Kubo makes them by default: CIDv0, every byte inside a dag-pb leaf. More of it than is ever held, taken in, served,
fetched, read, checked, mended and written out with the same blocks."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio

from p2pnode.core.car import encode_header, encode_section
from p2pnode.core.cid import DAG_PB, Cid
from p2pnode.core.dag import verify_block
from p2pnode.core.dagpb import Link, UnixFS, UnixFSType, encode_node, encode_unixfs
from p2pnode.core.skeleton import MAX_INLINE_BYTES
from p2pnode.errors import ChangedError, DecodeError
from p2pnode.limits import KIB, MIB, SMALL_LEAF_BYTES
from p2pnode.local.car_file import CarFile
from p2pnode.services.car_export import export_car
from p2pnode.services.car_import import CarImport
from p2pnode.services.export import export
from p2pnode.services.reading import Reading
from p2pnode.services.walk import read_skeleton
from p2pnode.store.memory import MemoryArea
from tests.services.test_transfers import Sharer, two
from tests.support.dags import folder

DEADLINE_S = 60.0
LEAF_BYTES, LINKS = 256 * KIB, 174
"""Kubo's: bytes of a leaf, and links of a node."""
TIMED = b"\x42\x02\x08\x07"
"""A time (field 8), which some importers note in every node."""

Blocks = dict[Cid, bytes]
Part = tuple[Cid, int, int]
"""A node, the bytes of file under it, and what it weighs with all below it."""


def kubo_file(data: bytes, blocks: Blocks, *, leaf_bytes: int = LEAF_BYTES, more: bytes = b"") -> Cid:
    """The tree that `ipfs add` makes. `more` stands behind the UnixFS fields of every leaf."""
    level = [
        _put(blocks, encode_node([], encode_unixfs(UnixFS(UnixFSType.FILE, part, len(part))) + more), len(part), 0)
        for at in range(0, len(data), leaf_bytes)
        for part in (data[at : at + leaf_bytes],)
    ]
    while len(level) > 1:
        level = [_node(blocks, part) for part in (level[at : at + LINKS] for at in range(0, len(level), LINKS))]
    return level[0][0]


def _node(blocks: Blocks, parts: Sequence[Part]) -> Part:
    size = sum(size for _, size, _ in parts)
    unixfs = UnixFS(UnixFSType.FILE, size=size, block_sizes=tuple(size for _, size, _ in parts))
    block = encode_node([Link(cid, b"", weight) for cid, _, weight in parts], encode_unixfs(unixfs))
    return _put(blocks, block, size, sum(weight for _, _, weight in parts))


def _put(blocks: Blocks, block: bytes, size: int, below: int) -> Part:
    cid = Cid(0, DAG_PB, Cid.of(DAG_PB, block).multihash)
    blocks[cid] = block
    return cid, size, below + len(block)


def write_car(path: Path, root: Cid, blocks: Blocks) -> Path:
    with path.open("wb") as file:
        file.write(encode_header([root]))
        for cid, block in blocks.items():
            file.write(encode_section(cid, block))
    return path


async def taken(person: Sharer, path: Path) -> None:
    importing = CarImport(person.store, person.me, person.admission, person.clock, lambda: None)
    with trio.fail_after(DEADLINE_S):
        await importing.run(str(path), None, on_progress=lambda progress: None)


@pytest.mark.trio
@pytest.mark.parametrize("size", [46 * MIB + 3, pytest.param(120 * MIB + 3, marks=pytest.mark.long)])
async def test_a_file_larger_than_what_is_held_goes_all_the_way(size: int, tmp_path: Path) -> None:
    data, blocks = random.Random(size).randbytes(size), Blocks()
    root = kubo_file(data, blocks)
    assert size > MAX_INLINE_BYTES and str(root).startswith("Qm")
    theirs = write_car(tmp_path / "theirs.car", root, blocks)
    told: list[tuple[int, int]] = []
    async with two() as (anna, ben, _):
        await taken(anna, theirs)
        anna.serve()
        await ben.get(str(root), tmp_path / "fetched")
        (shown,) = ben.transfers.shown()
        told.append((shown["bytes"], shown["total"]))
        skeleton = await read_skeleton(ben.store, root)
        await export(anna.store, root, str(tmp_path / "exported"))
        await export_car(ben.store, root, str(tmp_path / "ours.car"), on_progress=lambda progress: None)
        async with Reading(ben.store).open_file(root) as file:
            middle = b"".join([part async for part in file.read_range(size // 2, 300_000)])
        sizes = await ben.store.public_sizes(list(blocks))
    assert (tmp_path / "fetched").read_bytes() == data
    assert (tmp_path / "exported").read_bytes() == data
    assert middle == data[size // 2 : size // 2 + 300_000]
    assert told == [(size, size)]
    assert sizes == list(map(len, blocks.values()))
    assert skeleton.files[0].inline == () and sum(map(len, skeleton.blocks.values())) < 64 * KIB, "what is held"
    with CarFile(str(tmp_path / "ours.car")) as car:
        car.scan()
        assert car.damage is None and len(car) == len(blocks)
        assert all(car.block(cid) == block for cid, block in blocks.items())


@pytest.mark.trio
@pytest.mark.parametrize("leaf_bytes", [SMALL_LEAF_BYTES, 100_000], ids=["small", "large"])
@pytest.mark.parametrize("more", [b"", TIMED], ids=["plain", "timed"])
async def test_every_block_is_given_back_as_it_came(leaf_bytes: int, more: bytes, tmp_path: Path) -> None:
    """Those that cannot be made again from their bytes, too; a folder of single nodes and of larger files; a check finds all right."""
    rng, blocks = random.Random(leaf_bytes), Blocks()
    contents = {f"{size}": rng.randbytes(size) for size in (1, 70_000, 99_999, 250_000, 400_001)}
    entries = [
        (name.encode(), kubo_file(data, blocks, leaf_bytes=leaf_bytes, more=more)) for name, data in contents.items()
    ]
    root, block = folder(entries)
    blocks[root] = block
    async with two() as (anna, ben, _):
        await taken(anna, write_car(tmp_path / "theirs.car", root, blocks))
        anna.serve()
        await ben.get(str(root), tmp_path / "fetched")
        for person in (anna, ben):
            held = await person.store.read_blocks(list(blocks), public_only=True, max_bytes=64 * MIB)
            assert held == list(blocks.values())
            position: tuple[int, int, int] | None = (0, -1, 0)
            checked = 0
            while position is not None:
                step = await person.store.verify_some(position, root=root, max_bytes=MIB)
                assert not step.damaged
                position, checked = step.next, checked + step.blocks
            assert checked >= len(blocks)
    assert {file.name: file.read_bytes() for file in (tmp_path / "fetched").iterdir()} == contents


@pytest.mark.trio
async def test_damaged_bytes_are_never_served_and_are_mended(tmp_path: Path) -> None:
    blocks = Blocks()
    data = random.Random(7).randbytes(3 * LEAF_BYTES)
    root = kubo_file(data, blocks)
    leaf = list(blocks)[1]
    async with two() as (anna, ben, _):
        await taken(anna, write_car(tmp_path / "theirs.car", root, blocks))
        anna.serve()
        await ben.get(str(root), None)
        area = ben.store._area
        assert isinstance(area, MemoryArea)
        held = area.entries[str(root)]
        assert held is not None and bytes(held) == data
        held[LEAF_BYTES + 5] ^= 1
        assert (await ben.store.verify_some((0, -1, 0), root=root, max_bytes=64 * MIB)).damaged
        with pytest.raises(ChangedError, match="no longer holds"):
            await ben.store.read_block(leaf)
        await ben.get(str(root), tmp_path / "again")
        assert await ben.store.read_block(leaf) == blocks[leaf]
        assert bytes(held) == (tmp_path / "again").read_bytes() == data


@pytest.mark.trio
async def test_an_inner_node_that_weighs_as_a_leaf_ends_the_import(tmp_path: Path) -> None:
    """Nobody writes such a tree by accident: what it costs is its inner nodes and nothing else."""
    blocks = Blocks()
    inner = kubo_file(bytes(range(200)) * 10, blocks, leaf_bytes=1000)
    assert verify_block(inner, blocks[inner])
    unixfs = UnixFS(UnixFSType.FILE, size=2000, block_sizes=(2000,))
    block = encode_node([Link(inner, b"", 2000 + 11)], encode_unixfs(unixfs))
    root = Cid.of(DAG_PB, block)
    async with two() as (anna, _, _):
        with pytest.raises(DecodeError, match="where a leaf should be"):
            await taken(anna, write_car(tmp_path / "theirs.car", root, blocks | {root: block}))
