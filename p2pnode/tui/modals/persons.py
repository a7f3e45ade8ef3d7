"""Forms that ask a circle about one person: to expel or readmit a member, to make or recall a steward."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from p2pnode.tui import words
from p2pnode.tui.draw import circle_name
from p2pnode.tui.modals.proposal import ProposalForm
from p2pnode.tui.words import Answer


class PersonForm(ProposalForm):
    """A question about `member`, a line of the roll of `circle`."""

    WHOM: ClassVar[str] = "key"
    """The parameter that names the key."""

    def __init__(self, circle: Answer, member: Answer) -> None:
        super().__init__()
        self.circle, self.member = circle, member

    def fields(self) -> Iterator[Widget]:
        yield Static(Content.styled(f"{words.short_id(self.member['key'])} in {circle_name(self.circle)}", "bold"))
        yield self.reason_row()

    def collect(self) -> dict[str, Any]:
        return super().collect() | {"circle": self.circle["circle"], self.WHOM: self.member["key"]}

    def signing_circle(self) -> str | None:
        return str(self.circle.get("circle") or "")


class ExpelForm(PersonForm):
    HEADING = "Propose to expel"
    CLASS = "expel"
    VERB = "Propose to expel"
    NEEDS_REASON = True
    CONSEQUENCE = (
        "If it is adopted, that key's ballots and vouches count no more. Nothing is erased, and it can be readmitted."
    )


class ReadmitForm(PersonForm):
    HEADING = "Propose to readmit"
    CLASS = "readmit"
    VERB = "Propose to readmit"
    CONSEQUENCE = "If it is adopted, that key is a member again, where somebody still vouches for it."


class StewardForm(PersonForm):
    HEADING = "Propose a steward"
    CLASS = "stewards"
    WHOM = "add"
    VERB = "Propose as steward"
    CONSEQUENCE = (
        "Stewards are where trust begins: they can block anything, and force nothing. You sign a new charter with it."
    )


class RecallForm(PersonForm):
    HEADING = "Propose that a steward is one no more"
    CLASS = "stewards"
    WHOM = "remove"
    VERB = "Propose the recall"
    CONSEQUENCE = "If it is adopted, that key is no source of trust any more. You sign a new charter with it."
