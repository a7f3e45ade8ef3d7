"""Library: the works on this node's shelf, one's own and those it keeps."""

from __future__ import annotations

from textual.content import Content

from p2pnode.tui import words
from p2pnode.tui.draw import side, styled, verdict_cell
from p2pnode.tui.page import page_bindings
from p2pnode.tui.reasons import Situation, open_question
from p2pnode.tui.rows import Column, Row, Rows
from p2pnode.tui.side_page import SidePage
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


class LibraryPage(SidePage):
    NAME = "library"
    LIST, TITLE = "works", "Library"
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

    def list_rows(self) -> Rows:
        return Rows(*COLUMNS, id=self.LIST, about="Enter opens a work.")

    def situation(self) -> Situation:
        mine = frozenset(self.node_app.my_circles)
        return self.base_situation(work=self.selected, proposal=open_question(self.selected, mine))

    async def load(self) -> None:
        panel = self.panel
        if (answer := await self.ask(panel, "work.list", dict(self.node_app.lens_params) or None)) is None:
            return
        works = words.items(answer)
        self.rows.refill(library_row(work) for work in works)
        seen = f", seen {self.node_app.lens_words}" if self.node_app.lens_params else ""
        panel.border_title = Content(f"Library{seen}")
        if works:
            panel.filled()
        elif seen:
            panel.empty(f"Nothing is shown{seen}.", "lens.next", "lens.all")
        else:
            panel.empty("Your library is empty: nothing published, nothing fetched.", "work.publish", "go.search")
        self.show_side()

    def beside(self, line: Answer | None) -> Content:
        return side(line)


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
