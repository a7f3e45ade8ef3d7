"""The form to cast a ballot: what exactly is signed, under which name, and why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from textual import on
from textual.content import Content
from textual.widget import Widget
from textual.widgets import RadioButton, RadioSet, Static

from p2pnode.errors import P2pnodeError, UsageError
from p2pnode.tui import words
from p2pnode.tui.background import in_background
from p2pnode.tui.draw import circle_name, question_fields
from p2pnode.tui.modals.form import Form, TextField, field_row
from p2pnode.tui.words import Answer

CHOICES = {
    "approve": "a  approve",
    "reject": "r  reject",
    "abstain": "n  abstain: you were here; it counts for neither side",
}


class Choice(RadioButton):
    """A radio button that shows by its glyph, not only by its colour, whether it is on."""

    @property
    def BUTTON_INNER(self) -> str:  # type: ignore[override]
        return "●" if self.value else " "


class VoteForm(Form):
    """Dismissed with the answer of ballot.cast."""

    HEADING = "Cast your ballot"
    METHOD = "ballot.cast"
    HELP_TEXT = (
        "a, r and n choose. The reason is public in the circle. ctrl+s signs and casts, esc leaves without a ballot."
    )
    BINDINGS = [  # noqa: RUF012
        ("a", "choose(0)", "Approve"),
        ("r", "choose(1)", "Reject"),
        ("n", "choose(2)", "Abstain"),
    ]

    def __init__(self, proposal: Answer) -> None:
        super().__init__()
        self.proposal = proposal

    def fields(self) -> Iterator[Widget]:
        mine = str(self.proposal.get("mine") or "")
        yield Static(Content.styled(words.proposal_question(self.proposal), "bold"), classes="question")
        yield Static(question_fields(self.proposal), id="standing")
        with RadioSet(id="choice", compact=True):
            for value, text in CHOICES.items():
                yield Choice(Content(text), value=value == mine, id=value)
        yield field_row("Reason", TextField(id="reason", placeholder="why, for the others in the circle; may be empty"))

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one("#choice", RadioSet).focus()
        in_background(self, self._load_standing, "standing")

    async def _load_standing(self) -> None:
        """How it stands now: whoever opened the form may have had an old list, or only a verdict."""
        with suppress(P2pnodeError):  # what is known stays; the node says what is wrong when the ballot is cast
            told = await self.node_app.node.call("proposal.show", {"proposal": self.proposal["proposal"]})
            self.query_one("#standing", Static).update(question_fields(told))

    @property
    def choice(self) -> str:
        pressed = self.query_one("#choice", RadioSet).pressed_button
        return str(pressed.id) if pressed else ""

    def collect(self) -> dict[str, Any]:
        if not self.choice:
            raise UsageError("nothing is chosen", hint="a approves, r rejects, n abstains")
        params = {"proposal": self.proposal["proposal"], "choice": self.choice}
        return params | ({"reason": self.text_of("reason")} if self.text_of("reason") else {})

    def signing_circle(self) -> str | None:
        return str(self.proposal.get("circle") or "")

    def label(self) -> str:
        choice = self.choice if self.ready else ""
        return f"{choice.capitalize() or 'Vote'} as {self.signer_name()}"

    def explain(self) -> str:
        choice = self.choice or "your choice"
        return (
            f"You sign “{choice}” on {words.short_id(self.proposal['proposal'])} as {self.signer_name()}, your name in "
            f"{circle_name(self.proposal)}. Everybody in the circle sees it; you can change it, the newest counts."
        )

    def action_choose(self, index: int) -> None:
        self.query(RadioButton)[index].value = True

    @on(RadioSet.Changed)
    def _chosen(self) -> None:
        self.show_changes()
