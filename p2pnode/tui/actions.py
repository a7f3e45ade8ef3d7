"""The one table of everything a person can do here. Footer, command palette, help and the docs page are made from it.

What an action does stands in `deeds.py` under the same id; why it cannot be done now is decided here, by pure functions on a
`Situation`, so that the reason is the same wherever it is shown. Nothing here knows Textual.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from p2pnode.tui.words import Answer, items, verdicts_of

SCREENS = {
    "home": "Home",
    "search": "Search",
    "library": "Library",
    "circles": "Circles",
    "transfers": "Transfers",
    "work": "Work",
}
"""Every screen's id and name; the first five lie on the number keys."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What is selected and possible at this moment, told by the screen in front."""

    screen: str = "home"
    online: bool = False
    circles: frozenset[str] = frozenset()
    """Ids of the circles I am in."""
    work: Answer | None = None
    proposal: Answer | None = None
    """The proposal an action would be about: the selected one, or the work's first open one."""
    circle: Answer | None = None
    member: Answer | None = None
    transfer: Answer | None = None
    address: str = ""
    """A multiaddr others can connect to."""


Reason = Callable[[Situation], str]
"""Why an action cannot be done now; empty when it can."""


def nothing(_: Situation) -> str:
    return ""


def needs_node(now: Situation) -> str:
    return "" if now.online else "the node does not answer (s starts it)"


def needs_no_node(now: Situation) -> str:
    return "the node is running" if now.online else ""


def needs_work(now: Situation) -> str:
    return needs_node(now) or ("" if now.work else "no work is selected")


def needs_foreign_work(now: Situation) -> str:
    state = str((now.work or {}).get("state", ""))
    here = {"own": "it is your own", "kept": "it is here already", "fetching": "it is being fetched already"}
    return needs_work(now) or here.get(state, "")


def needs_circle(now: Situation) -> str:
    return needs_node(now) or ("" if now.circle else "no circle is selected")


def needs_work_and_circles(now: Situation) -> str:
    return needs_work(now) or (
        "" if now.circles else "you are in no circle yet (on Circles: n creates one, j joins one)"
    )


def needs_verdict(now: Situation, *wanted: str, otherwise: str) -> str:
    """Some circle of mine says one of the wanted words of the selected work."""
    if reason := needs_work_and_circles(now):
        return reason
    said = [entry for entry in verdicts_of(now.work or {}) if entry.get("circle") in now.circles]
    return "" if any(entry.get("verdict") in wanted for entry in said) else otherwise


def needs_listed_work(now: Situation) -> str:
    return needs_verdict(now, "listed", "disputed", otherwise="no circle of yours lists it")


def needs_condemned_work(now: Situation) -> str:
    return needs_verdict(now, "taken_down", "disputed", otherwise="no circle of yours decided against it")


def needs_held_work(now: Situation) -> str:
    if reason := needs_work(now):
        return reason
    return "" if (now.work or {}).get("state") in ("own", "kept", "partial") else "it is not here"


def needs_proposal(now: Situation) -> str:
    if reason := needs_node(now):
        return reason
    if not now.proposal:
        return "no proposal is open here; propose it to a circle first (l)"
    return "" if now.proposal.get("circle") in now.circles else "only members of its circle vote on it"


def needs_member(now: Situation) -> str:
    if reason := needs_circle(now):
        return reason
    if not now.member:
        return "select somebody under Members first (m)"
    return "that is you" if now.member.get("me") else ""


def needs_transfer(now: Situation) -> str:
    if reason := needs_node(now):
        return reason
    if not now.transfer:
        return "no transfer is selected"
    over = {"done": "it is done", "failed": "it has failed already", "cancelled": "it is cancelled already"}
    return over.get(str(now.transfer.get("state", "")), "")


