"""Names for files: safe on every common system, whatever a title says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from p2pnode.store.library import Library
from p2pnode.store.paths import MAX_TITLE_BYTES, folders_above, numbered, safe_name


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("A tale", "A tale"),
        ("a/b\\c:d", "a_b_c_d"),
        ("..", "work"),
        ("", "work"),
        (".incoming-x", "incoming-x"),
        ("con.txt", "_con.txt"),
        ("a\0b\nc\u202ed", "a_b_c_d"),
        ("x. . ", "x"),
        ("e\u0301", "é"),
        ("名" * 100, "名" * 40),
    ],
)
def test_safe_names(title: str, name: str) -> None:
    assert safe_name(title) == name


@given(st.text(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_title_gives_a_name_that_can_be_a_file_directly_in_a_folder(tmp_path: Path, title: str) -> None:
    name = safe_name(title)
    assert len(name.encode()) <= MAX_TITLE_BYTES + 1
    assert not name.startswith(".") and os.sep not in name
    path = tmp_path / name
    path.write_bytes(b"")
    assert path.parent == tmp_path
    path.unlink()


def test_numbered_names_keep_their_suffix() -> None:
    assert [numbered("tale.txt", n) for n in (1, 2, 3)] == ["tale.txt", "tale (2).txt", "tale (3).txt"]
    assert numbered("St. Petersburg", 2) == "St. Petersburg (2)"
    assert numbered("tale", 2) == "tale (2)"


def test_folders_above() -> None:
    assert folders_above(["a/b/c", "a/d", "e"]) == {"a", "a/b"}


@pytest.mark.parametrize("path", ["/abs", "../x", "a/../../x", "a/..", "", "a/", "x\0y"])
def test_the_library_itself_refuses_what_leads_outside(tmp_path: Path, path: str) -> None:
    library = Library(str(tmp_path / "library"))
    with pytest.raises((OSError, ValueError)):
        library.write(path, 1, [(0, b"x")])
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_linked_folder_inside_the_library_is_not_followed(tmp_path: Path) -> None:
    library = Library(str(tmp_path / "library"))
    (tmp_path / "outside").mkdir()
    (tmp_path / "library" / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(OSError):
        library.write("link/x", 1, [(0, b"x")])
    (tmp_path / "outside" / "precious").write_bytes(b"x")
    library.unlink(["link/precious", "link"])
    assert (tmp_path / "outside" / "precious").exists()


def test_more_files_than_are_synced_one_by_one(tmp_path: Path) -> None:
    library = Library(str(tmp_path / "library"))
    paths = [f"{n % 9}/{n}" for n in range(100)]
    for path in paths:
        library.write(path, 1, [(0, b"x")])
    library.sync(paths)
    library.sync(paths[:3])
    with pytest.raises(OSError):
        library.sync(["not/there"])
