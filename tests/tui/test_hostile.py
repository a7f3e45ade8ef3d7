"""Whatever peers write into titles, names, reasons and errors is shown as text: no markup, no escape sequence, no link."""

from __future__ import annotations

import pytest

from p2pnode.config import Home
from p2pnode.errors import NetworkError
from tests.tui import world
from tests.tui.conftest import Scripted
from tests.tui.driving import P2pPilot, app_of, press_text, screen_text, scripted_app, settled, until

DANGEROUS = ("\x1b", "\x07", "\u202e", "\u2066", "\u200b")


def check(pilot: P2pPilot, place: str) -> None:
    text = screen_text(pilot)
    assert not [char for char in DANGEROUS if char in text], place
    assert "[b]" in text, f"{place}: the hostile text is not shown as it stands\n{text}"
    for strip in pilot.app.screen._compositor.render_strips():
        for segment in strip:
            meta = segment.style.meta if segment.style else {}
            assert "@click" not in meta or "quit" not in str(meta["@click"]), place


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
async def test_every_screen_shows_hostile_text_inert(size: tuple[int, int], home: Home, scripted: Scripted) -> None:
    node = scripted("hostile")
    async with scripted_app(home).run_test(size=size) as pilot:
        await settled(pilot)
        node.emit(
            "verdict.changed",
            {"circle": world.READERS, "title": world.HOSTILE, "before": world.HOSTILE, "after": "listed"},
        )
        await until(pilot, lambda: app_of(pilot).happenings)
        await settled(pilot)
        check(pilot, "home")
        for key in ("3", "4", "m", "w", "a", "v", "escape", "i", "escape", "5"):
            await pilot.press(key)
            await settled(pilot)
            if key not in ("m", "escape"):
                check(pilot, key)
        await pilot.press("2")
        await press_text(pilot, "a")
        await pilot.press("enter")
        await settled(pilot)
        check(pilot, "search")
        await app_of(pilot).open_work(world.ATLAS["work"])
        await settled(pilot)
        check(pilot, "work")
        for key in ("l", "escape", "f", "escape", "v", "escape"):
            await pilot.press(key)
            await settled(pilot)
        await app_of(pilot).go("circles")
        for key in ("c", "u", "k", "escape", "escape"):
            await pilot.press(key)
            await settled(pilot)
            check(pilot, f"deciding: {key}")
        await app_of(pilot).go("library")
        await settled(pilot)
        await pilot.press("z")
        await settled(pilot)
        check(pilot, "history")
        assert pilot.app.is_running


@pytest.mark.asyncio
async def test_hostile_errors_are_shown_inert(home: Home, scripted: Scripted) -> None:
    error = NetworkError(world.HOSTILE, hint=world.HOSTILE)
    scripted("filled", {"work.get": error, "work.list": error, "circle.invite": error})
    async with scripted_app(home).run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        await pilot.press("3")
        await settled(pilot)
        check(pilot, "panel")
        await pilot.press("4")
        await settled(pilot)
        await pilot.press("i")
        await settled(pilot)
        check(pilot, "invite")
        await pilot.press("escape", "w", "g")
        await settled(pilot)


@pytest.mark.asyncio
async def test_notices_are_shown_inert(home: Home, scripted: Scripted) -> None:
    scripted()
    async with scripted_app(home).run_test(size=(100, 30), notifications=True) as pilot:
        await settled(pilot)
        app_of(pilot).say(world.HOSTILE)
        await until(pilot, lambda: "[b]bold[/b]" in screen_text(pilot))


@pytest.mark.asyncio
async def test_answers_of_wrong_shapes_crash_no_screen(home: Home, scripted: Scripted) -> None:
    """A daemon of another version, or a bug of ours: fields missing, of other types, lists of nonsense."""
    junk = {
        "items": [{}, 7, None, {"work": 5, "title": [], "verdicts": "x", "bytes": {}, "creators": [1]}],
        "open": 3,
        "roll": [{}],
    }
    methods = ["peer.list", "work.list", "work.search", "work.show", "transfer.list", "circle.show", "proposal.list",
               "verdict.explain", "node.status", "identity.show", "proposal.queue", "proposal.show", "work.history"]  # fmt: skip
    scripted("filled", dict.fromkeys(methods, junk))
    async with scripted_app(home).run_test(size=(140, 40)) as pilot:
        await settled(pilot)
        for key in ("3", "z", "escape", "4", "m", "c", "u", "k", "escape", "escape", "w", "5", "2", "x", "enter"):
            await pilot.press(key)
            await settled(pilot)
        await app_of(pilot).open_work("w-x")
        await settled(pilot)
        assert pilot.app.is_running
