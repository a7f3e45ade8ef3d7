"""Answers of a node in the middle of its life, of a new one, and of one that was lied to: fixed ids, one fixed moment."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from p2pnode.errors import NetworkError, NotFoundError
from tests.tui.scripted_node import Told

NOW = 1_790_000_000.0
"""The moment at which every scripted screen is looked at, in seconds since 1970."""
MINUTE, HOUR, DAY = 60, 3600, 86400
MIB, GIB = 1 << 20, 1 << 30


def text_id(prefix: str, name: str) -> str:
    """A text id as the node writes them, made from a name."""
    digest = hashlib.sha256(name.encode()).digest()
    return f"{prefix}-{base64.b32encode(digest).decode().lower().rstrip('=')}"


def cid(name: str) -> str:
    return "bafybei" + base64.b32encode(hashlib.sha256(name.encode()).digest()).decode().lower().rstrip("=")


READERS, SOLDER, ME = text_id("c", "readers"), text_id("c", "solder"), text_id("k", "me")
ME_IN_READERS, ANNA, BEN = text_id("k", "me in readers"), text_id("k", "anna"), text_id("k", "ben")
MY_PEER = "12D3KooWMbZ3k1Tn5R4w8cVQyQe6p2xX9aJH4mF7sU1gLr5dNvKe"
NAMES = {READERS: "Readers of Leipzig", SOLDER: "Solder & Share"}
PEERS = ["12D3KooWAnna7t2Qv9", "12D3KooWBen4xLp3sD", "12D3KooWHomeServer"]


def entry(circle: str, word: str, approve: int, reject: int, work: str) -> dict[str, Any]:
    return {
        "circle": circle,
        "name": NAMES[circle],
        "verdict": word,
        "approve": approve,
        "reject": reject,
        "proposal": text_id("p", work + circle),
    }


def work(
    title: str, by: str, licence: str, size: int, *verdicts: tuple[str, str, int, int], **more: Any
) -> dict[str, Any]:
    id = text_id("w", title)
    return {
        "work": id, "title": title, "cid": cid(title), "kind": more.pop("kind", "book"),
        "creators": [{"name": name, "role": "author"} for name in by.split(", ")], "licence": licence, "bytes": size,
        "files": more.pop("files", 1), "verdicts": [entry(c, w, a, r, id) for c, w, a, r in verdicts],
        "local": more.pop("local", True), **more,
    }  # fmt: skip


ATLAS = work("An Atlas of Wild Bees in Saxony", "Hanna Vogel, Jiří Novák", "CC-BY-SA-4.0", 48 * MIB,
             (READERS, "listed", 5, 1), (SOLDER, "new", 1, 0), files=214, tags=["bees", "field guide"], state="own",
             added=NOW - 3 * DAY)  # fmt: skip
PYTHON = work("The Python 3.11 documentation", "Python Software Foundation", "PSF-2.0", 61 * MIB,
              (READERS, "listed", 3, 0), kind="software", files=1312, state="kept", added=NOW - DAY)  # fmt: skip
AMP = work("A class-D amplifier for 12 V", "Solder & Share", "CERN-OHL-S-2.0", 3 * MIB, (SOLDER, "disputed", 4, 2),
           kind="hardware", files=17, state="kept", added=NOW - 5 * HOUR)  # fmt: skip
WATER = work("Open course: clean water in villages", "Amina Yusuf", "CC-BY-4.0", 2 * GIB, (READERS, "new", 2, 1),
             kind="course", files=96, local=False, state="heard", providers=3)  # fmt: skip
SCORES = work("日本の民謡 — folk songs of Japan", "森田 さくら", "CC0-1.0", 120 * MIB, kind="music", files=40,
              local=False, state="heard", providers=1)  # fmt: skip
DIARY = work("Field diary", "Hanna Vogel", "", 14_000, state="own", private=True)
ALL = [ATLAS, PYTHON, AMP, WATER, SCORES, DIARY]

LIST_WATER = {
    "proposal": text_id("p", WATER["work"] + READERS), "circle": READERS, "circle_name": NAMES[READERS], "class": "list",
    "work": WATER["work"], "title": WATER["title"], "reason": "well made, and free to translate", "by": ANNA,
    "opened": NOW - 2 * HOUR, "approve": 2, "reject": 1, "abstain": 0, "state": "open", "mine": None,
    "needs": "one more counted approval adopts it",
}  # fmt: skip
FLAG_PYTHON = {
    "proposal": text_id("p", "flag python"), "circle": READERS, "circle_name": NAMES[READERS], "class": "flag",
    "complaint": "metadata", "work": PYTHON["work"], "title": PYTHON["title"], "reason": "the year is missing", "by": BEN,
    "opened": NOW - 2 * DAY, "approve": 1, "reject": 0, "abstain": 1, "state": "open", "mine": "approve",
    "needs": "two more counted approvals adopt it",
}  # fmt: skip

STANDING = {
    "cast": 3, "members": 4, "margin": 1, "tolerates": 0, "cost_to_flip": 1,
    "rule": {"b": 0, "q": 1, "supermajority": False, "cooldown_s": 0, "sealed": False, "k": 3, "margin_over": 0},
}  # fmt: skip
LIST_WATER["standing"] = STANDING
FLAG_PYTHON |= {
    "standing": STANDING,
    "remedy": "propose an edit of the fields that are wrong",
    "evidence": ["https://docs.python.org"],
}
FOUNDED = {"b": 0, "q": 1, "supermajority": False, "cooldown_days": 0.0, "sealed": False}
RULES: dict[str, Any] = {
    "charter": text_id("r", "charter"), "name": NAMES[READERS], "purpose": "what is worth reading on our shelf",
    "stewards": [ANNA], "f": 0, "k": 3, "vouch_days": 365, "languages": [], "licences": [],
    "classes": dict.fromkeys(("list", "edit", "flag", "takedown", "appeal", "expel", "readmit", "stewards", "charter"), FOUNDED),
}  # fmt: skip
CHANGE_RULES = {
    "proposal": text_id("p", "rules"), "circle": READERS, "circle_name": NAMES[READERS], "class": "charter", "work": None,
    "title": "", "reason": "we are many now", "by": ANNA, "opened": NOW - DAY, "approve": 1, "reject": 0, "abstain": 0,
    "state": "open", "mine": None, "needs": "1 more", "standing": STANDING, "calls_you": True,
    "changes": {"list": [FOUNDED, FOUNDED | {"b": 1, "q": 3}], "vouch_days": [365, 183]}, "seals": {"by": [], "needed": 1},
}  # fmt: skip
EDIT_ATLAS = {
    "proposal": text_id("p", "edit atlas"), "circle": READERS, "circle_name": NAMES[READERS], "class": "edit",
    "work": ATLAS["work"], "reason": "as on its cover", "by": BEN, "opened": NOW - DAY, "approve": 4, "reject": 0,
    "abstain": 0, "state": "adopted", "effective": True, "mine": "approve", "needs": "nothing: it is adopted",
    "changes": {"title": "Wild Bees of Saxony", "tags": ["bees"]}, "standing": STANDING,
}  # fmt: skip
LIST_ATLAS = EDIT_ATLAS | {
    "proposal": text_id("p", "list atlas"), "class": "list", "opened": NOW - 2 * DAY, "reason": "", "approve": 5,
    "reject": 1, "changes": {},
}  # fmt: skip
HISTORY = {
    "work": ATLAS["work"], "title": ATLAS["title"],
    "revisions": [{"record": text_id("r", "atlas"), "created": NOW - 3 * DAY, "title": ATLAS["title"], "bytes": 48 * MIB,
                   "files": 214}],
    "circles": [{"circle": READERS, "name": NAMES[READERS], "verdict": "listed", "fields": EDIT_ATLAS["changes"],
                 "questions": [LIST_ATLAS, EDIT_ATLAS]}],
}  # fmt: skip

STATUS: dict[str, Any] = {
    "peer_id": MY_PEER,
    "addresses": [f"/ip4/127.0.0.1/tcp/41001/p2p/{MY_PEER}", f"/ip4/192.168.1.20/tcp/41001/p2p/{MY_PEER}"],
    "peers": 3, "works": 6, "circles": 2, "stored_bytes": 4 * GIB, "quota_bytes": 50 * GIB, "version": "0.1.0",
    "home": "/home/hanna/.p2pnode", "uptime_s": 3 * HOUR, "pid": 4242,
    "reachability": "on this network; nobody outside it can reach you yet",
}  # fmt: skip
IDENTITY = {"profile_key": ME, "name": "Hanna Vogel"}
CIRCLES = [
    {"circle": READERS, "name": NAMES[READERS], "members": 4, "works": 2, "proposals": 2, "me": ME_IN_READERS,
     "state": "joined"},
    {"circle": SOLDER, "name": NAMES[SOLDER], "members": 9, "works": 1, "proposals": 0, "me": text_id("k", "me in solder"),
     "state": "joined"},
]  # fmt: skip
ROLL = [
    {"key": ANNA, "hops": 0, "vouched_by": 2, "steward": True, "me": False},
    {"key": ME_IN_READERS, "hops": 1, "vouched_by": 1, "steward": False, "me": True},
    {"key": BEN, "hops": 1, "vouched_by": 2, "steward": False, "me": False},
    {"key": text_id("k", "cleo"), "hops": 2, "vouched_by": 1, "steward": False, "me": False},
]
SOLDERERS = [
    {"key": text_id("k", "me in solder"), "hops": 0, "vouched_by": 0, "steward": True, "me": True},
    {"key": text_id("k", "anna in solder"), "hops": 1, "vouched_by": 2, "steward": False, "me": False},
]
TRANSFERS = [
    {"transfer": "t-1", "work": WATER["work"], "cid": WATER["cid"], "title": WATER["title"], "state": "fetching",
     "reason": "", "bytes": 1340 * MIB, "total": 2 * GIB, "rate_bytes_s": 11 * MIB, "providers": 3, "started": NOW - 120},
    {"transfer": "t-2", "work": SCORES["work"], "cid": SCORES["cid"], "title": SCORES["title"], "state": "waiting",
     "reason": "its only provider went away; tried again every minute", "bytes": 31 * MIB, "total": 120 * MIB,
     "rate_bytes_s": 0, "providers": 0, "started": NOW - HOUR},
    {"transfer": "t-3", "work": PYTHON["work"], "cid": PYTHON["cid"], "title": PYTHON["title"], "state": "done",
     "reason": "", "bytes": 61 * MIB, "total": 61 * MIB, "rate_bytes_s": 0, "providers": 2, "started": NOW - DAY},
]  # fmt: skip


def show_work(params: dict[str, Any]) -> Any:
    found = next((each for each in ALL if each["work"] == params["work"]), None)
    if found is None:
        return NotFoundError(f"no work {params['work'][:10]} is known here", hint="search for it first")
    proposals = [p for p in (LIST_WATER, FLAG_PYTHON) if p["work"] == found["work"]]
    entries = [{"path": f"plates/{number:03}.jpg", "bytes": 220_000 + 997 * number} for number in range(1, 40)]
    return found | {
        "state": found.get("state", "heard"), "language": "en", "signed_as": "profile", "author": ME, "circle": None,
        "summary": "214 plates drawn in the field, with maps of every sighting since 1998.",
        "tags": found.get("tags", ["guide"]), "identifiers": [{"scheme": "doi", "value": "10.5281/zenodo.4711"}],
        "sources": [], "entries": [{"path": "README.txt", "bytes": 2100}, *entries] if found["local"] else [],
        "proposals": proposals, "added": found.get("added", NOW - HOUR),
    }  # fmt: skip


def show_circle(params: dict[str, Any]) -> Any:
    circle = next((each for each in CIRCLES if each["circle"] == params["circle"]), None)
    if circle is None:
        return NotFoundError("no such circle")
    mine = circle["circle"] == READERS
    stewards = [ANNA if mine else text_id("k", "me in solder")]
    return circle | {
        "purpose": "what is worth reading on our shelf" if mine else "hardware that can be built at home",
        "stewards": stewards, "roll": ROLL if mine else SOLDERERS, "open": [LIST_WATER, FLAG_PYTHON] if mine else [],
        "listed": [ATLAS, PYTHON] if mine else [AMP], "provisional": False,
        "rules": RULES | {"name": circle["name"], "stewards": stewards}, "expelled": [text_id("k", "dora")] if mine else [],
    }  # fmt: skip


def show_proposal(params: dict[str, Any]) -> Any:
    known = (LIST_WATER, FLAG_PYTHON, CHANGE_RULES, EDIT_ATLAS, LIST_ATLAS)
    found = next((each for each in known if each["proposal"] == params["proposal"]), LIST_WATER)
    return found | {"signed_as": ME_IN_READERS, "member": True}


def explain(params: dict[str, Any]) -> Any:
    name = NAMES.get(params.get("circle", ""), "the circle")
    return {
        "verdict": {"verdict": "listed", "ballots": [
            {"key": ANNA, "choice": "approve", "counted": True, "why": "counted"},
            {"key": text_id("k", "cleo"), "choice": "reject", "counted": True, "why": "counted"},
            {"key": text_id("k", "eve"), "choice": "approve", "counted": False, "why": "not_a_member"},
        ]}, "local": {},
        "text": [
            f"{name}: listed, since 5 approvals and 1 rejection count.",
            "To list a work it takes 1 counted approval and more for than against.",
            "", "counted for:",
            f"  {ANNA[:10]}  steward", f"  {ME_IN_READERS[:10]}  you, 1 step from a steward", f"  {BEN[:10]}  1 step",
            "counted against:", f"  {text_id('k', 'cleo')[:10]}  2 steps: too large a file",
            "", "1 ballot does not count: its key is no member.",
        ],
    }  # fmt: skip


def search(params: dict[str, Any]) -> Any:
    words = params["text"].casefold().split()
    hits = [each for each in ALL[:5] if all(word in each["title"].casefold() for word in words)]
    near = [hit for hit in hits if hit["local"]]
    if params.get("local"):
        return Told([("work.hit", hit) for hit in near], {"items": near, "asked": 0, "answered": 0})
    return Told([("work.hit", hit) for hit in hits], {"items": hits, "asked": 8, "answered": 5})


def identity(params: dict[str, Any]) -> Any:
    return IDENTITY | ({"circle": params["circle"], "key": ME_IN_READERS} if params.get("circle") else {})


def filled() -> dict[str, Any]:
    """A node with works, circles, peers and transfers."""
    return {
        "node.status": STATUS, "node.stop": {}, "identity.show": identity, "identity.set": {},
        "peer.list": {"items": [
            {"peer_id": PEERS[0], "addresses": [], "direction": "outbound", "agent": "p2pnode/0.1.0", "rtt_ms": 3.2},
            {"peer_id": PEERS[1], "addresses": [], "direction": "inbound", "agent": "p2pnode/0.1.0", "rtt_ms": 18.0},
            {"peer_id": PEERS[2], "addresses": [], "direction": "outbound", "agent": "p2pnode/0.1.0", "rtt_ms": 0.4},
        ]},
        "peer.connect": {"peer_id": PEERS[0]},
        "work.list": {"items": ALL}, "work.show": show_work, "work.search": search,
        "work.get": {"path": "/home/hanna/library/water", "bytes": 2 * GIB, "providers": 3},
        "work.publish": {"work": ATLAS["work"], "cid": ATLAS["cid"], "bytes": 48 * MIB, "files": 214,
                         "signed_as": ME, "skipped": []},
        "transfer.list": {"items": TRANSFERS}, "transfer.cancel": {}, "transfer.pause": {}, "transfer.resume": {},
        "work.mark": lambda params: params, "work.pin": {"pinned": True}, "work.unpin": {"pinned": False},
        "work.remove": {"freed_bytes": 2 * GIB}, "work.unpublish": {"freed_bytes": 0},
        "store.verify": {"items": [], "repairs": [], "bytes": 48 * MIB, "blocks": 48},
        "notice.list": {"items": [
            {"kind": "vouched", "text": "A member vouches for you.", "circle": READERS, "circle_name": NAMES[READERS],
             "at": NOW - 3600, "key": ANNA},
            {"kind": "decided", "text": "What you proposed is adopted.", "circle": READERS, "at": NOW - 90_000,
             "circle_name": NAMES[READERS], "title": "Atlas", "proposal": text_id("p", "told"), "work": ATLAS["work"]},
        ]},
        "circle.list": {"items": CIRCLES}, "circle.show": show_circle, "circle.create": {"circle": SOLDER},
        "circle.join": {"circle": SOLDER, "state": "waiting", "reason": "the inviter is not online"},
        "circle.leave": {},
        "circle.invite": {"invite": "p2pnode:invite/AbCdEf0123456789-for-one-person"},
        "vouch.give": {"record": text_id("r", "vouch")}, "vouch.revoke": {"record": text_id("r", "unvouch")},
        "proposal.open": {"proposal": text_id("p", "new")}, "proposal.list": {"items": [LIST_WATER, FLAG_PYTHON]},
        "proposal.queue": {"items": [CHANGE_RULES, LIST_WATER | {"calls_you": False}]}, "proposal.show": show_proposal,
        "proposal.withdraw": lambda params: params, "work.history": HISTORY,
        "circle.invites": {"items": [{"id": "abcdef", "uses": 5, "used_by": [BEN], "expires": NOW + 3 * DAY}]},
        "circle.uninvite": {},
        "ballot.cast": lambda params: {"ballot": text_id("r", "ballot"), "signed_as": ME_IN_READERS, **params},
        "verdict.explain": explain,
    }  # fmt: skip


def empty() -> dict[str, Any]:
    """A node that was started a minute ago."""
    nothing: dict[str, Any] = {"items": []}
    status = STATUS | {"peers": 0, "works": 0, "circles": 0, "stored_bytes": 0, "uptime_s": 40}
    return filled() | {
        "node.status": status, "identity.show": {"profile_key": ME, "name": ""}, "peer.list": nothing, "work.list": nothing,
        "work.search": {"items": [], "asked": 0, "answered": 0}, "transfer.list": nothing, "circle.list": nothing,
        "proposal.list": nothing, "proposal.queue": nothing, "notice.list": nothing,
        "work.show": lambda params: show_work({"work": SCORES["work"]}),
    }  # fmt: skip


def broken() -> dict[str, Any]:
    """A node whose answers are errors."""
    error = NetworkError("the database is locked by another program", hint="stop it, then press r")
    return dict.fromkeys(filled(), error)


HOSTILE = "[b]bold[/b] [red]\x1b[31mred\x1b[0m [@click=app.quit]x[/] \u202etxt.exe\u2066\u200b \x07 [/nope] [bold"
"""Markup, an escape sequence, a link that would close the app, reversed text, a bell, broken tags."""


def _poison(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _poison(each) if key not in _KEPT else each for key, each in value.items()}
    if isinstance(value, list):
        return [_poison(each) for each in value]
    return f"{HOSTILE} {value}" if isinstance(value, str) else value


_KEPT = {"work", "circle", "proposal", "transfer", "key", "state", "verdict", "class", "choice", "cid", "mark", "kind"}


def hostile() -> dict[str, Any]:
    """The filled node, but every text that a peer may have written is hostile."""

    def poisoned(answer: Any) -> Any:
        if callable(answer):
            return lambda params: poisoned(answer(params))
        if isinstance(answer, Told):
            return Told([(name, _poison(data)) for name, data in answer.events], _poison(answer.answer))
        return _poison(answer) if isinstance(answer, dict) else answer

    return {method: poisoned(answer) for method, answer in filled().items()}
