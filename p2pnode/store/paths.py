"""Names that may come from strangers, before they touch the library folder.

Fetching escapes names for people first; what arrives here is checked again, because a mistake there must not become a file
outside the library. Pure text work; `store.library` adds the guards of the file system.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from p2pnode.errors import RefusedError
from p2pnode.ports import WantedFile

MAX_DEPTH = 64
"""Folders in one path: the same bound that walks of a DAG keep."""
MAX_NAME_BYTES = 255
"""Bytes of one name: what common file systems take."""
MAX_TITLE_BYTES = 120
"""Bytes of the name a fetched work gets in the library: leaves room for " (12)" and is still readable."""
INCOMING_PREFIX = ".incoming-"
"""How unfinished fetches are named in the library; nothing else there may begin so."""

_WINDOWS_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{p}{n}" for p in ("com", "lpt") for n in range(1, 10))})


def check_files(files: Sequence[WantedFile], folders: Sequence[str]) -> None:
    """RefusedError unless every path stays below its base, no two collide, and leaves cover each file without a gap."""
    paths = [file.path for file in files]
    if len(set(paths)) != len(paths):
        raise RefusedError("two files of this content have the same path")
    if paths != [""]:
        inner = [folder for folder in folders if folder]  # "" is the base itself
        for path in (*paths, *inner):
            _check_path(path)
        if not folders_above((*paths, *(f"{folder}/." for folder in inner))).isdisjoint(paths):
            raise RefusedError("this content uses one path as a file and as a folder")
    for file in files:
        _check_pieces(file)


def _check_path(path: str) -> None:
    parts = path.split("/")
    bad = [part for part in parts if part in ("", ".", "..") or "\0" in part or "\\" in part]
    if bad or len(parts) > MAX_DEPTH or any(len(p.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES for p in parts):
        raise RefusedError(f"{path[:200]!r} is not a path that may be written")


def folders_above(paths: Iterable[str]) -> set[str]:
    """Every folder on the way to these relative paths; not the top itself."""
    folders: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    return folders


def _check_pieces(file: WantedFile) -> None:
    leaves = [(offset, length) for _, offset, length in file.leaves]
    inline = [(offset, len(data)) for offset, data in file.inline]
    end = 0
    for offset, length in sorted(leaves + inline):
        if offset != end or length < 0:
            raise RefusedError(f"the leaves of {file.path[:200]!r} do not follow each other")
        end += length
    if end != file.size:
        raise RefusedError(f"the leaves of {file.path[:200]!r} hold {end} bytes, its size is given as {file.size}")


def safe_name(title: str) -> str:
    """A file name that every common system takes, from any text."""
    kept = "".join("_" if _is_unsafe(c) else c for c in unicodedata.normalize("NFC", title)).strip(" .")
    while len(kept.encode()) > MAX_TITLE_BYTES:
        kept = kept[:-1]
    kept = kept.rstrip(" .") or "work"
    return f"_{kept}" if kept.split(".")[0].lower() in _WINDOWS_DEVICES else kept


def _is_unsafe(character: str) -> bool:
    return character in '/\\:*?"<>|' or unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def numbered(name: str, number: int) -> str:
    """The n-th try for a unique name: "tale.txt", "tale (2).txt", ..."""
    if number == 1:
        return name
    stem, dot, suffix = name.rpartition(".")
    return f"{stem} ({number}).{suffix}" if stem and dot and len(suffix) <= 5 else f"{name} ({number})"
