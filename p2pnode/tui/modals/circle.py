"""Forms about circles: create one, join one, and the window that shows an invite."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Static

from p2pnode.errors import P2pnodeError, UsageError
from p2pnode.tui.background import in_background
from p2pnode.tui.modals.form import Form, TextField, field_row
from p2pnode.tui.text import clean, clip

if TYPE_CHECKING:
    from p2pnode.tui.app import P2pnodeApp

INVITE_PREFIX = "p2pnode:"
NAME_SHOWN_CELLS = 30


class CreateCircleForm(Form):
    """Dismissed with the answer of circle.create."""

    HEADING = "Create a circle"
    METHOD = "circle.create"

    def fields(self) -> Iterator[Widget]:
        yield field_row("Name", TextField(id="name", placeholder="what it is called"))
        yield field_row("Purpose", TextField(id="purpose", placeholder="what it collects and for whom; may be empty"))

    def collect(self) -> dict[str, Any]:
        params = {"name": self.required("name", "the name")}
        return params | ({"purpose": self.text_of("purpose")} if self.text_of("purpose") else {})

    def label(self) -> str:
        name = clip(self.text_of("name"), NAME_SHOWN_CELLS) if self.ready else ""
        return f"Create “{name}” as its steward" if name else "Create, as its steward"

    def explain(self) -> str:
        return (
            "You sign its charter with a new key of your own, used in this circle only. At first you alone decide everything; "
            "each person you invite decides with you."
        )


class JoinCircleForm(Form):
    """Dismissed with the answer of circle.join."""

    HEADING = "Join a circle"
    METHOD = "circle.join"

    def fields(self) -> Iterator[Widget]:
        yield field_row("Invite", TextField(id="invite", placeholder=f"{INVITE_PREFIX}invite/…"))

    def collect(self) -> dict[str, Any]:
        invite = "".join(self.required("invite", "the invite").split())
        if not invite.startswith(INVITE_PREFIX):
            raise UsageError("this is no invite", hint=f"an invite begins with {INVITE_PREFIX}; ask for a new one")
        return {"invite": invite}

    def label(self) -> str:
        return "Join under a new name"

    def explain(self) -> str:
        return (
            "You get a new key, used in this circle only; nothing signed links it to your other names. The inviter's node "
            "vouches for it, and must be online for that."
        )


class InviteWindow(ModalScreen[None]):
    """Makes an invite and shows it, to be copied."""

    BINDINGS = [("escape,q", "close", "Close"), ("y,c", "copy", "Copy")]  # noqa: RUF012

    def __init__(self, circle: str, name: str) -> None:
        super().__init__()
        self.circle, self.circle_name = circle, name
        self.invite = ""

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="window", can_focus=False):
            yield Static(Content(f"Invite to {self.circle_name}"), classes="heading")
            yield Static(Content.styled("Making an invite…", "$foreground-muted"), id="invite")
            yield Static(
                Content(
                    "For one person, one time. Whoever has it can join as somebody you vouch for: send it privately, "
                    "and stay online until they joined."
                ),
                id="explain",
            )
            with Horizontal(classes="buttons"):
                yield Button(Content("Copy"), id="copy", variant="primary", compact=True, disabled=True)
                yield Button(Content("Close"), id="close", compact=True)

    def on_mount(self) -> None:
        in_background(self, self._make, "invite")

    async def _make(self) -> None:
        node = cast("P2pnodeApp", self.app).node
        shown = self.query_one("#invite", Static)
        try:
            answer = await node.call("circle.invite", {"circle": self.circle})
        except P2pnodeError as error:
            shown.update(Content.styled(f"{clean(error.message)}\n{clean(error.hint)}", "$text-error"))
            return
        self.invite = clean(answer.get("invite", ""))
        shown.update(Content(self.invite))
        self.query_one("#copy", Button).disabled = False
        self.query_one("#copy", Button).focus()

    @on(Button.Pressed, "#copy")
    def action_copy(self) -> None:
        if self.invite:
            self.app.copy_to_clipboard(self.invite)
            self.notify("The invite is in the clipboard, where the terminal allows it.", markup=False)

    @on(Button.Pressed, "#close")
    def action_close(self) -> None:
        self.dismiss(None)
