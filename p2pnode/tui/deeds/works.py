"""Deeds about works: finding, fetching, keeping, marking, and proposing something about one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pnode.errors import P2pnodeError
from p2pnode.tui import words
from p2pnode.tui.deeds.base import Deed, ask_about_work, selected
from p2pnode.tui.modals.keeping import MarkForm
from p2pnode.tui.modals.propose import AppealForm, EditForm, FlagForm, ProposeForm, RevertForm, TakedownForm
from p2pnode.tui.modals.publish import PublishForm
from p2pnode.tui.modals.window import ConfirmWindow
from p2pnode.tui.reasons import Situation
from p2pnode.tui.screens.history import HistoryPage
from p2pnode.tui.text import clean

if TYPE_CHECKING:
    from p2pnode.tui.app import P2pnodeApp


async def focus_search(app: P2pnodeApp, now: Situation) -> None:
    await app.go("search")
    if page := app.page:
        page.focus_field()


async def open_work(app: P2pnodeApp, now: Situation) -> None:
    await app.open_work(str(selected(now.work)["work"]))


async def get(app: P2pnodeApp, now: Situation) -> None:
    work = selected(now.work)
    app.say(f"Fetching “{words.title(work)}”; 5 shows how far it is.")
    states: list[str] = []
    try:
        answer = await app.node.call(
            "work.get",
            {"work": work["work"]},
            on_event=lambda _, data: states.append(str(data.get("state"))),
            timeout_s=None,
        )
    except P2pnodeError:
        if states[-1:] == ["cancelled"]:
            return  # by the person, who sees it under Transfers
        raise
    app.say(f"“{words.title(work)}” is here: {clean(answer.get('path', ''))}")
    app.reload()


async def propose(app: P2pnodeApp, now: Situation) -> None:
    if await app.push_screen_wait(ProposeForm(selected(now.work), str((now.circle or {}).get("circle", "")))):
        app.say("The proposal is open. Vote on it too: v")
        app.reload()


async def flag(app: P2pnodeApp, now: Situation) -> None:
    if await app.push_screen_wait(FlagForm(selected(now.work), str((now.circle or {}).get("circle", "")))):
        app.say("The complaint is open. The members decide whether it stands.")
        app.reload()


async def edit(app: P2pnodeApp, now: Situation) -> None:
    whole = await app.node.call("work.show", {"work": selected(now.work)["work"]})  # a row of a list has no summary
    if await app.push_screen_wait(EditForm(whole, str((now.circle or {}).get("circle", "")))):
        app.say("The edit is proposed. Vote on it too: v")
        app.reload()


async def mark(app: P2pnodeApp, now: Situation) -> None:
    if answer := await app.push_screen_wait(MarkForm(selected(now.work))):
        word = str(answer.get("mark") or "")
        app.say(f"“{words.title(selected(now.work))}” is {words.MARKS.get(word, 'no longer marked')}.")
        app.reload()


async def pin(app: P2pnodeApp, now: Situation) -> None:
    work = selected(now.work)
    release = bool(work.get("pinned"))
    await app.node.call("work.unpin" if release else "work.pin", {"work": work["work"]})
    app.say(
        f"“{words.title(work)}” may go when space is needed."
        if release
        else f"“{words.title(work)}” stays: it is pinned."
    )
    app.reload()


async def let_go(app: P2pnodeApp, now: Situation) -> None:
    work = selected(now.work)
    own = work.get("state") == "own"
    question = ConfirmWindow(
        f"Stop sharing “{words.title(work)}”?" if own else f"Remove “{words.title(work)}”?",
        "Your files stay where they are. Who has it already keeps it."
        if own
        else "Its bytes are freed at once. You can get it again while somebody has it.",
        "Stop sharing" if own else "Remove it",
    )
    if await app.push_screen_wait(question):
        answer = await app.node.call("work.unpublish" if own else "work.remove", {"work": work["work"]})
        freed = words.number(answer, "freed_bytes")
        app.say("It is no longer shared." if own else f"It is gone; {words.size(freed)} are free again.")
        app.reload()


async def verify(app: P2pnodeApp, now: Situation) -> None:
    work = selected(now.work)
    app.say(f"Reading “{words.title(work)}” again…")
    answer = await app.node.call("store.verify", {"work": work["work"], "repair": True}, timeout_s=None)
    damaged = words.items(answer)
    if damaged:
        app.say(f"“{words.title(work)}” is damaged: {clean(damaged[0].get('words') or '')}", warn=True)
    else:
        repaired = words.items(answer, "repairs")
        app.say(f"“{words.title(work)}” is whole{', damaged parts were fetched again' if repaired else ''}.")
    app.reload()


async def copy_work(app: P2pnodeApp, now: Situation) -> None:
    app.copy(str(selected(now.work)["work"]))


async def publish(app: P2pnodeApp, now: Situation) -> None:
    answer = await app.push_screen_wait(PublishForm())
    if not answer:
        return
    skipped = words.items(answer, "skipped")
    app.say(f"Published {words.plural(answer.get('files', 1), 'file')}, {words.size(answer.get('bytes'))}.")
    if skipped:
        first = skipped[0]
        app.say(
            f"{words.plural(len(skipped), 'file was', 'files were')} left out: {clean(first.get('path', ''))}"
            f" ({clean(first.get('reason', ''))})",
            warn=True,
        )
    await app.open_work(str(answer["work"]))


async def history(app: P2pnodeApp, now: Situation) -> None:
    await app.open_page(HistoryPage(str(selected(now.work)["work"])))


async def revert(app: P2pnodeApp, now: Situation) -> None:
    if await app.push_screen_wait(RevertForm(selected(now.work), selected(now.revision))):
        app.say("The way back is proposed; it is an edit like any other. Vote on it too.")
        app.reload()


async def next_lens(app: P2pnodeApp, now: Situation) -> None:
    lenses = ["", "me", *app.my_circles]
    app.lens = lenses[(lenses.index(app.lens) + 1) % len(lenses)] if app.lens in lenses else ""
    app.say(f"Seen {app.lens_words}.")
    app.reload()


async def show_hidden(app: P2pnodeApp, now: Situation) -> None:
    app.shows_hidden = not app.shows_hidden
    app.say("What you hid or blocked is shown, too." if app.shows_hidden else "What you hid or blocked is not shown.")
    app.reload()


DEEDS: dict[str, Deed] = {
    "search.focus": focus_search,
    "work.open": open_work,
    "work.get": get,
    "proposal.list": propose,
    "proposal.flag": flag,
    "proposal.edit": edit,
    "proposal.takedown": ask_about_work(TakedownForm, "The takedown is proposed. The members decide."),
    "proposal.appeal": ask_about_work(AppealForm, "The appeal is open. The members decide."),
    "work.mark": mark,
    "work.history": history,
    "work.revert": revert,
    "lens.next": next_lens,
    "lens.all": show_hidden,
    "work.pin": pin,
    "work.drop": let_go,
    "work.verify": verify,
    "work.copy": copy_work,
    "work.publish": publish,
}
