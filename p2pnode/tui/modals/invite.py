"""Windows about invites: how many people and how long, the link with its QR code, and those that are still open."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Static

from p2pnode.errors import P2pnodeError, UsageError
from p2pnode.tui import words
from p2pnode.tui.background import in_background
from p2pnode.tui.modals.form import Form, TextField, field_row
from p2pnode.tui.text import clean
from p2pnode.tui.words import Answer

if TYPE_CHECKING:
    from p2pnode.tui.app import P2pnodeApp

FOR_ONE = "For one person, one time."
PRIVATELY = "Whoever has it can join as somebody you vouch for: send it privately, and stay online until they joined."


class InviteForm(Form):
    """For several people, or for another time. Dismissed with the answer of circle.invite."""

    METHOD = "circle.invite"

    def __init__(self, circle: str, name: str) -> None:
        super().__init__()
        self.circle, self.circle_name = circle, name

    def fields(self) -> Iterator[Widget]:
        yield Static(Content.styled(f"Invite into {self.circle_name}", "bold"))
        yield field_row("People", TextField("5", id="uses"))
        yield field_row("Hours", TextField("168", id="hours", placeholder="how long it holds"))

    def collect(self) -> dict[str, Any]:
        return {"circle": self.circle, "uses": self._number("uses", "people"), "hours": self._number("hours", "hours")}

    def _number(self, id: str, name: str) -> int:
        text = self.required(id, name)
        if not text.isdecimal() or len(text) > 6:
            raise UsageError(f"{name} is a whole number")
        return int(text)

    def label(self) -> str:
        return f"Make an invite for {self.text_of('uses') or '…'} people" if self.ready else "Make an invite"

    def explain(self) -> str:
        return "Your node signs a vouch for each of them, under your name in this circle. You vouch that each is a distinct person."


class InviteWindow(ModalScreen[None]):
    """Makes an invite, unless it gets one that was made, and shows it: as a link to copy, and as a QR code."""

    BINDINGS = [("escape,q", "close", "Close"), ("y,c", "copy", "Copy"), ("r", "code", "QR code")]  # noqa: RUF012

    def __init__(self, circle: str, name: str, made: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.circle, self.circle_name, self.made = circle, name, made
        self.invite = ""
        self.shows_code = False

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="window", can_focus=False):
            yield Static(Content(f"Invite to {self.circle_name}"), classes="heading")
            yield Static(Content.styled("Making an invite…", "$foreground-muted"), id="invite")
            yield Static(Content(f"{FOR_ONE} {PRIVATELY}"), id="explain")
            with Horizontal(classes="buttons"):
                yield Button(Content("Copy"), id="copy", variant="primary", compact=True, disabled=True)
                yield Button(Content("r  QR code"), id="code", compact=True, disabled=True)
                yield Button(Content("Close"), id="close", compact=True)

    def on_mount(self) -> None:
        in_background(self, self._make, "invite")

    async def _make(self) -> None:
        node = cast("P2pnodeApp", self.app).node
        try:
            answer: Answer = self.made or await node.call("circle.invite", {"circle": self.circle})
        except P2pnodeError as error:
            shown = f"{clean(error.message)}\n{clean(error.hint)}"
            self.query_one("#invite", Static).update(Content.styled(shown, "$text-error"))
            return
        self.invite = clean(answer.get("invite", ""))
        self.query_one("#invite", Static).update(Content(self.invite))
        if (uses := words.number(answer, "uses")) > 1:
            self.query_one("#explain", Static).update(Content(f"For {uses} people. {PRIVATELY}"))
        self.query_one("#copy", Button).disabled = False
        self.query_one("#code", Button).disabled = False
        self.query_one("#copy", Button).focus()

    @on(Button.Pressed, "#copy")
    def action_copy(self) -> None:
        if self.invite:
            self.app.copy_to_clipboard(self.invite)
            self.notify("The invite is in the clipboard, where the terminal allows it.", markup=False)

    @on(Button.Pressed, "#code")
    def action_code(self) -> None:
        """Show the code in place of the link, or the link again."""
        if not self.invite:
            return
        self.shows_code = not self.shows_code
        shown = self.query_one("#invite", Static)
        lines = qr_lines(self.invite) if self.shows_code else []
        # Heading, frame, buttons and the gaps between them take six rows.
        if len(lines) > self.app.size.height - 6:
            self.notify(
                f"The code has {len(lines)} rows: make the terminal {len(lines) + 6} rows high, or copy the link.",
                severity="warning",
                markup=False,
            )
        self.query_one("#explain").display = not self.shows_code
        shown.set_class(self.shows_code, "-code")
        shown.update(Content("\n").join(map(Content, lines)) if lines else Content(self.invite))

    @on(Button.Pressed, "#close")
    def action_close(self) -> None:
        self.dismiss(None)


def qr_lines(link: str) -> list[str]:
    """A link as a QR code, two squares a character, dark on light by drawing the light ones. Links may be read in upper case."""
    import segno  # only here: no other window needs it

    drawn = io.StringIO()
    segno.make(link.upper(), micro=False, error="l").save(drawn, kind="txt", border=2)
    squares = drawn.getvalue().splitlines()
    squares += ["0" * len(squares[0])] * (len(squares) % 2)
    blocks = {("0", "0"): "█", ("0", "1"): "▀", ("1", "0"): "▄", ("1", "1"): " "}
    return [
        "".join(blocks[pair] for pair in zip(*rows, strict=True))
        for rows in zip(squares[::2], squares[1::2], strict=True)
    ]


class InvitesWindow(ModalScreen[str | None]):
    """Open invites. Dismissed with the id of one to close."""

    BINDINGS = [("escape,q", "keep", "Close")]  # noqa: RUF012

    def __init__(self, invites: list[Answer], now: float) -> None:
        super().__init__()
        self.invites, self.now = invites, now

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="window -tall"):
            yield Static(Content("Invites that can still be used"), classes="heading")
            if not self.invites:
                yield Static(Content("None is open. i makes one."))
            for number, invite in enumerate(self.invites):
                with Horizontal(classes="row"):
                    yield Static(self._line(invite), classes="line")
                    yield Button(Content("Close it"), id=f"close-{number}", compact=True)
            with Horizontal(classes="buttons"):
                yield Button(Content("Back"), id="back", variant="primary", compact=True)

    def _line(self, invite: Answer) -> Content:
        used = invite.get("used_by")
        left = words.duration(words.number(invite, "expires") - self.now)
        return Content(
            f"{len(used) if isinstance(used, list) else 0} of {words.number(invite, 'uses')} used, holds for {left}"
        )

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        id = str(event.button.id)
        self.dismiss(str(self.invites[int(id.removeprefix("close-"))]["id"]) if id.startswith("close-") else None)

    def action_keep(self) -> None:
        self.dismiss(None)
