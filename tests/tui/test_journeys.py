"""What people do, key by key, and what the node is asked by it."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Button, Input, Select

from p2pnode.config import Home
from p2pnode.errors import P2pnodeError, RefusedError
from p2pnode.tui.modals.form import TextField
from p2pnode.tui.modals.invite import InviteWindow
from p2pnode.tui.modals.keeping import NoticesWindow
from p2pnode.tui.modals.publish import PublishForm
from p2pnode.tui.modals.vote import VoteForm
from p2pnode.tui.modals.window import ConfirmWindow, ErrorWindow
from p2pnode.tui.panel import Panel
from p2pnode.tui.rows import Rows
from p2pnode.tui.screens.work import WorkPage
from tests.tui import world
from tests.tui.conftest import Scripted
from tests.tui.driving import P2pPilot, app_of, press_text, screen_text, scripted_app, settled, until
from tests.tui.scripted_node import NEVER, ScriptedNode, Told

SIZE = (100, 32)


def button(pilot: P2pPilot) -> str:
    return str(pilot.app.screen.query_one("#submit", Button).label)


def notices(pilot: P2pPilot) -> str:
    return "\n".join(notification.message for notification in pilot.app._notifications)


async def fill(pilot: P2pPilot, **values: str) -> None:
    for id, value in values.items():
        pilot.app.screen.query_one(f"#{id}", Input).value = value
    await pilot.pause()


@pytest.mark.asyncio
async def test_search_then_work_then_get(home: Home, scripted: Scripted) -> None:
    node = scripted()
    async with scripted_app(home).run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("slash")
        await press_text(pilot, "clean water")
        await until(pilot, lambda: {"text": "clean water"} in node.asked("work.search"))
        await until(pilot, lambda: pilot.app.screen.query_one("#hits", Rows).rows)
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, WorkPage))
        await settled(pilot)
        assert "Open course: clean water" in screen_text(pilot)
        await pilot.press("g")
        await until(pilot, lambda: node.asked("work.get") == [{"work": world.WATER["work"]}])
        await until(pilot, lambda: "is here: /home/hanna/library/water" in notices(pilot))


@pytest.mark.asyncio
async def test_typing_asks_here_first_and_others_once(home: Home, scripted: Scripted) -> None:
    node = scripted()
    async with scripted_app(home).run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("2")
        await press_text(pilot, "water")
        await until(pilot, lambda: {"text": "water"} in node.asked("work.search"))
        searches = node.asked("work.search")
        assert {"text": "water", "local": True} in searches
        assert [each for each in searches if not each.get("local")] == [{"text": "water"}]


@pytest.mark.asyncio
async def test_hits_that_come_later_never_move_the_one_under_the_cursor(home: Home, scripted: Scripted) -> None:
    late = Told([("work.hit", world.WATER), ("work.hit", world.AMP)], NEVER)
    answers = {
        "work.search": lambda params: {"items": [world.AMP], "asked": 0, "answered": 0} if params.get("local") else late
    }
    scripted("filled", answers)
    async with scripted_app(home).run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("2")
        await press_text(pilot, "a long text")
        rows = pilot.app.screen.query_one("#hits", Rows)
        await until(pilot, lambda: len(rows.rows) == 2)
        assert rows.selected is not None
        assert rows.selected.key == world.AMP["work"]
        assert [row.key for row in rows.rows] == [world.AMP["work"], world.WATER["work"]]


def unanswered(node: ScriptedNode) -> int:
    """How often the text was searched to which no answer comes; a slow machine also searches for what was typed before."""
    return sum(asked["text"] == "abcde" for asked in node.asked("work.search"))


@pytest.mark.asyncio
async def test_a_search_that_is_replaced_is_cancelled(home: Home, scripted: Scripted) -> None:
    answers = {"work.search": lambda params: NEVER if params["text"] == "abcde" else {"items": []}}
    node = scripted("filled", answers)
    async with scripted_app(home).run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("2")
        await press_text(pilot, "abcde")
        await until(pilot, lambda: unanswered(node))
        await press_text(pilot, "f")
        await until(pilot, lambda: node.cancelled.count("work.search") == unanswered(node))


@pytest.mark.asyncio
async def test_circles_then_vote_casts_exactly_this_ballot(home: Home, scripted: Scripted) -> None:
    node = scripted()
    async with scripted_app(home).run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("4")
        await settled(pilot)
        await pilot.press("a", "v")
        await until(pilot, lambda: isinstance(pilot.app.screen, VoteForm))
        await until(pilot, lambda: button(pilot) == f"Vote as {world.ME_IN_READERS[:10]}")
        await pilot.press("ctrl+s")
        assert "nothing is chosen" in screen_text(pilot)
        assert node.asked("ballot.cast") == []
        await pilot.press("r")
        assert button(pilot) == f"Reject as {world.ME_IN_READERS[:10]}"
        await pilot.press("a", "tab")
        await press_text(pilot, "clear and free")
        assert button(pilot) == f"Approve as {world.ME_IN_READERS[:10]}"
        text = screen_text(pilot)
        assert "You sign “approve” on" in text
        assert "Readers of Leipzig" in text
        await pilot.press("ctrl+s")
        await until(pilot, lambda: node.asked("ballot.cast"))
        ballot = {"proposal": world.LIST_WATER["proposal"], "choice": "approve", "reason": "clear and free"}
        assert node.asked("ballot.cast") == [ballot]
        assert {"circle": world.READERS} in node.asked("identity.show")
        await until(pilot, lambda: "Your ballot is cast: approve" in notices(pilot))


@pytest.mark.asyncio
async def test_a_refused_ballot_keeps_the_form_and_says_why(home: Home, scripted: Scripted) -> None:
    answers = {"ballot.cast": RefusedError("you are no member yet", hint="wait until somebody vouches for you")}
    node = scripted("filled", answers)
    async with scripted_app(home).run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("4")
        await settled(pilot)
        await pilot.press("a", "v")
        await until(pilot, lambda: isinstance(pilot.app.screen, VoteForm))
        await pilot.press("n", "ctrl+s")
        await until(pilot, lambda: "you are no member yet" in screen_text(pilot))
        assert "wait until somebody vouches" in screen_text(pilot)
        assert isinstance(pilot.app.screen, VoteForm)
        assert pilot.app.screen.choice == "abstain"
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(pilot.app.screen, VoteForm))
        assert node.asked("ballot.cast") == [{"proposal": world.LIST_WATER["proposal"], "choice": "abstain"}]


@pytest.mark.asyncio
async def test_publish_in_public(home: Home, scripted: Scripted, tmp_path: Path) -> None:
    book = tmp_path / "wild_bees.txt"
    book.write_text("bees")
    node = scripted()
    async with scripted_app(home).run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("p")
        await until(pilot, lambda: isinstance(pilot.app.screen, PublishForm))
        await until(pilot, lambda: button(pilot) == "Publish as Hanna Vogel")
        await fill(pilot, path=str(book))
        assert pilot.app.screen.query_one("#title", Input).value == "wild bees"
        await fill(pilot, creators="Hanna Vogel, Jiří Novák", tags="bees, saxony", licence="CC-BY-4.0", kind="book")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: node.asked("work.publish"))
        assert node.asked("work.publish") == [
            {
                "path": str(book),
                "title": "wild bees",
                "kind": "book",
                "licence": "CC-BY-4.0",
                "creators": [{"name": "Hanna Vogel"}, {"name": "Jiří Novák"}],
                "tags": ["bees", "saxony"],
            }
        ]
        await until(pilot, lambda: isinstance(pilot.app.screen, WorkPage))


@pytest.mark.asyncio
async def test_publish_says_which_name_signs(home: Home, scripted: Scripted, tmp_path: Path) -> None:
    node = scripted()
    async with scripted_app(home).run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("p")
        await until(pilot, lambda: isinstance(pilot.app.screen, PublishForm))
        where = pilot.app.screen.query_one("#where", Select)
        where.value = world.READERS
        await until(pilot, lambda: button(pilot) == f"Publish and propose as {world.ME_IN_READERS[:10]}")
        where.value = "private"
        await until(pilot, lambda: button(pilot) == "Keep private")
        await fill(pilot, path=str(tmp_path), title="notes")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: node.asked("work.publish"))
        assert node.asked("work.publish")[0]["private"] is True
        assert "circle" not in node.asked("work.publish")[0]


@pytest.mark.asyncio
async def test_publish_needs_a_path_that_exists(home: Home, scripted: Scripted, tmp_path: Path) -> None:
    node = scripted()
    async with scripted_app(home).run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("p")
        await until(pilot, lambda: isinstance(pilot.app.screen, PublishForm))
        await pilot.press("ctrl+s")
        assert "the path is missing" in screen_text(pilot)
        await fill(pilot, path=str(tmp_path / "nowhere"), title="x")
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert "nothing lies at" in screen_text(pilot)
        assert node.asked("work.publish") == []


@pytest.mark.asyncio
async def test_publish_shows_progress_and_can_be_stopped(home: Home, scripted: Scripted, tmp_path: Path) -> None:
    progress = ("publish.progress", {"bytes": 1 << 20, "total": 4 << 20, "files": 3, "path": "plates/1.jpg"})
    node = scripted("filled", {"work.publish": Told([progress], NEVER)})
    async with scripted_app(home).run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("p")
        await until(pilot, lambda: isinstance(pilot.app.screen, PublishForm))
        await fill(pilot, path=str(tmp_path), title="x")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "Reading 1 MiB of 4 MiB, 3 files: plates/1.jpg" in screen_text(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: node.cancelled == ["work.publish"])


@pytest.mark.asyncio
async def test_what_was_left_out_of_a_publish_is_told(home: Home, scripted: Scripted, tmp_path: Path) -> None:
    published = world.filled()["work.publish"] | {"skipped": [{"path": "socket", "reason": "no regular file"}]}
    scripted("filled", {"work.publish": published})
    async with scripted_app(home).run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("p")
        await until(pilot, lambda: isinstance(pilot.app.screen, PublishForm))
        await fill(pilot, path=str(tmp_path), title="x")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "1 file was left out: socket (no regular file)" in notices(pilot))


@pytest.mark.asyncio
async def test_flag_needs_a_reason_and_sends_the_complaint(home: Home, scripted: Scripted) -> None:
    node = scripted()
    async with scripted_app(home).run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("3")
        await settled(pilot)
        await pilot.press("f")
        await settled(pilot)
        pilot.app.screen.query_one("#complaint", Select).value = "corrupt"
        await pilot.press("ctrl+s")
        assert "the reason is missing" in screen_text(pilot)
        await fill(pilot, reason="plate 7 is empty")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: node.asked("proposal.open"))
        assert node.asked("proposal.open") == [
            {
                "class": "flag",
                "circle": world.READERS,
                "work": world.ATLAS["work"],
                "complaint": "corrupt",
                "reason": "plate 7 is empty",
            }
        ]


@pytest.mark.asyncio
async def test_propose_in_another_circle(home: Home, scripted: Scripted) -> None:
    node = scripted()
    async with scripted_app(home).run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("3")
        await settled(pilot)
        await pilot.press("l")
        await settled(pilot)
        pilot.app.screen.query_one("#circle", Select).value = world.SOLDER
        await pilot.press("ctrl+s")
        await until(pilot, lambda: node.asked("proposal.open"))
        assert node.asked("proposal.open") == [{"class": "list", "circle": world.SOLDER, "work": world.ATLAS["work"]}]


@pytest.mark.asyncio
async def test_create_and_join_a_circle(home: Home, scripted: Scripted) -> None:
    node = scripted()
    async with scripted_app(home).run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("4")
        await settled(pilot)
        await pilot.press("n")
        await settled(pilot)
        await fill(pilot, name="Bakers", purpose="good bread")
        assert button(pilot) == "Create “Bakers” as its steward"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: node.asked("circle.create") == [{"name": "Bakers", "purpose": "good bread"}])
        await settled(pilot)
        circles = pilot.app.screen.query_one("#circles", Rows)
        await until(pilot, lambda: circles.selected and circles.selected.key == world.SOLDER)
        await pilot.press("j")
        await settled(pilot)
        await fill(pilot, invite="https://example.org")
        await pilot.press("ctrl+s")
        assert "this is no invite" in screen_text(pilot)
        await fill(pilot, invite=" p2pnode:invite/abc ")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: node.asked("circle.join") == [{"invite": "p2pnode:invite/abc"}])
        await until(pilot, lambda: "Waiting to be let in: the inviter is not online" in notices(pilot))


@pytest.mark.asyncio
async def test_an_invite_is_shown_and_copied(home: Home, scripted: Scripted) -> None:
    scripted()
    async with scripted_app(home).run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("4")
        await settled(pilot)
        await pilot.press("i")
        await until(pilot, lambda: isinstance(pilot.app.screen, InviteWindow) and pilot.app.screen.invite)
        assert "p2pnode:invite/AbCdEf0123456789-for-one-person" in screen_text(pilot)
        await pilot.press("enter")
        assert pilot.app.clipboard == "p2pnode:invite/AbCdEf0123456789-for-one-person"


@pytest.mark.asyncio
async def test_leaving_a_circle_asks_once_more(home: Home, scripted: Scripted) -> None:
    node = scripted()
    async with scripted_app(home).run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("4")
        await settled(pilot)
        app_of(pilot).action_act("circle.leave")
        await settled(pilot)
        await pilot.press("enter")  # the first button leaves everything as it is
        await settled(pilot)
        assert node.asked("circle.leave") == []
        app_of(pilot).action_act("circle.leave")
        await settled(pilot)
        await pilot.press("y")
        await until(pilot, lambda: node.asked("circle.leave") == [{"circle": world.READERS, "force": True}])


@pytest.mark.asyncio
async def test_an_error_is_shown_with_its_hint_and_code(home: Home, scripted: Scripted) -> None:
    scripted(
        "filled", {"work.get": RefusedError("it does not fit into the quota", hint="raise quota_bytes in config.toml")}
    )
    async with scripted_app(home).run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("3")
        await settled(pilot)
        await pilot.press("down", "down", "down", "g")
        await until(pilot, lambda: isinstance(pilot.app.screen, ErrorWindow))
        text = screen_text(pilot)
        assert "it does not fit into the quota" in text
        assert "What to do: raise quota_bytes" in text
        assert "code: refused" in text
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(pilot.app.screen, ErrorWindow))


@pytest.mark.asyncio
async def test_a_get_that_the_person_cancels_is_no_error(home: Home, scripted: Scripted) -> None:
    cancelled = Told(
        [("transfer.progress", world.TRANSFERS[0] | {"state": "cancelled"})], RefusedError("it was cancelled")
    )
    node = scripted("filled", {"work.get": cancelled})
    async with scripted_app(home).run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("3")
        await settled(pilot)
        await pilot.press("down", "down", "down", "g")
        await until(pilot, lambda: node.asked("work.get"))
        await settled(pilot)
        assert not isinstance(pilot.app.screen, ErrorWindow)


@pytest.mark.asyncio
async def test_a_circle_that_one_waits_for_says_why(home: Home, scripted: Scripted) -> None:
    waiting = world.CIRCLES[1] | {"state": "waiting", "reason": "its inviter is not online"}
    node = scripted("filled", {"circle.list": {"items": [waiting]}})
    async with scripted_app(home).run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("4")
        await until(pilot, lambda: "Not yet: its inviter is not online" in screen_text(pilot))
        assert node.asked("circle.show") == []
        assert app_of(pilot).my_circles == {}
        node.answers["circle.list"] = {"items": [world.CIRCLES[1]]}
        node.emit("circle.joined", {"circle": world.SOLDER, "name": "Solder & Share"})
        await until(pilot, lambda: node.asked("circle.show"))
        await until(pilot, lambda: app_of(pilot).my_circles)


@pytest.mark.asyncio
async def test_transfers_follow_the_events(home: Home, scripted: Scripted) -> None:
    node = scripted()
    async with scripted_app(home).run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("5")
        await settled(pilot)
        node.emit(
            "transfer.progress", world.TRANSFERS[0] | {"bytes": 2 * world.GIB, "state": "done", "rate_bytes_s": 0}
        )
        await until(pilot, lambda: screen_text(pilot).count("100 %") == 2)


@pytest.mark.asyncio
async def test_events_are_told_on_home_and_refresh_it(home: Home, scripted: Scripted) -> None:
    node = scripted()
    async with scripted_app(home).run_test(size=SIZE) as pilot:
        await settled(pilot)
        node.answers["node.status"] = world.STATUS | {"peers": 4}
        node.emit("peer.connected", {"peer_id": "12D3KooWNew"})
        node.emit(
            "verdict.changed",
            {
                "circle": world.READERS,
                "work": world.ATLAS["work"],
                "title": "Bees",
                "before": "new",
                "after": "taken_down",
            },
        )
        await until(pilot, lambda: "● 4 peers" in screen_text(pilot))
        assert "Connected to 12D3KooWNew" in screen_text(pilot)
        assert "Readers of Leipzig: “Bees” is taken down (was new)" in screen_text(pilot)
        untitled = {"circle": world.READERS, "work": world.PYTHON["work"], "before": "new", "after": "listed"}
        node.emit("verdict.changed", untitled)
        await until(pilot, lambda: "“The Python 3.11 documentation” is listed" in screen_text(pilot))


@pytest.mark.asyncio
async def test_the_work_page_explains_the_chosen_verdict(home: Home, scripted: Scripted) -> None:
    node = scripted()
    async with scripted_app(home).run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("3")
        await settled(pilot)
        await pilot.press("enter")
        await settled(pilot)
        await pilot.press("down")
        await until(pilot, lambda: "Solder & Share: listed" in screen_text(pilot))
        assert {"id": world.ATLAS["work"], "circle": world.SOLDER} in node.asked("verdict.explain")


@pytest.mark.asyncio
async def test_an_error_in_a_panel_can_be_tried_again(home: Home, scripted: Scripted) -> None:
    node = scripted("filled", {"work.list": P2pnodeError("the disk is slow", hint="wait a moment")})
    async with scripted_app(home).run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("3")
        panel = pilot.app.screen.query_one("#works-panel", Panel)
        await until(pilot, lambda: panel.state == "error")
        assert "the disk is slow" in panel.notice
        assert "wait a moment" in panel.notice
        node.answers["work.list"] = world.filled()["work.list"]
        await pilot.press("r")
        await until(pilot, lambda: panel.state == "filled")


@pytest.mark.asyncio
async def test_an_edit_sends_only_what_was_changed(home: Home, scripted: Scripted) -> None:
    node = scripted()
    async with scripted_app(home).run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("3")
        await settled(pilot)
        await pilot.press("e")
        await settled(pilot)
        await pilot.press("ctrl+s")
        assert "nothing is changed" in screen_text(pilot)
        pilot.app.screen.query_one("#title", TextField).value = "An Atlas of Wild Bees"
        pilot.app.screen.query_one("#tags", TextField).value = "bees, Saxony"
        pilot.app.screen.query_one("#licence", TextField).value = ""
        await pilot.press("ctrl+s")
        await until(pilot, lambda: node.asked("proposal.open"))
        [asked] = node.asked("proposal.open")
        assert asked["class"] == "edit" and asked["circle"] == world.READERS
        assert asked["fields"] == {"title": "An Atlas of Wild Bees", "tags": ["bees", "Saxony"], "licence": None}


@pytest.mark.asyncio
async def test_a_work_is_marked_and_a_paused_transfer_goes_on(home: Home, scripted: Scripted) -> None:
    paused = world.TRANSFERS[0] | {"state": "paused", "reason": "paused by you"}
    node = scripted("filled", {"transfer.list": {"items": [paused]}})
    async with scripted_app(home).run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("3")
        await settled(pilot)
        await pilot.press("h")
        await settled(pilot)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: node.asked("work.mark") == [{"work": world.ATLAS["work"], "mark": "hide"}])
        await pilot.press("5")
        await settled(pilot)
        assert "paused" in screen_text(pilot)
        await pilot.press("space")
        await until(pilot, lambda: node.asked("transfer.resume") == [{"transfer": paused["transfer"]}])


@pytest.mark.asyncio
async def test_notices_are_read_and_taken_away(home: Home, scripted: Scripted) -> None:
    node = scripted()
    async with scripted_app(home).run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("b")
        await until(pilot, lambda: isinstance(pilot.app.screen, NoticesWindow))
        assert "A member vouches for you." in screen_text(pilot) and "1 hour ago" in screen_text(pilot)
        await pilot.press("d")
        await until(pilot, lambda: {"clear": True} in node.asked("notice.list"))


@pytest.mark.asyncio
async def test_letting_go_asks_and_says_what_was_freed(home: Home, scripted: Scripted) -> None:
    node = scripted()
    async with scripted_app(home).run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("3")
        await settled(pilot)
        await pilot.press("down", "d")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmWindow))
        assert "Remove “The Python" in screen_text(pilot)
        await pilot.press("y")
        await until(pilot, lambda: node.asked("work.remove") == [{"work": world.PYTHON["work"]}])
        await until(pilot, lambda: "are free again" in notices(pilot))
