"""What is selected and possible at this moment, and why an action cannot be done now: pure functions on a `Situation`.

One reason is the same wherever it is shown: footer, palette, help, notice. Called by the table of `actions`; knows no Textual.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from p2pnode.tui.words import Answer, items, verdicts_of


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
    rules: Answer | None = None
    """The answer of circle.show for the selected circle, once it is here."""
    member: Answer | None = None
    """The selected key of the roll; an expelled one has `expelled`."""
    revision: Answer | None = None
    """The selected line of a work's history."""
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
    proposal = now.proposal or {}
    if not proposal.get("proposal"):
        return "no proposal is open here; propose it to a circle first (l)"
    return "" if proposal.get("circle") in now.circles else "only members of its circle vote on it"


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


def needs_shown_circle(now: Situation) -> str:
    return needs_circle(now) or ("" if now.rules else "the circle's rules are not here yet")


def needs_steward(now: Situation) -> str:
    """I am a steward of the selected circle."""
    if reason := needs_shown_circle(now):
        return reason
    rules = now.rules or {}
    return "" if rules.get("me") in (rules.get("stewards") or []) else "only a steward of the circle can propose it"


def needs_ordinary_member(now: Situation) -> str:
    if reason := needs_member(now):
        return reason
    if (now.member or {}).get("expelled"):
        return "that key is expelled already"
    return "a steward is recalled, not expelled" if (now.member or {}).get("steward") else ""


def needs_expelled(now: Situation) -> str:
    if reason := needs_circle(now):
        return reason
    return "" if (now.member or {}).get("expelled") else "select an expelled key under Members first (m)"


def needs_new_steward(now: Situation) -> str:
    if reason := needs_steward(now):
        return reason
    if not now.member:
        return "select somebody under Members first (m)"
    return "that key is a steward already" if now.member.get("steward") else needs_ordinary_member(now)


def needs_old_steward(now: Situation) -> str:
    if reason := needs_steward(now):
        return reason
    return "" if (now.member or {}).get("steward") else "select a steward under Members first (m)"


def needs_question(now: Situation) -> str:
    return needs_node(now) or ("" if (now.proposal or {}).get("proposal") else "no question is selected")


def needs_open_question(now: Situation) -> str:
    if reason := needs_question(now):
        return reason
    return "" if (now.proposal or {}).get("state", "open") == "open" else "it is no longer open"


def needs_edit(now: Situation) -> str:
    """A line of the history to which a circle's description can go back."""
    if reason := needs_node(now):
        return reason
    line = now.revision or {}
    if line.get("class") not in ("edit", "list"):
        return "select a listing or an edit: to that the description can go back"
    if line.get("circle") not in now.circles:
        return "only members of its circle can propose it"
    return "" if line.get("effective") else "it is not in force, so there is nothing to go back to"


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
