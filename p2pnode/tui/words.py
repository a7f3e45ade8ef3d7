"""Numbers, times, states and verdicts in the words people read. Pure functions on the answers of the control socket.

The daemon sends machine words (`taken_down`, bytes, seconds); only this file turns them into prose, so that one thing is
called by one name on every screen. Values inside answers may come from peers: every string passes `clean`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from p2pnode.tui.text import clean, clip, marked

Answer = Mapping[str, Any]
"""One JSON object of the control socket."""

ID_SHOWN_CHARS = 8
"""Characters of an id after its prefix on screen: two more than the daemon needs where it is unambiguous."""

VERDICT_WORDS = {
    "new": "new",
    "listed": "listed",
    "rejected": "rejected",
    "disputed": "disputed",
    "taken_down": "taken down",
}
VERDICT_MEANINGS = {
    "new": "nobody has decided on it yet",
    "listed": "the circle decided to list it",
    "rejected": "the circle decided not to list it",
    "disputed": "a complaint about it stands",
    "taken_down": "the circle took it down",
}
VERDICT_STYLES = {
    "new": "$foreground-muted",
    "listed": "$text-success",
    "rejected": "$text-error",
    "disputed": "$text-warning",
    "taken_down": "$text-error",
}
WORK_STATES = {"own": "yours", "kept": "kept", "heard": "away", "fetching": "fetching", "partial": "partly here"}
MARKS = {"hide": "hidden", "block": "blocked", "keep": "kept by you"}
TRANSFER_STATES = {
    "finding": "looking for providers",
    "fetching": "fetching",
    "waiting": "waiting",
    "paused": "paused",
    "queued": "waits for its turn",
    "done": "done",
    "failed": "failed",
    "cancelled": "cancelled",
}
COMPLAINTS = {
    "licence": "its licence is wrong or missing",
    "corrupt": "its content is broken",
    "duplicate": "the same work is here already",
    "metadata": "title, creators or tags are wrong",
    "harmful": "it does harm",
    "off_topic": "it does not belong in this circle",
}
FLAGGED_AS = {
    "licence": "badly licensed",
    "corrupt": "broken",
    "duplicate": "a duplicate",
    "metadata": "mislabelled",
    "harmful": "harmful",
    "off_topic": "off topic",
}
KINDS = ("book", "paper", "course", "software", "hardware", "music", "video", "image", "dataset", "policy", "other")
LICENCES = (
    "CC-BY-4.0",
    "CC-BY-SA-4.0",
    "CC0-1.0",
    "CC-BY-NC-4.0",
    "CC-BY-NC-SA-4.0",
    "CC-BY-ND-4.0",
    "MIT",
    "Apache-2.0",
    "GPL-3.0-or-later",
    "AGPL-3.0-or-later",
    "LGPL-3.0-or-later",
    "MPL-2.0",
    "BSD-3-Clause",
    "GFDL-1.3-or-later",
    "CERN-OHL-S-2.0",
    "OFL-1.1",
    "Unlicense",
)
"""Offered as completions; the daemon checks the expression against the whole list."""


def size(count: object) -> str:
    """Bytes as a person reads them: 3 significant digits, powers of 1024."""
    number = float(_number(count))
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if number < 1024 or unit == "TiB":
            return (
                f"{int(number)} B"
                if unit == "B"
                else f"{number:.3g} {unit}"
                if number < 1000
                else f"{number:.0f} {unit}"
            )
        number /= 1024
    return ""


def plural(count: object, one: str, many: str | None = None) -> str:
    """`1 peer`, `3 peers`."""
    number = _number(count)
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """A span of time in its largest sensible unit."""
    whole = max(0, int(seconds))
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if whole >= length:
            return plural(whole // length, unit)
    return plural(whole, "second")


def ago(then: object, now: float) -> str:
    """How long ago a time of records (seconds since 1970) was; the future is called by its name: clocks differ."""
    moment = _number(then)
    if not moment:
        return "at an unknown time"
    if moment > now + 60:
        return "in the future, says its author"
    return "just now" if now - moment < 60 else f"{duration(now - moment)} ago"


def short_id(identifier: object) -> str:
    """`w-abcdefgh` of a full text id. CIDs and unknown forms are clipped in the middle."""
    text = clean(identifier)
    if len(text) > 2 and text[1] == "-":
        return text[: 2 + ID_SHOWN_CHARS]
    return text if len(text) <= 20 else f"{text[:10]}…{text[-6:]}"


def creators(answer: Answer, *, most: int = 3) -> str:
    """Names of the creators, the first few; an empty list is said."""
    people = _maps(answer.get("creators"))
    names = [marked(person.get("name", "")) for person in people[:most]]
    rest = f" and {len(people) - most} more" if len(people) > most else ""
    return (", ".join(filter(None, names)) + rest) or "no creator named"


def title(answer: Answer) -> str:
    """The title of a work or transfer; a work without one is called by its id."""
    return marked(answer.get("title") or "") or short_id(answer.get("work") or answer.get("cid") or "untitled")


def verdict(entry: Answer) -> str:
    """`taken_down` as `taken down`; unknown words of a later daemon are shown as they are."""
    word = clean(entry.get("verdict", "new"))
    return VERDICT_WORDS.get(word, word)


def verdict_style(entry: Answer) -> str:
    return VERDICT_STYLES.get(str(entry.get("verdict", "new")), "$foreground-muted")


def verdicts_of(answer: Answer) -> list[Answer]:
    return _maps(answer.get("verdicts"))


def items(answer: Answer, key: str = "items") -> list[Answer]:
    """The list of objects in an answer; whatever is not an object in it is left out."""
    return _maps(answer.get(key))


def proposal_question(proposal: Answer) -> str:
    """What a proposal asks, as one question."""
    work, kind = title(proposal), str(proposal.get("class", ""))
    key = short_id(proposal.get("key") or "somebody")
    changes = listing(sorted(proposal.get("changes") or {}))
    complaint = str(proposal.get("complaint", ""))
    asked = {
        "list": f"List “{work}”?",
        "flag": f"Flag “{work}” as {FLAGGED_AS.get(complaint, clean(complaint))}?",
        "edit": f"Change what is said of “{work}” ({changes})?",
        "takedown": f"Take “{work}” off the list?",
        "appeal": f"Lift what was decided against “{work}”?",
        "expel": f"Expel {key}?",
        "readmit": f"Let {key} come back?",
        "stewards": f"Change who the stewards are: {key}?",
        "charter": f"Change the circle's rules ({changes})?",
    }
    return asked.get(kind) or f"{clean(kind).capitalize()}: “{work}”?"


def transfer_line(transfer: Answer) -> str:
    """State, reason and speed of a transfer in one line of words."""
    state = str(transfer.get("state", ""))
    parts = [TRANSFER_STATES.get(state, clean(state))]
    if state == "fetching":
        parts.append(f"from {plural(transfer.get('providers', 0), 'provider')}")
        if rate := _number(transfer.get("rate_bytes_s")):
            parts.append(f"{size(rate)}/s")
            left = (_number(transfer.get("total")) - _number(transfer.get("bytes"))) / rate
            parts.append(f"{duration(left)} left")
    if reason := clean(transfer.get("reason") or ""):
        parts.append(reason)
    return " · ".join(parts)


def field_value(value: object) -> str:
    """A field of a description in one line; what is empty is said."""
    parts = value if isinstance(value, list) else [value]
    texts = (part.get("name") or part.get("value") if isinstance(part, Mapping) else part for part in parts)
    return ", ".join(clean(text) for text in texts if text not in (None, "")) or "nothing"


def listing(texts: Sequence[object], cells: int = 60) -> str:
    """Short texts joined by commas, clipped."""
    return clip(", ".join(filter(None, (clean(text) for text in texts))), cells)


def number(answer: Answer, key: str) -> int:
    """A whole number of an answer; 0 where it is absent or no number."""
    return _number(answer.get(key))


def _number(value: object) -> int:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0


def _maps(value: object) -> list[Answer]:
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []
