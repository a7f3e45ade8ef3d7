"""The vectors that other implementations can hold themselves to, held by this one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from p2pnode.core.cid import RAW, Cid
from p2pnode.core.dag import FileView, FolderView, ShardView, SymlinkView, parse_node, verify_block
from p2pnode.core.unixfs import FileBuilder
from p2pnode.errors import DecodeError
from tests.support.dags import Tree, build

MIB = 1 << 20
VECTORS: dict[str, Any] = json.loads((Path(__file__).parent.parent / "vectors" / "unixfs.json").read_text("utf-8"))


def _leaves(size: int) -> Iterator[tuple[Cid, int]]:
    for at in range(0, size or 1, MIB):
        leaf = (f"part {at}".encode() + bytes(MIB))[: min(MIB, size - at)]
        yield Cid.of(RAW, leaf), len(leaf)


def _tree(value: Any) -> Tree | bytes:
    return value.encode() if isinstance(value, str) else {name: _tree(child) for name, child in value.items()}


@pytest.mark.parametrize("vector", VECTORS["files"], ids=lambda vector: str(vector["size"]))
def test_files(vector: dict[str, Any]) -> None:
    builder = FileBuilder()
    for cid, length in _leaves(vector["size"]):
        builder.add(cid, length)
    root, _ = builder.finish()
    assert (str(root.cid), root.size) == (vector["root"], vector["size"])


@pytest.mark.parametrize("vector", VECTORS["folders"], ids=lambda vector: vector["root"][-6:])
def test_folders(vector: dict[str, Any]) -> None:
    entries = vector.get("entries")
    if entries is None:
        entries = {f"entry {number}": str(number) for number in range(vector["count"])}
    assert str(build(_tree(entries)).root) == vector["root"]


@pytest.mark.parametrize("vector", VECTORS["nodes"], ids=lambda vector: vector["what"])
def test_nodes(vector: dict[str, Any]) -> None:
    cid, block = Cid.parse(vector["cid"]), bytes.fromhex(vector["block"])
    assert verify_block(cid, block)
    view = parse_node(cid, block)
    found: dict[str, Any]
    if isinstance(view, FileView):
        found = {
            "kind": "file",
            "size": view.size,
            "children": [[str(child), length] for child, length in view.children],
        }
    elif isinstance(view, FolderView):
        found = {"kind": "folder", "names": [entry.name.decode() for entry in view.entries]}
    elif isinstance(view, ShardView):
        found = {"kind": "shard", "names": [entry.name.decode() for entry in view.entries], "shards": len(view.shards)}
    else:
        assert isinstance(view, SymlinkView)
        found = {"kind": "symlink", "target": view.target.decode()}
    assert found == vector["view"]


@pytest.mark.parametrize("vector", VECTORS["invalid"], ids=lambda vector: vector["what"])
def test_invalid_nodes(vector: dict[str, Any]) -> None:
    cid, block = Cid.parse(vector["cid"]), bytes.fromhex(vector["block"])
    assert verify_block(cid, block)
    with pytest.raises(DecodeError):
        parse_node(cid, block)
