"""Every byte of a node's connections, counted and paced: one line up and one down, which all sockets of the node share.

A socket that wants to send asks for a turn; one that has received pays before it receives again, so that small messages are heard at
once. Turns go round: small ones first, then one piece of each socket that has more. What headers, acknowledgements and repeats cost
beside the payload the kernel tells (TCP_INFO) twice a second, and it is counted and charged, too. Used by `net.socket`;
`services.traffic` sets the rates.
"""

from __future__ import annotations

import socket
import struct
from collections import deque
from contextlib import suppress
from typing import NamedTuple, Protocol

import trio

from p2pnode.core.pace import Pace
from p2pnode.net.ledger import Ledger
from p2pnode.ports import Carried

SMALL_BYTES = 4096
"""Up to this size it goes before pieces of what is larger: records, votes, pings, requests, credit."""
SMALL_IN_A_ROW = 8
"""Then one piece of a large one, so that nobody starves."""
TICK_S = 0.5
"""Between two looks at what the kernel says of the sockets that were used."""
WINDOW_S = 0.25
"""What a limited line leaves in the kernel's receive buffers, in seconds of its rate: a ping waits behind it. A connection that was limited
once keeps a buffer of fixed size, the largest that the kernel allows, when the limit goes: Linux does not let it grow by itself again."""
LEAST_WINDOW_BYTES, NO_WINDOW_BYTES = 8 << 10, 4 << 20
HEADER_BYTES = 14 + 20 + 20 + 12
"""Of a segment: Ethernet, IPv4, TCP and its time stamps, as an interface counts them."""
IPV6_BYTES = 20
"""That an IPv6 header has more."""
SEGMENT_BYTES = 1448
"""Of payload, where the kernel does not say how many segments there were."""
_TCP_INFO_BYTES = 256
_SEGMENTS, _SEGMENTS_AT = struct.Struct("=II"), 136
_RECEIVED, _RECEIVED_AT = struct.Struct("=Q"), 128
_RESENT, _RESENT_AT = struct.Struct("=Q"), 208
"""Linux, struct tcp_info: tcpi_segs_out and tcpi_segs_in, tcpi_bytes_received, tcpi_bytes_retrans."""


class Overhead(NamedTuple):
    """What a socket cost so far beside the payload that was read and written: bytes of headers and acknowledgements each way, of what
    was sent again, and how many came that the kernel still keeps."""

    up: int = 0
    down: int = 0
    again: int = 0
    unread: int = 0


class Metered(Protocol):
    """A socket, as far as this module knows it."""

    def overhead(self) -> Overhead: ...
    def clamp_window(self, count: int) -> None: ...


class _Turn:
    __slots__ = ("count", "given")

    def __init__(self, count: int) -> None:
        self.count = count
        self.given = trio.Event()


class Line:
    """One direction. `bytes` are those that went, with their headers."""

    def __init__(self) -> None:
        self.bytes = 0
        self._pace = Pace()
        self._small: deque[_Turn] = deque()
        self._large: deque[_Turn] = deque()
        self._in_a_row = 0
        self._changed = trio.Event()

    @property
    def is_limited(self) -> bool:
        """Whether there is a rate."""
        return bool(self._pace.rate)

    def set_rate(self, rate: int) -> None:
        """Bytes a second from now on; 0: no limit."""
        if rate != self._pace.rate:
            self._pace.set_rate(rate, trio.current_time())
            self._changed.set()

    def piece(self) -> int:
        """The most bytes that should go at once."""
        return self._pace.piece(len(self._large))

    def window(self) -> int:
        """What one of the sockets that wait may keep in its receive buffer."""
        return int(self._pace.rate * WINDOW_S / max(1, len(self._large)))

    async def turn(self, wanted: int) -> int:
        """Wait until bytes may go: how many of `wanted`, which are charged already. Without a limit: all, at once."""
        if not self._pace.rate:
            return wanted
        now = trio.current_time()
        small = wanted <= SMALL_BYTES
        count = wanted if small else min(wanted, self.piece())
        if not self._small and not self._large and not self._pace.delay_s(now):
            self._pace.charge(count, now)
            return count
        turn, queue = _Turn(count), self._small if small else self._large
        queue.append(turn)
        self._changed.set()
        try:
            await turn.given.wait()
        except trio.Cancelled:
            if turn.given.is_set():
                self.give_back(count)
            else:
                queue.remove(turn)
            raise
        return count

    async def pay(self, count: int) -> None:
        """Wait for as many turns as `count` bytes need that went already."""
        while count > 0 and self._pace.rate:
            count -= await self.turn(count)

    def give_back(self, count: int) -> None:
        """They did not go after all."""
        self._pace.charge(-count, trio.current_time())

    def cost(self, count: int) -> None:
        """They went, beside what was asked for."""
        self.bytes += count
        self._pace.charge(count, trio.current_time())

    async def run(self) -> None:
        """Give turns, for ever."""
        while True:
            if not self._small and not self._large:
                self._changed = trio.Event()
                await self._changed.wait()
            elif delay_s := self._pace.delay_s(trio.current_time()):
                self._changed = trio.Event()
                with trio.move_on_after(delay_s):
                    await self._changed.wait()
            else:
                turn = self._next()
                self._pace.charge(turn.count, trio.current_time())
                turn.given.set()
                await trio.lowlevel.checkpoint()

    def _next(self) -> _Turn:
        if self._small and (self._in_a_row < SMALL_IN_A_ROW or not self._large):
            self._in_a_row += 1
            return self._small.popleft()
        self._in_a_row = 0
        return self._large.popleft()


