"""Forms that open a proposal about a work: to list it in a circle, or to complain about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from p2pnode.tui import words
from p2pnode.tui.modals.form import Form, TextField, choice, field_row
from p2pnode.tui.text import marked
from p2pnode.tui.words import Answer


class ProposeForm(Form):
    """Propose that a circle lists a work. Dismissed with the answer of proposal.open."""

    HEADING = "Propose to list"
    METHOD = "proposal.open"
    CLASS = "list"

    def __init__(self, work: Answer, circle: str = "") -> None:
        super().__init__()
        self.work, self.circle = work, circle

    def fields(self) -> Iterator[Widget]:
        yield Static(Content.styled(f"“{words.title(self.work)}”", "bold"), classes="question")
        yield Static(Content(f"{words.short_id(self.work['work'])}, by {words.creators(self.work)}"))
        circles = [(marked(name) or words.short_id(id), id) for id, name in self.node_app.my_circles.items()]
        first = self.circle if self.circle in self.node_app.my_circles else circles[0][1]
        yield field_row("Circle", choice(circles, id="circle", value=first))
        yield from self.more_fields()
        yield field_row("Reason", TextField(id="reason", placeholder="for the others in the circle; may be empty"))

    def more_fields(self) -> Iterator[Widget]:
        yield from ()

    def collect(self) -> dict[str, Any]:
        params = {"class": self.CLASS, "circle": self.chosen("circle"), "work": self.work["work"]}
        return params | ({"reason": self.text_of("reason")} if self.text_of("reason") else {})

    def signing_circle(self) -> str | None:
        return self.chosen("circle") if self.ready else ""

    def label(self) -> str:
        return f"Propose as {self.signer_name()}" if self.ready else "Propose"

    def explain(self) -> str:
        return f"You sign the proposal as {self.signer_name()}, your name in this circle. Its members decide."


class FlagForm(ProposeForm):
    """Complain about a work. Dismissed with the answer of proposal.open."""

    HEADING = "Flag a work"
    CLASS = "flag"

    def more_fields(self) -> Iterator[Widget]:
        yield field_row(
            "Because", choice([(text, id) for id, text in words.COMPLAINTS.items()], id="complaint", value="licence")
        )

    def collect(self) -> dict[str, Any]:
        params = super().collect()
        params["complaint"] = self.chosen("complaint")
        params["reason"] = self.required("reason", "the reason")
        return params

    def label(self) -> str:
        return f"Flag as {self.signer_name()}" if self.ready else "Flag"

    def explain(self) -> str:
        return (
            f"You sign the complaint as {self.signer_name()}, your name in this circle. Nothing is removed by it: "
            "the members decide whether it stands."
        )
