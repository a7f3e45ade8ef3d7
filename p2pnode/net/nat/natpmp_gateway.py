"""A router that speaks NAT-PMP, over UDP on trio. Made by `mapping`.

The socket is connected: datagrams from elsewhere do not arrive. Whoever forges the router's address in the local network is in it and
could take the router's place altogether; what he says is bounded, and judged from outside by `asking`.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TypeVar

import trio

from p2pnode.errors import DecodeError, NetworkError
from p2pnode.net import beside
from p2pnode.net.nat.gateways import Mapping
from p2pnode.net.nat.natpmp import (
    PORT,
    Mapped,
    Outside,
    Refused,
    decode,
    encode_address_request,
    encode_map_request,
    has_restarted,
)

FIRST_WAIT_S = 0.25
"""For an answer, doubling (RFC 6886, section 3.1)."""
TRIES = 4
"""3.75 s in all, where the RFC has nine tries and two minutes: in a home an answer takes milliseconds."""
ANSWER_BYTES = 64
LIFE_S = 3600
"""Asked for. The RFC recommends two hours; what a crashed node leaves behind should go sooner."""
LEAST_LIFE_S, LONGEST_LIFE_S = 60, 24 * 3600
"""A mapping's life is believed within these."""

T = TypeVar("T", Outside, Mapped)


class NatPmp:
    """One router. `find` makes it."""

    kind = "NAT-PMP"

    def __init__(self, host: str, port: int = PORT) -> None:
        self._host, self._port = host, port
        self._epoch: tuple[int, float] | None = None  # and when, in trio's time

    @classmethod
    async def find(cls, host: str, port: int = PORT) -> NatPmp:
        """NetworkError if nobody there speaks it."""
        gateway = cls(host, port)
        await gateway._outside()
        return gateway

    async def map(self, inside: int, outside: int) -> Mapping:
        """See `Gateway`."""
        address = await self._outside()
        answer = await self._ask(encode_map_request(inside, outside, LIFE_S), Mapped, lambda a: a.inside == inside)
        if not answer.outside or not answer.life_s:
            raise NetworkError("the router forwards nothing")
        life_s = min(LONGEST_LIFE_S, max(LEAST_LIFE_S, answer.life_s))
        return Mapping(address.address, answer.outside, inside, life_s)

    async def holds(self, mapping: Mapping) -> bool:
        """See `Gateway`."""
        before = self._epoch
        now = await self._outside()
        lost = before is not None and has_restarted(before[0], now.epoch_s, trio.current_time() - before[1])
        return not lost and now.address == mapping.address

    async def unmap(self, mapping: Mapping) -> None:
        """See `Gateway`."""
        await self._ask(encode_map_request(mapping.inside, 0, 0), Mapped, lambda a: a.inside == mapping.inside)

    async def _outside(self) -> Outside:
        answer = await self._ask(encode_address_request(), Outside, lambda _: True)
        self._epoch = (answer.epoch_s, trio.current_time())
        return answer

    async def _ask(self, request: bytes, kind: type[T], fits: Callable[[T], bool]) -> T:
        with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            try:
                await udp.connect((self._host, self._port))
                for attempt in range(TRIES):
                    await udp.send(request)
                    beside.datagram(sent=len(request))
                    with trio.move_on_after(FIRST_WAIT_S * 2**attempt):
                        return await self._answer(udp, kind, fits)
            except OSError as error:
                raise NetworkError(f"the router at {self._host} does not speak NAT-PMP: {error.strerror}") from error
        raise NetworkError(f"the router at {self._host} does not answer in NAT-PMP")

    async def _answer(self, udp: trio.socket.SocketType, kind: type[T], fits: Callable[[T], bool]) -> T:
        while True:
            data = await udp.recv(ANSWER_BYTES)
            beside.datagram(came=len(data))
            try:
                answer = decode(data)
            except DecodeError:
                continue  # whatever it is, the answer may still come
            if isinstance(answer, Refused):
                raise NetworkError(f"the router at {self._host} forwards nothing: {answer.why}")
            if isinstance(answer, kind) and fits(answer):
                return answer