class Traffic:
    """A node's two lines (`ports.Meter`)."""

    def __init__(self) -> None:
        self.up, self.down = Line(), Line()
        self._known: dict[Metered, Overhead] = {}
        self._used: set[Metered] = set()
        self._any_used = trio.Event()
        self.ledger = Ledger()

    def kinds(self) -> list[Carried]:
        """See `ports.Meter`."""
        return self.ledger.shares(*self.counted())

    def beside(self, kind: str, up: int, down: int) -> None:
        """Bytes with their headers, that went by no socket which this module knows."""
        tally = self.ledger.beside(kind)
        tally.up += up
        tally.down += down
        self.up.cost(up)
        self.down.cost(down)

    def counted(self) -> tuple[int, int]:
        """Bytes up and down since the start."""
        for one in self._used & self._known.keys():
            self._bill(one)  # what the kernel kept at the last look may have been read, and so be counted twice
        return self.up.bytes, self.down.bytes

    def limit(self, up: int, down: int) -> None:
        """Bytes a second; 0: no limit."""
        self.up.set_rate(up)
        self.down.set_rate(down)
        for one in self._known:
            self._bill(one)

    def joined(self, one: Metered) -> None:
        """A socket of this node, from its beginning."""
        self._known[one] = Overhead()
        self._bill(one)
        self.used(one)

    def used(self, one: Metered) -> None:
        """Bytes went."""
        if one not in self._used:
            self._used.add(one)
            self._any_used.set()

    def left(self, one: Metered) -> None:
        """It is being closed: its last bill."""
        if one in self._known:
            self._bill(one)
            del self._known[one]
            self._used.discard(one)

    async def run(self) -> None:
        """Give turns and read the kernel's counters, for ever."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.up.run)
            nursery.start_soon(self.down.run)
            while True:
                await self._any_used.wait()
                self._any_used = trio.Event()
                used, self._used = self._used, set()
                for one in used & self._known.keys():
                    self._bill(one)
                await trio.sleep(TICK_S)

    def _bill(self, one: Metered) -> None:
        now, before = one.overhead(), self._known[one]
        self._known[one] = now
        self.up.cost(now.up - before.up + now.again - before.again)
        self.down.cost(now.down - before.down)
        self.down.bytes += now.unread - before.unread  # charged when they are read
        limited = self.down.is_limited
        one.clamp_window(max(LEAST_WINDOW_BYTES, self.down.window()) if limited else NO_WINDOW_BYTES)


def overhead(connection: socket.socket, sent: int, received: int) -> Overhead:
    """Of a connection that carried so much payload, which is all there is to go by where the kernel says nothing."""
    header = HEADER_BYTES + (IPV6_BYTES if connection.family == socket.AF_INET6 else 0)
    try:
        told = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        segments_out, segments_in = _SEGMENTS.unpack_from(told, _SEGMENTS_AT)
        again = _RESENT.unpack_from(told, _RESENT_AT)[0]
        unread = max(0, _RECEIVED.unpack_from(told, _RECEIVED_AT)[0] - received)
    except (OSError, AttributeError, struct.error):
        out, back = sent // SEGMENT_BYTES + 1, received // SEGMENT_BYTES + 1
        segments_out, segments_in, again, unread = out + back // 2, back + out // 2, 0, 0
    return Overhead(segments_out * header, segments_in * header, again, unread)


def clamp_window(connection: socket.socket, count: int) -> None:
    """The most that the kernel takes before we read; what it allows of that where it knows better."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, count)
