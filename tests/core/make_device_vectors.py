"""Writes `tests/vectors/devices.json`: certificates, valid and not, and one pairing with its random numbers fixed. Run by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from spake2 import SPAKE2_A, SPAKE2_B

from p2pnode.core import device_messages as messages
from p2pnode.core import encoding
from p2pnode.core.device import DOMAIN, certify
from p2pnode.core.device_code import make_code
from p2pnode.core.ids import PeerId
from p2pnode.core.keys import KeyPair

PATH = Path(__file__).resolve().parent.parent / "vectors" / "devices.json"
DESK = PeerId("12D3KooWQBfeFVaVx8RzPaTHF5PcfyqdNRuJAWCtifM1HCmrEZnk")
SERVER = PeerId("12D3KooWNi9up9zXK5RtnDipchy3pgEJ6KAnBW1QmJQ5xDnFWYyz")
KEY = KeyPair(bytes(range(32)))
SEQ = 1_790_000_000


def fixed(seed: int) -> Any:
    """In place of the system's random bytes."""
    return lambda count: bytes((seed + at) % 256 for at in range(count))


def certificates() -> dict[str, Any]:
    good = certify(KEY, SERVER, "server", ("seed", "relay", "sync", "repair"), seq=SEQ)
    body = {"v": 1, "identity": KEY.public, "peer": SERVER, "name": "server", "seq": SEQ}

    def signed(**changes: Any) -> str:
        data = encoding.encode(body | changes)
        return (KEY.sign(DOMAIN + data) + data).hex()

    return {
        "identity": KEY.public.hex(),
        "valid": [
            {"data": good.data.hex(), "peer": SERVER, "name": "server", "roles": list(good.roles), "seq": SEQ},
            {
                "data": certify(KEY, SERVER, "server", (), seq=SEQ + 1).data.hex(),
                "peer": SERVER,
                "name": "server",
                "roles": [],
                "seq": SEQ + 1,
            },
        ],
        "invalid": {
            "another signature": (bytes(64) + good.data[64:]).hex(),
            "a byte changed": (good.data[:-1] + bytes([good.data[-1] ^ 1])).hex(),
            "cut short": good.data[:-1].hex(),
            "roles out of order": signed(roles=("seed", "relay")),
            "a role twice": signed(roles=("seed", "seed")),
            "version 2": signed(roles=("seed",), v=2),
            "no name": signed(roles=("seed",), name=""),
            "no roles member": (KEY.sign(DOMAIN + encoding.encode(body)) + encoding.encode(body)).hex(),
            "signed without the domain": (
                KEY.sign(encoding.encode(body | {"roles": ()})) + encoding.encode(body | {"roles": ()})
            ).hex(),
        },
    }


def pairing() -> dict[str, Any]:
    code = make_code(SERVER, 482913)
    a = SPAKE2_A(code.password, idA=DESK.encode(), idB=SERVER.encode(), entropy_f=fixed(1))
    b = SPAKE2_B(code.password, idA=DESK.encode(), idB=SERVER.encode(), entropy_f=fixed(2))
    x, y = a.start(), b.start()
    key = a.finish(y)
    assert key == b.finish(x)
    return {
        "enters": DESK,
        "shows": SERVER,
        "code": str(code),
        "element_a": x.hex(),
        "element_b": y.hex(),
        "key": key.hex(),
        "confirm_a": messages.confirmation(key, "A").hex(),
        "confirm_b": messages.confirmation(key, "B").hex(),
        "check": messages.check_number(key),
    }


if __name__ == "__main__":
    PATH.write_text(json.dumps({"certificates": certificates(), "pairing": pairing()}, indent=1) + "\n")
