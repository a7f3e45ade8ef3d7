"""Finding nodes of the same network on the LAN by multicast DNS, with zeroconf on threads of its own.

The service type carries a hash of the network's name, so that different networks do not even see each other. Only local
addresses are told and dialled. Nothing here may block the loop, and no network at all is no error.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import trio
from zeroconf import InterfaceChoice, ServiceBrowser, ServiceInfo, ServiceStateChange, Zeroconf

from p2pnode.core.ids import PeerId
from p2pnode.errors import UsageError
from p2pnode.net.addresses import MAX_PEER_ADDRESSES, host_of, is_loopback, is_near, to_id, usable
from p2pnode.net.beside import DATAGRAM_HEADER_BYTES, LOCAL, meter_of_task

log = logging.getLogger("p2pnode.net")

ANSWER_MS = 3000
"""For the details of a service that was announced."""
MAX_ASKED = 16
"""Services at a time whose details are asked for: who announces names without any must not keep others waiting."""
START_S = 10.0
CLOSE_S = 1.0
NAME_CHARACTERS = 40
"""Of the peer ID in the service's name: a DNS label has at most 63."""

Found = Callable[[PeerId, Sequence[str]], None]
Count = Callable[[int, int], None]


def service_type(network: str) -> str:
    """`_p2pn-<8 hex digits>._tcp.local.`: a service name has at most 15 characters."""
    return f"_p2pn-{hashlib.sha256(network.encode()).hexdigest()[:8]}._tcp.local."


def encode_properties(peer: PeerId, addresses: Sequence[str]) -> dict[str, str]:
    """TXT record: the peer and its local addresses."""
    near = [address for address in addresses if is_near(address)][:MAX_PEER_ADDRESSES]
    return {"p": peer, **{f"a{number}": address for number, address in enumerate(near)}}


def decode_properties(properties: dict[bytes, bytes | None]) -> tuple[PeerId, list[str]] | None:
    """(peer, local addresses) of a TXT record, None if it is not one of ours. Anybody on the LAN writes these."""
    texts = {key: (value or b"").decode("ascii", "replace") for key, value in list(properties.items())[:32]}
    try:
        peer = PeerId(texts.get(b"p", ""))
        to_id(peer)
    except UsageError:
        return None
    addresses = usable(texts.get(f"a{number}".encode(), "") for number in range(MAX_PEER_ADDRESSES))
    return peer, [address for address in addresses if is_near(address)]


class CountedZeroconf(Zeroconf):  # type: ignore[misc]  # zeroconf is not checked
    """Its datagrams, both ways, are told to `count` with their headers."""

    count: Count

    def async_send(self, out: Any, *arguments: Any, **options: Any) -> None:
        super().async_send(out, *arguments, **options)
        one_way = options.get("transport") or (arguments[3:4] or [None])[0]
        for packet in out.packets() if hasattr(self, "count") else ():
            self.count((len(packet) + DATAGRAM_HEADER_BYTES) * (1 if one_way else len(self.engine.senders)), 0)

    def count_what_comes(self) -> None:
        """From now on, as soon as it listens."""
        assert self.loop is not None
        asyncio.run_coroutine_threadsafe(self.async_wait_for_start(), self.loop).result(START_S)
        for reader in self.engine.readers:
            reader.transport.set_protocol(_Heard(reader.transport.get_protocol(), self.count))


class _Heard(asyncio.DatagramProtocol):
    """Stands before zeroconf's own reader."""

    def __init__(self, reader: Any, count: Count) -> None:
        self._reader, self._count = reader, count

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._count(0, len(data) + DATAGRAM_HEADER_BYTES)
        self._reader.datagram_received(data, addr)

    def error_received(self, exc: Exception) -> None:
        self._reader.error_received(exc)

    def connection_lost(self, exc: Exception | None) -> None:
        self._reader.connection_lost(exc)


