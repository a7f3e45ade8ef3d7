"""The form for other rules of a circle: every rule in a field, and below what would change, before and after."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from p2pnode.core.charter import VALID_K, grown_classes
from p2pnode.core.rule_words import ASKS, change_words, parse_rule, rule_text
from p2pnode.errors import P2pnodeError, UsageError
from p2pnode.tui.draw import before_after
from p2pnode.tui.modals.form import Form, TextField, choice, field_row
from p2pnode.tui.text import clean
from p2pnode.tui.words import Answer, number

SHORT = {
    "list": "List",
    "edit": "Edit",
    "flag": "Complaint",
    "takedown": "Takedown",
    "appeal": "Appeal",
    "expel": "Expel",
    "readmit": "Readmit",
    "stewards": "Stewards",
    "charter": "Rules",
}
"""The classes as labels of fields."""


class CharterForm(Form):
    """Dismissed with the answer of proposal.open. `circle` is an answer of circle.show, `grown` fills in the profile for a dozen."""

    HEADING = "Propose other rules"
    METHOD = "proposal.open"
    HELP_TEXT = (
        "b: how many bad members cannot decide it; q: approvals it takes at least; cooldown: days it must stay adopted before stewards "
        "seal it; supermajority: twice as many for as against; sealed: stewards must sign it. ctrl+s proposes, esc leaves."
    )

    def __init__(self, circle: Answer, *, grown: bool = False) -> None:
        super().__init__()
        self.circle, self.grown = circle, grown
        rules = circle.get("rules")
        self.now: Answer = rules if isinstance(rules, dict) else {}

    def fields(self) -> Iterator[Widget]:
        yield field_row("Name", TextField(clean(self.now.get("name") or ""), id="name"))
        yield field_row("Purpose", TextField(clean(self.now.get("purpose") or ""), id="purpose"))
        yield field_row(
            "Licences", TextField(self._listed("licences"), id="licences", placeholder="any; or SPDX, commas")
        )
        yield field_row(
            "Days", TextField(str(number(self.now, "vouch_days")), id="vouch_days", placeholder="that a vouch holds")
        )
        yield field_row("Bad f", TextField(str(number(self.now, "f")), id="f", placeholder="stewards that may be bad"))
        yield field_row(
            "K", choice([(str(k), str(k)) for k in VALID_K], id="k", value=str(number(self.now, "k") or VALID_K[0]))
        )
        for name in self._named():
            yield field_row(SHORT.get(name, clean(name)[:9]), TextField(self._first(name), id=f"rule-{name}"))
        yield field_row("Reason", TextField(id="reason", placeholder="why, for the others; may be empty"))
        yield Static("", markup=False, id="changes")

    def _named(self) -> list[str]:
        named = self.now.get("classes")
        return [name for name in ASKS if isinstance(named, dict) and name in named]

    def _listed(self, name: str) -> str:
        value = self.now.get(name)
        return ", ".join(map(clean, value)) if isinstance(value, list) else ""

    def _first(self, name: str) -> str:
        """What stands in a class's field at first: the rule of today, or the grown one."""
        rule = self.now["classes"][name]
        if self.grown:
            grown = grown_classes(number(self.now, "f"))[name]
            rule = {slot: getattr(grown, slot) for slot in ("b", "q", "supermajority", "cooldown_s", "sealed")}
        return rule_text(rule)

    def _rules(self) -> dict[str, Any]:
        """What differs from today, as `proposal.open` takes it. UsageError for what cannot be read."""
        told: dict[str, Any] = {}
        for name in ("name", "purpose"):
            if self.text_of(name) != clean(self.now.get(name) or ""):
                told[name] = self.text_of(name)
        for name in ("vouch_days", "f"):
            if (value := self._whole(name)) != number(self.now, name):
                told[name] = value
        if int(self.chosen("k")) != number(self.now, "k"):
            told["k"] = int(self.chosen("k"))
        licences = [text.strip() for text in self.text_of("licences").split(",") if text.strip()]
        if licences != list(self.now.get("licences") or []):
            told["licences"] = licences
        classes = {
            name: parse_rule(self.text_of(f"rule-{name}"))
            for name in self._named()
            if " ".join(self.text_of(f"rule-{name}").split()) != rule_text(self.now["classes"][name])
        }
        return told | ({"classes": classes} if classes else {})

    def _whole(self, name: str) -> int:
        text = self.text_of(name)
        if not text.isdecimal() or len(text) > 6:
            raise UsageError(f"{name.replace('_', ' ')} is a whole number")
        return int(text)

    def _changes(self, told: dict[str, Any]) -> dict[str, list[Any]]:
        plain = {name: [self.now.get(name), value] for name, value in told.items() if name != "classes"}
        return plain | {name: [self.now["classes"][name], rule] for name, rule in told.get("classes", {}).items()}

    def show_changes(self) -> None:
        super().show_changes()
        if not self.ready:
            return
        try:
            told = self._rules()
        except P2pnodeError as error:
            text = Content.styled(clean(error.message), "$text-warning")
        else:
            lines = change_words(self._changes(told), number(self.now, "k"))
            text = before_after(lines) if lines else Content.styled("Nothing is changed yet.", "$foreground-muted")
        self.query_one("#changes", Static).update(text)

    def collect(self) -> dict[str, Any]:
        told = self._rules()
        if not told:
            raise UsageError("nothing is changed", hint="change a rule, or leave with esc")
        params = {"class": "charter", "circle": self.circle["circle"], "rules": told}
        return params | ({"reason": self.text_of("reason")} if self.text_of("reason") else {})

    def signing_circle(self) -> str | None:
        return str(self.circle.get("circle") or "")

    def label(self) -> str:
        return f"Propose these rules as {self.signer_name()}"

    def explain(self) -> str:
        return (
            f"You sign the new charter as {self.signer_name()}, one of the stewards. It is in force once the circle adopts it by the "
            "rules of today, and, where they say so, stewards have sealed it after the waiting time."
        )
