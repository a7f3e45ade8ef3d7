"""What a node's bytes are for: of each protocol, of the muxer's pings, and of what carries them. By counting where each is known.

`Traffic` counts every byte at the socket; here the same bytes are told apart: those of streams by their protocol (`net.yamux`,
`net.network`), those of pings and frames by the muxer, what is no connection of ours by whoever sends it (`net.beside`). What is left of
the total is encryption, and headers of packets. Through a relay a connection runs inside a stream to the relay, and is counted as that.
"""

from __future__ import annotations

from typing import Final

from p2pnode.ports import Carried

PINGS: Final = "pings"
FRAMES: Final = "frames"
SEALING: Final = "encryption"
PACKETS: Final = "packet headers"
UNNAMED: Final = "streams that never named a protocol"
MAX_KINDS: Final = 100
"""Protocols told apart: those that we serve and those that we open, which are ours to choose; a bound all the same."""


class Tally:
    """Bytes both ways of one kind."""

    __slots__ = ("down", "up")

    def __init__(self) -> None:
        self.up = self.down = 0


class Ledger:
    """Of one node. Everything only grows, but for `UNNAMED`, from which a stream's bytes move when its protocol is known."""

    def __init__(self) -> None:
        self.streams: dict[str, Tally] = {}
        self.besides: dict[str, Tally] = {}
        """What no connection carried, with its headers."""
        self.unnamed, self.pings, self.plain, self.sockets = Tally(), Tally(), Tally(), Tally()
        """Streams without a name so far; the muxer's pings; all that the muxer said before it was encrypted; all payload of sockets."""

    def of(self, protocol: str) -> Tally:
        """Where the bytes of a protocol's streams are counted."""
        return _of(self.streams, protocol)

    def beside(self, kind: str) -> Tally:
        """Where bytes are counted that no connection carries."""
        return _of(self.besides, kind)

    def shares(self, up: int, down: int) -> list[Carried]:
        """All kinds, the largest first; together they are `up` and `down`, the totals of the sockets with headers and all."""
        streams = {**self.streams, UNNAMED: self.unnamed}
        said = _sum([*streams.values(), self.pings])
        other = _sum(list(self.besides.values()))
        shares = [
            *(Carried(name, one.up, one.down) for name, one in streams.items()),
            *(Carried(name, one.up, one.down) for name, one in self.besides.items()),
            Carried(PINGS, self.pings.up, self.pings.down),
            Carried(FRAMES, self.plain.up - said.up, self.plain.down - said.down),
            Carried(SEALING, self.sockets.up - self.plain.up, self.sockets.down - self.plain.down),
            Carried(PACKETS, up - self.sockets.up - other.up, down - self.sockets.down - other.down),
        ]
        return sorted((one for one in shares if one.up or one.down), key=lambda one: -(one.up + one.down))


def _of(tallies: dict[str, Tally], name: str) -> Tally:
    if name not in tallies and len(tallies) >= MAX_KINDS:
        name = next(iter(tallies))
    return tallies.setdefault(name, Tally())


def _sum(tallies: list[Tally]) -> Tally:
    total = Tally()
    for one in tallies:
        total.up += one.up
        total.down += one.down
    return total
