"""The real terminal UI on a real node: a person publishes, founds a circle and invites; another joins, searches, fetches and votes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from textual.widgets import Button, Input, Select

from p2pnode.config import Home
from p2pnode.tui.modals.invite import InviteWindow
from p2pnode.tui.modals.vote import VoteForm
from p2pnode.tui.rows import Rows
from p2pnode.tui.screens.work import WorkPage
from tests.support.daemons import RealDaemon, wait_until
from tests.tui.driving import P2pPilot, app_at, press_text, screen_text, settled, until

pytestmark = [pytest.mark.network, pytest.mark.asyncio]

SIZE = (110, 34)
NETWORK_DEADLINE_S = 60.0


async def fill(pilot: P2pPilot, submit: bool = True, **values: str) -> None:
    """Fill a form's fields and send it."""
    await until(pilot, lambda: all(pilot.app.screen.query(f"#{id}") for id in values), "the form")
    for id, value in values.items():
        pilot.app.screen.query_one(f"#{id}", Input).value = value
    await pilot.pause()
    if submit:
        await until(pilot, lambda: not pilot.app.screen.query_one("#submit", Button).disabled, "the button")
        await pilot.press("ctrl+s")


async def shows(pilot: P2pPilot, text: str) -> None:
    await until(pilot, lambda: text in screen_text(pilot), f"{text!r} on the screen", NETWORK_DEADLINE_S)


async def test_a_whole_journey_on_two_screens(start: Callable[..., RealDaemon], tmp_path: Path) -> None:
    anna = start("anna")
    ben = start("ben", bootstrap=(anna.address,))
    wait_until(lambda: ben.json("status")["peers"] == 1, what="the two are connected")
    book = tmp_path / "bees.txt"
    book.write_text("Wild bees nest in the ground.\n" * 5000)

    async with app_at(Home(anna.home), SIZE) as pilot:
        await settled(pilot)
        await pilot.press("4", "n")
        await fill(pilot, name="Bee keepers")
        await shows(pilot, "Bee keepers")
        await pilot.press("p")
        await fill(pilot, submit=False, path=str(book), title="On Wild Bees", licence="CC-BY-4.0", creators="Anna")
        circle = anna.lines("circle", "list")[0]["circle"]
        pilot.app.screen.query_one("#where", Select).value = circle
        await until(pilot, lambda: "propose" in str(pilot.app.screen.query_one("#submit", Button).label))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, WorkPage), "the work's page", NETWORK_DEADLINE_S)
        await settled(pilot)
        assert "On Wild Bees" in screen_text(pilot)
        await pilot.press("escape")
        await settled(pilot)
        await pilot.press("4", "i")
        await until(pilot, lambda: isinstance(pilot.app.screen, InviteWindow), "the invite")
        await until(pilot, lambda: pilot.app.screen.query_one("#copy", Button).disabled is False, "the link")
        invite = str(pilot.app.screen.query_one("#invite").render()).replace("\n", "").strip()  # type: ignore[attr-defined]
        assert invite.startswith("p2pnode:invite/")

    async with app_at(Home(ben.home), SIZE) as pilot:
        await settled(pilot)
        await pilot.press("4", "j")
        await fill(pilot, invite=invite)
        await shows(pilot, "Bee keepers")
        await pilot.press("slash")
        await press_text(pilot, "wild bees")
        await until(pilot, lambda: pilot.app.screen.query_one("#hits", Rows).rows, "a hit", NETWORK_DEADLINE_S)
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, WorkPage), "the work's page")
        await settled(pilot)
        await pilot.press("g")
        await until(pilot, lambda: [w["state"] for w in ben.lines("list")] == ["kept"], "the fetch", NETWORK_DEADLINE_S)
        await shows(pilot, "Bee keepers")
        await pilot.press("v")
        await until(pilot, lambda: isinstance(pilot.app.screen, VoteForm), "the ballot")
        await pilot.press("a")
        await until(pilot, lambda: "Approve as" in str(pilot.app.screen.query_one("#submit", Button).label))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: not isinstance(pilot.app.screen, VoteForm), "the ballot is sent")

    assert (ben.home / "library" / "On Wild Bees").read_bytes() == book.read_bytes()
    work = ben.lines("list")[0]["work"]
    for daemon in (anna, ben):
        wait_until(
            lambda daemon=daemon: daemon.json("show", work)["verdicts"][0]["approve"] == 2,
            what="both count two approvals",
        )
    assert anna.json("explain", work)["verdict"] == ben.json("explain", work)["verdict"]
