"""Windows to read: an error, a question before what is hard to undo, and help."""

from __future__ import annotations

from collections.abc import Iterator

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from p2pnode.errors import P2pnodeError
from p2pnode.tui.actions import Action, here
from p2pnode.tui.reasons import Situation
from p2pnode.tui.text import clean


class ErrorWindow(ModalScreen[None]):
    """What went wrong: message, hint, code."""

    BINDINGS = [("escape,q", "dismiss", "Close")]  # noqa: RUF012

    def __init__(self, error: P2pnodeError, doing: str) -> None:
        super().__init__()
        self.error, self.doing = error, doing

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="window -error", can_focus=False):
            yield Static(Content(f"{self.doing}: it did not work"), classes="heading")
            yield Static(Content(clean(self.error.message)))
            if self.error.hint:
                yield Static(Content.assemble(("What to do: ", "bold"), clean(self.error.hint)), id="explain")
            yield Static(Content.styled(f"code: {clean(self.error.code)}", "$foreground-muted"))
            with Horizontal(classes="buttons"):
                yield Button(Content("Close"), id="close", variant="primary", compact=True)

    @on(Button.Pressed)
    def _close(self) -> None:
        self.dismiss(None)


class ConfirmWindow(ModalScreen[bool]):
    """Asks once more, only before what is hard to undo. Dismissed with True for yes."""

    BINDINGS = [("escape,n", "no", "No"), ("y", "yes", "Yes")]  # noqa: RUF012

    def __init__(self, question: str, consequence: str, yes: str) -> None:
        super().__init__()
        self.question, self.consequence, self.yes = question, consequence, yes

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="window", can_focus=False):
            yield Static(Content(self.question), classes="heading")
            yield Static(Content(self.consequence))
            with Horizontal(classes="buttons"):
                yield Button(Content("No, leave it"), id="no", variant="primary", compact=True)
                yield Button(Content(self.yes), id="yes", variant="error", compact=True)

    @on(Button.Pressed, "#yes")
    def action_yes(self) -> None:
        self.dismiss(True)

    @on(Button.Pressed, "#no")
    def action_no(self) -> None:
        self.dismiss(False)


class HelpWindow(ModalScreen[None]):
    """What can be done here and now, and what the focused part is."""

    BINDINGS = [("escape,q,question_mark,f1", "dismiss", "Close")]  # noqa: RUF012

    def __init__(self, now: Situation, title: str, texts: list[str], *, keys: bool) -> None:
        super().__init__()
        self.now, self.heading, self.texts, self.keys = now, title, texts, keys

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="window -tall"):
            yield Static(Content(self.heading), classes="heading")
            for text in self.texts:
                yield Static(Content(text), classes="paragraph")
            if self.keys:
                yield Static(Content("\n").join(self._lines()))
            yield Static(Content.styled("esc closes", "$foreground-muted"))

    def _lines(self) -> Iterator[Content]:
        for action in sorted(here(self.now.screen), key=lambda action: not action.screens):
            yield self._line(action)

    def _line(self, action: Action) -> Content:
        reason = action.reason(self.now)
        style = "$foreground-muted" if reason else ""
        key = (action.key_shown or "^p").rjust(4)
        why = Content.styled(f" (not now: {reason})", "$text-warning") if reason else Content("")
        return Content.assemble(
            (key, "$text-accent bold"), "  ", (f"{action.label.ljust(13)} {action.help}", style), why
        )
