"""Library: the works on this node's shelf, one's own and those it keeps."""

from __future__ import annotations

from collections.abc import Iterator

from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from p2pnode.tui import words
from p2pnode.tui.draw import side, styled, verdict_cell
from p2pnode.tui.page import Page, page_bindings
from p2pnode.tui.panel import Panel
from p2pnode.tui.reasons import Situation, open_question
from p2pnode.tui.rows import Column, Row, Rows
from p2pnode.tui.text import clean
from p2pnode.tui.words import Answer

COLUMNS = (
    Column("Title"),
    Column("By", 14, keep=0),
    Column("State", 9),
    Column("Size", 9, right=True),
    Column("Verdict", 10, keep=2),
)
_STATE_STYLES = {"own": "$text-accent", "kept": "$text-success"}


class LibraryPage(Page):
    NAME = "library"
    BINDINGS = page_bindings("library")
    WATCHES = (
        "work.published",
        "work.fetched",
        "work.removed",
        "work.unpublished",
        "work.pinned",
        "verdict.changed",
        "record.received",
    )
    HELP_TEXT = (
        "The works you published (yours) and fetched (kept; with * they are pinned, and stay when space is needed), and those "
        "that others told you of."
    )

    def body(self) -> Iterator[Widget]:
        with Horizontal(classes="columns"):
            yield Panel(Rows(*COLUMNS, id="works", about="Enter opens a work."), title="Library", id="works-panel")
            with VerticalScroll(classes="side", can_focus=False):
                yield Static("", markup=False, id="detail")

    def on_mount(self) -> None:
        self.query_one(Rows).focus()

    @property
    def selected(self) -> Answer | None:
        row = self.query_one("#works", Rows).selected
        return row.data if row else None

    def situation(self) -> Situation:
        mine = frozenset(self.node_app.my_circles)
        return self.base_situation(work=self.selected, proposal=open_question(self.selected, mine))

    async def load(self) -> None:
        panel = self.query_one("#works-panel", Panel)
        if (answer := await self.ask(panel, "work.list", dict(self.node_app.lens_params) or None)) is None:
            return
        works = words.items(answer)
        self.query_one("#works", Rows).refill(library_row(work) for work in works)
        seen = f", seen {self.node_app.lens_words}" if self.node_app.lens_params else ""
        panel.border_title = Content(f"Library{seen}")
        if works:
            panel.filled()
        elif seen:
            panel.empty(f"Nothing is shown{seen}.", "lens.next", "lens.all")
        else:
            panel.empty("Your library is empty: nothing published, nothing fetched.", "work.publish", "go.search")
        self._show_side()

    def on_rows_highlighted(self, event: Rows.Highlighted) -> None:
        super().on_rows_highlighted(event)
        self._show_side()

    def _show_side(self) -> None:
        self.query_one("#detail", Static).update(side(self.selected))


def library_row(work: Answer) -> Row:
    """A work on the shelf."""
    state, mark = str(work.get("state", "")), str(work.get("mark") or "")
    cells = (
        Content.assemble(words.title(work), (f"  {words.MARKS[mark]}", "$text-warning") if mark in words.MARKS else ""),
        styled(words.creators(work, most=1), "$foreground-muted"),
        styled(
            words.WORK_STATES.get(state, clean(state)) + (" *" if work.get("pinned") and state == "kept" else ""),
            _STATE_STYLES.get(state, "$foreground-muted"),
        ),
        Content(words.size(work.get("bytes"))),
        verdict_cell(work),
    )
    return Row(str(work.get("work", "")), cells, data=work)
