"""Windows about one's own view and shelf: marking a work, and the notices of what concerns oneself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Static

from p2pnode.tui import words
from p2pnode.tui.modals.form import Form, choice, field_row
from p2pnode.tui.text import clean, marked
from p2pnode.tui.words import Answer

MARKS = (
    ("keep it and show it, whatever circles say", "keep"),
    ("hide it from me", "hide"),
    ("block it: do not show, fetch or tell of it", "block"),
    ("no mark: as circles say", "none"),
)


class MarkForm(Form):
    """Dismissed with the answer of work.mark."""

    HEADING = "Mark a work"
    METHOD = "work.mark"

    def __init__(self, work: Answer) -> None:
        super().__init__()
        self.work = work

    def fields(self) -> Iterator[Widget]:
        yield Static(Content.styled(f"“{words.title(self.work)}”", "bold"), classes="question")
        mine = str(self.work.get("mark") or "")
        first = mine if mine in words.MARKS else "hide"
        yield field_row("Mark", choice(list(MARKS), id="mark", value=first))

    def collect(self) -> dict[str, Any]:
        return {"work": self.work["work"], "mark": self.chosen("mark")}

    def label(self) -> str:
        return "Mark it"

    def explain(self) -> str:
        return "A mark is yours alone: nothing is signed, nobody is told, and it wins over every circle."


class NoticesWindow(ModalScreen[bool]):
    """What concerns oneself, newest first. Dismissed with True to take the notices away."""

    BINDINGS = [("escape,q", "keep", "Close"), ("d", "clear", "Take away")]  # noqa: RUF012

    def __init__(self, notices: list[Answer], now: float) -> None:
        super().__init__()
        self.notices, self.now = notices, now

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="window -tall"):
            yield Static(Content("What concerns you"), classes="heading")
            yield Static(
                Content("\n").join(map(self._line, self.notices)) if self.notices else Content("There is nothing new.")
            )
            with Horizontal(classes="buttons"):
                yield Button(Content("Close"), id="close", variant="primary", compact=True)
                if self.notices:
                    yield Button(Content("d  Take them away"), id="clear", compact=True)

    def _line(self, notice: Answer) -> Content:
        about = marked(notice.get("title") or "") or words.short_id(notice.get("proposal") or notice.get("key") or "")
        return Content.assemble(
            (words.ago(notice.get("at"), self.now).ljust(16), "$foreground-muted"),
            (marked(notice.get("circle_name") or ""), "$text-accent"),
            f": {clean(notice.get('text') or '')}",
            f" ({about})" if about else "",
        )

    @on(Button.Pressed, "#close")
    def action_keep(self) -> None:
        self.dismiss(False)

    @on(Button.Pressed, "#clear")
    def action_clear(self) -> None:
        self.dismiss(bool(self.notices))
