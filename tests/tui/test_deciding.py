"""Deciding on the screen: what is shown before a ballot, questions about persons and rules, invites, history and the way back, lenses."""

from __future__ import annotations

import pytest
from textual.widgets import Button, Input, Select

from p2pnode.config import Home
from p2pnode.core.profiles import PROFILES
from p2pnode.core.proposals import COMPLAINTS
from p2pnode.tui.draw import proposal_changes
from p2pnode.tui.modals.charter import CharterForm
from p2pnode.tui.modals.invite import InvitesWindow, InviteWindow, qr_lines
from p2pnode.tui.modals.vote import VoteForm
from p2pnode.tui.rows import Rows
from p2pnode.tui.screens.circles import about_member, circle_advice, member_row
from p2pnode.tui.screens.history import back
from p2pnode.tui.screens.question import QuestionPage, picture_lines
from tests.tui import world
from tests.tui.conftest import Scripted
from tests.tui.driving import P2pPilot, app_of, screen_text, scripted_app, settled, until

SIZE = (110, 50)


async def press(pilot: P2pPilot, *keys: str) -> None:
    for key in keys:
        if key.startswith("act:"):
            app_of(pilot).action_act(key.removeprefix("act:"))
            await pilot.pause()
        else:
            await pilot.press(key)
        await settled(pilot)


async def fill(pilot: P2pPilot, **values: str) -> None:
    for id, value in values.items():
        pilot.app.screen.query_one(f"#{id}", Input).value = value
    await pilot.pause()


def button(pilot: P2pPilot) -> str:
    return str(pilot.app.screen.query_one("#submit", Button).label)


@pytest.mark.asyncio
async def test_turnout_and_what_the_lead_withstands_stand_before_the_ballot(home: Home, scripted: Scripted) -> None:
    scripted()
    async with scripted_app(home).run_test(size=SIZE) as pilot:
        await settled(pilot)
        await press(pilot, "3", "v")  # from a verdict, which tells no turnout: the form asks for it
        await until(pilot, lambda: isinstance(pilot.app.screen, VoteForm))
        await until(pilot, lambda: "3 of 4 members voted (75 %)." in screen_text(pilot))
        text = " ".join(screen_text(pilot).split())
        assert "The lead is 1: one bad member could have made it." in text
        assert "For another outcome at least 1 member who is no steward" in text
        await press(pilot, "escape", "4", "a", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, QuestionPage))
        assert len(pilot.app.screen_stack) == 2, "the work was not opened as well"


@pytest.mark.asyncio
async def test_other_rules_are_proposed_with_what_changes(home: Home, scripted: Scripted) -> None:
    node = scripted()
    async with scripted_app(home).run_test(size=SIZE) as pilot:
        await settled(pilot)
        await press(pilot, "4", "down", "d")
        await until(pilot, lambda: isinstance(pilot.app.screen, CharterForm))
        await until(pilot, lambda: button(pilot).startswith("Propose these rules as k-"))
        await press(pilot, "ctrl+s")
        assert "nothing is changed" in screen_text(pilot)
        await fill(pilot, vouch_days="183", **{"rule-list": "b=1 q=x"})
        assert "'q=x' in a rule cannot be read" in screen_text(pilot)
        await fill(pilot, **{"rule-list": "b=1 q=3"})
        await until(pilot, lambda: "+ 3 approvals at least, a lead of more than 3" in screen_text(pilot))
        assert "- 365" in screen_text(pilot)
        await press(pilot, "ctrl+s")
        await until(pilot, lambda: node.asked("proposal.open"))
        rules = {"vouch_days": 183, "classes": {"list": {"b": 1, "q": 3}}}
        assert node.asked("proposal.open") == [{"class": "charter", "circle": world.SOLDER, "rules": rules}]
        await press(pilot, "act:charter.grown")
        assert pilot.app.screen.query_one("#rule-expel", Input).value == "b=3 q=8 cooldown=7 sealed"


@pytest.mark.asyncio
async def test_persons_are_asked_about_under_the_name_in_the_button(home: Home, scripted: Scripted) -> None:
    node = scripted()
    async with scripted_app(home).run_test(size=SIZE) as pilot:
        await settled(pilot)
        await press(pilot, "4", "m", "down", "down", "x")
        await until(pilot, lambda: button(pilot) == f"Propose to expel as {world.ME_IN_READERS[:10]}")
        await press(pilot, "ctrl+s")
        assert "the reason is missing" in screen_text(pilot)
        await fill(pilot, reason="made-up keys")
        await press(pilot, "ctrl+s")
        await until(pilot, lambda: node.asked("proposal.open"))
        expel = {"class": "expel", "circle": world.READERS, "key": world.BEN, "reason": "made-up keys"}
        assert node.asked("proposal.open") == [expel]
        await press(pilot, "end", "act:member.readmit", "ctrl+s")
        await until(pilot, lambda: len(node.asked("proposal.open")) == 2)
        assert node.asked("proposal.open")[1]["class"] == "readmit"


