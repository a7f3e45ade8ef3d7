"""The form to publish a file or folder. What it signs, and as whom, stands on its button."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from textual import on
from textual.suggester import Suggester, SuggestFromList
from textual.widget import Widget
from textual.widgets import Input, Select

from p2pnode.core.device_path import remote_path
from p2pnode.errors import UsageError
from p2pnode.tui import words
from p2pnode.tui.modals.form import Form, TextField, choice, field_row
from p2pnode.tui.text import clean, clip, marked
from p2pnode.tui.words import Answer, number

PUBLIC, PRIVATE = "public", "private"
ENTRIES_LOOKED_AT = 5000
"""Names of one folder that completion looks through: typing must never wait for a disk."""
NAME_SHOWN_CELLS = 28
"""Cells for one name on a button."""


class PathSuggester(Suggester):
    """Completes the last part of a path from the folder it lies in."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        return await asyncio.to_thread(_complete, value) if value else None


def _complete(value: str) -> str | None:
    folder, start = os.path.split(value)
    try:
        with os.scandir(os.path.expanduser(folder or ".")) as entries:
            found = [
                entry.name + (os.sep if entry.is_dir() else "")
                for _, entry in zip(range(ENTRIES_LOOKED_AT), entries, strict=False)
                if entry.name.startswith(start) and (start or not entry.name.startswith("."))
            ]
    except OSError:
        return None
    best = min(found, default=None)
    return os.path.join(folder, best) if best else None


class PublishForm(Form):
    """Dismissed with the answer of work.publish."""

    HEADING = "Publish a file or folder"
    METHOD = "work.publish"
    HELP_TEXT = (
        "The files stay where they are and are published in place. → takes a suggested path. "
        "Enter goes to the next field, ctrl+s publishes, esc leaves."
    )

    def __init__(self) -> None:
        super().__init__()
        self._own_title = ""

    def fields(self) -> Iterator[Widget]:
        circles = [(f"in {marked(name) or words.short_id(id)}", id) for id, name in self.node_app.my_circles.items()]
        where = [("public, for everybody", PUBLIC), *circles, ("private, only on this machine", PRIVATE)]
        yield field_row("Path", TextField(id="path", placeholder="a file or folder", suggester=PathSuggester()))
        yield field_row("Title", TextField(id="title", placeholder="what people will search for"))
        yield field_row(
            "Kind", TextField(id="kind", placeholder="book, paper, course …", suggester=_words(words.KINDS))
        )
        yield field_row("Licence", TextField(id="licence", placeholder="CC-BY-4.0 …", suggester=_words(words.LICENCES)))
        yield field_row("Creators", TextField(id="creators", placeholder="names, separated by commas"))
        yield field_row("Tags", TextField(id="tags", placeholder="words, separated by commas"))
        yield field_row("Summary", TextField(id="summary", placeholder="one or two sentences"))
        yield field_row("Where", choice(where, id="where", value=PUBLIC))

    def collect(self) -> dict[str, Any]:
        path = self._path(self.required("path", "the path"))
        params: dict[str, Any] = {"path": path, "title": self.required("title", "the title")}
        params |= {id: self.text_of(id) for id in ("kind", "licence", "summary") if self.text_of(id)}
        params["creators"] = [{"name": name} for name in _list(self.text_of("creators"))]
        params["tags"] = _list(self.text_of("tags"))
        if (where := self.chosen("where")) == PRIVATE:
            params["private"] = True
        elif where != PUBLIC:
            params["circle"] = where
        return params

    def _path(self, typed: str) -> str:
        if (device := self.node_app.node.device) is not None:
            return remote_path(typed, device)
        path = Path(os.path.abspath(os.path.expanduser(typed)))
        if not path.exists():
            raise UsageError(f"nothing lies at {path}")
        return str(path)

    def signing_circle(self) -> str | None:
        where = self.chosen("where") if self.ready else PUBLIC
        return "" if where in (PUBLIC, PRIVATE) else where

    def label(self) -> str:
        where = self.chosen("where") if self.ready else PUBLIC
        if where == PRIVATE:
            return "Keep private"
        name = clip(self.signer_name(), NAME_SHOWN_CELLS)
        return f"Publish as {name}" if where == PUBLIC else f"Publish and propose as {name}"

    def explain(self) -> str:
        where = self.chosen("where")
        if where == PRIVATE:
            return "Nobody is told about it. The manifest stays on this machine, signed by your profile key."
        if where == PUBLIC:
            key = words.short_id(self.signer.get("profile_key", ""))
            return f"You sign its manifest with your profile key {key}. Everybody can find and fetch it."
        return (
            f"You sign as {self.signer_name()}, your name in {self._circle(where)}: the manifest, "
            "the proposal to list it, and your ballot for it."
        )

    def _circle(self, id: str) -> str:
        return clip(marked(self.node_app.my_circles.get(id, "")) or words.short_id(id), NAME_SHOWN_CELLS)

    def heard_progress(self, name: str, data: Answer) -> None:
        if name != "publish.progress":
            return
        done, total = number(data, "bytes"), number(data, "total")
        self.show_progress(
            f"Reading {words.size(done)}{f' of {words.size(total)}' if total else ''}, "
            f"{words.plural(number(data, 'files'), 'file')}: {clip(clean(data.get('path', '')), 40)}"
        )

    @on(Input.Changed, "#path")
    def _suggest_title(self) -> None:
        title = self.query_one("#title", TextField)
        if title.text == self._own_title:
            self._own_title = clean(Path(self.text_of("path")).stem.replace("_", " ").replace("-", " "))
            title.value = self._own_title

    @on(Select.Changed, "#where")
    def _other_signer(self) -> None:
        self.signer = {}


def _words(options: tuple[str, ...]) -> SuggestFromList:
    return SuggestFromList(options, case_sensitive=False)


def _list(text: str) -> list[str]:
    return [part for part in (piece.strip() for piece in text.split(",")) if part]
