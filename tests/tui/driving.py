"""Driving the app in tests: against the scripted node, or against the real node of a home (for the end-to-end tests).

async with app_at(home) as pilot:            # any home whose daemon runs, or autostart=True
    await until(pilot, lambda: pilot.app.node.link.online)
    await press_text(pilot, "bees")
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from textual.pilot import Pilot

from p2pnode.config import Home
from p2pnode.tui.app import P2pnodeApp
from p2pnode.tui.panel import Panel
from tests.tui.world import NOW

DEADLINE_S = 60.0
"""For anything that should happen at once; loaded machines are slow."""
FAR_AWAY_S = (3600.0,)
"""Pauses between attempts to reconnect that never end within a test."""

P2pPilot = Pilot[Any]


def scripted_app(home: Home, **options: Any) -> P2pnodeApp:
    """The app as pictures and tests need it: a fixed clock, nothing that moves, no daemon started."""
    given: dict[str, Any] = {"clock": lambda: NOW, "autostart": False, "pauses_s": FAR_AWAY_S, "still": True} | options
    return _that_is_patient(P2pnodeApp(home, **given))


@asynccontextmanager
async def app_at(home: Home, size: tuple[int, int] = (100, 30), **options: Any) -> AsyncIterator[P2pPilot]:
    """The app running headless on a real home; a running daemon is used, autostart=True starts one."""
    given: dict[str, Any] = {"autostart": False, "still": True} | options
    app = _that_is_patient(P2pnodeApp(home, **given))
    async with app.run_test(size=size) as pilot:
        yield pilot


def _that_is_patient(app: P2pnodeApp) -> P2pnodeApp:
    """What it tells in passing stays: on a busy machine it came and went between two looks of a test."""
    app.NOTIFICATION_TIMEOUT = FAR_AWAY_S[0]
    return app


def app_of(pilot: P2pPilot) -> P2pnodeApp:
    assert isinstance(pilot.app, P2pnodeApp)
    return pilot.app


async def until(pilot: P2pPilot, is_so: Callable[[], object], what: str = "", deadline_s: float = DEADLINE_S) -> None:
    """Wait for something to become true. Fails with what stands on the screen."""
    loop = asyncio.get_running_loop()
    end = loop.time() + deadline_s
    while not is_so():
        assert loop.time() < end, f"waited {deadline_s:g} s for {what or is_so}\n{screen_text(pilot)}"
        await pilot.pause(0.02)
    await pilot.pause()


async def settled(pilot: P2pPilot) -> None:
    """Wait until the node is reached or lost, every call is answered and no panel is loading."""
    app = app_of(pilot)

    def is_so() -> bool:
        waiting = any(panel.state == "loading" for panel in app.screen.query(Panel)) if app.node.link.online else False
        return app.node.link.state in ("online", "lost") and app.node.pending == 0 and not waiting

    for _ in range(2):  # an answer may lead to the next question
        await until(pilot, is_so, "the screen to settle")
        await pilot.pause(0.03)


async def press_text(pilot: P2pPilot, text: str) -> None:
    """Type a text into the focused field."""
    names = {" ": "space", "/": "slash", ".": "full_stop", ",": "comma", "-": "minus", ":": "colon", "_": "underscore"}
    await pilot.press(*(names.get(char, char) for char in text))


def screen_text(pilot: P2pPilot) -> str:
    """What stands on the screen, line by line."""
    screen = pilot.app.screen
    strips = screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips)