@pytest.mark.asyncio
async def test_a_circle_begins_with_chosen_rules_and_a_complaint_shows_evidence(home: Home, scripted: Scripted) -> None:
    node = scripted()
    async with scripted_app(home).run_test(size=SIZE) as pilot:
        await settled(pilot)
        await press(pilot, "4", "n")
        await fill(pilot, name="Course")
        for name, profile in PROFILES.items():
            pilot.app.screen.query_one("#profile", Select).value = name
            await until(pilot, lambda words=profile.words: words[:40] in screen_text(pilot))  # type: ignore[misc]
        pilot.app.screen.query_one("#profile", Select).value = "study"
        await pilot.pause()
        await press(pilot, "ctrl+s")
        await until(pilot, lambda: node.asked("circle.create") == [{"name": "Course", "profile": "study"}])
        await press(pilot, "3", "f")
        pilot.app.screen.query_one("#complaint", Select).value = "duplicate"
        await until(pilot, lambda: COMPLAINTS["duplicate"].remedy[:20] in screen_text(pilot))
        await fill(pilot, reason="the same", evidence=f"{world.WATER['work']}, https://example.org")
        await press(pilot, "ctrl+s")
        await until(pilot, lambda: node.asked("proposal.open"))
        assert node.asked("proposal.open")[0]["evidence"] == [world.WATER["work"], "https://example.org"]


@pytest.mark.asyncio
async def test_invites_for_several_with_a_code_and_closed_again(home: Home, scripted: Scripted) -> None:
    node = scripted()
    async with scripted_app(home).run_test(size=SIZE) as pilot:
        await settled(pilot)
        await press(pilot, "4", "act:circle.invite_several")
        await fill(pilot, uses="12")
        assert button(pilot) == "Make an invite for 12 people"
        await press(pilot, "ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, InviteWindow) and pilot.app.screen.invite)
        assert node.asked("circle.invite") == [{"circle": world.READERS, "uses": 12, "hours": 168}]
        await press(pilot, "r")
        assert qr_lines("p2pnode:invite/AbCdEf0123456789-for-one-person")[2].strip() in screen_text(pilot)
        await press(pilot, "escape", "act:circle.invites")
        await until(pilot, lambda: isinstance(pilot.app.screen, InvitesWindow))
        assert "1 of 5 used, holds for 3 days" in screen_text(pilot)
        await pilot.click("#close-0")
        await until(pilot, lambda: node.asked("circle.uninvite") == [{"circle": world.READERS, "id": "abcdef"}])


@pytest.mark.asyncio
async def test_the_history_leads_back_and_lenses_are_passed_on(home: Home, scripted: Scripted) -> None:
    node = scripted()
    async with scripted_app(home).run_test(size=SIZE) as pilot:
        await settled(pilot)
        await press(pilot, "3", "z", "down", "x")
        assert "- Wild Bees of Saxony" in screen_text(pilot)
        await press(pilot, "ctrl+s")
        await until(pilot, lambda: node.asked("proposal.open"))
        asked = {"class": "edit", "circle": world.READERS, "work": world.ATLAS["work"], "revert_to": "listing"}
        assert node.asked("proposal.open") == [asked]
        await press(pilot, "escape", "w", "w")
        assert [params.get("lens") for params in node.asked("work.list")][-2:] == ["me", world.READERS]
        assert "seen as “Readers of Leipzig” sees them" in screen_text(pilot)
        await press(pilot, "a")
        assert node.asked("work.list")[-1] == {"lens": world.READERS, "all": True}


@pytest.mark.asyncio
async def test_nothing_waits(home: Home, scripted: Scripted) -> None:
    scripted("empty")
    async with scripted_app(home).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "u")
        assert "Nothing waits for your ballot" in screen_text(pilot)
        assert not pilot.app.screen.query_one("#queue", Rows).rows


def test_the_circle_is_told_what_would_be_well_done() -> None:
    circle = {"members": 12, "rules": world.RULES, "roll": world.ROLL}
    assert [line.split(":")[0] for line in circle_advice(circle)] == [
        "12 members, and rules for a few",
        "Only one member vouches for you",
    ]
    grown = world.RULES | {"classes": {"list": world.FOUNDED | {"b": 1}}}
    assert circle_advice({"members": 12, "rules": grown, "roll": []}) == []
    assert circle_advice({"members": 11, "rules": world.RULES, "roll": world.SOLDERERS}) == []


def test_a_key_on_the_roll_says_what_can_be_done_about_it() -> None:
    assert "^p Readmit" in about_member({"key": world.BEN, "expelled": True})
    assert "x proposes to expel" in about_member({"key": world.BEN})
    assert "x proposes" not in about_member({"key": world.BEN, "steward": True}) + about_member({"me": True})
    assert [cell.plain for cell in member_row({"key": world.BEN, "expelled": True}).cells][1:] == ["expelled", "–", "–"]


def test_going_back_undoes_the_edits_in_force_after_it() -> None:
    first = world.EDIT_ATLAS | {"changes": {"title": "A"}}
    second = world.EDIT_ATLAS | {"changes": {"title": "B", "summary": "S"}}
    idle = world.EDIT_ATLAS | {"changes": {"kind": "paper"}, "effective": False}
    questions = [world.LIST_ATLAS, first, second, idle]
    assert back(questions, 1) == [("title", "B", "A"), ("summary", "S", "as it was listed")]
    assert back(questions, 2) == []


def test_drawings_keep_their_spaces_and_old_nodes_are_read() -> None:
    told = {"picture": ["steward", "   └──  k-a\x1b[31m"]}
    assert [line.plain for line in picture_lines(told)] == ["steward", "   └──  k-a\ufffd[31m"]
    assert picture_lines(
        {"verdict": {"ballots": [{"key": "k-abc", "choice": "approve", "counted": True, "why": "counted"}]}}
    )
    assert picture_lines({}) == []
    assert proposal_changes({"changes": "odd"}) == []
