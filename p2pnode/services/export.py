"""The journey "get -o": a complete content written out to a path of the user's, as files that are his.

What the store owns is reflinked where the file system can; everything else is read block by block, hashed by the store, and written.
Symlinks are not created. Nothing is overwritten, and a path appears only when it is whole. Called by the transfers service.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import trio

from p2pnode.core.cid import Cid
from p2pnode.core.dag import inline_block
from p2pnode.core.layout import Skeleton, SkeletonFile
from p2pnode.core.leaf import leaf_data
from p2pnode.core.skeleton import inline_bytes
from p2pnode.errors import NotFoundError, RefusedError, StoreError
from p2pnode.local.output import Output, clone
from p2pnode.ports import Content, Store
from p2pnode.services.selection import Selection, chosen_files, chosen_folders
from p2pnode.services.walk import read_skeleton


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written; `renamed` are names that were not safe as they stood, `symlinks` links that were left out."""

    path: str
    size: int
    files: int
    renamed: tuple[tuple[bytes, str], ...]
    symlinks: tuple[str, ...]


async def export(store: Store, root: Cid, path: str, *, only: Selection = None) -> Exported:
    """Write the content, or what is chosen of it, out to the absolute `path`.

    NotFoundError: not held whole; RefusedError: the path exists; StoreError: the disk.
    """
    content = await store.read(lambda tx: tx.content(root))
    if content is None or (content.state != "complete" and only is None):
        raise NotFoundError(f"{root} is not here in full", hint="fetch it first")
    output = await trio.to_thread.run_sync(Output, path)
    skeleton = await read_skeleton(store, root)
    if not skeleton.files and not skeleton.folders:
        raise RefusedError(f"{root} is a symbolic link and nothing else: links are not written out")
    files = [skeleton.files[index] for index in sorted(chosen_files(skeleton, only))]
    try:
        for folder in chosen_folders(skeleton, only):
            await trio.to_thread.run_sync(output.make_folder, folder)
        for file in files:
            await _write(store, content, skeleton, file, output)
        await trio.to_thread.run_sync(output.finish)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(output.abandon)  # nothing is left of it after `finish`
    links = tuple(link for link, _ in skeleton.symlinks)
    return Exported(output.path, sum(file.size for file in files), len(files), skeleton.renamed, links)


async def _write(store: Store, content: Content, skeleton: Skeleton, file: SkeletonFile, output: Output) -> None:
    target = await trio.to_thread.run_sync(output.create, file.path)
    try:
        if content.owned:
            source = os.path.join(content.base, file.path) if file.path else content.base
            if await trio.to_thread.run_sync(clone, source, target, file.size):
                return
        await trio.to_thread.run_sync(os.ftruncate, target, file.size)
        for cid, offset, length in file.inline:
            await _write_at(target, inline_bytes(skeleton, cid), offset, length)
        for cid, offset, length in file.leaves:
            await _write_at(target, leaf_data(cid, await _block(store, cid)), offset, length)
    finally:
        os.close(target)


async def _write_at(target: int, data: bytes, offset: int, length: int) -> None:
    if len(data) != length:
        raise StoreError(f"a leaf has {len(data)} bytes where its tree says {length}: the work is damaged")
    await trio.to_thread.run_sync(_write_all, target, data, offset)


def _write_all(target: int, data: bytes, offset: int) -> None:
    os.lseek(target, offset, os.SEEK_SET)
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]


async def _block(store: Store, cid: Cid) -> bytes:
    carried = inline_block(cid)
    block = await store.read_block(cid) if carried is None else carried
    if block is None:
        raise NotFoundError(f"block {cid} is not here any more", hint="fetch the work again")
    return block
