"""What each action of the table does, under the action's id. The app calls these in a worker, with what was selected then.

A deed raises P2pnodeError and the app shows it. Everything that is signed goes through a form; only leaving a circle and
stopping the node ask again, because the one is hard to undo and the other affects others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from p2pnode.errors import P2pnodeError
from p2pnode.tui import words
from p2pnode.tui.actions import SCREENS, Situation
from p2pnode.tui.modals.circle import CreateCircleForm, InviteWindow, JoinCircleForm
from p2pnode.tui.modals.keeping import MarkForm, NoticesWindow
from p2pnode.tui.modals.own import ConnectForm, NameForm
from p2pnode.tui.modals.propose import AppealForm, EditForm, FlagForm, ProposeForm, TakedownForm
from p2pnode.tui.modals.publish import PublishForm
from p2pnode.tui.modals.vote import VoteForm
from p2pnode.tui.modals.window import ConfirmWindow, HelpWindow
from p2pnode.tui.text import clean
from p2pnode.tui.themes import THEMES
from p2pnode.tui.words import Answer

if TYPE_CHECKING:
    from p2pnode.tui.app import P2pnodeApp

Deed = Callable[["P2pnodeApp", Situation], Awaitable[None]]


def _go(mode: str) -> Deed:
    async def go(app: P2pnodeApp, now: Situation) -> None:
        await app.go(mode)

    return go


def _show_pane(pane: str) -> Deed:
    async def show(app: P2pnodeApp, now: Situation) -> None:
        if page := app.page:
            page.show_pane(pane)

    return show


def _selected(answer: Answer | None) -> Answer:
    assert answer is not None  # the action's reason has seen to it
    return answer


async def focus_search(app: P2pnodeApp, now: Situation) -> None:
    await app.go("search")
    if page := app.page:
        page.focus_field()


async def open_work(app: P2pnodeApp, now: Situation) -> None:
    await app.open_work(str(_selected(now.work)["work"]))


async def get(app: P2pnodeApp, now: Situation) -> None:
    work = _selected(now.work)
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


async def vote(app: P2pnodeApp, now: Situation) -> None:
    proposal = _selected(now.proposal)
    if answer := await app.push_screen_wait(VoteForm(proposal)):
        app.say(f"Your ballot is cast: {clean(answer.get('choice', ''))}. You can change it as long as you like.")
        app.reload()


async def propose(app: P2pnodeApp, now: Situation) -> None:
    if await app.push_screen_wait(ProposeForm(_selected(now.work), str((now.circle or {}).get("circle", "")))):
        app.say("The proposal is open. Vote on it too: v")
        app.reload()


async def flag(app: P2pnodeApp, now: Situation) -> None:
    if await app.push_screen_wait(FlagForm(_selected(now.work), str((now.circle or {}).get("circle", "")))):
        app.say("The complaint is open. The members decide whether it stands.")
        app.reload()


def _ask(form: type[ProposeForm], said: str) -> Deed:
    """Open a form of a proposal about the selected work."""

    async def ask(app: P2pnodeApp, now: Situation) -> None:
        if await app.push_screen_wait(form(_selected(now.work), str((now.circle or {}).get("circle", "")))):
            app.say(said)
            app.reload()

    return ask


async def edit(app: P2pnodeApp, now: Situation) -> None:
    whole = await app.node.call("work.show", {"work": _selected(now.work)["work"]})  # a row of a list has no summary
    if await app.push_screen_wait(EditForm(whole, str((now.circle or {}).get("circle", "")))):
        app.say("The edit is proposed. Vote on it too: v")
        app.reload()


async def mark(app: P2pnodeApp, now: Situation) -> None:
    if answer := await app.push_screen_wait(MarkForm(_selected(now.work))):
        word = str(answer.get("mark") or "")
        app.say(f"“{words.title(_selected(now.work))}” is {words.MARKS.get(word, 'no longer marked')}.")
        app.reload()


async def pin(app: P2pnodeApp, now: Situation) -> None:
    work = _selected(now.work)
    release = bool(work.get("pinned"))
    await app.node.call("work.unpin" if release else "work.pin", {"work": work["work"]})
    app.say(
        f"“{words.title(work)}” may go when space is needed."
        if release
        else f"“{words.title(work)}” stays: it is pinned."
    )
    app.reload()


async def let_go(app: P2pnodeApp, now: Situation) -> None:
    work = _selected(now.work)
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
    work = _selected(now.work)
    app.say(f"Reading “{words.title(work)}” again…")
    answer = await app.node.call("store.verify", {"work": work["work"], "repair": True}, timeout_s=None)
    damaged = words.items(answer)
    if damaged:
        app.say(f"“{words.title(work)}” is damaged: {clean(damaged[0].get('words') or '')}", warn=True)
    else:
        repaired = words.items(answer, "repairs")
        app.say(f"“{words.title(work)}” is whole{', damaged parts were fetched again' if repaired else ''}.")
    app.reload()


async def pause_or_resume(app: P2pnodeApp, now: Situation) -> None:
    transfer = _selected(now.transfer)
    paused = transfer.get("state") == "paused"
    await app.node.call("transfer.resume" if paused else "transfer.pause", {"transfer": transfer["transfer"]})
    app.reload()


async def show_notices(app: P2pnodeApp, now: Situation) -> None:
    answer = await app.node.call("notice.list")
    if await app.push_screen_wait(NoticesWindow(words.items(answer), app.clock())):
        await app.node.call("notice.list", {"clear": True})


async def copy_work(app: P2pnodeApp, now: Situation) -> None:
    app.copy(str(_selected(now.work)["work"]))


async def copy_address(app: P2pnodeApp, now: Situation) -> None:
    app.copy(now.address)


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
    circle = _selected(now.circle)
    await app.push_screen_wait(InviteWindow(str(circle["circle"]), clean(circle.get("name") or "the circle")))


async def leave_circle(app: P2pnodeApp, now: Situation) -> None:
    circle = _selected(now.circle)
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
    member = _selected(now.member)
    await app.node.call(method, {"circle": _selected(now.circle)["circle"], "key": member["key"]})
    app.reload()
    return words.short_id(member["key"])


async def cancel_transfer(app: P2pnodeApp, now: Situation) -> None:
    transfer = _selected(now.transfer)
    await app.node.call("transfer.cancel", {"transfer": transfer["transfer"]})
    app.reload()


async def connect(app: P2pnodeApp, now: Situation) -> None:
    if answer := await app.push_screen_wait(ConnectForm()):
        app.say(f"Connected to {words.short_id(answer.get('peer_id', ''))}")
        app.reload()


async def set_name(app: P2pnodeApp, now: Situation) -> None:
    if await app.push_screen_wait(NameForm()):
        app.reload()


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


async def refresh(app: P2pnodeApp, now: Situation) -> None:
    if app.node.link.online:
        app.reload()
    else:
        app.node.hurry()


async def start_node(app: P2pnodeApp, now: Situation) -> None:
    app.node.hurry(start=True)


async def stop_node(app: P2pnodeApp, now: Situation) -> None:
    question = ConfirmWindow(
        "Stop the node?",
        "Until it runs again nobody can fetch from it, and nothing new arrives. s starts it again.",
        "Stop it",
    )
    if await app.push_screen_wait(question):
        await app.node.call("node.stop")


async def next_theme(app: P2pnodeApp, now: Situation) -> None:
    names = [theme.name for theme in THEMES]
    app.theme = names[(names.index(app.theme) + 1) % len(names)] if app.theme in names else names[0]


async def back(app: P2pnodeApp, now: Situation) -> None:
    if len(app.screen_stack) > 1:
        await app.pop_screen()


async def palette(app: P2pnodeApp, now: Situation) -> None:
    app.action_command_palette()


async def help_here(app: P2pnodeApp, now: Situation) -> None:
    texts = [text for text in (getattr(app.screen, "HELP_TEXT", ""), getattr(app.focused, "about", "")) if text]
    page_in_front = app.screen is app.page
    title = f"Help: {SCREENS[now.screen]}" if page_in_front else "Help"
    await app.push_screen(HelpWindow(now, title, texts, keys=page_in_front))


async def leave_app(app: P2pnodeApp, now: Situation) -> None:
    app.exit()


DEEDS: dict[str, Deed] = {
    **{f"go.{mode}": _go(mode) for mode in ("home", "search", "library", "circles", "transfers")},
    **{f"pane.{pane}": _show_pane(pane) for pane in ("open", "members", "listed")},
    "search.focus": focus_search,
    "work.open": open_work,
    "work.get": get,
    "ballot.cast": vote,
    "proposal.list": propose,
    "proposal.flag": flag,
    "proposal.edit": edit,
    "proposal.takedown": _ask(TakedownForm, "The takedown is proposed. The members decide."),
    "proposal.appeal": _ask(AppealForm, "The appeal is open. The members decide."),
    "work.mark": mark,
    "work.pin": pin,
    "work.drop": let_go,
    "work.verify": verify,
    "transfer.pause": pause_or_resume,
    "notices.show": show_notices,
    "work.copy": copy_work,
    "circle.create": create_circle,
    "circle.join": join_circle,
    "circle.invite": invite,
    "circle.leave": leave_circle,
    "vouch.give": vouch,
    "vouch.revoke": unvouch,
    "transfer.cancel": cancel_transfer,
    "peer.connect": connect,
    "peer.copy": copy_address,
    "identity.set": set_name,
    "work.publish": publish,
    "page.refresh": refresh,
    "node.start": start_node,
    "node.stop": stop_node,
    "app.theme": next_theme,
    "page.back": back,
    "app.palette": palette,
    "app.help": help_here,
    "app.quit": leave_app,
}
