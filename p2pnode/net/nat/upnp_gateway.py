"""A router that speaks UPnP: found by a question to the local network, then called over HTTP. Made by `mapping`.

Why not the library in C: decision 23. Only hosts of local networks are spoken to, each only about itself, and every
answer has a size and a time.
"""

from __future__ import annotations

import ipaddress
import logging
import random
import socket
from collections.abc import Mapping as Values
from contextlib import suppress

import trio

from p2pnode.errors import DecodeError, NetworkError
from p2pnode.net import beside
from p2pnode.net.addresses import is_near_ip
from p2pnode.net.nat.gateways import Mapping, local_addresses
from p2pnode.net.nat.upnp_text import (
    GROUP,
    PORT,
    Control,
    Url,
    decode_answer,
    decode_description,
    decode_http,
    decode_location,
    encode_call,
    encode_get,
    parse_url,
    search,
)

log = logging.getLogger("p2pnode.net")

SEARCH_S = 2.5
"""For answers to a question that allows a second (MX)."""
QUESTIONS = 2
"""UDP is lost now and then, above all over radio."""
MAX_INTERFACES = 4
MAX_DEVICES = 8
"""Devices that say they are routers, and are looked at."""
MAX_DATAGRAM_BYTES = 2048
MAX_ANSWER_BYTES = 64 << 10
"""Of HTTP: a description has 4 to 20 KiB."""
HTTP_S = 5.0
LIFE_S = 3600
TRIES = 3
"""Ports outside that are tried: the same as ours, then others."""
CONFLICT, ONLY_PERMANENT, NO_SUCH_ENTRY = "718", "725", "714"
"""Error codes of the service."""
DESCRIPTION = "p2pnode"


class Fault(NetworkError):
    """The router says no; `number` is its errorCode."""

    def __init__(self, number: str) -> None:
        super().__init__(f"the router refuses ({number or 'without a reason'})")
        self.number = number


class Upnp:
    """One router. `find` makes it."""

    kind = "UPnP"

    def __init__(self, control: Control) -> None:
        self._control = control

    @classmethod
    async def find(cls) -> Upnp:
        """The first router that forwards ports. NetworkError if there is none."""
        for url in await _search():
            try:
                status, body = await _http(url, encode_get(url))
                if status == 200:
                    return cls(decode_description(body, url))
            except (NetworkError, DecodeError) as error:
                log.debug("%s says that it is a router: %s", url.host, error.message)
        raise NetworkError("no router answers in UPnP")

    @classmethod
    async def at(cls, location: str) -> Upnp:
        """The router whose description lies there. NetworkError, DecodeError."""
        host = location.split("/")[2].partition(":")[0]
        url = parse_url(location, host)
        _, body = await _http(url, encode_get(url))
        return cls(decode_description(body, url))

    async def map(self, inside: int, outside: int) -> Mapping:
        """See `Gateway`."""
        address = await self._outside()
        wish, life_s = outside, LIFE_S
        for _ in range(TRIES):
            try:
                await self._add(inside, wish, life_s)
                return Mapping(address, wish, inside, life_s or LIFE_S)
            except Fault as fault:
                if fault.number == ONLY_PERMANENT and life_s:
                    life_s = 0
                elif fault.number == CONFLICT:
                    wish = random.randint(20_000, 60_000)
                else:
                    raise
        raise NetworkError("the router has no port to spare")

    async def holds(self, mapping: Mapping) -> bool:
        """See `Gateway`."""
        if await self._outside() != mapping.address:
            return False
        try:
            said = await self._call("GetSpecificPortMappingEntry", _entry(mapping.outside))
        except Fault as fault:
            if fault.number == NO_SUCH_ENTRY:
                return False
            raise
        return said.get("NewInternalPort") == str(mapping.inside)

    async def unmap(self, mapping: Mapping) -> None:
        """See `Gateway`."""
        await self._call("DeletePortMapping", _entry(mapping.outside))

    async def _outside(self) -> str:
        said = await self._call("GetExternalIPAddress", {})
        try:
            return str(ipaddress.IPv4Address(said.get("NewExternalIPAddress", "")))
        except ValueError as error:
            raise NetworkError("the router has no address outside") from error

    async def _add(self, inside: int, outside: int, life_s: int) -> None:
        with socket.socket(
            socket.AF_INET, socket.SOCK_DGRAM
        ) as probe:  # sends nothing: which of our addresses faces the router
            try:
                probe.connect((self._control.url.host, PORT))
            except OSError as error:
                raise NetworkError("there is no way to the router") from error
            own = probe.getsockname()[0]
        await self._call(
            "AddPortMapping",
            _entry(outside)
            | {
                "NewInternalPort": inside,
                "NewInternalClient": own,
                "NewEnabled": 1,
                "NewPortMappingDescription": DESCRIPTION,
                "NewLeaseDuration": life_s,
            },
        )

    async def _call(self, action: str, arguments: Values[str, str | int]) -> dict[str, str]:
        url = self._control.url
        status, body = await _http(url, encode_call(self._control, action, arguments))
        try:
            said = decode_answer(body)
        except DecodeError as error:
            raise NetworkError(f"the router at {url.host} does not answer in UPnP: {error.message}") from error
        if status != 200:
            raise Fault(said.get("errorCode", "")[:8])
        return said


def _entry(outside: int) -> dict[str, str | int]:
    return {"NewRemoteHost": "", "NewExternalPort": outside, "NewProtocol": "TCP"}


async def _search() -> list[Url]:
    """Where descriptions lie, of at most MAX_DEVICES hosts of the local networks."""
    found: dict[Url, None] = {}
    async with trio.open_nursery() as nursery:
        for address, _ in local_addresses()[:MAX_INTERFACES]:
            nursery.start_soon(_search_from, address, found)
    return list(found)


async def _search_from(address: str, found: dict[Url, None]) -> None:
    with suppress(OSError), trio.move_on_after(SEARCH_S), trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
        udp.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 2)
        await udp.bind((address, 0))
        for _ in range(QUESTIONS):
            beside.datagram(sent=await udp.sendto(search(), (GROUP, PORT)))
        while len(found) < MAX_DEVICES:
            datagram, sender = await udp.recvfrom(MAX_DATAGRAM_BYTES)
            beside.datagram(came=len(datagram))
            if is_near_ip(sender[0]):
                with suppress(DecodeError):
                    found[decode_location(datagram, sender[0])] = None


async def _http(url: Url, request: bytes) -> tuple[int, bytes]:
    """(status, body). NetworkError."""
    if not is_near_ip(url.host):
        raise NetworkError(f"{url.host} is not in a local network")
    data = bytearray()
    try:
        with trio.fail_after(HTTP_S):
            async with await trio.open_tcp_stream(url.host, url.port) as stream:
                try:
                    await stream.send_all(request)
                    while part := await stream.receive_some(MAX_ANSWER_BYTES):
                        data += part
                        if len(data) > MAX_ANSWER_BYTES:
                            raise NetworkError(f"the answer of {url.host} has no end")
                finally:
                    beside.exchange(stream, len(request), len(data))
        return decode_http(bytes(data))
    except (OSError, trio.BrokenResourceError, trio.TooSlowError) as error:
        raise NetworkError(f"the router at {url.host} does not answer in UPnP") from error
    except DecodeError as error:
        raise NetworkError(f"the router at {url.host} does not answer in UPnP: {error.message}") from error
