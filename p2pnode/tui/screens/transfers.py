"""Transfers: what is being fetched, how far it is, and in words why it waits."""

from __future__ import annotations

from collections.abc import Iterator

from textual.content import Content
from textual.widget import Widget

from p2pnode.tui import words
from p2pnode.tui.draw import percent, progress_bar, styled
from p2pnode.tui.page import Page, page_bindings
from p2pnode.tui.panel import Panel
from p2pnode.tui.reasons import Situation
from p2pnode.tui.rows import Column, Row, Rows
from p2pnode.tui.words import Answer, number

COLUMNS = (Column("Work"), Column("", 16), Column("", 5, right=True), Column("Size", 9, right=True))
_STATE_STYLES = {"done": "$text-success", "failed": "$text-error", "waiting": "$text-warning"}


class TransfersPage(Page):
    NAME = "transfers"
    BINDINGS = page_bindings("transfers")
    WATCHES = ("work.fetched",)
    HELP_TEXT = "The second line says what a transfer does or why it waits. What was fetched and verified is never fetched again."

    def body(self) -> Iterator[Widget]:
        rows = Rows(*COLUMNS, id="transfers", notes=True, about="x stops the selected transfer, o opens its work.")
        yield Panel(rows, title="Transfers", id="transfers-panel")

    def on_mount(self) -> None:
        self.query_one(Rows).focus()

    def situation(self) -> Situation:
        transfer = self.query_one("#transfers", Rows).line
        return self.base_situation(transfer=transfer, work=transfer if transfer and transfer.get("work") else None)

    async def load(self) -> None:
        panel = self.query_one("#transfers-panel", Panel)
        if (answer := await self.ask(panel, "transfer.list")) is not None:
            self._show([transfer_row(each) for each in words.items(answer)], whole=True)

    def heard(self, name: str, data: Answer) -> None:
        if name == "transfer.progress" and data.get("transfer"):
            self._show([transfer_row(data)], whole=False)
        super().heard(name, data)

    def _show(self, rows: list[Row], *, whole: bool) -> None:
        widget, panel = self.query_one("#transfers", Rows), self.query_one("#transfers-panel", Panel)
        if whole:
            widget.refill(rows)
        else:
            widget.merge(rows)
        if widget.rows:
            panel.filled()
        else:
            panel.empty("Nothing is being fetched.", "go.search", "go.library")
        self.draw_chrome()


def transfer_row(transfer: Answer) -> Row:
    """A transfer: bar and numbers, and below them what it does."""
    done, total = number(transfer, "bytes"), number(transfer, "total")
    cells = (
        Content(words.title(transfer)),
        progress_bar(done, total),
        Content(percent(done, total)),
        Content(words.size(total) if total else ""),
    )
    note = styled(words.transfer_line(transfer), _STATE_STYLES.get(str(transfer.get("state")), ""))
    return Row(str(transfer.get("transfer", "")), cells, note, transfer)
