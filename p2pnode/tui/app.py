"""The app: one node, five screens on number keys, one table of actions. `python -m p2pnode.tui` runs it.

It keeps what all screens need (the link, status, my name, my circles, recent events) and sends every key to its deed.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from textual import events
from textual.app import App
from textual.css.query import NoMatches

from p2pnode.config import Home
from p2pnode.errors import P2pnodeError
from p2pnode.tui import happenings, words
from p2pnode.tui.actions import BY_ID
from p2pnode.tui.background import in_background
from p2pnode.tui.deeds import DEEDS
from p2pnode.tui.launch import Launch, launch
from p2pnode.tui.links import ACTION_META
from p2pnode.tui.modals.window import ErrorWindow
from p2pnode.tui.node import PAUSES_S, Link, Node
from p2pnode.tui.page import Page
from p2pnode.tui.palette import ActionCommands
from p2pnode.tui.reasons import Situation
from p2pnode.tui.screens.circles import CirclesPage
from p2pnode.tui.screens.home import HomePage
from p2pnode.tui.screens.library import LibraryPage
from p2pnode.tui.screens.search import SearchPage
from p2pnode.tui.screens.transfers import TransfersPage
from p2pnode.tui.screens.work import WorkPage
from p2pnode.tui.text import clean
from p2pnode.tui.themes import THEMES
from p2pnode.tui.words import Answer

STATUS_INTERVAL_S = 3.0
"""How often peers and sizes are asked for: a local call of a millisecond."""
HAPPENINGS_KEPT = 100
"""Recent events that Home remembers."""
_ABOUT_CIRCLES = frozenset({"circle.joined", "circle.refused", "verdict.changed", "record.received"})


@dataclass(frozen=True, slots=True)
class Happening:
    """One event as it came; its words are made when it is drawn, because names may become known later. `at`: seconds since 1970."""

    at: float
    name: str
    data: Answer


def is_mine(circle: Answer) -> bool:
    """Whether I am in it; one that I still wait for does not count."""
    return "circle" in circle and circle.get("state") != "waiting"


class P2pnodeApp(App[None]):
    """The terminal UI of the node at `home`.

    `clock` gives seconds since 1970. `still` = no blinking and no animation, for pictures and tests. `autostart` = start a
    daemon when none answers at first.
    """

    TITLE = "p2pnode"
    CSS_PATH = "p2pnode.tcss"
    COMMANDS: ClassVar = {*App.COMMANDS, ActionCommands}
    COMMAND_PALETTE_BINDING = "ctrl+p"
    MODES: ClassVar = {
        "home": HomePage,
        "search": SearchPage,
        "library": LibraryPage,
        "circles": CirclesPage,
        "transfers": TransfersPage,
    }
    DEFAULT_MODE = "home"

    def __init__(
        self,
        home: Home,
        *,
        clock: Callable[[], float] = time.time,
        autostart: bool = True,
        pauses_s: tuple[float, ...] = PAUSES_S,
        start: Callable[[Home], Launch] = launch,
        still: bool = False,
        device: str | None = None,
    ) -> None:
        super().__init__()
        self.clock = clock
        self.still = still
        self.node = Node(
            home,
            on_link=self._link_changed,
            on_event=self._heard,
            clock=clock,
            autostart=autostart,
            pauses_s=pauses_s,
            start=start,
            device=device,
        )
        self.status: Answer = {}
        self.identity: Answer = {}
        self.my_circles: dict[str, str] = {}
        """Id -> name of the circles I am in."""
        self.waiting_ballots = 0
        """Open proposals on which I cast no ballot yet."""
        self.happenings: deque[Happening] = deque(maxlen=HAPPENINGS_KEPT)
        self.was_online = False
        self.lens = ""
        """A circle's id, "me", or empty: through whose eyes works are shown."""
        self.shows_hidden = False
        """Whether works that I hid or blocked are shown, too."""

    def on_mount(self) -> None:
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = THEMES[0].name
        if self.still:
            self.animation_level = "none"
        in_background(self, self.node.run, "node", exclusive=False)
        self.set_interval(1.0, self._each_second)
        self.set_interval(STATUS_INTERVAL_S, self.ask_common)

    @property
    def page(self) -> Page | None:
        """The page in front or right behind a modal."""
        return next((screen for screen in reversed(self.screen_stack) if isinstance(screen, Page)), None)

    @property
    def situation(self) -> Situation:
        return self.page.situation() if self.page else Situation()

    def on_click(self, event: events.Click) -> None:
        """A click on a key that is drawn somewhere does what the key does."""
        action = event.style.meta.get(ACTION_META)
        if isinstance(self.screen, Page) and action in BY_ID:
            self.action_act(action)

    def action_act(self, id: str) -> None:
        """Do an action of the table, or say why it cannot be done."""
        action, now = BY_ID[id], self.situation
        if reason := action.reason(now):
            self.notify(f"{action.label}: {reason}", severity="warning", markup=False)
            return
        in_background(self, partial(self._do, id, now), f"deed {id}", exclusive=id != "work.get")

    async def _do(self, id: str, now: Situation) -> None:
        try:
            await DEEDS[id](self, now)
        except P2pnodeError as error:
            if self.node.link.online:  # otherwise the banner says it
                await self.push_screen(ErrorWindow(error, BY_ID[id].label))

    async def go(self, mode: str) -> None:
        """To a screen; its own number pressed again leads back from a work to it."""
        if self.current_mode == mode:
            while len(self.screen_stack) > 1:
                await self.pop_screen()
        else:
            await self.switch_mode(mode)

    async def open_work(self, work: str) -> None:
        """Show all about a work, on top of the screen one came from."""
        if isinstance(self.screen, WorkPage):
            await self.pop_screen()
        await self.push_screen(WorkPage(work))

    async def open_page(self, page: Page) -> None:
        """Show a page on top of the one that one came from; one of its kind that is in front gives way."""
        if type(self.screen) is type(page):
            await self.pop_screen()
        await self.push_screen(page)

    @property
    def lens_words(self) -> str:
        """Through whose eyes works are shown, to be read after "seen"."""
        if self.lens == "me":
            return "through your own marks only"
        return f"as “{self.my_circles[self.lens]}” sees them" if self.lens in self.my_circles else "through all circles"

    @property
    def lens_params(self) -> dict[str, str | bool]:
        """The same for the methods that list works."""
        told: dict[str, str | bool] = {"lens": self.lens} if self.lens == "me" or self.lens in self.my_circles else {}
        return told | ({"all": True} if self.shows_hidden else {})

    async def open_circle(self, circle: str) -> None:
        """To Circles, with this one selected."""
        await self.go("circles")
        if isinstance(self.screen, CirclesPage):
            self.screen.choose(circle)
        self.reload()

    def say(self, text: str, *, warn: bool = False) -> None:
        """A short notice, gone by itself."""
        self.notify(clean(text), severity="warning" if warn else "information", markup=False)

    def copy(self, text: str) -> None:
        self.copy_to_clipboard(text)
        self.say(f"In the clipboard, where the terminal allows it: {text}")

    def reload(self) -> None:
        """Ask again for everything that is on the screen."""
        self.ask_common()
        if page := self.page:
            page.reload()

    def ask_common(self) -> None:
        """Ask again for what all screens show."""
        if self.node.link.online:
            in_background(self, self._load_common, "common")

    async def _load_common(self) -> None:
        try:
            self.status = await self.node.call("node.status")
            self.identity = await self.node.call("identity.show")
            circles = words.items(await self.node.call("circle.list"))
            self.my_circles = {str(c["circle"]): clean(c.get("name") or "") for c in circles if is_mine(c)}
            self.waiting_ballots = await self._count_waiting() if circles else 0
        except P2pnodeError:
            return  # the next round tells; panels show errors of their own
        self._draw()

    async def _count_waiting(self) -> int:
        return len(words.items(await self.node.call("proposal.queue")))

    def _draw(self) -> None:
        with suppress(NoMatches):  # an answer may come while the screens are being taken down
            if (page := self.page) and page.ready:
                page.common_changed()
                page.draw_chrome()

    def _each_second(self) -> None:
        if not self.node.link.online:
            self._draw()

    def _link_changed(self, link: Link) -> None:
        if link.online:
            self.was_online = True
            self.ask_common()
        with suppress(NoMatches):  # as above
            if page := self.page:
                page.link_changed(link)

    def _heard(self, name: str, data: Answer) -> None:
        if name == "verdict.changed" and not data.get("title"):
            in_background(self, partial(self._remember_titled, name, data), "titles", exclusive=False)
        else:
            self._remember(name, data)
        if name in _ABOUT_CIRCLES or name.startswith("peer."):
            self.ask_common()
        if (page := self.page) and page.ready:
            page.heard(name, data)
        self._draw()

    async def _remember_titled(self, name: str, data: Answer) -> None:
        """The event names the work by its id only; people know it by its title."""
        with suppress(P2pnodeError):
            work = await self.node.call("work.show", {"work": data.get("work", "")})
            data = {**data, "title": work.get("title", "")}
        self._remember(name, data)
        self._draw()

    def _remember(self, name: str, data: Answer) -> None:
        if happenings.sentence(name, data, self.my_circles):
            self.happenings.append(Happening(self.clock(), name, data))
