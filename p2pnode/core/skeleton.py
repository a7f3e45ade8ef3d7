"""The skeleton of a content: every interior node of its DAG, walked before a single leaf is asked for.

A sans-IO object: it says which blocks it needs, is fed them in any order, and at the end lists files, folders and symlinks with
safe paths. It never follows a symlink, never recurses, and stops at the first limit: a stranger made this tree. Whether a leaf has
the length its parent claims, and is one, shows only when its bytes come; the fetch service checks that. Leaves are raw blocks and
dag-pb nodes without links (core.leaf): their bytes are not held here. Called by services.fetch.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass

from p2pnode.core.cid import RAW, Cid
from p2pnode.core.dag import (
    FileView,
    FolderView,
    NodeView,
    RawView,
    ShardView,
    SymlinkView,
    inline_block,
    parse_node,
    verify_block,
)
from p2pnode.core.dagpb import Link
from p2pnode.core.layout import FileNode, FolderNode, Piece, Skeleton, SymlinkNode, lay_out
from p2pnode.core.leaf import may_wait, wrapped_bytes
from p2pnode.core.unixfs import EMPTY_LEAF
from p2pnode.errors import DecodeError, RefusedError
from p2pnode.limits import GIB, MAX_BLOCK_BYTES, MIB

STEP_VISITS = 4096
"""Links walked in one call, about: some ten milliseconds. Folders that are linked many times could otherwise hold up a whole node."""
MAX_DEPTH = 64
"""Folders and file nodes above one another."""
MAX_HAMT_LEVELS = 8
"""Shards of one folder above one another: 64 bits of hash, eight a level."""
MAX_VISITS = 1 << 20
"""Links walked, shared subtrees counted each time: a million files, or one of a tebibyte, in about 400 MB at worst."""
INTERIOR_FLAT_BYTES = MIB
"""Interior bytes that any content may have."""
INTERIOR_SHARE = 1000
"""... plus a thousandth of its size (ours need a twenty-thousandth) ..."""
INTERIOR_ENTRY_BYTES = 512
"""... plus this much for each entry of a folder: a 255-byte name and its link."""
MAX_INTERIOR_BYTES = 128 * MIB
"""Interior bytes in any case: they are held in memory while the content is looked at."""
MAX_INLINE_BYTES = 32 * MIB
"""Bytes of file inside nodes that have links, too (hardly anybody writes them): held in memory, and kept as rows."""
PARSED_NODES = 64
"""Nodes kept parsed for when they are linked again."""
MAX_CONTENT_BYTES = 64 * 1024 * GIB
"""Declared size that is taken seriously when the caller names no quota."""


@dataclass(slots=True, eq=False)
class _Visit:
    """Why a block is wanted: as an entry `name` of `folder`, as a shard of `folder` (level > 0), or as a part of `file`."""

    cid: Cid
    depth: int
    folder: FolderNode | None = None
    name: bytes = b""
    level: int = 0
    file: FileNode | None = None
    offset: int = 0
    size: int = 0
    in_identity: bool = False


class SkeletonWalk:
    """Feed it the blocks it wants until `done`, then take `result`. DecodeError: the tree is malformed; RefusedError: over a limit."""

    def __init__(self, root: Cid, *, max_bytes: int = MAX_CONTENT_BYTES) -> None:
        self._root = root
        self.max_bytes = max_bytes
        self._top = FolderNode()
        self._waiting: dict[Cid, list[_Visit]] = {}
        self._unasked: deque[Cid] = deque()
        self._ready: list[tuple[_Visit, NodeView]] = []
        self._leaves: dict[Cid, int] = {}
        self._parsed: OrderedDict[Cid, NodeView] = OrderedDict()
        self._blocks: dict[Cid, bytes] = {}
        self._size = self._entries = self._visits = self._interior_bytes = self._inline_bytes = 0
        self._visit(_Visit(root, 1, folder=self._top))
        self.step()

    @property
    def done(self) -> bool:
        """Whether every interior node was seen."""
        return not self._waiting and not self._ready

    @property
    def busy(self) -> bool:
        """Whether `step` has something to do: call it again and again, and let others run in between."""
        return bool(self._ready)

    @property
    def visits(self) -> int:
        """Links walked so far."""
        return self._visits

    @property
    def size(self) -> int:
        """Bytes of file declared by the nodes seen so far."""
        return self._size

    def is_leaf(self, cid: Cid) -> bool:
        """Whether this block was fed and is a leaf: its bytes were let go."""
        return cid in self._leaves

    def wanted(self, limit: int) -> list[Cid]:
        """Up to `limit` blocks that are needed next; each is named once, asking again is the caller's."""
        return [self._unasked.popleft() for _ in range(min(limit, len(self._unasked)))]

    def feed(self, cid: Cid, block: bytes) -> bool:
        """A block that was wanted. False if these are not the CID's bytes (who sent them lied); what is not waited for is ignored."""
        if cid not in self._waiting:
            return True
        if not verify_block(cid, block):
            return False
        view = parse_node(cid, block)
        if isinstance(view, FileView) and view.data and not view.children:
            self._interior_bytes += len(block) - len(view.data)
            view = RawView(len(view.data))
        if isinstance(view, RawView):
            self._leaves[cid] = view.length
        else:
            self._remember(cid, view)
            self._blocks[cid] = block
            self._interior_bytes += len(block) - (len(view.data) if isinstance(view, FileView) else 0)
        self._ready.extend((visit, view) for visit in self._waiting.pop(cid))
        self.step()
        return True

    def step(self) -> None:
        """Walk on through what is known already."""
        limit = self._visits + STEP_VISITS
        while self._ready and self._visits < limit:
            visit, view = self._ready.pop()
            if visit.file is not None:
                self._part(visit, visit.file, view)
            elif visit.folder is not None:
                self._entry(visit, visit.folder, view)
            self._check_budget()

    def result(self) -> Skeleton:
        """The finished skeleton, entries sorted by name bytes."""
        if not self.done:
            raise DecodeError("the skeleton is not complete yet")
        return lay_out(self._root, self._size, self._top, self._blocks)

    # -------------------------------------------------------------- walking

    def _visit(self, visit: _Visit) -> None:
        self._visits += 1
        if self._visits > MAX_VISITS:
            raise RefusedError(f"this content has more than {MAX_VISITS} parts")
        if visit.depth > MAX_DEPTH or visit.level > MAX_HAMT_LEVELS:
            raise RefusedError(f"this content is nested deeper than {MAX_DEPTH} levels ({MAX_HAMT_LEVELS} of shards)")
        view = self._known(visit.cid)
        if view is None and (inline := inline_block(visit.cid)) is not None:
            if visit.in_identity:
                raise DecodeError("an identity CID inside an identity CID")
            view = parse_node(visit.cid, inline)
            visit.in_identity = True
        if view is not None:
            self._ready.append((visit, view))
        elif visit.cid in self._waiting:
            self._waiting[visit.cid].append(visit)
        else:
            self._waiting[visit.cid] = [visit]
            self._unasked.append(visit.cid)

    def _known(self, cid: Cid) -> NodeView | None:
        """What a block says that was seen already; parsed again unless that was lately: all of them would fill the memory."""
        if cid in self._leaves:
            return RawView(self._leaves[cid])
        if cid not in self._blocks:
            return None
        view = self._parsed.get(cid)
        if view is None:
            view = parse_node(cid, self._blocks[cid])
            self._remember(cid, view)
        return view

    def _remember(self, cid: Cid, view: NodeView) -> None:
        self._parsed[cid] = view
        while len(self._parsed) > PARSED_NODES:
            self._parsed.popitem(last=False)

    def _check_budget(self) -> None:
        if self._size > self.max_bytes:
            raise RefusedError(f"this content declares {self._size} bytes; at most {self.max_bytes} can be taken")
        allowed = INTERIOR_FLAT_BYTES + self._size // INTERIOR_SHARE + INTERIOR_ENTRY_BYTES * self._entries
        if self._interior_bytes > min(allowed, MAX_INTERIOR_BYTES):
            raise RefusedError(
                f"this content has {self._interior_bytes} bytes of inner nodes for {self._size} of files"
            )
        if self._inline_bytes > MAX_INLINE_BYTES:
            raise RefusedError(f"this content keeps more than {MAX_INLINE_BYTES} bytes of files inside its nodes")

    def _entry(self, visit: _Visit, folder: FolderNode, view: NodeView) -> None:
        """A whole file, folder or symlink, or one more shard of a folder."""
        if visit.level and not isinstance(view, ShardView):
            raise DecodeError(f"{visit.cid} stands in a sharded folder as a shard, but is none")
        if isinstance(view, ShardView):
            self._shard(visit, folder, view)
        elif isinstance(view, FolderView):
            self._folder_entries(visit, _subfolder(visit, folder), view.entries)
        elif isinstance(view, SymlinkView):
            folder.entries.append((visit.name, visit.cid, SymlinkNode(view.target)))
        elif isinstance(view, RawView):
            self._add_raw(folder, visit.name, visit.cid, view.length)
        else:
            self._size += view.size
            file = FileNode(view.size)
            folder.entries.append((visit.name, visit.cid, file))
            self._part(visit, file, view)

    def _shard(self, visit: _Visit, folder: FolderNode, view: ShardView) -> None:
        level = visit.level or 1
        target = folder if visit.level else _subfolder(visit, folder)
        self._folder_entries(visit, target, view.entries)
        for cid in view.shards:
            self._visit(_Visit(cid, visit.depth, target, level=level + 1, in_identity=visit.in_identity))

    def _folder_entries(self, visit: _Visit, folder: FolderNode, links: tuple[Link, ...]) -> None:
        self._entries += len(links)
        for link in links:
            # A raw leaf's Tsize is its length: it need not be fetched to be laid out. Some importers write 0; then it must.
            if link.cid.codec == RAW and (link.tsize or link.cid == EMPTY_LEAF) and inline_block(link.cid) is None:
                self._count_leaf(visit.depth)
                self._add_raw(folder, link.name, link.cid, link.tsize or 0)
            else:
                self._visit(_Visit(link.cid, visit.depth + 1, folder, link.name, in_identity=visit.in_identity))

    def _part(self, visit: _Visit, file: FileNode, view: NodeView) -> None:
        """A node inside a file: note its own bytes, go on to its children."""
        if isinstance(view, RawView):
            view = FileView(view.length, b"", ((visit.cid, view.length),), (wrapped_bytes(view.length),))
        if not isinstance(view, FileView):
            raise DecodeError(f"{visit.cid} is part of a file, but is no file")
        if visit.file is not None and view.size != visit.size:
            raise DecodeError(f"{visit.cid} holds {view.size} bytes where {visit.size} were declared")
        offset = visit.offset
        if view.data:
            if file.inline is None:
                file.inline = []
            file.inline.append((visit.cid, offset, len(view.data)))
            self._inline_bytes += len(view.data)
            offset += len(view.data)
        for (cid, length), tsize in zip(view.children, view.tsizes, strict=True):
            if length and may_wait(cid, length, tsize):
                self._count_leaf(visit.depth)
                file.leaves.append(_leaf(cid, offset, length))
            elif length:
                self._visit(
                    _Visit(cid, visit.depth + 1, file=file, offset=offset, size=length, in_identity=visit.in_identity)
                )
            offset += length

    def _add_raw(self, folder: FolderNode, name: bytes, cid: Cid, length: int) -> None:
        self._size += length
        _leaf(cid, 0, length)
        folder.entries.append((name, cid, length))

    def _count_leaf(self, depth: int) -> None:
        self._visits += 1
        if self._visits > MAX_VISITS or depth >= MAX_DEPTH:
            raise RefusedError(f"this content has more than {MAX_VISITS} parts or {MAX_DEPTH} levels")


def _subfolder(visit: _Visit, parent: FolderNode) -> FolderNode:
    folder = FolderNode()
    parent.entries.append((visit.name, visit.cid, folder))
    return folder


def _leaf(cid: Cid, offset: int, length: int) -> Piece:
    if length > MAX_BLOCK_BYTES:
        raise DecodeError(f"{cid} is declared to be {length} bytes, over the limit of a block")
    return cid, offset, length


def inline_bytes(skeleton: Skeleton, cid: Cid) -> bytes:
    """The bytes of file that an interior node, or an identity CID, carries itself: one of a file's `inline` pieces."""
    carried = inline_block(cid)
    view = parse_node(cid, skeleton.blocks[cid] if carried is None else carried)
    assert isinstance(view, FileView)
    return view.data
