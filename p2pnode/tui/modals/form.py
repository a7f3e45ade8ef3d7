"""A form that leads to one call of the node: fields, who signs, a button that says what it does.

While the call runs the form stays; when it fails the message and hint stand in the form and nothing that was typed is lost.
It is dismissed with the answer, or with None when it was cancelled.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Input, Select, Static
from textual.worker import Worker

from p2pnode.errors import P2pnodeError, UsageError
from p2pnode.tui import words
from p2pnode.tui.background import in_background
from p2pnode.tui.text import clean, marked
from p2pnode.tui.words import Answer

if TYPE_CHECKING:
    from p2pnode.tui.app import P2pnodeApp


class TextField(Input):
    """One line of text; Enter goes on to the next field, so that nothing is signed by accident."""

    def __init__(self, value: str = "", *, id: str, placeholder: str = "", **options: Any) -> None:
        super().__init__(value, id=id, placeholder=placeholder, compact=True, select_on_focus=False, **options)

    def on_mount(self) -> None:
        self.cursor_blink = not getattr(self.app, "still", False)

    @property
    def text(self) -> str:
        return self.value.strip()


def field_row(label: str, widget: Widget) -> Horizontal:
    """A label and its field side by side."""
    return Horizontal(Static(label, markup=False, classes="label"), widget, classes="row")


def choice(options: list[tuple[str, str]], *, id: str, value: str) -> Select[str]:
    """A closed list of (text, value); the texts are drawn as they are."""
    return Select(
        [(cast(Any, Content(text)), each) for text, each in options],
        id=id,
        value=value,
        allow_blank=False,
        compact=True,
    )


class Form(ModalScreen[Answer | None]):
    """Subclasses set HEADING and METHOD, and say `fields`, `collect`, `label` and `explain`."""

    HEADING: ClassVar[str] = ""
    METHOD: ClassVar[str] = ""
    HELP_TEXT: ClassVar[str] = (
        "Enter goes to the next field, ctrl+s does what the button says, esc leaves without doing it."
    )
    BINDINGS = [  # noqa: RUF012
        ("escape", "cancel", "Cancel"),
        ("ctrl+s", "submit", "Submit"),
        ("f1", "app.act('app.help')", "Help"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._call: Worker[None] | None = None
        self.ready = False
        """True once all fields are there."""
        self.signer: Answer = {}
        """The answer of identity.show for what this form would sign."""

    @property
    def node_app(self) -> P2pnodeApp:
        return cast("P2pnodeApp", self.app)

    def fields(self) -> Iterator[Widget]:
        yield from ()

    def collect(self) -> dict[str, Any]:
        """The call's parameters. UsageError says what is missing."""
        return {}

    def label(self) -> str:
        """What the button does, and under which name."""
        return self.HEADING

    def explain(self) -> str:
        """The line above the button: what is signed, by whom, who sees it."""
        return ""

    def signing_circle(self) -> str | None:
        """The circle whose pseudonym signs; empty = the profile key; None = nothing is signed."""
        return None

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="window", can_focus=False):
            yield Static(self.HEADING, markup=False, classes="heading")
            yield from self.fields()
            yield Static("", markup=False, id="explain")
            yield Static("", markup=False, id="problem")
            with Horizontal(classes="buttons"):
                yield Button(Content(self.label()), id="submit", variant="primary", compact=True)
                yield Button(Content("Cancel"), id="cancel", compact=True)

    def on_mount(self) -> None:
        self.ready = True
        self.refresh_signer()
        self.show_changes()

    def refresh_signer(self) -> None:
        """Ask under which name this would be signed."""
        if self.signing_circle() is not None:
            in_background(self, self._load_signer, "signer")

    async def _load_signer(self) -> None:
        circle = self.signing_circle()
        try:
            self.signer = await self.node_app.node.call("identity.show", {"circle": circle} if circle else {})
        except P2pnodeError as error:
            self.show_problem(error)
            return
        self.show_changes()

    def signer_name(self) -> str:
        """The name that will stand under it: the pseudonym's key in a circle, else one's name, else the profile key."""
        circle = self.signing_circle()
        if circle:
            return words.short_id(self.signer.get("key") or "your key in the circle")
        return marked(self.signer.get("name") or "") or words.short_id(self.signer.get("profile_key") or "your key")

    def show_changes(self) -> None:
        """Bring button and explanation in line with the fields."""
        if self.ready and self._call is None:
            button = self.query_one("#submit", Button)
            button.label = Content(self.label())
            button.refresh(layout=True)  # a label alone does not widen it
            self.query_one("#explain", Static).update(Content(self.explain()))

    def text_of(self, id: str) -> str:
        return self.query_one(f"#{id}", TextField).text

    def chosen(self, id: str) -> str:
        return str(self.query_one(f"#{id}", Select).value)

    def required(self, id: str, name: str) -> str:
        """The text of a field that must not be empty; the cursor goes there when it is."""
        if text := self.text_of(id):
            return text
        self.query_one(f"#{id}", TextField).focus()
        raise UsageError(f"{name} is missing")

    def show_problem(self, error: P2pnodeError) -> None:
        parts = [Content.styled(clean(error.message), "$text-error bold")]
        if error.hint:
            parts.append(Content(clean(error.hint)))
        self._show_below(Content("\n").join(parts))

    def show_progress(self, text: str) -> None:
        self._show_below(Content.styled(text, "$foreground-muted"))

    def _show_below(self, content: Content) -> None:
        shown = self.query_one("#problem", Static)
        shown.update(content)
        shown.add_class("-shown")
        self.call_after_refresh(self.query_one(".window").scroll_end, animate=False)

    def heard_progress(self, name: str, data: Answer) -> None:
        """An event of the running call."""

    @on(Input.Submitted)
    def _next_field(self, event: Input.Submitted) -> None:
        event.stop()
        self.focus_next()

    @on(Input.Changed)
    def _field_changed(self) -> None:
        self.show_changes()

    @on(Select.Changed)
    def _choice_changed(self) -> None:
        self.refresh_signer()
        self.show_changes()

    @on(Button.Pressed, "#submit")
    def action_submit(self) -> None:
        if self._call is not None:
            return
        try:
            params = self.collect()
        except P2pnodeError as error:
            self.show_problem(error)
            return
        self._call = in_background(self, partial(self._submit, params), "submit", exclusive=False)
        self.query_one("#submit", Button).disabled = True
        self.show_progress("The node is at work… esc stops it")

    async def _submit(self, params: dict[str, Any]) -> None:
        try:
            answer = await self.node_app.node.call(self.METHOD, params, on_event=self.heard_progress, timeout_s=None)
        except P2pnodeError as error:
            self._call = None
            self.query_one("#submit", Button).disabled = False
            self.show_problem(error)
            self.show_changes()
        else:
            self.dismiss(answer)

    @on(Button.Pressed, "#cancel")
    def action_cancel(self) -> None:
        """Leave; a call that runs is cancelled by that."""
        if self._call is not None:
            self._call.cancel()
        self.dismiss(None)
