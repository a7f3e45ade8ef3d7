"""What to do next, for the Home screen: from how the node stands, the few things that would help most. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from p2pnode.tui.words import Answer, number, plural

MOST = 4
"""Pieces of advice at a time: more is a manual."""
NEARLY_FULL = 0.9
"""Share of the quota from which we speak of it."""


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to do: the action's id and why."""

    action: str
    text: str


def is_first_run(status: Answer, identity: Answer) -> bool:
    """Nothing was ever done with this node."""
    return not (number(status, "works") or number(status, "circles") or identity.get("name"))


def advice(status: Answer, identity: Answer, *, waiting: int) -> list[Advice]:
    """At most MOST pieces, the most useful first. `waiting` = proposals that wait for my ballot."""
    found = []
    if waiting:
        found.append(Advice("queue.show", f"{plural(waiting, 'proposal waits', 'proposals wait')} for your ballot"))
    if not identity.get("name"):
        found.append(Advice("identity.set", "Say under which name you publish"))
    if not number(status, "peers"):
        found.append(Advice("peer.connect", "Connect to somebody: paste the address a friend gave you"))
        found.append(Advice("peer.copy", "Or copy your own address and give it to a friend"))
    quota = number(status, "quota_bytes")
    if quota and number(status, "stored_bytes") > NEARLY_FULL * quota:
        found.append(Advice("go.library", "The quota is nearly used up: raise quota_bytes in config.toml"))
    if not number(status, "circles"):
        found.append(Advice("circle.join", "Join a circle with an invite"))
        found.append(Advice("circle.create", "Or create a circle of your own"))
    if not number(status, "works"):
        found.append(Advice("work.publish", "Publish a first work: a file or a folder"))
    found.append(Advice("search.focus", "Search for something to read"))
    found.append(Advice("work.publish", "Publish something of yours"))
    unique = {piece.action: piece for piece in reversed(found)}
    return [piece for piece in found if unique.get(piece.action) is piece][:MOST]
