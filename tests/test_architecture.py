"""The directions between the rooms, checked on our own files and once at run time."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "p2pnode"
IMPURE = {"trio", "asyncio", "libp2p", "sqlite3", "socket", "os", "time", "random", "secrets", "textual"}


def imported_names(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""


def files_of(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def test_the_core_imports_nothing_impure() -> None:
    for path in files_of("core"):
        tops = {name.partition(".")[0] for name in imported_names(path)}
        assert not tops & IMPURE, f"{path.name} imports {tops & IMPURE}"


def test_only_net_imports_libp2p() -> None:
    for path in ROOT.rglob("*.py"):
        if "net" not in path.relative_to(ROOT).parts:
            assert not any(name.partition(".")[0] == "libp2p" for name in imported_names(path)), path


def test_nothing_that_ships_imports_the_tests_or_scripts() -> None:
    for path in ROOT.rglob("*.py"):
        assert not {"tests", "scripts"} & {name.partition(".")[0] for name in imported_names(path)}, path


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("p2pnode.core.verdict", {"trio", "asyncio", "libp2p", "sqlite3", "textual", "click"}),
        ("p2pnode.core.unixfs", {"trio", "asyncio", "libp2p", "sqlite3", "textual", "click"}),
        ("p2pnode.services.api", {"libp2p", "sqlite3", "textual", "click"}),
        ("p2pnode.cli.main", {"trio", "libp2p", "sqlite3", "textual"}),
        ("p2pnode.control.blocking", {"trio", "libp2p", "asyncio", "textual"}),
        ("p2pnode.control.aio", {"trio", "libp2p", "textual"}),
        ("p2pnode.store.sqlite", {"libp2p", "textual"}),
    ],
)
def test_importing_a_room_does_not_load_what_it_must_not_know(module: str, forbidden: set[str]) -> None:
    code = f"import sys, {module}; print(*sorted({forbidden!r} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not loaded, f"{module} loads {loaded}"
