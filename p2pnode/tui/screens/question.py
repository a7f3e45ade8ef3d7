"""Question: one proposal: what it asks and would change, turnout and what its lead withstands; and why it stands so, ballot by ballot."""

from __future__ import annotations

from collections.abc import Iterator

from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from p2pnode.tui import words
from p2pnode.tui.draw import question_fields, styled
from p2pnode.tui.page import Page, page_bindings
from p2pnode.tui.panel import Panel
from p2pnode.tui.reasons import Situation
from p2pnode.tui.text import clean, clean_indented, drawn
from p2pnode.tui.words import Answer, number

_WHY = {
    "counted": "counts",
    "no_room": "no room: the vouches that lead to it carry no more",
    "void": "void: two different ones with one number",
    "abstain": "counts for neither side",
    "not_a_member": "of no member",
}


class QuestionPage(Page):
    NAME = "question"
    BINDINGS = page_bindings("question")
    WATCHES = ("verdict.changed", "record.received")
    HELP_TEXT = (
        "Everything about one question. Left what is asked and how it stands, right the reasons, which every node computes alike. "
        "k changes between words and the picture of the vouches through which ballots count; v votes."
    )

    def __init__(self, proposal: str) -> None:
        super().__init__()
        self.proposal = proposal
        self.shown: Answer | None = None
        self.told: Answer | None = None
        self.as_picture = False

    def body(self) -> Iterator[Widget]:
        with Horizontal(classes="columns"):
            about = VerticalScroll(Static("", markup=False, id="standing"), id="about-question", can_focus=True)
            yield Panel(about, title="Question", id="standing-panel")
            why = VerticalScroll(Static("", markup=False, id="reasons"), id="reasons-scroll", can_focus=True)
            yield Panel(why, title="Why", id="reasons-panel")

    def on_mount(self) -> None:
        self.query_one("#about-question").focus()

    def situation(self) -> Situation:
        work = self.shown if self.shown and self.shown.get("work") else None
        return self.base_situation(proposal=self.shown, work=work)

    async def load(self) -> None:
        panel = self.query_one("#standing-panel", Panel)
        if (answer := await self.ask(panel, "proposal.show", {"proposal": self.proposal})) is not None:
            self.shown = answer
            self.query_one("#standing", Static).update(question_content(answer, self.node_app.clock()))
            panel.filled()
        why = self.query_one("#reasons-panel", Panel)
        if (told := await self.ask(why, "verdict.explain", {"id": self.proposal})) is not None:
            self.told = told
            self._show_reasons()
        self.draw_chrome()

    def show_pane(self, pane: str) -> None:
        self.as_picture = not self.as_picture
        self._show_reasons()

    def _show_reasons(self) -> None:
        if self.told is None:
            return
        panel = self.query_one("#reasons-panel", Panel)
        lines = picture_lines(self.told) if self.as_picture else reason_lines(self.told)
        panel.border_title = Content("Ballots, and how vouches lead to them" if self.as_picture else "Why")
        self.query_one("#reasons", Static).update(Content("\n").join(lines))
        if lines:
            panel.filled()
        else:
            panel.empty("Nobody has voted on it, so there is nothing to draw.", "ballot.cast")


def question_content(one: Answer, now: float) -> Content:
    """What is asked, and how it stands."""
    signer = words.short_id(one.get("signed_as") or "")
    lines = [styled(words.proposal_question(one), "bold"), question_fields(one)]
    if one.get("adopted_since"):
        lines.append(Content(f"Your node sees it adopted since {words.duration(now - number(one, 'adopted_since'))}."))
    member = one.get("member", True)
    lines.append(Content(f"You vote as {signer}." if member else f"You are {signer} there, and no member today."))
    return Content("\n\n").join(lines)


def reason_lines(told: Answer) -> list[Content]:
    """The explanation in sentences."""
    lines = told.get("text")
    return [Content(clean_indented(line)) for line in lines] if isinstance(lines, list) else []


def picture_lines(told: Answer) -> list[Content]:
    """The picture that the node drew of the flow; from a node that draws none, each ballot and whether it counts."""
    lines = told.get("picture")
    if isinstance(lines, list) and lines:
        return [Content(drawn(line)) for line in lines]
    verdict = told.get("verdict")
    ballots = words.items(verdict, "ballots") if isinstance(verdict, dict) else []
    return [_ballot_line(ballot) for ballot in ballots]


def _ballot_line(ballot: Answer) -> Content:
    choice, why = str(ballot.get("choice", "")), str(ballot.get("why", ""))
    style = {"approve": "$text-success", "reject": "$text-error"}.get(choice, "$foreground-muted")
    return Content.assemble(
        ("█ " if ballot.get("counted") else "· ", style),
        f"{words.short_id(ballot.get('key') or '')}  ",
        (clean(choice).ljust(8), style),
        (f" {_WHY.get(why, clean(why))}", "$foreground-muted"),
    )
