"""Every screen in every state, filled at two sizes, the windows, and the themes, compared with pictures that a person has looked at.

After a change that is meant: `python -m pytest tests/tui/test_snapshots.py --snapshot-update`, then look at the pictures.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from p2pnode.config import Home
from tests.tui.conftest import Scripted
from tests.tui.driving import P2pPilot, press_text, scripted_app, settled, until
from tests.tui.world import READERS, TRANSFERS, WATER

SIZES = {"80x24": (80, 24), "120x40": (120, 40)}
SnapCompare = Callable[..., bool]


async def press(pilot: P2pPilot, *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settled(pilot)


async def home_screen(pilot: P2pPilot) -> None:
    await press(pilot, "1")


async def search_screen(pilot: P2pPilot) -> None:
    await press(pilot, "2")
    await press_text(pilot, "a")
    await pilot.press("enter")
    await settled(pilot)


async def library_screen(pilot: P2pPilot) -> None:
    await press(pilot, "3")


async def circles_screen(pilot: P2pPilot) -> None:
    await press(pilot, "4")


async def transfers_screen(pilot: P2pPilot) -> None:
    await press(pilot, "5")


async def work_screen(pilot: P2pPilot) -> None:
    await pilot.app.open_work(WATER["work"])  # type: ignore[attr-defined]
    await settled(pilot)


SCREENS: dict[str, Callable[[P2pPilot], Awaitable[None]]] = {
    "home": home_screen,
    "search": search_screen,
    "library": library_screen,
    "circles": circles_screen,
    "transfers": transfers_screen,
    "work": work_screen,
}


STATES = [("filled", "80x24"), ("filled", "120x40"), ("empty", "80x24"), ("error", "80x24"), ("stale", "120x40")]
"""What differs between sizes is seen where all is filled; a picture costs a second, so the other states have one each."""


@pytest.mark.parametrize(("state", "size"), STATES)
@pytest.mark.parametrize("screen", SCREENS)
def test_screen(screen: str, state: str, size: str, home: Home, scripted: Scripted, snap_compare: SnapCompare) -> None:
    node = scripted({"error": "broken", "stale": "filled"}.get(state, state))

    async def before(pilot: P2pPilot) -> None:
        await settled(pilot)
        await SCREENS[screen](pilot)
        if state == "stale":
            node.vanish()
            await until(pilot, lambda: pilot.app.node.link.state == "lost")  # type: ignore[attr-defined]
        await settled(pilot)

    assert snap_compare(scripted_app(home), terminal_size=SIZES[size], run_before=before)


WINDOWS: dict[str, list[str]] = {
    "vote": ["4", "a", "v", "a"],
    "publish": ["p"],
    "create-circle": ["4", "n"],
    "join-circle": ["4", "j"],
    "invite": ["4", "i"],
    "propose": ["3", "l"],
    "flag": ["3", "f"],
    "name": ["e"],
    "connect": ["c"],
    "help": ["4", "question_mark"],
    "members": ["4", "m"],
    "listed": ["4", "w"],
    "verdicts": ["3", "enter", "down"],
    "review": ["u"],
    "question": ["u", "k"],
    "history": ["3", "z"],
    "charter": ["4", "c"],
    "change-rules": ["4", "down", "d"],
    "vote-on-rules": ["u", "v"],
}


@pytest.mark.parametrize("name", WINDOWS)
def test_window(name: str, home: Home, scripted: Scripted, snap_compare: SnapCompare) -> None:
    scripted()

    async def before(pilot: P2pPilot) -> None:
        await settled(pilot)
        await press(pilot, *WINDOWS[name])

    assert snap_compare(scripted_app(home), terminal_size=(80, 24), run_before=before)


@pytest.mark.parametrize("theme", ["p2pnode-light", "p2pnode-contrast"])
def test_theme(theme: str, home: Home, scripted: Scripted, snap_compare: SnapCompare) -> None:
    scripted()

    async def before(pilot: P2pPilot) -> None:
        await settled(pilot)
        pilot.app.theme = theme
        await press(pilot, "4", "a")

    assert snap_compare(scripted_app(home), terminal_size=(100, 30), run_before=before)


def test_connecting(snap_compare: SnapCompare) -> None:
    """Before a node ever answered: nothing is shown as if it were known."""

    async def before(pilot: P2pPilot) -> None:
        await until(pilot, lambda: pilot.app.node.link.state == "lost")  # type: ignore[attr-defined]

    assert snap_compare(scripted_app(Home(Path("/nowhere/p2pnode"))), run_before=before)


def many(params: dict[str, Any]) -> dict[str, Any]:
    """More transfers than a screen has rows, with a long title in wide characters."""
    long = "長い題名" * 20
    return {"items": [TRANSFERS[i % 3] | {"transfer": f"t-{i}", "title": f"{long} {i}"} for i in range(40)]}


def test_many_rows_with_wide_characters(home: Home, scripted: Scripted, snap_compare: SnapCompare) -> None:
    scripted("filled", {"transfer.list": many})

    async def before(pilot: P2pPilot) -> None:
        await settled(pilot)
        await press(pilot, "5", "end", "up")

    assert snap_compare(scripted_app(home), run_before=before)


def test_the_circle_of_these_pictures_is_the_readers() -> None:
    assert READERS.startswith("c-")
