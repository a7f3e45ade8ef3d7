"""The base of pages that are one list with a panel beside it, which tells more of the row under the cursor where there is room.

Textual calls a handler of every class in the line, so what is common stands in handlers here and what differs in plain methods: a page
that overrides a handler never calls this one's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from p2pnode.tui.page import Page
from p2pnode.tui.panel import Panel
from p2pnode.tui.rows import Rows
from p2pnode.tui.words import Answer


class SidePage(Page):
    """Subclasses set LIST and TITLE and say `list_rows` and `beside`; they fill the list in `load` and end it with `show_side`."""

    LIST: ClassVar[str] = ""
    """The id of the list; its panel is called the same, with -panel."""
    TITLE: ClassVar[str] = ""

    def list_rows(self) -> Rows:
        """A new list, whose id is LIST."""
        raise NotImplementedError

    def beside(self, line: Answer | None) -> Content:
        """What the panel says of a row; of None, that there is none."""
        raise NotImplementedError

    def body(self) -> Iterator[Widget]:
        with Horizontal(classes="columns"):
            yield Panel(self.list_rows(), title=self.TITLE, id=f"{self.LIST}-panel")
            with VerticalScroll(classes="side", can_focus=False):
                yield Static("", markup=False, id="detail")

    @property
    def rows(self) -> Rows:
        """The list."""
        return self.query_one(f"#{self.LIST}", Rows)

    @property
    def panel(self) -> Panel:
        """The panel of the list."""
        return self.query_one(f"#{self.LIST}-panel", Panel)

    @property
    def selected(self) -> Answer | None:
        """What the row under the cursor is about."""
        return self.rows.line

    def on_mount(self) -> None:
        self.focus_first()

    def focus_first(self) -> None:
        """Where the cursor is when the page opens: in the list."""
        self.rows.focus()

    def on_rows_highlighted(self, event: Rows.Highlighted) -> None:
        self.show_side()

    def show_side(self) -> None:
        """Bring the panel in line with the cursor."""
        self.query_one("#detail", Static).update(self.beside(self.selected))
