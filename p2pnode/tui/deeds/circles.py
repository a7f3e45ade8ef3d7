"""Deeds about circles: founding, joining, inviting, leaving, vouching, and asking for other people or other rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pnode.tui import words
from p2pnode.tui.deeds.base import Deed, selected
from p2pnode.tui.modals.charter import CharterForm
from p2pnode.tui.modals.circle import CreateCircleForm, JoinCircleForm
from p2pnode.tui.modals.invite import InviteForm, InvitesWindow, InviteWindow
from p2pnode.tui.modals.persons import ExpelForm, PersonForm, ReadmitForm, RecallForm, StewardForm
from p2pnode.tui.modals.window import ConfirmWindow
from p2pnode.tui.reasons import Situation
from p2pnode.tui.text import clean

if TYPE_CHECKING:
    from p2pnode.tui.app import P2pnodeApp


async def create_circle(app: P2pnodeApp, now: Situation) -> None:
    if answer := await app.push_screen_wait(CreateCircleForm()):
        await app.open_circle(str(answer.get("circle", "")))


async def join_circle(app: P2pnodeApp, now: Situation) -> None:
    if answer := await app.push_screen_wait(JoinCircleForm()):
        waiting = answer.get("state") == "waiting"
        reason = clean(answer.get("reason") or "")
        app.say(f"Waiting to be let in: {reason}" if waiting else "You are a member now.", warn=waiting)
        await app.open_circle(str(answer.get("circle", "")))


async def invite(app: P2pnodeApp, now: Situation) -> None:
    circle = selected(now.circle)
    await app.push_screen_wait(InviteWindow(str(circle["circle"]), clean(circle.get("name") or "the circle")))


async def leave_circle(app: P2pnodeApp, now: Situation) -> None:
    circle = selected(now.circle)
    name = clean(circle.get("name") or "") or words.short_id(circle["circle"])
    question = ConfirmWindow(
        f"Leave “{name}”?",
        "Your ballots and vouches stay. To come back you need a new invite from a member. If you are its only steward, "
        "nobody is a member any more once your vouches run out.",
        f"Leave {name}",
    )
    if await app.push_screen_wait(question):
        await app.node.call("circle.leave", {"circle": circle["circle"], "force": True})
        app.say(f"You left “{name}”.")
        app.reload()


async def vouch(app: P2pnodeApp, now: Situation) -> None:
    key = await _vouch(app, now, "vouch.give")
    app.say(f"You vouch for {key} now.")


async def unvouch(app: P2pnodeApp, now: Situation) -> None:
    key = await _vouch(app, now, "vouch.revoke")
    app.say(f"You no longer vouch for {key}.")


async def _vouch(app: P2pnodeApp, now: Situation, method: str) -> str:
    member = selected(now.member)
    await app.node.call(method, {"circle": selected(now.circle)["circle"], "key": member["key"]})
    app.reload()
    return words.short_id(member["key"])


def _show_pane(pane: str) -> Deed:
    async def show(app: P2pnodeApp, now: Situation) -> None:
        if page := app.page:
            page.show_pane(pane)

    return show


async def invite_several(app: P2pnodeApp, now: Situation) -> None:
    circle = selected(now.circle)
    name = clean(circle.get("name") or "the circle")
    if answer := await app.push_screen_wait(InviteForm(str(circle["circle"]), name)):
        await app.push_screen_wait(InviteWindow(str(circle["circle"]), name, answer))


async def open_invites(app: P2pnodeApp, now: Situation) -> None:
    circle = selected(now.circle)
    answer = await app.node.call("circle.invites", {"circle": circle["circle"]})
    if close := await app.push_screen_wait(InvitesWindow(words.items(answer), app.clock())):
        await app.node.call("circle.uninvite", {"circle": circle["circle"], "id": close})
        app.say("That invite is closed: nobody comes in with it any more.")


def _change_rules(*, grown: bool) -> Deed:
    async def change(app: P2pnodeApp, now: Situation) -> None:
        if await app.push_screen_wait(CharterForm(selected(now.rules), grown=grown)):
            app.say("The new rules are proposed. Vote on them too: v")
            app.reload()

    return change


def _about_person(form: type[PersonForm]) -> Deed:
    async def ask(app: P2pnodeApp, now: Situation) -> None:
        if await app.push_screen_wait(form(selected(now.circle), selected(now.member))):
            app.say("It is proposed. The members decide; vote on it too: a, then v")
            app.reload()

    return ask


DEEDS: dict[str, Deed] = {
    **{f"pane.{pane}": _show_pane(pane) for pane in ("open", "members", "listed", "rules")},
    "circle.create": create_circle,
    "circle.join": join_circle,
    "circle.invite": invite,
    "circle.invite_several": invite_several,
    "circle.invites": open_invites,
    "circle.leave": leave_circle,
    "charter.change": _change_rules(grown=False),
    "charter.grown": _change_rules(grown=True),
    "member.expel": _about_person(ExpelForm),
    "member.readmit": _about_person(ReadmitForm),
    "steward.add": _about_person(StewardForm),
    "steward.remove": _about_person(RecallForm),
    "vouch.give": vouch,
    "vouch.revoke": unvouch,
}
