"""Expelling, readmitting and going back in the history, on the real screens of real nodes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from textual.widgets import Button, Input

from p2pnode.config import Home
from p2pnode.tui.actions import BY_ID
from p2pnode.tui.modals.persons import ExpelForm, ReadmitForm
from p2pnode.tui.modals.propose import EditForm, RevertForm
from p2pnode.tui.modals.vote import VoteForm
from p2pnode.tui.rows import Rows
from p2pnode.tui.screens.history import HistoryPage
from tests.support.daemons import RealDaemon, wait_until
from tests.tui.driving import P2pPilot, app_at, app_of, screen_text, settled, until

pytestmark = [pytest.mark.network, pytest.mark.asyncio]

DEADLINE_S = 120.0
SIZE = (80, 24)


async def send(pilot: P2pPilot, form: type, **values: str) -> None:
    """Fill the form that was asked for, send it, and wait until it is gone."""
    await until(pilot, lambda: isinstance(pilot.app.screen, form), f"{form.__name__}", DEADLINE_S)
    for id, value in values.items():
        pilot.app.screen.query_one(f"#{id}", Input).value = value
    await until(pilot, lambda: not pilot.app.screen.query_one("#submit", Button).disabled, "the button", DEADLINE_S)
    await pilot.press("ctrl+s")
    await until(pilot, lambda: not isinstance(pilot.app.screen, form), f"{form.__name__} is sent", DEADLINE_S)
    await settled(pilot)


async def act(pilot: P2pPilot, action: str, pane: str, row: str = "") -> None:
    """Do this with a row of a pane (the one under the cursor), as soon as the screen lets a person: an answer may still be on its way."""

    def can() -> bool:
        rows = pilot.app.screen.query_one(f"#{pane}", Rows)
        return (not row or rows.select(row)) and not BY_ID[action].reason(app_of(pilot).situation)

    await until(pilot, can, action, DEADLINE_S)
    app_of(pilot).action_act(action)


async def approve(pilot: P2pPilot) -> None:
    """Approve the question under the cursor of the circle's page."""
    await pilot.press("a")
    await act(pilot, "ballot.cast", "open")

    def form() -> VoteForm | None:
        return pilot.app.screen if isinstance(pilot.app.screen, VoteForm) and pilot.app.screen.focused else None

    await until(pilot, form, "the ballot", DEADLINE_S)
    await pilot.press("a")
    await until(pilot, lambda: (ballot := form()) and ballot.choice == "approve", "the choice", DEADLINE_S)
    await send(pilot, VoteForm)


async def test_a_member_is_expelled_and_comes_back(start: Callable[..., RealDaemon]) -> None:
    anna = start("anna")
    ben = start("ben", bootstrap=(anna.address,))
    anna.run("circle", "create", "Study")
    ben.run("circle", "join", anna.json("circle", "invite", "Study")["invite"])
    wait_until(lambda: anna.json("circle", "show", "Study")["members"] == 2, timeout_s=DEADLINE_S, what="two members")
    key = ben.json("circle", "show", "Study")["me"]

    async with app_at(Home(anna.home), SIZE) as pilot:
        await settled(pilot)
        await pilot.press("4", "m")
        await until(pilot, lambda: "m Members 2" in screen_text(pilot), "the roll", DEADLINE_S)
        await act(pilot, "member.expel", "members", key)
        await send(pilot, ExpelForm, reason="made-up keys")
        await approve(pilot)
        await until(pilot, lambda: "m Members 1" in screen_text(pilot), "one member less", DEADLINE_S)
        await pilot.press("m")
        await until(pilot, lambda: "expelled" in screen_text(pilot), "the expelled key", DEADLINE_S)
        await act(pilot, "member.readmit", "members", key)
        await send(pilot, ReadmitForm)
        await approve(pilot)
        await until(pilot, lambda: "m Members 2" in screen_text(pilot), "two members again", DEADLINE_S)
    wait_until(lambda: ben.json("circle", "show", "Study")["expelled"] == [], timeout_s=DEADLINE_S, what="ben sees it")


async def test_a_description_goes_back_to_what_it_was(start: Callable[..., RealDaemon], tmp_path: Path) -> None:
    anna = start("anna")
    (tmp_path / "bees.txt").write_text("Wild bees nest in the ground.")
    anna.run("circle", "create", "Study")
    work = anna.json("publish", str(tmp_path / "bees.txt"), "--title", "On Wild Bees", "--circle", "Study")["work"]

    def title() -> str:
        (said,) = anna.json("show", work)["verdicts"]
        return str((said.get("fields") or {}).get("title", ""))

    async with app_at(Home(anna.home), SIZE) as pilot:
        await settled(pilot)
        await pilot.press("4", "w")
        await act(pilot, "proposal.edit", "listed")
        await send(pilot, EditForm, title="Wasps")
        await approve(pilot)
        await until(pilot, lambda: title() == "Wasps", "the edit", DEADLINE_S)
        await pilot.press("w")
        await act(pilot, "work.history", "listed")
        await until(pilot, lambda: isinstance(pilot.app.screen, HistoryPage), "the history", DEADLINE_S)
        await until(pilot, lambda: len(pilot.app.screen.query_one("#steps", Rows).rows) == 3, "its steps", DEADLINE_S)
        rows = pilot.app.screen.query_one("#steps", Rows)
        listing = next(row.key for row in rows.rows if row.data.get("class") == "list")
        await act(pilot, "work.revert", "steps", listing)
        await until(pilot, lambda: "- Wasps" in screen_text(pilot), "what changes", DEADLINE_S)
        await send(pilot, RevertForm)
        await pilot.press("escape")
        await settled(pilot)
        await approve(pilot)
        await until(pilot, lambda: title() != "Wasps", "the way back", DEADLINE_S)
