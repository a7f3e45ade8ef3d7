"""The command palette: every action of the table that belongs to the screen in front, with why it cannot be done now."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from p2pnode.tui.actions import Action, here

if TYPE_CHECKING:
    from p2pnode.tui.app import P2pnodeApp


class ActionCommands(Provider):
    """Actions as commands; typing filters by label and help."""

    @property
    def _app(self) -> P2pnodeApp:
        return cast("P2pnodeApp", self.app)

    def _entries(self) -> Iterator[tuple[Action, Content, str]]:
        now = self._app.situation
        for action in here(now.screen):
            reason = action.reason(now)
            key = f"  {action.key_shown}" if action.key else ""
            name = Content.assemble(action.label, (key, "$foreground-muted"))
            yield action, name, f"{action.help} (not now: {reason})" if reason else action.help

    async def discover(self) -> Hits:
        for action, name, text in self._entries():
            yield DiscoveryHit(name, partial(self._app.action_act, action.id), text=action.label, help=text)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for action, name, text in self._entries():
            score = max(matcher.match(action.label), matcher.match(action.help) / 2)
            if score > 0:
                yield Hit(score, name, partial(self._app.action_act, action.id), text=action.label, help=text)
