"""A router that speaks PCP, over UDP on trio: it forwards a port of IPv4, and opens one of IPv6 in its firewall. Made by `mapping`.

Asking again renews, and makes anew what the router forgot: so whether a port is still mapped is found out by asking for it again. Who may
answer, and what is believed, is as with NAT-PMP (`natpmp_gateway`).
"""

from __future__ import annotations

import ipaddress
import secrets
import socket

import trio

from p2pnode.errors import DecodeError, NetworkError
from p2pnode.net import beside
from p2pnode.net.nat.gateways import Mapping
from p2pnode.net.nat.pcp import NONCE_BYTES, PORT, Mapped, Refused, decode, encode_map

FIRST_WAIT_S = 0.25
"""For an answer, doubling; the RFC begins with three seconds, and in a home an answer takes milliseconds."""
TRIES = 3
ANSWER_BYTES = 1100
"""The RFC's limit of a message."""
LIFE_S = 3600
LEAST_LIFE_S, LONGEST_LIFE_S = 60, 24 * 3600
"""A mapping's life is believed within these."""


class Pcp:
    """The router at `host`, as seen from our address `own` ("": the one that faces it). `find` asks it for a port and makes this."""

    kind = "PCP"

    def __init__(self, host: str, own: str = "", port: int = PORT) -> None:
        self._host, self._own, self._port = host, own, port
        self._nonce = secrets.token_bytes(NONCE_BYTES)

    @classmethod
    async def find(cls, host: str, inside: int, own: str = "", port: int = PORT) -> Pcp:
        """NetworkError if nobody there maps ports in PCP. There is no question without an effect: what is mapped here stays."""
        gateway = cls(host, own, port)
        await gateway.map(inside, inside)
        return gateway

    async def map(self, inside: int, outside: int) -> Mapping:
        """See `Gateway`."""
        answer = await self._ask(inside, outside, LIFE_S)
        if not answer.outside or not answer.life_s:
            raise NetworkError("the router forwards nothing")
        life_s = min(LONGEST_LIFE_S, max(LEAST_LIFE_S, answer.life_s))
        return Mapping(str(answer.address), answer.outside, inside, life_s)

    async def holds(self, mapping: Mapping) -> bool:
        """See `Gateway`."""
        now = await self.map(mapping.inside, mapping.outside)
        return (now.address, now.outside) == (mapping.address, mapping.outside)

    async def unmap(self, mapping: Mapping) -> None:
        """See `Gateway`."""
        await self._ask(mapping.inside, 0, 0)

    async def _ask(self, inside: int, outside: int, life_s: int) -> Mapped:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        with trio.socket.socket(family, socket.SOCK_DGRAM) as udp:
            try:
                if self._own:
                    await udp.bind((self._own, 0))
                await udp.connect((self._host, self._port))
                own = ipaddress.ip_address(udp.getsockname()[0].partition("%")[0])
                for attempt in range(TRIES):
                    beside.datagram(sent=await udp.send(encode_map(own, self._nonce, inside, outside, life_s)))
                    with trio.move_on_after(FIRST_WAIT_S * 2**attempt):
                        return await self._answer(udp, inside)
            except OSError as error:
                raise NetworkError(f"the router at {self._host} does not speak PCP: {error.strerror}") from error
        raise NetworkError(f"the router at {self._host} does not answer in PCP")

    async def _answer(self, udp: trio.socket.SocketType, inside: int) -> Mapped:
        while True:
            data = await udp.recv(ANSWER_BYTES)
            beside.datagram(came=len(data))
            try:
                answer = decode(data)
            except DecodeError:
                continue  # whatever it is, the answer may still come
            if isinstance(answer, Refused):
                raise NetworkError(f"the router at {self._host} maps nothing by PCP: {answer.why}")
            if (answer.nonce, answer.inside) == (self._nonce, inside):
                return answer
