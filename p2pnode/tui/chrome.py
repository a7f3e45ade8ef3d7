"""What every screen has around its content: the bar with the screens' names, the banner, and the keys at the bottom."""

from __future__ import annotations

import math

from textual.content import Content
from textual.widgets import Static

from p2pnode.tui import words
from p2pnode.tui.actions import LAST_IN_FOOTER, SCREENS, footer
from p2pnode.tui.draw import AWAY, HERE, styled
from p2pnode.tui.links import click, footer_link, key_link
from p2pnode.tui.node import Link
from p2pnode.tui.reasons import Situation
from p2pnode.tui.text import clean, clip
from p2pnode.tui.words import Answer, number


class TopBar(Static):
    """Names of the screens on their number keys, and how the node is."""

    DEFAULT_CSS = "TopBar { height: 1; background: $panel; color: $foreground; padding: 0 1; }"

    def show(self, screen: str, link: Link, status: Answer, width: int) -> None:
        """Draw for a screen of `width` columns."""
        tabs = [styled("p2pnode ", "bold $text-primary")]
        for number_key, (id, name) in enumerate(list(SCREENS.items())[:5], 1):
            style = "$text on $primary bold" if id == screen else "$foreground-muted"
            tabs.append(styled(f" {number_key} {name} ", style).stylize(click(f"go.{id}")))
        left, right = Content("").join(tabs), self._state(link, status)
        if link.device:
            right = Content.assemble((f"on {clean(link.device)} ", "$text-accent bold"), right)
        gap = max(1, width - 2 - left.cell_length - right.cell_length)
        self.update(Content.assemble(left, " " * gap, right))

    @staticmethod
    def _state(link: Link, status: Answer) -> Content:
        if link.online:
            peers = number(status, "peers")
            mark, style = (HERE, "$success") if peers else (AWAY, "$text-warning")
            return Content.assemble((mark, style), f" {words.plural(peers, 'peer')}")
        return styled(f"{AWAY} {'starting' if link.state == 'starting' else 'no node'}", "$text-warning")


class Banner(Static):
    """One line that appears while the node cannot be reached: what is wrong, when we try again, what to press."""

    DEFAULT_CSS = """
    Banner { height: auto; max-height: 2; padding: 0 1; display: none;
             background: $warning-muted; color: $text-warning; }
    Banner.-shown { display: block; }
    """

    def show(self, link: Link, now: float, width: int) -> None:
        self.set_class(not link.online, "-shown")
        if link.online:
            return
        if link.state != "lost" or link.error is None:
            text = "Starting the node…" if link.state == "starting" else "Connecting to the node…"
            self.update(Content(text))
            return
        seconds = max(0, math.ceil(link.retry_at - now))
        tail = Content.assemble(
            f"  again in {seconds} s  ", key_link("page.refresh"), " now  ", key_link("node.start"), " start it"
        )
        message = clip(clean(link.error.message), max(20, width - 2 - tail.cell_length))
        first = Content.assemble((message, "bold"), tail)
        hint = clean(link.error.hint) if link.error.code != "no_daemon" else ""
        self.update(Content("\n").join([first, Content(clip(hint, width - 2))]) if hint else first)


class KeysBar(Static):
    """The footer: the actions of this screen, dimmed where they cannot be done now."""

    DEFAULT_CSS = "KeysBar { dock: bottom; height: 1; background: $panel; padding: 0 1; }"

    def show_typing(self) -> None:
        """While a field has the focus, letters belong to it: the keys that still do something."""
        parts = [
            ("enter", "Ask others now"),
            ("down", "To the hits"),
            ("esc", "Leave the field"),
            ("F1", "Help"),
            ("^p", "Commands"),
            ("^q", "Quit"),
        ]
        links = [Content.assemble((key, "$text-accent bold"), " ", text) for key, text in parts]
        self.update(Content("  ").join(links))

    def show(self, now: Situation, width: int) -> None:
        """Where not all fit, those that cannot be done go first, then the last ones."""
        chosen = footer(now.screen)
        disabled = {action.id for action in chosen if action.reason(now)}
        links = {action.id: footer_link(action, disabled=action.id in disabled) for action in chosen}

        def too_wide() -> bool:
            return sum(links[a.id].cell_length + 2 for a in chosen) - 2 > width - 2

        for droppable in (disabled, set(links)):
            for action in reversed(chosen):
                if too_wide() and action.id in droppable and action.id not in LAST_IN_FOOTER:
                    chosen = [other for other in chosen if other is not action]
        self.update(Content("  ").join([links[action.id] for action in chosen]))
