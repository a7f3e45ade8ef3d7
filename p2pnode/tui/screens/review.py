"""Review: what waits for my ballot in all circles. What calls me comes first, the oldest first; beside it how each stands."""

from __future__ import annotations

from textual.content import Content

from p2pnode.tui import words
from p2pnode.tui.draw import circle_name, question_beside, styled, tally_bar
from p2pnode.tui.page import page_bindings
from p2pnode.tui.reasons import Situation
from p2pnode.tui.rows import Column, Row, Rows
from p2pnode.tui.side_page import SidePage
from p2pnode.tui.words import Answer, number

BAR_CELLS = 8


class ReviewPage(SidePage):
    NAME = "review"
    LIST, TITLE = "queue", "Waits for your ballot"
    BINDINGS = page_bindings("review")
    WATCHES = ("verdict.changed", "record.received", "circle.joined")
    HELP_TEXT = (
        "Every question calls a few members (* here), so that each gets some and nobody has to look at all. It is an order to "
        "read in: everybody may vote on everything. v votes, k shows why it stands so, o opens the work."
    )

    def list_rows(self) -> Rows:
        return Rows(
            Column("", 1, keep=9),
            Column("Question"),
            Column("Circle", 18),
            id=self.LIST,
            notes=True,
            about="What waits for your ballot; * calls you. Enter shows why it stands so, v votes.",
        )

    def situation(self) -> Situation:
        proposal = self.selected
        return self.base_situation(proposal=proposal, work=proposal if proposal and proposal.get("work") else None)

    async def load(self) -> None:
        panel = self.panel
        if (answer := await self.ask(panel, "proposal.queue")) is None:
            return
        asked, now = words.items(answer), self.node_app.clock()
        self.rows.refill(queue_row(one, now) for one in asked)
        calling = sum(bool(one.get("calls_you")) for one in asked)
        panel.border_title = Content(f"{len(asked)} to decide on, {calling} call you" if asked else self.TITLE)
        if asked:
            panel.filled()
        else:
            panel.empty("Nothing waits for your ballot: you have answered all that your circles ask.", "go.circles")
        self.show_side()

    def on_rows_chosen(self, event: Rows.Chosen) -> None:
        event.prevent_default()  # Textual calls the base's handler, too, which opens a work
        self.node_app.action_act("question.open")

    def beside(self, line: Answer | None) -> Content:
        return question_beside(line) if line else Content("")


def queue_row(one: Answer, now: float) -> Row:
    """A question that waits, and below it how it stands."""
    standing = one.get("standing")
    told = standing if isinstance(standing, dict) else {}
    note = Content.assemble(
        tally_bar(number(one, "approve"), number(one, "reject"), BAR_CELLS),
        f" {number(told, 'cast')} of {number(told, 'members')} voted · asked {words.ago(one.get('opened'), now)}",
    )
    cells = (
        styled("*" if one.get("calls_you") else "", "$text-accent bold"),
        Content(words.proposal_question(one)),
        styled(circle_name(one), "$foreground-muted"),
    )
    return Row(str(one.get("proposal", "")), cells, note, one)
