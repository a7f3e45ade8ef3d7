"""The base of the six screens: bar, banner, content, keys; asking the node; hearing its events.

A page asks again when it comes to the front, when the node comes back, and soon after an event it watches. What it showed
before stays, dimmed while the node is away. Pages never talk to the socket themselves: `App.node` does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input

from p2pnode.errors import NoDaemonError, P2pnodeError
from p2pnode.tui.actions import bindings
from p2pnode.tui.background import in_background
from p2pnode.tui.chrome import Banner, KeysBar, TopBar
from p2pnode.tui.node import Link
from p2pnode.tui.panel import Panel
from p2pnode.tui.reasons import Situation
from p2pnode.tui.rows import Rows
from p2pnode.tui.words import Answer

if TYPE_CHECKING:
    from p2pnode.tui.app import P2pnodeApp

EVENT_DELAY_S = 0.2
"""Events come in bursts; the page asks once for all of a burst."""
WIDE_CELLS = 120
"""From this width on a side panel is shown."""


def page_bindings(screen: str) -> list[BindingType]:
    """The keys of a screen, from the actions table."""
    keys = bindings(screen) | {"f1": "app.help", "ctrl+q": "app.quit"}
    return [Binding(key, f"app.act('{action}')", show=False) for key, action in keys.items()]


class Page(Screen[None]):
    """One screen. Subclasses set NAME and WATCHES, compose `body` and fill their panels in `load`."""

    NAME: ClassVar[str] = "home"
    WATCHES: ClassVar[tuple[str, ...]] = ()
    """Events after which the page asks the node again."""
    HELP_TEXT: ClassVar[str] = ""
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE_CELLS, "-wide")]  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self._reload_timer: Timer | None = None
        self.ready = False
        """True once all widgets are there; the node may answer before that."""

    @property
    def node_app(self) -> P2pnodeApp:
        return cast("P2pnodeApp", self.app)

    def compose(self) -> ComposeResult:
        yield TopBar(markup=False)
        yield Banner(markup=False)
        yield from self.body()
        yield KeysBar(markup=False)

    def body(self) -> Iterator[Widget]:
        yield from ()

    async def load(self) -> None:
        """Ask the node and fill the panels. Errors end in panels, never here."""

    def situation(self) -> Situation:
        """What is selected now."""
        return self.base_situation()

    def base_situation(self, **selected: Any) -> Situation:
        app = self.node_app
        return Situation(screen=self.NAME, online=app.node.link.online, circles=frozenset(app.my_circles), **selected)

    def heard(self, name: str, data: Answer) -> None:
        """An event of the node, while this page is in front."""
        if name in self.WATCHES and self._reload_timer is None:
            self._reload_timer = self.set_timer(EVENT_DELAY_S, self._reload_after_events)

    def _reload_after_events(self) -> None:
        self._reload_timer = None
        self.reload()

    def common_changed(self) -> None:
        """Status, name, circles or recent events, which the app keeps, have changed."""

    def show_pane(self, pane: str) -> None:
        """Bring one of several panes to the front."""

    def focus_field(self) -> None:
        """Put the cursor into the field to type in."""

    def reload(self) -> None:
        """Ask again, in the background; an older question that still runs is given up."""
        if self.ready and self.node_app.node.link.online:
            in_background(self, self.load, "load")

    def link_changed(self, link: Link) -> None:
        if not self.ready:
            return
        self.set_class(link.error is not None and not link.online, "-stale")
        self.draw_chrome()
        if link.online and self.in_front:
            self.reload()
        elif link.state == "lost" and link.error is not None:
            self._say_lost(link.error)

    def _say_lost(self, error: P2pnodeError) -> None:
        for panel in self.query(Panel):
            if panel.state == "loading":
                panel.error(error)

    def draw_chrome(self) -> None:
        """Bar, banner and keys as things stand now."""
        if not self.ready or not self.in_front:
            return
        app, width = self.node_app, self.app.size.width
        self.query_one(TopBar).show(self.tab, app.node.link, app.status, width)
        self.query_one(Banner).show(app.node.link, app.clock(), width)
        if isinstance(self.focused, Input):
            self.query_one(KeysBar).show_typing()
        else:
            self.query_one(KeysBar).show(self.situation(), width)

    @property
    def in_front(self) -> bool:
        """Whether this is the page one looks at, perhaps behind a window."""
        return self.node_app.page is self

    @property
    def tab(self) -> str:
        """The screen whose name is lit in the bar: for the Work screen, where one came from."""
        return self.app.current_mode

    async def ask(self, panel: Panel, method: str, params: dict[str, Any] | None = None) -> Answer | None:
        """The answer, or None after the panel was told why there is none."""
        panel.loading_now()
        try:
            return await self.node_app.node.call(method, params)
        except NoDaemonError as error:
            if panel.state != "filled":
                panel.error(error)
        except P2pnodeError as error:
            panel.error(error)
        return None

    def on_mount(self) -> None:
        self.ready = True
        self.on_screen_resume()

    def on_screen_resume(self) -> None:
        self.link_changed(self.node_app.node.link)

    def watch_focused(self) -> None:
        self.draw_chrome()

    def on_resize(self) -> None:
        self.draw_chrome()

    def on_rows_highlighted(self, event: Rows.Highlighted) -> None:
        self.draw_chrome()

    def on_rows_chosen(self, event: Rows.Chosen) -> None:
        self.node_app.action_act("work.open")
