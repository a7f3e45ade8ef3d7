"""History: what became of a work: every revision its author signed, and in each circle who asked what, and how it was decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from textual.content import Content

from p2pnode.tui import words
from p2pnode.tui.draw import question_beside, styled, tally
from p2pnode.tui.page import page_bindings
from p2pnode.tui.reasons import Situation
from p2pnode.tui.rows import Column, Row, Rows
from p2pnode.tui.side_page import SidePage
from p2pnode.tui.text import clean, marked
from p2pnode.tui.words import Answer


class HistoryPage(SidePage):
    NAME = "history"
    LIST, TITLE = "steps", "History"
    BINDINGS = page_bindings("history")
    WATCHES = ("verdict.changed", "record.received", "work.published")
    HELP_TEXT = (
        "Nothing is erased: the author's revisions stand beside what each circle decided. On a listing or an edit in force x "
        "proposes to go back to it; you see the difference before you sign."
    )

    def __init__(self, work: str) -> None:
        super().__init__()
        self.work = work
        self.shown: Answer | None = None

    def list_rows(self) -> Rows:
        return Rows(
            Column("When", 16),
            Column("What"),
            Column("State", 12, keep=2),
            id=self.LIST,
            notes=True,
            about="Every step, the oldest first. Enter shows why it was decided so, x proposes to go back to it.",
        )

    def situation(self) -> Situation:
        line = self.selected
        return self.base_situation(
            work=self.shown, revision=line, proposal=line if line and line.get("proposal") else None
        )

    async def load(self) -> None:
        if (answer := await self.ask(self.panel, "work.history", {"work": self.work})) is None:
            return
        self.shown = answer
        now = self.node_app.clock()
        self.rows.put(history_rows(answer, now))  # by age: what arrives late may be old
        self.panel.border_title = Content(f"History of {words.title(answer)}")
        if self.rows.rows:
            self.panel.filled()
        else:
            self.panel.empty("Nothing is known of its past: its manifest is not here yet.", "page.refresh")
        self.show_side()

    def on_rows_chosen(self, event: Rows.Chosen) -> None:
        event.prevent_default()  # Textual calls the base's handler, too, which opens a work
        if event.row.data.get("proposal"):
            self.node_app.action_act("question.open")
        else:
            self.node_app.say("That is what its author signed; o on the work shows all of it.")

    def beside(self, line: Answer | None) -> Content:
        return question_beside(line) if line and line.get("proposal") else Content("")


def history_rows(history: Answer, now: float) -> list[Row]:
    """Revisions and questions of all circles, the oldest first."""
    steps = [(words.number(one, "created"), _revision_row(one, now)) for one in words.items(history, "revisions")]
    for circle in words.items(history, "circles"):
        questions = words.items(circle, "questions")
        for at, one in enumerate(questions):
            line = {
                **one,
                "title": history.get("title", ""),
                "circle": circle.get("circle"),
                "back": back(questions, at),
            }
            steps.append((words.number(one, "opened"), _question_row(line, now)))
    return [row for _, row in sorted(steps, key=lambda step: step[0])]


def _revision_row(one: Answer, now: float) -> Row:
    cells = (
        styled(words.ago(one.get("created"), now), "$foreground-muted"),
        Content(f"Revision: “{marked(one.get('title') or '')}”"),
        styled("signed", "$foreground-muted"),
    )
    files = words.plural(one.get("files", 1), "file")
    note = Content(f"by its author, {words.size(one.get('bytes'))}, {files}, {words.short_id(one.get('record') or '')}")
    return Row(str(one.get("record", "")), cells, note, one)


def _question_row(one: Answer, now: float) -> Row:
    state = clean(one.get("state") or "")
    in_force = "in force" if one.get("effective") else state
    cells = (
        styled(words.ago(one.get("opened"), now), "$foreground-muted"),
        Content(words.proposal_question(one)),
        styled(in_force, "$text-success" if one.get("effective") else "$foreground-muted"),
    )
    note = Content.assemble(
        f"{marked(one.get('circle_name') or '')}, asked by {words.short_id(one.get('by') or '')}  ", tally(one, 8)
    )
    return Row(str(one.get("proposal", "")), cells, note, one)


def back(questions: Sequence[Answer], at: int) -> list[tuple[str, str, str]]:
    """What going back to a listing or an edit would change: (field, as it is, as it was then), of the edits in force after it."""
    now = _told(questions, len(questions))
    then = _told(questions, at + 1)
    return [(name, now[name], then.get(name, "as it was listed")) for name in now if now[name] != then.get(name)]


def _told(questions: Sequence[Answer], until: int) -> dict[str, str]:
    """What the edits in force among the first `until` questions say."""
    fields: dict[str, Any] = {}
    for one in questions[:until]:
        changes = one.get("changes")
        if one.get("class") == "edit" and one.get("effective") and isinstance(changes, Mapping):
            fields |= changes
    return {name: words.field_value(value) for name, value in fields.items()}
