"""Three people, three real nodes, one study circle: from the invite to sealed rules, by the command line and on the screen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from p2pnode.config import Home
from p2pnode.tui.modals.vote import VoteForm
from p2pnode.tui.rows import Rows
from p2pnode.tui.screens.history import HistoryPage
from p2pnode.tui.screens.question import QuestionPage
from p2pnode.tui.screens.review import ReviewPage
from tests.support.daemons import RealDaemon, wait_until
from tests.tui.driving import app_at, screen_text, settled, until

pytestmark = [pytest.mark.network, pytest.mark.asyncio]

DEADLINE_S = 120.0
"""Three daemons and a loaded machine; everything here takes seconds."""
SEALED = "charter b=0 q=2 cooldown=0.0001 sealed"
"""Two approvals, nine seconds of waiting, then the steward's seal."""


def agree(what: str, *checks: Callable[[], object]) -> None:
    for check in checks:
        wait_until(check, timeout_s=DEADLINE_S, what=what)


def propose(node: RealDaemon, *arguments: str) -> str:
    return str(node.json("propose", *arguments)["proposal"])


def knows(node: RealDaemon, proposal: str) -> Callable[[], object]:
    return lambda: any(one["proposal"] == proposal for one in node.lines("proposals"))


def verdict(node: RealDaemon, work: str) -> Callable[[], Any]:
    def ask() -> Any:
        return [(one["verdict"], (one.get("fields") or {}).get("title")) for one in node.json("show", work)["verdicts"]]

    return ask


async def go_to(pilot: Any, proposal: str) -> None:
    """To the last row, which is this question's, also when the list is drawn anew meanwhile."""
    for _ in range(int(DEADLINE_S * 10)):
        await pilot.press("end")
        if (pilot.app.screen.selected or {}).get("proposal") == proposal:
            return
        await pilot.pause(0.1)
    raise AssertionError(f"no row of {proposal}\n{screen_text(pilot)}")