class Lan:
    """Announces us and reports others to `found`, on trio's thread."""

    def __init__(self, network: str, peer: PeerId, addresses: Callable[[], list[str]], found: Found) -> None:
        self._type = service_type(network)
        self._peer = peer
        self._addresses = addresses
        self._found = found
        self._places = threading.BoundedSemaphore(MAX_ASKED)

    async def run(self) -> None:
        """Announce and listen until cancelled. Gives up with a log line when there is no network to announce on."""
        token, traffic = trio.lowlevel.current_trio_token(), meter_of_task()

        def count(sent: int, came: int) -> None:
            """On zeroconf's thread."""
            if traffic is not None:
                with suppress(trio.RunFinishedError):
                    token.run_sync_soon(traffic.beside, LOCAL, sent, came)

        try:
            zeroconf = await trio.to_thread.run_sync(self._start, token, self._addresses(), count)
        except Exception as error:
            log.info("nobody can be found on the local network: %s", error)
            return
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(CLOSE_S):
                await trio.to_thread.run_sync(zeroconf.close, abandon_on_cancel=True)  # type: ignore[call-arg]

    def _start(self, token: trio.lowlevel.TrioToken, addresses: list[str], count: Count) -> Zeroconf:
        zeroconf = CountedZeroconf(interfaces=_interfaces(addresses))
        zeroconf.count = count
        try:
            zeroconf.count_what_comes()
            zeroconf.register_service(self._service(addresses), cooperating_responders=True)

            def changed(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
                if state_change is not ServiceStateChange.Removed:
                    self._look_at(zeroconf, name, token)

            ServiceBrowser(zeroconf, self._type, handlers=[changed])
        except BaseException:
            zeroconf.close()
            raise
        return zeroconf

    def _service(self, addresses: list[str]) -> ServiceInfo:
        port = int(addresses[0].split("/")[4]) if addresses else 1
        name = f"{self._peer[-NAME_CHARACTERS:]}.{self._type}"
        hosts = [host_of(a) for a in addresses if is_near(a) and a.startswith(("/ip4/", "/ip6/"))]
        return ServiceInfo(
            self._type,
            name,
            port=port,
            properties=encode_properties(self._peer, addresses),
            server=f"p2pnode-{self._peer[-12:].lower()}.local.",
            parsed_addresses=hosts,
        )

    def _look_at(self, zeroconf: Zeroconf, name: str, token: trio.lowlevel.TrioToken) -> None:
        """On the browser's thread, which waits for nobody: details that came along are read, others are asked for beside it."""
        info = ServiceInfo(self._type, name)
        try:
            if info.load_from_cache(zeroconf):
                self._take(info, token)
            elif zeroconf.loop is not None and self._places.acquire(blocking=False):
                asyncio.run_coroutine_threadsafe(self._ask(zeroconf, info, token), zeroconf.loop)
        except Exception as error:  # closing, or a malformed announcement
            log.debug("an announcement on the local network: %r", error)

    async def _ask(self, zeroconf: Zeroconf, info: ServiceInfo, token: trio.lowlevel.TrioToken) -> None:
        """On zeroconf's thread."""
        try:
            if await info.async_request(zeroconf, ANSWER_MS):
                self._take(info, token)
        except Exception as error:
            log.debug("asking on the local network: %r", error)
        finally:
            self._places.release()

    def _take(self, info: ServiceInfo, token: trio.lowlevel.TrioToken) -> None:
        entry = decode_properties(info.properties)
        if entry is not None and entry[0] != self._peer and entry[1]:
            with suppress(trio.RunFinishedError):
                token.run_sync_soon(self._found, *entry)


def _interfaces(addresses: Sequence[str]) -> Any:
    """Only loopback when we listen on nothing else (tests, a node for one machine)."""
    if addresses and all(is_loopback(address) for address in addresses):
        return sorted({host_of(address) for address in addresses})
    return InterfaceChoice.All
