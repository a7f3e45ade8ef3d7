"""The Debian vouch graph (see tests/data/README.md) as the tally takes it."""

from __future__ import annotations

import gzip
from pathlib import Path

from p2pnode.core.ids import PublicKey
from p2pnode.core.membership import ACTIVE_VOUCHES, Membership

PATH = Path(__file__).parents[1] / "data" / "debian_vouch.txt.gz"


def number_key(number: int) -> PublicKey:
    """A key by number: its 32 bytes, big-endian."""
    return PublicKey(number.to_bytes(32, "big"))


def vouches() -> dict[PublicKey, list[PublicKey]]:
    """Signer -> signed, at most 50 each (the smallest numbers), without self-signatures."""
    found: dict[int, set[int]] = {}
    with gzip.open(PATH, "rt", encoding="ascii") as lines:
        for line in lines:
            signer, signed, _ = map(int, line.split())
            if signer != signed:
                found.setdefault(signer, set()).add(signed)
    return {number_key(by): [number_key(to) for to in sorted(whom)[:ACTIVE_VOUCHES]] for by, whom in found.items()}


def membership(stewards: int) -> Membership:
    """The members, with those who signed most keys as stewards."""
    graph = vouches()
    busiest = sorted(graph, key=lambda key: (-len(graph[key]), key))[:stewards]
    return Membership.of(sorted(busiest), graph)
