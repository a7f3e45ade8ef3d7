"""The base of the forms that put a question to a circle: verb and name stand in the button, above it what is signed and what follows."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.containers import Horizontal

from p2pnode.tui.modals.form import Form, TextField, field_row


class ProposalForm(Form):
    """Dismissed with the answer of proposal.open. Subclasses say CLASS, VERB, CONSEQUENCE, and whom or what it is about."""

    METHOD = "proposal.open"
    CLASS: ClassVar[str] = ""
    VERB: ClassVar[str] = "Propose"
    """What the button does."""
    CONSEQUENCE: ClassVar[str] = ""
    """What becomes of it, after "You sign the proposal as …"."""
    NEEDS_REASON: ClassVar[bool] = False

    def reason_row(self) -> Horizontal:
        """The field for the reason, which everybody in the circle reads."""
        why = "for the others to judge" if self.NEEDS_REASON else "for the others in the circle; may be empty"
        return field_row("Reason", TextField(id="reason", placeholder=why))

    def collect(self) -> dict[str, Any]:
        reason = self.required("reason", "the reason") if self.NEEDS_REASON else self.text_of("reason")
        return {"class": self.CLASS} | ({"reason": reason} if reason else {})

    def label(self) -> str:
        return f"{self.VERB} as {self.signer_name()}" if self.ready else self.VERB

    def explain(self) -> str:
        return f"You sign the proposal as {self.signer_name()}, your name in this circle. {self.CONSEQUENCE}"
