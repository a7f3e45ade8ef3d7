"""What all deeds share: their type, what was selected, and a form that proposes something about the selected work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from p2pnode.tui.modals.propose import ProposeForm
from p2pnode.tui.reasons import Situation
from p2pnode.tui.words import Answer

if TYPE_CHECKING:
    from p2pnode.tui.app import P2pnodeApp

Deed = Callable[["P2pnodeApp", Situation], Awaitable[None]]


def selected(answer: Answer | None) -> Answer:
    assert answer is not None  # the action's reason has seen to it
    return answer


def ask_about_work(form: type[ProposeForm], said: str) -> Deed:
    """Open a form of a proposal about the selected work."""

    async def ask(app: P2pnodeApp, now: Situation) -> None:
        if await app.push_screen_wait(form(selected(now.work), str((now.circle or {}).get("circle", "")))):
            app.say(said)
            app.reload()

    return ask