async def test_a_study_circle_decides_from_the_first_book_to_its_rules(
    start: Callable[..., RealDaemon], tmp_path: Path
) -> None:
    anna = start("anna")
    ben, cleo = (start(name, bootstrap=(anna.address,)) for name in ("ben", "cleo"))
    book = tmp_path / "bees.txt"
    book.write_text("Wild bees nest in the ground.\n" * 500)

    # A lone founder's circle works at once: what she publishes in it is listed.
    circle = anna.json("circle", "create", "Study", "--profile", "study")["circle"]
    assert "A vouch: holds for 183 days" in anna.run("circle", "charter", "Study").stdout
    work = anna.json("publish", str(book), "--title", "On Wild Bees", "--licence", "CC-BY-4.0", "--circle", "Study")[
        "work"
    ]
    assert verdict(anna, work)() == [("listed", None)]

    # One invite for two people, as a link and as a QR code.
    shown = anna.run("circle", "invite", "Study", "--uses", "2", "--qr").stdout
    invite = shown.splitlines()[-1]
    assert "█" in shown or "▀" in shown
    for node in (ben, cleo):
        node.run("circle", "join", invite)
    everybody = (anna, ben, cleo)
    agree(
        "three members", *(lambda node=node: node.json("circle", "show", "Study")["members"] == 3 for node in everybody)
    )
    assert "Only one member vouches for you" in ben.run("circle", "show", "Study").stdout
    keys = {name: node.json("circle", "show", "Study")["me"] for name, node in (("ben", ben), ("cleo", cleo))}
    ben.run("vouch", "Study", keys["cleo"])
    cleo.run("vouch", "Study", keys["ben"])
    agree(
        "second vouchers", *(lambda node=node: not node.json("circle", "show", "Study")["advice"] for node in everybody)
    )

    # An edit: Ben proposes it on the command line, Anna reviews and votes on her screen.
    edit = propose(ben, "edit", "Study", work, "--title", "Wild Bees of Saxony", "--reason", "as on its cover")
    agree("the edit reaches all", *(knows(node, edit) for node in everybody))
    assert "0 of 3 members voted (0 %)." in anna.run("review").stdout
    assert "You would sign as" in anna.run("vote", edit).stdout
    async with app_at(Home(anna.home), (120, 34)) as pilot:
        await settled(pilot)
        await pilot.press("u")
        await until(pilot, lambda: isinstance(pilot.app.screen, ReviewPage), deadline_s=DEADLINE_S)
        await until(pilot, lambda: pilot.app.screen.query_one("#queue", Rows).rows, deadline_s=DEADLINE_S)
        await pilot.press("v")
        await until(pilot, lambda: isinstance(pilot.app.screen, VoteForm), deadline_s=DEADLINE_S)
        await until(pilot, lambda: "0 of 3 members voted" in screen_text(pilot), deadline_s=DEADLINE_S)
        await pilot.press("a", "ctrl+s")
        await until(pilot, lambda: verdict(anna, work)() == [("listed", "Wild Bees of Saxony")], deadline_s=DEADLINE_S)
        await until(pilot, lambda: not pilot.app.screen.query("#queue").first(Rows).rows, deadline_s=DEADLINE_S)
        await pilot.press("escape")
        await settled(pilot)
        await pilot.press("3")
        await settled(pilot)
        await pilot.press("z")
        await until(pilot, lambda: isinstance(pilot.app.screen, HistoryPage), deadline_s=DEADLINE_S)
        await until(pilot, lambda: len(pilot.app.screen.query_one("#steps", Rows).rows) == 3, deadline_s=DEADLINE_S)
        await go_to(pilot, edit)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, QuestionPage), deadline_s=DEADLINE_S)
        await until(pilot, lambda: "It is adopted." in screen_text(pilot), deadline_s=DEADLINE_S)
    agree(
        "the edit holds everywhere",
        *(lambda node=node: verdict(node, work)() == [("listed", "Wild Bees of Saxony")] for node in everybody),
    )

    # A complaint with evidence, then a takedown and its appeal.
    flag = propose(cleo, "flag", "Study", work, "--class", "corrupt", "--reason", "it ends early", "--evidence", work)
    agree("the complaint reaches Ben", knows(ben, flag))
    told = ben.json("vote", flag)
    assert told["evidence"] == [work]
    assert "publish a revision" in told["remedy"]
    ben.run("vote", flag, "approve")
    agree("disputed", lambda: verdict(anna, work)()[0][0] == "disputed")
    takedown = propose(ben, "takedown", "Study", work, "--reason", "beyond repair")
    agree("the takedown reaches Anna", knows(anna, takedown))
    anna.run("vote", takedown, "approve")
    agree("taken down", lambda: verdict(cleo, work)()[0][0] == "taken_down")
    appeal = propose(cleo, "appeal", "Study", work, "--reason", "it is whole again")
    agree("the appeal reaches Anna", knows(anna, appeal))
    anna.run("vote", appeal, "approve")
    agree("back again", lambda: verdict(ben, work)()[0][0] in ("listed", "disputed"))

    # Rules: from now on a change of rules waits and is sealed; the next one goes that way, begun on the screen.
    first = propose(anna, "charter", "Study", "--rule", SEALED, "--reason", "not in haste")
    anna.run("vote", first, "approve")
    agree(
        "the new rules hold",
        *(lambda node=node: SEALED in node.run("circle", "charter", "Study").stdout for node in everybody),
    )
    async with app_at(Home(anna.home), (120, 44)) as pilot:
        await settled(pilot)
        await pilot.press("4")
        await settled(pilot)
        await pilot.press("d")
        await until(pilot, lambda: pilot.app.screen.query("#vouch_days"), deadline_s=DEADLINE_S)
        pilot.app.screen.query_one("#vouch_days", Input).value = "200"
        await until(pilot, lambda: "+ 200" in screen_text(pilot), deadline_s=DEADLINE_S)
        await pilot.press("ctrl+s")
        await until(
            pilot,
            lambda: any(one["class"] == "charter" and one["state"] == "open" for one in anna.lines("proposals")),
            deadline_s=DEADLINE_S,
        )
    (second,) = [
        one["proposal"] for one in anna.lines("proposals") if one["class"] == "charter" and one["state"] == "open"
    ]
    agree("the question reaches Ben", knows(ben, second))
    assert "+ 200" in ben.run("vote", second).stdout
    for node in (anna, ben):
        node.run("vote", second, "approve")
    agree(
        "sealed and in force",
        *(lambda node=node: node.json("circle", "charter", "Study")["vouch_days"] == 200 for node in everybody),
    )

    # Notices tell each what concerned them.
    assert {"vouched", "decided", "called"} <= {one["kind"] for one in ben.lines("notices")}
    assert "rules" in {one["kind"] for one in cleo.lines("notices")}
    assert circle == cleo.json("circle", "show", "Study")["circle"]
