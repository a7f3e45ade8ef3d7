"""Write tests/vectors/frames.json: messages of sync, gossip, fetch, search and join, put together by hand from the protocol's pages.

Nothing of the program's own encoders is used for frames, so the vectors check the pages and the program against each other. Run it
after a change of the protocol: `.venv/bin/python -m tests.core.make_frame_vectors`; a second run changes nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import msgpack

from p2pnode.core.keys import KeyPair

PLACE = Path(__file__).parents[1] / "vectors" / "frames.json"
CIRCLE, SECRET, NONCE_A, NONCE_B = b"\xc1" * 32, b"\x5e" * 16, b"\x0a" * 16, b"\x0b" * 16
ANNA, BEN = "12D3KooWAnna", "12D3KooWBenjamin"
KEY_A, KEY_B = KeyPair(b"a" * 32), KeyPair(b"b" * 32)
ROOT = bytes.fromhex("01551220") + hashlib.sha256(b"root").digest()
LEAF = bytes.fromhex("01551220") + hashlib.sha256(b"leaf").digest()
IDS = [bytes([n]) * 32 for n in (1, 2, 3)]
PRINT = b"\xf1" * 16

Named = tuple[str, bytes]


def canonical(value: Any) -> bytes:
    """Msgpack of maps whose keys are written in order here."""
    packed = msgpack.packb(value, use_bin_type=True)
    assert isinstance(packed, bytes)
    return packed


def peers(one: str, other: str) -> bytes:
    return bytes([len(one)]) + one.encode() + bytes([len(other)]) + other.encode()


def vote() -> bytes:
    """A signed ballot, the smallest record there is."""
    created = 1_800_000_000
    fields = {
        "author": KEY_A.public,
        "choice": "approve",
        "circle": CIRCLE,
        "created": created,
        "kind": "ballot",
        "reason": "",
        "seq": created // 86_400 << 16,
        "target": b"\x71" * 32,
        "v": 1,
    }
    body = canonical(fields)
    return KEY_A.sign(b"p2pnode/sig/1" + body) + body


def manifest() -> bytes:
    created, nonce = 1_800_000_000, b"\x4e" * 16
    work = {"bytes": 4, "files": 1, "root": ROOT, "title": "Root"}
    fields = {
        "author": KEY_A.public,
        "circle": bytes(32),
        "created": created,
        "kind": "manifest",
        "nonce": nonce,
        "seq": created // 86_400 << 16,
        "target": hashlib.sha256(b"p2pnode/new/1" + nonce).digest(),
        "v": 1,
        "work": work,
    }
    body = canonical(fields)
    return KEY_A.sign(b"p2pnode/sig/1" + body) + body


def sized(record: bytes) -> bytes:
    return len(record).to_bytes(2, "big") + record


def sync_frames() -> tuple[list[Named], list[Named]]:
    whole = b"\x3f"  # low six bits all set: no upper bound
    valid = [
        ("empty, last", b"\x80"),
        ("empty, last, more", b"\xc0"),
        ("empty, last, again", b"\xa0"),
        ("empty, last, bare", b"\x90"),
        ("salt", b"\x06" + PRINT),
        ("control: the whole, nothing held", b"\x01" + b"\xbf" + b"\x00"),
        ("control: the whole, a fingerprint, last", b"\x81" + b"\x7f" + PRINT),
        ("rest: two ids up to a bound of one byte", b"\x02" + b"\x80\x01\x07" + b"\x02" + IDS[0] + IDS[1]),
        (
            "rest: a fingerprint, a gap, ids; the second bound shares a byte",
            b"\x02" + b"\x40\x02\x07\x01" + PRINT + b"\x01\x01\x05" + b"\xbf\x01" + IDS[2],
        ),
        ("want", b"\x03" + IDS[0] + IDS[1]),
        ("want of nothing", b"\x03"),
        ("records", b"\x04" + sized(vote())),
        ("bye, settled", b"\x85\x00"),
        ("bye, cut", b"\x85\x01"),
        ("bye, settled, bare", b"\x95\x00"),
    ]
    invalid = [
        ("nothing", b""),
        ("a kind that does not exist", b"\x87"),
        ("bare without last", b"\x10"),
        ("a salt of 15 bytes", b"\x06" + PRINT[:15]),
        ("a salt with a flag", b"\x86" + PRINT),
        ("bye with more", b"\xc5\x00"),
        ("more without last", b"\x40"),
        ("empty with a body", b"\x80\x00"),
        ("no ranges", b"\x01"),
        ("a range behind the end", b"\x01" + b"\x7f" + PRINT + b"\x7f" + PRINT),
        ("bounds that do not ascend", b"\x01" + b"\x40\x01\x07" + PRINT + b"\x40\x01\x07" + PRINT),
        ("more bytes shared than there are", b"\x01" + b"\x41\x01\x07" + PRINT),
        ("a bound of 41 bytes", b"\x01" + b"\x40\x29" + b"\x07" * 41 + PRINT),
        ("a range that holds something unknown", b"\x01" + b"\xff" + PRINT),
        ("a fingerprint cut short", b"\x01" + b"\x7f" + PRINT[:15]),
        ("33 ids in a list", b"\x01" + b"\xbf" + b"\x21" + b"".join(bytes([n]) * 32 for n in range(33))),
        ("an id named twice", b"\x01" + b"\xbf" + b"\x02" + IDS[0] + IDS[0]),
        ("half of an id wanted", b"\x03" + IDS[0][:16]),
        ("no records", b"\x04"),
        ("a record of no bytes", b"\x04\x00\x00"),
        ("a record cut short", b"\x04" + sized(vote())[:-1]),
        ("bye without last", b"\x05\x00"),
        ("bye of another number", b"\x85\x02"),
        ("more than 32 KiB", b"\x03" + bytes(range(32)) * 1024),
        ("only the end of a range", whole),
    ]
    return valid, invalid


def gossip() -> tuple[list[Named], list[Named]]:
    valid = [("one record", b"\x01" + sized(vote())), ("two records", b"\x01" + sized(vote()) + sized(manifest()))]
    invalid = [
        ("nothing", b""),
        ("no records", b"\x01"),
        ("another version", b"\x02" + sized(vote())),
        ("a record of no bytes", b"\x01\x00\x00"),
        ("a record cut short", b"\x01" + sized(vote())[:-1]),
        ("65 records", b"\x01" + sized(vote()) * 65),
    ]
    return valid, invalid


def fetch_requests() -> tuple[list[Named], list[Named]]:
    valid = [
        ("one block", canonical({"cids": [LEAF], "root": ROOT})),
        ("two blocks, one of them the root", canonical({"cids": [ROOT, LEAF], "root": ROOT})),
    ]
    invalid = [
        ("no blocks", canonical({"cids": [], "root": ROOT})),
        ("257 blocks", canonical({"cids": [LEAF] * 257, "root": ROOT})),
        ("no root", canonical({"cids": [LEAF]})),
        ("something else beside it", canonical({"cids": [LEAF], "more": 1, "root": ROOT})),
        ("keys out of order", canonical({"root": ROOT, "cids": [LEAF]})),
        ("a CID as text", canonical({"cids": ["bafk"], "root": ROOT})),
        ("a CID cut short", canonical({"cids": [LEAF[:-1]], "root": ROOT})),
    ]
    return valid, invalid


def fetch_heads() -> tuple[list[Named], list[Named]]:
    valid = [
        ("have, no bytes", bytes(5)),
        ("have, 2 MiB", b"\x00\x00\x20\x00\x00"),
        ("missing", b"\x01" + bytes(4)),
        ("busy", b"\x02" + bytes(4)),
    ]
    invalid = [
        ("over 2 MiB", b"\x00\x00\x20\x00\x01"),
        ("missing, but bytes follow", b"\x01\x00\x00\x00\x01"),
        ("an unknown status", b"\x03" + bytes(4)),
        ("four bytes", bytes(4)),
    ]
    return valid, invalid


def questions() -> tuple[list[Named], list[Named]]:
    valid = [
        ("by words", canonical({"limit": 50, "text": "commons"})),
        ("by id", canonical({"limit": 1, "work": IDS[0]})),
    ]
    invalid = [
        ("257 characters", canonical({"limit": 50, "text": "a" * 257})),
        ("a limit of 0", canonical({"limit": 0, "text": "commons"})),
        ("an id of 31 bytes", canonical({"limit": 1, "work": IDS[0][:31]})),
        ("a text that is bytes", canonical({"limit": 1, "text": b"commons"})),
        ("an array", canonical(["commons"])),
    ]
    return valid, invalid


def answers() -> tuple[list[Named], list[Named]]:
    forged = bytearray(manifest())
    forged[0] ^= 1
    valid = [("nothing found", canonical({"works": []})), ("one work", canonical({"works": [manifest()]}))]
    invalid = [
        ("a forged signature", canonical({"works": [bytes(forged)]})),
        ("a good one beside a forged one", canonical({"works": [manifest(), bytes(forged)]})),
        ("a ballot", canonical({"works": [vote()]})),
        ("51 works", canonical({"works": [manifest()] * 51})),
        ("no array", canonical({"works": manifest()})),
    ]
    return valid, invalid


def joins() -> tuple[list[Named], list[Named]]:
    """Requests from BEN's node to ANNA's."""

    def request(**changes: Any) -> bytes:
        signed = b"p2pnode/join/1" + canonical([CIRCLE, SECRET, KEY_B.public, ANNA, BEN])
        fields = {"circle": CIRCLE, "key": KEY_B.public, "secret": SECRET, "sig": KEY_B.sign(signed), "v": 1}
        return canonical(fields | changes)

    other_way = KEY_B.sign(b"p2pnode/join/1" + canonical([CIRCLE, SECRET, KEY_B.public, BEN, ANNA]))
    valid = [("a request", request())]
    invalid = [
        ("signed for the other direction", request(sig=other_way)),
        ("another key", request(key=KEY_A.public)),
        ("another secret", request(secret=NONCE_A)),
        ("a secret of 15 bytes", request(secret=SECRET[:15])),
        ("version two", request(v=2)),
    ]
    return valid, invalid


def invite() -> dict[str, Any]:
    fields = {
        "addresses": [f"/ip4/192.0.2.7/tcp/4001/p2p/{ANNA}"],
        "circle": CIRCLE,
        "expires": 1_800_604_800,
        "name": "Readers",
        "peer": ANNA,
        "salt": b"\x5a" * 32,
        "secret": SECRET,
        "v": 1,
    }
    link = "p2pnode:invite/" + base64.b32encode(canonical(fields)).decode().lower().rstrip("=")
    digest = hashlib.sha256(b"p2pnode/invite/1" + SECRET).hexdigest()
    return {"link": link, "kept_by_the_inviter": digest, "fields": {k: told(v) for k, v in fields.items()}}


def hello() -> dict[str, Any]:
    """ANNA's node begins a session with BEN's."""
    tag = hashlib.sha256(b"p2pnode/sync/1" + CIRCLE + NONCE_A + peers(ANNA, BEN)).digest()[:16]
    domain = b"p2pnode/pseudonym/proof/1" + CIRCLE
    welcome = KEY_B.public + KEY_B.sign(domain + NONCE_A + peers(BEN, ANNA))
    proof = KEY_A.public + KEY_A.sign(domain + NONCE_B + peers(ANNA, BEN))
    frames = {"hello": b"\x01" + NONCE_A + tag, "welcome": b"\x00" + NONCE_B + welcome, "proof": proof}
    invalid = {
        "version two": b"\x02" + NONCE_A + tag,
        "a tag cut short": b"\x01" + NONCE_A + tag[:15],
    }
    about = {"circle": CIRCLE, "initiator": ANNA, "responder": BEN}
    parts = about | frames | {"key_of_initiator": KEY_A.public, "key_of_responder": KEY_B.public}
    return {k: told(v) for k, v in parts.items()} | {"invalid_hellos": {k: v.hex() for k, v in invalid.items()}}


def derived() -> dict[str, Any]:
    total = sum(int.from_bytes(id, "big") for id in IDS) % (1 << 256)
    counted = total.to_bytes(32, "big") + len(IDS).to_bytes(8, "big")
    circle_text = "c-" + base64.b32encode(CIRCLE).decode().lower().rstrip("=")
    return {
        "circle": CIRCLE.hex(),
        "circle_key": hashlib.sha256(b"p2pnode/circle/1" + CIRCLE).hexdigest(),
        "topic": f"/p2pnode/circle/{circle_text}/1",
        "word": "commons",
        "word_key": hashlib.sha256(b"p2pnode/word/1commons").hexdigest(),
        "ids": [id.hex() for id in IDS],
        "fingerprint": hashlib.sha256(counted).digest()[:16].hex(),
        "fingerprint_salted": hashlib.sha256(PRINT + (5).to_bytes(8, "big") + IDS[0] + (6).to_bytes(8, "big") + IDS[1])
        .digest()[:16]
        .hex(),
        "fingerprint_of_nothing": hashlib.sha256(bytes(40)).digest()[:16].hex(),
        "network": "p2pnode",
        "lan_service": f"_p2pn-{hashlib.sha256(b'p2pnode').hexdigest()[:8]}._tcp.local.",
    }


def told(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


def vectors() -> dict[str, Any]:
    messages = {
        "sync": sync_frames(),
        "gossip": gossip(),
        "fetch_request": fetch_requests(),
        "fetch_head": fetch_heads(),
        "search_question": questions(),
        "search_answer": answers(),
        "join_request": joins(),
    }
    listed = {
        name: {
            what: [{"name": name, "hex": data.hex()} for name, data in some]
            for what, some in (("valid", valid), ("invalid", invalid))
        }
        for name, (valid, invalid) in messages.items()
    }
    return listed | {"hello": hello(), "invite": invite(), "derived": derived()}


def written() -> str:
    return json.dumps(vectors(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    PLACE.write_text(written(), encoding="utf-8")
