"""Which files of a content somebody chose: paths of files, or of folders with everything below them. Pure.

Called by services.fetch when the skeleton is known; transfers remember a selection as the list of paths it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from p2pnode.core.layout import Skeleton
from p2pnode.errors import NotFoundError, UsageError

MAX_CHOSEN = 256
"""Paths in one selection: it is remembered, and shown."""

Selection = tuple[str, ...] | None
"""Relative paths, cleaned; None: everything; (): nothing."""


def selection(paths: Iterable[str]) -> Selection:
    """What a person named, cleaned: "./a//b/" is "a/b", the content itself is everything. UsageError: too many, or out of it."""
    chosen: dict[str, None] = {}
    for path in paths:
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise UsageError(f"{path!r} leads out of the work", hint="p2pnode show WORK lists what there is")
        if not parts:
            return None
        chosen["/".join(parts)] = None
    if len(chosen) > MAX_CHOSEN:
        raise UsageError(f"{len(chosen)} paths are chosen, at most {MAX_CHOSEN} can be", hint="choose whole folders")
    return tuple(chosen)


def both(one: Selection, other: Selection) -> Selection:
    """Everything that either of the two chose."""
    if one is None or other is None:
        return None
    return tuple(dict.fromkeys((*one, *other)))[: 2 * MAX_CHOSEN]


def chosen_files(skeleton: Skeleton, chosen: Selection) -> set[int]:
    """Indices of the chosen files. NotFoundError for a path that names nothing, UsageError for a link and nothing else."""
    if chosen is None:
        return set(range(len(skeleton.files)))
    found = dict.fromkeys(chosen, False)
    indices: set[int] = set()
    for index, file in enumerate(skeleton.files):
        for path in _above(file.path) if found else ():
            if path in found:
                found[path] = True
                indices.add(index)
    _check(skeleton, [path for path, is_there in found.items() if not is_there])
    return indices


def chosen_folders(skeleton: Skeleton, chosen: Selection) -> list[str]:
    """The chosen folders with all below them, and those on the way to what was chosen; the top one first."""
    if chosen is None:
        return list(skeleton.folders)
    above = {folder for path in chosen for folder in _above(path)[:-1]}
    return [path for path in skeleton.folders if not path or path in above or is_chosen(path, chosen)]


def is_chosen(path: str, chosen: Selection) -> bool:
    """Whether one path is among what was chosen, or below it."""
    return chosen is None or not set(_above(path)).isdisjoint(chosen)


def _above(path: str) -> Sequence[str]:
    """The path and every folder on the way to it."""
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _check(skeleton: Skeleton, unfound: Sequence[str]) -> None:
    for path in unfound:
        if path in skeleton.folders:
            continue  # an empty one
        if any(link == path for link, _ in skeleton.symlinks):
            raise UsageError(f"{path!r} is a symbolic link; links are not fetched")
        raise NotFoundError(f"there is no {path!r} in this work", hint="p2pnode show WORK lists what there is")
