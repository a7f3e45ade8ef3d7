"""The one table of everything a person can do here. Footer, command palette, help and the docs page are made from it.

What an action does stands in `deeds` under the same id, why it cannot be done now in `reasons`. Nothing here knows Textual.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2pnode.tui.reasons import (
    Reason,
    needs_address,
    needs_circle,
    needs_condemned_work,
    needs_edit,
    needs_expelled,
    needs_foreign_work,
    needs_held_work,
    needs_listed_work,
    needs_member,
    needs_new_steward,
    needs_no_node,
    needs_node,
    needs_old_steward,
    needs_open_question,
    needs_ordinary_member,
    needs_proposal,
    needs_question,
    needs_steward,
    needs_transfer,
    needs_work,
    needs_work_and_circles,
    nothing,
)

SCREENS = {
    "home": "Home",
    "search": "Search",
    "library": "Library",
    "circles": "Circles",
    "transfers": "Transfers",
    "work": "Work",
    "review": "Review",
    "question": "Question",
    "history": "History",
}
"""Every screen's id and name; the first five lie on the number keys."""


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
_VOTING = (*_WORKS, "review", "question")
_STACKED = ("work", "review", "question", "history")
"""Screens on top of the one that one came from."""

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
           ("search", "library", "circles", "transfers", "review", "question"), "work.show", needs_work),
    Action("work.get", "g", "Get", "Fetch the work and keep it", _WORKS, "work.get", needs_foreign_work),
    Action("ballot.cast", "v", "Vote", "Cast your ballot on the proposal", _VOTING, "ballot.cast", needs_proposal),
    Action("question.open", "k", "Why", "How the selected question stands: turnout, each ballot, what would change it",
           ("circles", "review"), "proposal.show", needs_question),
    Action("question.picture", "k", "Picture", "The flow of vouches that makes ballots count, as a picture or in words",
           ("question",), "verdict.explain", needs_node),
    Action("proposal.withdraw", "", "Take back", "Take back what you proposed, as long as it is not adopted",
           ("circles", "question"), "proposal.withdraw", needs_open_question),
    Action("queue.show", "u", "Review", "What waits for your ballot: what calls you first, the oldest first",
           ("home", "circles"), "proposal.queue", needs_node),
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
    Action("work.history", "z", "History", "Every revision, who asked and decided what, and how to go back",
           _WORKS, "work.history", needs_work),
    Action("work.revert", "x", "Revert", "Propose that the circle's description is again as it was then",
           ("history",), "proposal.open", needs_edit),
    Action("lens.next", "w", "Lens", "See the works through another circle's eyes, through all, or only through your own marks",
           ("search", "library"), "", needs_node),
    Action("lens.all", "a", "Hidden too", "Show also what you hid or blocked, or no longer",
           ("search", "library"), "", needs_node),
    Action("work.pin", "k", "Pin", "Promise to keep this work, or release the promise",
           ("library", "work"), "work.pin", needs_held_work),
    Action("work.drop", "d", "Let go", "Stop sharing your own work, or free the bytes of a fetched one",
           ("library", "work"), "work.remove", needs_held_work),
    Action("work.verify", "", "Verify", "Read this work again and mend what is damaged from others",
           ("library", "work"), "store.verify", needs_held_work),
    Action("work.copy", "y", "Copy id", "Copy the work's id to the clipboard", (*_WORKS, "transfers", "review"), "", needs_work),
    Action("pane.open", "a", "Asked", "What the circle is asked", ("circles",)),
    Action("pane.members", "m", "Members", "The circle's roll", ("circles",)),
    Action("pane.listed", "w", "Works", "The works the circle lists", ("circles",)),
    Action("pane.rules", "c", "Charter", "The circle's rules, in words", ("circles",)),
    Action("circle.create", "n", "New circle", "Create a circle of your own",
           ("circles", "home"), "circle.create", needs_node),
    Action("circle.join", "j", "Join", "Join a circle with an invite", ("circles", "home"), "circle.join", needs_node),
    Action("circle.invite", "i", "Invite", "Make an invite to the selected circle",
           ("circles",), "circle.invite", needs_circle),
    Action("circle.invite_several", "", "Invite several", "Make an invite for several people, or for another time",
           ("circles",), "circle.invite", needs_circle),
    Action("circle.invites", "", "Open invites", "Your invites that can still be used; close one",
           ("circles",), "circle.invites", needs_circle),
    Action("charter.change", "d", "Change rules", "Propose other rules for the circle; you see what changes before you sign",
           ("circles",), "proposal.open", needs_steward),
    Action("charter.grown", "", "Grown rules", "Propose the rules for a circle of a dozen members or more",
           ("circles",), "proposal.open", needs_steward),
    Action("member.expel", "x", "Expel", "Propose that the selected member is expelled; it can be readmitted",
           ("circles",), "proposal.open", needs_ordinary_member),
    Action("member.readmit", "", "Readmit", "Propose that the selected expelled key comes back",
           ("circles",), "proposal.open", needs_expelled),
    Action("steward.add", "", "Make steward", "Propose that the selected member becomes a steward",
           ("circles",), "proposal.open", needs_new_steward),
    Action("steward.remove", "", "Recall steward", "Propose that the selected steward is one no more",
           ("circles",), "proposal.open", needs_old_steward),
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
    Action("page.back", "escape", "Back", "Back to where you came from", _STACKED),
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
        "queue.show",
        "identity.set",
        "notices.show",
    ),
    "search": (*_ABOUT_WORKS, "lens.next", "work.publish", "search.focus"),
    "library": (*_ABOUT_WORKS, *_KEEPING, "lens.next", "work.publish", "search.focus"),
    "circles": (
        "work.open",
        "ballot.cast",
        "queue.show",
        "question.open",
        "circle.create",
        "circle.join",
        "circle.invite",
        "work.publish",
        "work.get",
        "proposal.list",
        "proposal.flag",
        "vouch.give",
        "vouch.revoke",
        "charter.change",
        "member.expel",
    ),
    "transfers": ("work.open", "transfer.pause", "transfer.cancel", "work.publish", "search.focus"),
    "work": ("page.back", *_ABOUT_WORKS[1:], *_KEEPING, "work.history", "work.publish", "search.focus"),
    "review": ("page.back", "ballot.cast", "question.open", "work.open"),
    "question": ("page.back", "ballot.cast", "question.picture", "work.open"),
    "history": ("page.back", "work.revert"),
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
