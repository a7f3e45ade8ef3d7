"""From a walked tree to paths: the last step of core.skeleton. Names come from strangers, paths that leave here are safe.

Pure and iterative. Entries of a folder are sorted by name bytes (then CID), so that every node gives the same paths to one DAG.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from p2pnode.core.cid import Cid
from p2pnode.core.names import safe_names
from p2pnode.errors import RefusedError
from p2pnode.limits import KIB, MIB

MAX_PATH_BYTES = 4 * KIB
"""Bytes of one relative path: what Linux takes."""
MAX_PATHS_BYTES = 64 * MIB
"""Bytes of all paths together: folders that are linked many times can multiply long names."""

Piece = tuple[Cid, int, int]
"""(cid, offset in the file, length): a leaf, or data inside an interior node."""


@dataclass(frozen=True, slots=True)
class SkeletonFile:
    """One file. `leaves` are blocks to fetch (core.leaf); `inline` are pieces that lie in interior nodes already. Both by offset."""

    path: str
    size: int
    leaves: tuple[Piece, ...]
    inline: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A whole content. Paths are relative, safe and unique; "" is the root itself. `renamed`: (claimed name, path it got)."""

    root: Cid
    size: int
    files: tuple[SkeletonFile, ...]
    folders: tuple[str, ...]
    symlinks: tuple[tuple[str, bytes], ...]
    renamed: tuple[tuple[bytes, str], ...]
    blocks: dict[Cid, bytes]


@dataclass(slots=True, eq=False)
class FileNode:
    """A file while it is walked: pieces in any order."""

    size: int
    leaves: list[Piece] = field(default_factory=list)
    inline: list[Piece] | None = None


@dataclass(slots=True, eq=False)
class SymlinkNode:
    """A symbolic link: its target, not followed."""

    target: bytes


@dataclass(slots=True, eq=False)
class FolderNode:
    """A folder while it is walked: (name, CID, node) from all of its shards, in any order.

    A number for a node is a file of so many bytes that is one leaf: most files are, and so they cost the least memory.
    """

    entries: list[tuple[bytes, Cid, Node]] = field(default_factory=list)


Node = FileNode | FolderNode | SymlinkNode | int


def lay_out(root: Cid, size: int, top: FolderNode, blocks: dict[Cid, bytes]) -> Skeleton:
    """The skeleton of what `top` holds as its only, nameless entry. RefusedError when paths grow over their limits."""
    files: list[SkeletonFile] = []
    folders: list[str] = []
    symlinks: list[tuple[str, bytes]] = []
    renamed: list[tuple[bytes, str]] = []
    path_bytes = 0
    todo: list[tuple[str, Cid, Node]] = [("", root, top.entries[0][2])]
    while todo:
        path, cid, node = todo.pop()
        encoded = len(path.encode())
        path_bytes += encoded
        if encoded > MAX_PATH_BYTES or path_bytes > MAX_PATHS_BYTES:
            raise RefusedError(f"this content has paths over {MAX_PATH_BYTES} bytes, or {MAX_PATHS_BYTES} together")
        if isinstance(node, int):
            files.append(SkeletonFile(path, node, ((cid, 0, node),), ()))
        elif isinstance(node, FileNode):
            files.append(SkeletonFile(path, node.size, _in_order(node.leaves), _in_order(node.inline or [])))
        elif isinstance(node, SymlinkNode):
            symlinks.append((path, node.target))
        else:
            folders.append(path)
            todo.extend(_children(path, node, renamed))
            node.entries = []  # each is laid out once: what is done need not be held twice
    return Skeleton(root, size, tuple(files), tuple(folders), tuple(symlinks), tuple(renamed), blocks)


def _children(path: str, folder: FolderNode, renamed: list[tuple[bytes, str]]) -> list[tuple[str, Cid, Node]]:
    """Last first: the caller takes from the end."""
    entries = sorted(folder.entries, key=lambda entry: (entry[0], entry[1]))
    children = []
    for (claimed, cid, node), name in zip(entries, safe_names([entry[0] for entry in entries]), strict=True):
        child = f"{path}/{name}" if path else name
        if name.encode() != claimed:
            renamed.append((claimed, child))
        children.append((child, cid, node))
    children.reverse()
    return children


def _in_order(pieces: list[Piece]) -> tuple[Piece, ...]:
    return tuple(sorted(pieces, key=lambda piece: piece[1]))
