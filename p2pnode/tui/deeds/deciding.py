"""Deeds of deciding: the reviewer's queue, one question and why, a ballot, taking a proposal back, notices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pnode.tui import words
from p2pnode.tui.deeds.base import Deed, selected
from p2pnode.tui.modals.keeping import NoticesWindow
from p2pnode.tui.modals.vote import VoteForm
from p2pnode.tui.modals.window import ConfirmWindow
from p2pnode.tui.reasons import Situation
from p2pnode.tui.screens.question import QuestionPage
from p2pnode.tui.screens.review import ReviewPage
from p2pnode.tui.text import clean

if TYPE_CHECKING:
    from p2pnode.tui.app import P2pnodeApp


async def vote(app: P2pnodeApp, now: Situation) -> None:
    proposal = selected(now.proposal)
    if answer := await app.push_screen_wait(VoteForm(proposal)):
        app.say(f"Your ballot is cast: {clean(answer.get('choice', ''))}. You can change it as long as you like.")
        app.reload()


async def show_notices(app: P2pnodeApp, now: Situation) -> None:
    answer = await app.node.call("notice.list")
    if await app.push_screen_wait(NoticesWindow(words.items(answer), app.clock())):
        await app.node.call("notice.list", {"clear": True})


async def review(app: P2pnodeApp, now: Situation) -> None:
    await app.open_page(ReviewPage())


async def open_question(app: P2pnodeApp, now: Situation) -> None:
    await app.open_page(QuestionPage(str(selected(now.proposal)["proposal"])))


async def picture(app: P2pnodeApp, now: Situation) -> None:
    if page := app.page:
        page.show_pane("picture")


async def withdraw(app: P2pnodeApp, now: Situation) -> None:
    proposal = selected(now.proposal)
    question = ConfirmWindow(
        "Take your proposal back?",
        f"{words.proposal_question(proposal)} It closes, unless somebody else proposed the same.",
        "Take it back",
    )
    if await app.push_screen_wait(question):
        await app.node.call("proposal.withdraw", {"proposal": proposal["proposal"]})
        app.say("It is taken back.")
        app.reload()


DEEDS: dict[str, Deed] = {
    "ballot.cast": vote,
    "queue.show": review,
    "question.open": open_question,
    "question.picture": picture,
    "proposal.withdraw": withdraw,
    "notices.show": show_notices,
}
