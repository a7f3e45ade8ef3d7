"""The flow behind a verdict as a user sees it: a tree in the terminal, a drawing in a file. Called by `p2pnode explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from p2pnode.core.text import safe
from p2pnode.errors import NotFoundError


def print_tree(answer: dict[str, Any]) -> None:
    """Which steward stands behind which ballot; a sentence where nobody has voted."""
    lines = answer.get("picture") or ["Nobody has voted, so there is nothing to draw."]
    print()
    for line in lines:
        text = str(line)
        indent = len(text) - len(text.lstrip(" "))
        print(" " * indent + safe(text[indent:]))


def write_drawing(path: str, drawing: Any) -> None:
    """Write the drawing to a file, replacing it. NotFoundError if nobody has voted; OSError if it cannot be written."""
    if not isinstance(drawing, str):
        raise NotFoundError("nobody has voted on it, so there is nothing to draw", hint="vote first: p2pnode vote")
    Path(path).write_text(drawing, encoding="utf-8")
