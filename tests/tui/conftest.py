"""A home in a temporary folder, and scripted nodes on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from p2pnode.config import Home
from tests.tui import world
from tests.tui.scripted_node import ScriptedNode

Scripted = Callable[..., ScriptedNode]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def scripted(home: Home) -> Iterator[Scripted]:
    """Start a scripted node on `home`: `scripted("filled")`, or with other answers: `scripted("filled", **{"work.get": ...})`."""
    with ExitStack() as stack:

        def start(name: str = "filled", answers: dict[str, Any] | None = None) -> ScriptedNode:
            return stack.enter_context(ScriptedNode(home, getattr(world, name)() | (answers or {})))

        yield start
