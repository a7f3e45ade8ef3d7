"""Forms that open a proposal about a work: to list it, to complain, to describe it better, to take it down, to appeal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from p2pnode.core.proposals import COMPLAINTS
from p2pnode.errors import UsageError
from p2pnode.tui import words
from p2pnode.tui.draw import before_after
from p2pnode.tui.modals.form import TextField, choice, field_row
from p2pnode.tui.modals.proposal import ProposalForm
from p2pnode.tui.text import clean, marked
from p2pnode.tui.words import Answer


class ProposeForm(ProposalForm):
    """Propose that a circle lists a work."""

    HEADING = "Propose to list"
    CLASS = "list"
    CONSEQUENCE = "Its members decide."

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
        yield self.reason_row()

    def more_fields(self) -> Iterator[Widget]:
        yield from ()

    def collect(self) -> dict[str, Any]:
        return super().collect() | {"circle": self.chosen("circle"), "work": self.work["work"]}

    def signing_circle(self) -> str | None:
        return self.chosen("circle") if self.ready else ""


class FlagForm(ProposeForm):
    """Complain about a work."""

    HEADING = "Flag a work"
    CLASS, VERB = "flag", "Flag"
    NEEDS_REASON = True

    def more_fields(self) -> Iterator[Widget]:
        yield field_row(
            "Because", choice([(text, id) for id, text in words.COMPLAINTS.items()], id="complaint", value="licence")
        )

        yield field_row(
            "Evidence", TextField(id="evidence", placeholder="works (w-…) or addresses, commas; may be empty")
        )

    def collect(self) -> dict[str, Any]:
        params = super().collect()
        params["complaint"] = self.chosen("complaint")
        pieces = [piece for piece in self.text_of("evidence").replace(",", " ").split() if piece]
        return params | ({"evidence": pieces} if pieces else {})

    def explain(self) -> str:
        return (
            f"You sign the complaint as {self.signer_name()}, your name in this circle. Nothing is removed by it: "
            f"the members decide whether it stands. The remedy then: {self._remedy()}."
        )

    def _remedy(self) -> str:
        known = COMPLAINTS.get(self.chosen("complaint")) if self.ready else None
        return known.remedy if known else "what fits the complaint"


class TakedownForm(ProposeForm):
    """Propose that a circle takes a work off its list."""

    HEADING = "Propose to take down"
    CLASS = "takedown"
    VERB = "Propose to take down"
    NEEDS_REASON = True
    CONSEQUENCE = "If it is adopted the circle no longer lists the work. Nobody's own copy is touched."


class AppealForm(ProposeForm):
    """Propose that a takedown or a complaint is lifted."""

    HEADING = "Appeal"
    CLASS = "appeal"
    VERB = "Appeal"
    NEEDS_REASON = True
    CONSEQUENCE = "If it is adopted, what was decided against the work is lifted."


class EditForm(ProposeForm):
    """Propose another description of a work. Dismissed with the answer of proposal.open."""

    HEADING = "Propose an edit"
    CLASS = "edit"
    CONSEQUENCE = (
        "If it is adopted the circle describes the work so; the author's own words stay, and the history shows both."
    )

    def more_fields(self) -> Iterator[Widget]:
        now = self._now()
        yield field_row("Title", TextField(now["title"], id="title"))
        yield field_row("Summary", TextField(now["summary"], id="summary"))
        yield field_row("Kind", TextField(now["kind"], id="kind"))
        yield field_row("Licence", TextField(now["licence"], id="licence"))
        yield field_row("Tags", TextField(now["tags"], id="tags", placeholder="with commas between"))

    def _now(self) -> dict[str, str]:
        """What the circle says of the work today, else its author; `tags` as one line."""
        said = next((one for one in words.verdicts_of(self.work) if one.get("circle") == self.circle), {})
        told = {**self.work, **(said.get("fields") or {})}
        tags = told.get("tags")
        now = {name: clean(told.get(name) or "") for name in ("title", "summary", "kind", "licence")}
        return now | {"tags": ", ".join(clean(tag) for tag in tags) if isinstance(tags, list) else ""}

    def collect(self) -> dict[str, Any]:
        now = self._now()
        changed: dict[str, Any] = {name: self.text_of(name) for name in now if self.text_of(name) != now[name]}
        if not changed:
            raise UsageError("nothing is changed", hint="change a field, or leave with esc")
        if "title" in changed:
            self.required("title", "the title")
        if "tags" in changed:
            changed["tags"] = [tag.strip() for tag in changed["tags"].split(",") if tag.strip()]
        return super().collect() | {"fields": {name: value or None for name, value in changed.items()}}


class RevertForm(ProposeForm):
    """Propose that the description is again what it was. `line` is of the work's history; `to` the fields as they were then."""

    HEADING = "Propose to go back"
    CLASS, VERB = "edit", "Propose to go back"
    CONSEQUENCE = "It is an edit like any other: if it is adopted the circle describes the work as it did then, and nothing is erased."

    def __init__(self, work: Answer, line: Answer) -> None:
        super().__init__(work, str(line.get("circle") or ""))
        self.line = line

    def more_fields(self) -> Iterator[Widget]:
        self.call_after_refresh(self._fix_circle)
        changes = self.line.get("back")
        yield Static(before_after(changes if isinstance(changes, list) else []), id="changes")

    def _fix_circle(self) -> None:
        self.query_one("#circle").disabled = True  # the history of another circle is another one

    def collect(self) -> dict[str, Any]:
        to = "listing" if self.line.get("class") == "list" else self.line["proposal"]
        return super().collect() | {"circle": self.circle, "revert_to": to}
