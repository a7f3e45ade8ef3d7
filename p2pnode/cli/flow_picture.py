"""The flow behind a verdict as a user sees it: a tree in the terminal, a drawing in a file. Called by `p2pnode explain`."""

from __future__ import annotations

import os
from typing import Any

from p2pnode.core.text import safe
from p2pnode.errors import NotFoundError, RefusedError


def print_tree(answer: dict[str, Any]) -> None:
    """Which steward stands behind which ballot; a sentence where nobody has voted."""
    lines = answer.get("picture") or ["Nobody has voted, so there is nothing to draw."]
    print()
    for line in lines:
        text = str(line)
        indent = len(text) - len(text.lstrip(" "))
        print(" " * indent + safe(text[indent:]))


def refuse_taken(path: str) -> None:
    """RefusedError if something is there already, before anybody is asked for a drawing: as all commands of ours that write a file."""
    if os.path.lexists(path):
        raise RefusedError(f"{path} is there already", hint="give a path that is free: nothing is overwritten")


def write_drawing(path: str, drawing: Any) -> None:
    """Write the drawing to a new file. NotFoundError if nobody has voted; RefusedError, OSError if it cannot be written."""
    if not isinstance(drawing, str):
        raise NotFoundError("nobody has voted on it, so there is nothing to draw", hint="vote first: p2pnode vote")
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(drawing)
    except FileExistsError:
        refuse_taken(path)
        raise
