"""A part of a screen that is always in one of its states: loading, empty, error or filled; and dimmed while the node is away.

Empty says why and names the key to press, error says the hint and how to try again. The screen decides, the panel shows.
"""

from __future__ import annotations

from textual.containers import Vertical
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static

from p2pnode.errors import P2pnodeError
from p2pnode.tui.actions import BY_ID
from p2pnode.tui.links import key_link
from p2pnode.tui.text import clean

STATES = ("loading", "empty", "error", "filled")


class Panel(Vertical):
    """A titled frame around widgets that are shown only when it is filled."""

    DEFAULT_CSS = """
    Panel { height: 1fr; border: round $foreground 25%; border-title-color: $text-muted; padding: 0 1; }
    Panel:focus-within { border: round $primary; border-title-color: $foreground; }
    Panel > .notice { display: none; width: 1fr; height: 1fr; content-align: center middle; text-align: center; }
    Panel.-loading > .notice, Panel.-empty > .notice, Panel.-error > .notice { display: block; }
    Panel.-loading > .body, Panel.-empty > .body, Panel.-error > .body { display: none; }
    """

    state: reactive[str] = reactive("loading", init=True)

    def __init__(self, *children: Widget, title: str = "", id: str | None = None) -> None:
        for child in children:
            child.add_class("body")
        self._notice = Static("", markup=False, classes="notice")
        super().__init__(*children, self._notice, id=id)
        if title:
            self.border_title = Content(title)
        self._notice.update(Content.styled("Asking the node…", "$foreground-muted"))

    @property
    def notice(self) -> str:
        """What stands in place of the content, when it is not filled."""
        visual = self._notice.visual
        return visual.plain if isinstance(visual, Content) else ""

    def watch_state(self, state: str) -> None:
        for each in STATES:
            self.set_class(each == state, f"-{each}")

    def loading_now(self, text: str = "Asking the node…") -> None:
        """Waiting for the first answer. A filled panel stays filled while it asks again."""
        if self.state != "filled":
            self._notice.update(Content.styled(text, "$foreground-muted"))
            self.state = "loading"

    def empty(self, why: str, *actions: str) -> None:
        """Nothing to show: why, and the actions that would change it."""
        lines = [Content(why), *(self._offer(action) for action in actions)]
        self._notice.update(Content("\n\n" if len(lines) < 3 else "\n").join(lines))
        self.state = "empty"

    def error(self, error: P2pnodeError) -> None:
        """The node answered with an error, or not at all."""
        parts = [Content.styled(clean(error.message), "$text-error")]
        if error.hint:
            parts.append(Content(clean(error.hint)))
        parts.append(Content.assemble(key_link("page.refresh"), " tries again"))
        self._notice.update(Content("\n").join(parts))
        self.state = "error"

    def filled(self) -> None:
        self.state = "filled"

    def _offer(self, action: str) -> Content:
        return Content.assemble(key_link(action), f"  {BY_ID[action].help}")
