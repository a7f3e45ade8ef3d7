"""Comparing folders byte by byte."""

from __future__ import annotations

import filecmp
from pathlib import Path


def regular_files(root: Path) -> dict[str, Path]:
    """Regular files under a folder by their relative path; a lone file under the empty path."""
    if root.is_file():
        return {"": root}
    return {str(p.relative_to(root)): p for p in root.rglob("*") if p.is_file() and not p.is_symlink()}


def assert_same_tree(one: Path, other: Path) -> None:
    """Both hold the same regular files with the same bytes."""
    first, second = regular_files(one), regular_files(other)
    assert first, f"{one} holds no file"
    assert set(first) == set(second)
    for name, path in first.items():
        assert filecmp.cmp(path, second[name], shallow=False), f"{name} differs"
