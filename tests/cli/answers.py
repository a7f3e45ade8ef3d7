"""Answers of the daemon as the public contract has them, for the tests of what the command line makes of them."""

from __future__ import annotations

from typing import Any

WORK = "w-" + "a" * 52
CIRCLE = "c-" + "b" * 52
PROPOSAL = "p-" + "c" * 52
KEY = "k-" + "d" * 52
RECORD = "r-" + "e" * 52
CID = "bafybeicfwf7v7omhy5xzjyyaoluwx7pbzqwsr6k2u7u4i4pgopaqfc7yla"
PEER = "12D3KooWNvSZnPi3RrhrTwEY4LuuBeB6K6facKUCJcyWG1aoDd2p"
ADDRESS = f"/ip4/127.0.0.1/tcp/4001/p2p/{PEER}"

STATUS = {
    "peer_id": PEER,
    "addresses": [ADDRESS],
    "peers": 2,
    "works": 3,
    "circles": 1,
    "stored_bytes": 1_572_864,
    "quota_bytes": 50 << 30,
    "version": "0.1.0",
    "home": "/home/anna/p2pnode",
    "uptime_s": 7260.5,
    "reachability": "connected to 2; nobody has reached this node by himself yet",
    "pid": 4711,
}
PEER_ITEM = {
    "peer_id": PEER,
    "addresses": [ADDRESS],
    "direction": "inbound",
    "agent": "p2pnode/0.1.0",
    "rtt_ms": 12.3,
}
VERDICT = {
    "circle": CIRCLE,
    "verdict": "listed",
    "approve": 3,
    "reject": 1,
    "proposal": PROPOSAL,
    "name": "Readers",
}
HIT: dict[str, Any] = {
    "work": WORK,
    "title": "Notes on the Analytical Engine",
    "cid": CID,
    "kind": "paper",
    "creators": [{"name": "Ada Lovelace", "role": "author"}, {"name": "Luigi Menabrea", "role": "translator"}],
    "licence": "CC0-1.0",
    "bytes": 2048,
    "files": 3,
    "verdicts": [VERDICT],
    "local": True,
}
LISTED = HIT | {"state": "own", "private": False, "added": 1_700_000_000}
PROPOSAL_ITEM = {
    "proposal": PROPOSAL,
    "circle": CIRCLE,
    "circle_name": "Readers",
    "class": "flag",
    "complaint": "duplicate",
    "work": WORK,
    "title": "Notes on the Analytical Engine",
    "reason": "we have it",
    "by": KEY,
    "opened": 1_700_000_000,
    "approve": 1,
    "reject": 0,
    "abstain": 0,
    "state": "open",
    "mine": None,
    "needs": "2 more",
}
SHOWN = LISTED | {
    "summary": "What a machine could do.\nAnd what it could not.",
    "language": "en",
    "tags": ["engines", "algebra"],
    "identifiers": [{"scheme": "doi", "value": "10.1000/182"}],
    "sources": ["https://example.org/notes"],
    "author": KEY,
    "signed_as": KEY,
    "circle": CIRCLE,
    "path": "/home/anna/notes",
    "entries": [{"path": "a.txt", "bytes": 48}, {"path": "b/c.txt", "bytes": 2000}],
    "proposals": [PROPOSAL_ITEM],
}
TRANSFER = {
    "transfer": "t-1",
    "work": WORK,
    "cid": CID,
    "title": "Notes on the Analytical Engine",
    "state": "fetching",
    "reason": "",
    "bytes": 1024,
    "total": 2048,
    "rate_bytes_s": 512,
    "providers": 1,
    "started": 1_700_000_000,
}
CIRCLE_ITEM = {
    "circle": CIRCLE,
    "name": "Readers",
    "members": 4,
    "works": 2,
    "proposals": 1,
    "me": KEY,
    "state": "joined",
}
CIRCLE_SHOWN = {
    "circle": CIRCLE,
    "name": "Readers",
    "purpose": "to read",
    "members": 4,
    "works": 2,
    "proposals": 1,
    "me": KEY,
    "stewards": [KEY],
    "roll": [{"key": KEY, "hops": 0, "vouched_by": 0, "steward": True, "me": True}],
    "open": [PROPOSAL_ITEM],
    "listed": [HIT],
    "provisional": False,
}
PUBLISHED = {"work": WORK, "cid": CID, "bytes": 2048, "files": 3, "signed_as": KEY, "skipped": []}
EXPLAINED = {
    "verdict": {"z": 1, "a": {"approve": 3}},
    "local": {"at": 5},
    "text": ["listed: 3 for, 1 against", "  anna approves"],
}
STORAGE = {
    "owned_bytes": 1024,
    "quota_bytes": 2048,
    "free_bytes": 1 << 30,
    "floor_bytes": 1 << 20,
    "room_bytes": 1024,
    "evictable_bytes": 1024,
    "items": [
        {
            "cid": CID,
            "works": [{"work": WORK, "title": "Notes on the Analytical Engine", "state": "kept"}],
            "state": "complete",
            "bytes": 1024,
            "pinned": False,
            "used": 1_700_000_000.0,
            "copies": 2,
            "damaged": 1,
            "evictable": True,
            "order": 1,
            "reason": "not pinned",
        }
    ],
}
