"""Deeds about this node, its transfers and peers, and the app itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pnode.tui import words
from p2pnode.tui.actions import SCREENS
from p2pnode.tui.deeds.base import Deed, selected
from p2pnode.tui.modals.own import ConnectForm, NameForm
from p2pnode.tui.modals.window import ConfirmWindow, HelpWindow
from p2pnode.tui.reasons import Situation
from p2pnode.tui.themes import THEMES

if TYPE_CHECKING:
    from p2pnode.tui.app import P2pnodeApp


def _go(mode: str) -> Deed:
    async def go(app: P2pnodeApp, now: Situation) -> None:
        await app.go(mode)

    return go


async def pause_or_resume(app: P2pnodeApp, now: Situation) -> None:
    transfer = selected(now.transfer)
    paused = transfer.get("state") == "paused"
    await app.node.call("transfer.resume" if paused else "transfer.pause", {"transfer": transfer["transfer"]})
    app.reload()


async def copy_address(app: P2pnodeApp, now: Situation) -> None:
    app.copy(now.address)


async def cancel_transfer(app: P2pnodeApp, now: Situation) -> None:
    transfer = selected(now.transfer)
    await app.node.call("transfer.cancel", {"transfer": transfer["transfer"]})
    app.reload()


async def connect(app: P2pnodeApp, now: Situation) -> None:
    if answer := await app.push_screen_wait(ConnectForm()):
        app.say(f"Connected to {words.short_id(answer.get('peer_id', ''))}")
        app.reload()


async def set_name(app: P2pnodeApp, now: Situation) -> None:
    if await app.push_screen_wait(NameForm()):
        app.reload()


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
    "transfer.pause": pause_or_resume,
    "transfer.cancel": cancel_transfer,
    "peer.connect": connect,
    "peer.copy": copy_address,
    "identity.set": set_name,
    "page.refresh": refresh,
    "node.start": start_node,
    "node.stop": stop_node,
    "app.theme": next_theme,
    "page.back": back,
    "app.palette": palette,
    "app.help": help_here,
    "app.quit": leave_app,
}
