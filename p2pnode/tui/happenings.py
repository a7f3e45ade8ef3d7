"""Events of the node as sentences, for the Home screen and for short notices. Pure.

An event that no sentence is written for is left out: progress, and what a later daemon may tell.
"""

from __future__ import annotations

from collections.abc import Mapping

from p2pnode.tui.text import clean, marked
from p2pnode.tui.words import VERDICT_WORDS, Answer, number, plural, short_id, title


def sentence(name: str, data: Answer, circles: Mapping[str, str]) -> str:
    """What happened, in one line; empty when it is not worth one. `circles` gives names to circle ids."""
    named = data.get("name") or circles.get(str(data.get("circle", "")), "")
    circle = marked(named) or short_id(data.get("circle") or "a circle")
    if name == "peer.connected":
        return f"Connected to {short_id(data.get('peer_id', 'a peer'))}"
    if name == "peer.disconnected":
        return f"Lost {short_id(data.get('peer_id', 'a peer'))}"
    if name == "work.published":
        return f"Published “{title(data)}”"
    if name == "work.fetched":
        return f"“{title(data)}” is here, verified and kept"
    if name == "circle.joined":
        return f"You are a member of {circle} now"
    if name == "circle.refused":
        return f"{circle} did not let you in: {clean(data.get('reason') or 'no reason was given')}"
    if name == "record.received":
        return f"{plural(number(data, 'count') or 1, 'new record')} in {circle}"
    if name == "verdict.changed":
        return _verdict_changed(data, circle)
    if name == "notice.added" and data.get("kind") != "verdict":  # verdict.changed tells that one
        return f"{marked(data.get('circle_name') or '') or circle}: {clean(data.get('text') or '')}"
    if name == "content.damaged":
        return f"“{title(data)}” is damaged: {clean(data.get('damage') or 'its bytes are not what they were')}"
    return ""


def _verdict_changed(data: Answer, circle: str) -> str:
    before, after = (VERDICT_WORDS.get(str(data.get(key)), clean(data.get(key, ""))) for key in ("before", "after"))
    return f"{circle}: “{title(data)}” is {after} (was {before})"


def style(name: str, data: Answer) -> str:
    """The style of an event's line."""
    if name in ("circle.refused", "content.damaged"):
        return "$text-error"
    if name == "notice.added":
        return "$text-warning"
    if name == "verdict.changed":
        return {"listed": "$text-success", "taken_down": "$text-error", "disputed": "$text-warning"}.get(
            str(data.get("after")), ""
        )
    return "$text-success" if name in ("work.published", "work.fetched", "circle.joined") else "$foreground-muted"