def needs_address(now: Situation) -> str:
    return needs_node(now) or ("" if now.address else "the node has no address yet")


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do: `id` names the deed, `method` the control method it leads to (empty: nothing is asked of the node)."""

    id: str
    key: str
    label: str
    help: str
    screens: tuple[str, ...] = ()
    """Where it can be done; empty = everywhere."""
    method: str = ""
    reason: Reason = nothing

    @property
    def key_shown(self) -> str:
        names = {"question_mark": "?", "slash": "/", "escape": "esc", "plus": "+", "minus": "-"}
        return names.get(self.key, self.key.replace("ctrl+", "^"))


_WORKS = ("search", "library", "work", "circles")

# fmt: off
ACTIONS: tuple[Action, ...] = (
    Action("go.home", "1", "Home", "How the node is doing and what to do next"),
    Action("go.search", "2", "Search", "Find works here and on the network"),
    Action("go.library", "3", "Library", "The works you published and keep"),
    Action("go.circles", "4", "Circles", "Your circles, what they are asked, who is in them"),
    Action("go.transfers", "5", "Transfers", "What is being fetched, and why it waits"),
    Action("search.focus", "slash", "Search", "Go to the search field",
           ("home", "search", "library", "circles", "transfers", "work"), "work.search"),
    Action("work.open", "o", "Open", "Show all about the selected work",
           ("search", "library", "circles", "transfers"), "work.show", needs_work),
    Action("work.get", "g", "Get", "Fetch the work and keep it", _WORKS, "work.get", needs_foreign_work),
    Action("ballot.cast", "v", "Vote", "Cast your ballot on the proposal", _WORKS, "ballot.cast", needs_proposal),
    Action("proposal.list", "l", "Propose", "Propose to a circle that it lists this work",
           _WORKS, "proposal.open", needs_work_and_circles),
    Action("proposal.flag", "f", "Flag", "Complain about this work to a circle",
           _WORKS, "proposal.open", needs_work_and_circles),
    Action("proposal.edit", "e", "Edit", "Propose another description of this work; the author's own stays what it is",
           _WORKS, "proposal.open", needs_listed_work),
    Action("proposal.takedown", "", "Take down", "Propose that a circle takes this work off its list",
           _WORKS, "proposal.open", needs_listed_work),
    Action("proposal.appeal", "", "Appeal", "Propose that a takedown or a complaint is lifted",
           _WORKS, "proposal.open", needs_condemned_work),
    Action("work.mark", "h", "Mark", "Hide, block or keep this work for yourself, whatever circles say",
           _WORKS, "work.mark", needs_work),
    Action("work.pin", "k", "Pin", "Promise to keep this work, or release the promise",
           ("library", "work"), "work.pin", needs_held_work),
    Action("work.drop", "d", "Let go", "Stop sharing your own work, or free the bytes of a fetched one",
           ("library", "work"), "work.remove", needs_held_work),
    Action("work.verify", "", "Verify", "Read this work again and mend what is damaged from others",
           ("library", "work"), "store.verify", needs_held_work),
    Action("work.copy", "y", "Copy id", "Copy the work's id to the clipboard", (*_WORKS, "transfers"), "", needs_work),
    Action("pane.open", "a", "Asked", "What the circle is asked", ("circles",)),
    Action("pane.members", "m", "Members", "The circle's roll", ("circles",)),
    Action("pane.listed", "w", "Works", "The works the circle lists", ("circles",)),
    Action("circle.create", "n", "New circle", "Create a circle of your own",
           ("circles", "home"), "circle.create", needs_node),
    Action("circle.join", "j", "Join", "Join a circle with an invite", ("circles", "home"), "circle.join", needs_node),
    Action("circle.invite", "i", "Invite", "Make an invite to the selected circle",
           ("circles",), "circle.invite", needs_circle),
    Action("circle.leave", "", "Leave circle", "Leave the selected circle", ("circles",), "circle.leave", needs_circle),
    Action("vouch.give", "plus", "Vouch", "Vouch that the selected key is a distinct person you know",
           ("circles",), "vouch.give", needs_member),
    Action("vouch.revoke", "minus", "Unvouch", "Take back your vouch for the selected key",
           ("circles",), "vouch.revoke", needs_member),
    Action("transfer.cancel", "x", "Cancel", "Stop the selected transfer; what is here stays for a later start",
           ("transfers",), "transfer.cancel", needs_transfer),
    Action("transfer.pause", "space", "Pause", "Pause the selected transfer, or go on with it",
           ("transfers",), "transfer.pause", needs_transfer),
    Action("notices.show", "b", "Notices", "What happened in your circles that concerns you",
           ("home", "circles"), "notice.list", needs_node),
    Action("peer.connect", "c", "Connect", "Connect to a node by its address", ("home",), "peer.connect", needs_node),
    Action("peer.copy", "y", "Copy address", "Copy your node's address to give to a friend",
           ("home",), "", needs_address),
    Action("identity.set", "e", "Your name", "Set the name under which you publish",
           ("home",), "identity.set", needs_node),
    Action("work.publish", "p", "Publish", "Publish a file or folder", (), "work.publish", needs_node),
    Action("page.refresh", "r", "Refresh", "Ask the node again, or try to reach it now"),
    Action("node.start", "s", "Start node", "Start the node on this machine", (), "", needs_no_node),
    Action("node.stop", "", "Stop node", "Stop the node; nobody can fetch from it until it runs again",
           (), "node.stop", needs_node),
    Action("app.theme", "t", "Theme", "Next theme: dark, light, high contrast"),
    Action("page.back", "escape", "Back", "Back to where you came from", ("work",)),
    Action("app.palette", "ctrl+p", "Commands", "Everything you can do here, by typing its name"),
    Action("app.help", "question_mark", "Help", "Keys and what they do, here and now"),
    Action("app.quit", "q", "Quit", "Close this screen; the node keeps running"),
)
# fmt: on

_ABOUT_WORKS = ("work.open", "work.get", "ballot.cast", "proposal.list", "proposal.flag", "proposal.edit", "work.mark")
_KEEPING = ("work.pin", "work.drop")
FOOTERS = {
    "home": (
        "peer.connect",
        "peer.copy",
        "work.publish",
        "search.focus",
        "circle.join",
        "circle.create",
        "identity.set",
        "notices.show",
    ),
    "search": (*_ABOUT_WORKS, "work.publish", "search.focus"),
    "library": (*_ABOUT_WORKS, *_KEEPING, "work.publish", "search.focus"),
    "circles": (
        "work.open",
        "ballot.cast",
        "circle.create",
        "circle.join",
        "circle.invite",
        "work.publish",
        "work.get",
        "proposal.list",
        "proposal.flag",
        "vouch.give",
        "vouch.revoke",
    ),
    "transfers": ("work.open", "transfer.pause", "transfer.cancel", "work.publish", "search.focus"),
    "work": ("page.back", *_ABOUT_WORKS[1:], *_KEEPING, "work.publish", "search.focus"),
}
"""What each footer shows, the most useful first: where not all fit, the last ones are left out."""
LAST_IN_FOOTER = ("app.help", "app.quit")

BY_ID = {action.id: action for action in ACTIONS}


def here(screen: str) -> list[Action]:
    """What can be done on a screen, in the table's order."""
    return [action for action in ACTIONS if not action.screens or screen in action.screens]


def footer(screen: str) -> list[Action]:
    """What the footer of a screen shows, in its order."""
    return [BY_ID[id] for id in (*FOOTERS[screen], *LAST_IN_FOOTER)]


def bindings(screen: str) -> dict[str, str]:
    """Key -> action id on a screen. Two actions never share a key on one screen (tested)."""
    return {action.key: action.id for action in here(screen) if action.key}


def open_question(work: Answer | None, circles: frozenset[str] = frozenset()) -> Answer | None:
    """What `vote` on a work is about: an open proposal, else the one behind a verdict; one of my own circles first."""
    questions = [*_open(work), *_decided(work)] if work else []
    return next((question for question in questions if question.get("circle") in circles), next(iter(questions), None))


def _open(work: Answer) -> Iterable[Answer]:
    return (proposal for proposal in items(work, "proposals") if proposal.get("state", "open") == "open")


def _decided(work: Answer) -> Iterable[Answer]:
    same = {key: work.get(key) for key in ("work", "title")}
    for entry in verdicts_of(work):
        if entry.get("proposal"):
            yield {"class": "list", "circle_name": entry.get("name"), **entry, **same}


def page() -> str:
    """The actions as a Markdown page: for the documents, checked against them by a test."""
    lines = ["# Keys of the terminal UI", "", "Made from the table in `p2pnode/tui/actions.py`.", ""]
    for screen, name in [("", "Everywhere"), *SCREENS.items()]:
        chosen = [a for a in ACTIONS if (screen in a.screens if screen else not a.screens)]
        if not chosen:
            continue
        lines += [f"## {name}", "", "| key | action | what it does | asks the node |", "| --- | --- | --- | --- |"]
        lines += [_page_row(action) for action in chosen]
        lines.append("")
    return "\n".join(lines)


def _page_row(action: Action) -> str:
    key = f"`{action.key_shown}`" if action.key else "by name, after `^p`"
    return f"| {key} | {action.label} | {action.help} | {f'`{action.method}`' if action.method else ''} |"
