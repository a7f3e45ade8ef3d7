"""Dialling a peer: every address a little after the other, relays last, one deadline for all, and errors in words.

Called by `net.network`; libp2p itself no longer dials (see hardening).
"""

from __future__ import annotations

import re
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import trio
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from p2pnode.errors import NetworkError, P2pnodeError
from p2pnode.limits import DIAL_TIMEOUT_S
from p2pnode.net.addresses import is_circuit, is_loopback, is_near
from p2pnode.net.punch.sources import source_for

STAGGER_S = 0.15
"""Head start of an address over the next one: RFC 8305 recommends 0.25 s, on a LAN less will do."""
RELAY_STAGGER_S = 1.0
"""Head start of all direct addresses over the first that leads through a relay: time for a far peer's handshake to begin."""
MAX_DIALS = 32
"""Dials in flight: each is a socket, a handshake and a few ms of CPU."""
DIALS_A_WINDOW, WINDOW_S = 64, 4.0
"""Dials begun within any such time to addresses of the internet: each is an entry in the table of a router, for minutes if nobody answers,
and small routers have room for 1,024. A look-up in the DHT needs a dozen at once."""
MAX_RESOLVED = 8
"""Addresses tried of one name."""

_begun: trio.lowlevel.RunVar[tuple[trio.Lock, deque[float]]] = trio.lowlevel.RunVar("dials begun")
_limiter: trio.lowlevel.RunVar[trio.CapacityLimiter] = trio.lowlevel.RunVar("dials")


Through = Callable[[ID, str], Awaitable[None]]
"""Connects to a peer by a circuit address."""


async def through_nobody(peer: ID, address: str) -> None:
    """Who knows no relays. NetworkError."""
    raise NetworkError(f"{address} leads through a relay")


async def dial(
    swarm: Any,
    peer: ID,
    addresses: Sequence[str],
    through: Through = through_nobody,
    *,
    timeout_s: float = DIAL_TIMEOUT_S,
) -> str:
    """Connect to `peer` by the first of `addresses` that works and return that one. NetworkError says why none did."""
    if not addresses:
        raise NetworkError(f"no address of {peer} is known", hint="give one that ends in /p2p/ and the peer's ID")
    winner: list[str] = []
    failures: dict[str, str] = {}
    # others' loopback addresses mean another machine, so they come last
    ordered = sorted(dict.fromkeys(addresses), key=lambda address: (is_circuit(address), is_loopback(address)))
    with trio.move_on_after(timeout_s):
        async with trio.open_nursery() as nursery:

            async def attempt(address: str, failed: trio.Event) -> None:
                try:
                    if is_circuit(address):
                        await through(peer, address)  # which dials the relay: it must not wait for itself
                    else:
                        async with _dials():
                            await _turn(address)
                            await _connect(swarm, address, peer)
                    winner.append(address)
                    nursery.cancel_scope.cancel()
                except Exception as error:
                    failures[address] = _in_words(address, error)
                    failed.set()

            for address, following in zip(ordered, [*ordered[1:], ""], strict=True):
                failed = trio.Event()
                nursery.start_soon(attempt, address, failed)
                with trio.move_on_after(RELAY_STAGGER_S if _ends_direct(address, following) else STAGGER_S):
                    await failed.wait()
    if winner:
        return winner[0]
    for address in ordered:
        failures.setdefault(address, f"no answer within {timeout_s:g} s from {address}")
    raise NetworkError("; ".join(failures[address] for address in ordered))


def _ends_direct(address: str, following: str) -> bool:
    return is_circuit(following) and not is_circuit(address)


async def _connect(swarm: Any, address: str, peer: ID) -> None:
    """Names are resolved as everything on this machine resolves them; libp2p asks DNS servers itself and knows no hosts file."""
    resolved = [address] if address.startswith("/ip") else await _resolve(address)
    for number, where in enumerate(resolved, start=1):
        try:
            await swarm._dial_addr_single_attempt(Multiaddr(where), peer, source_for(swarm, where))
            break
        except Exception:
            if number == len(resolved):
                raise


async def _resolve(address: str) -> list[str]:
    _, kind, name, _, port = address.split("/")
    family = {"dns4": socket.AF_INET, "dns6": socket.AF_INET6}.get(kind, socket.AF_UNSPEC)
    found = await trio.socket.getaddrinfo(name, int(port), family=family, type=socket.SOCK_STREAM)
    hosts = dict.fromkeys((entry[0], entry[4][0]) for entry in found[:MAX_RESOLVED])
    return [f"/{'ip6' if kind == socket.AF_INET6 else 'ip4'}/{host}/tcp/{port}" for kind, host in hosts]


async def _turn(address: str) -> None:
    """Wait until one more dial may begin; in the local network at once, as no router translates it."""
    if is_near(address):
        return
    try:
        turn, begun = _begun.get()
    except LookupError:
        _begun.set((turn := trio.Lock(), begun := deque(maxlen=DIALS_A_WINDOW)))
    async with turn:
        if len(begun) == DIALS_A_WINDOW:
            await trio.sleep_until(begun[0] + WINDOW_S)
        begun.append(trio.current_time())


def _dials() -> trio.CapacityLimiter:
    try:
        return _limiter.get()
    except LookupError:
        limiter = trio.CapacityLimiter(MAX_DIALS)
        _limiter.set(limiter)
        return limiter


def _in_words(address: str, error: BaseException) -> str:
    chain = list(_causes(error))
    text = " ".join(str(part) for part in chain)
    if isinstance(error, P2pnodeError):
        return error.message
    actual = re.search(r"remote_peer_id_from_pubkey=(\w+)", text)  # security/noise/patterns.py:348
    if actual:
        return f"another node answers at {address}: {actual[1]}"
    if any(isinstance(part, ConnectionRefusedError) for part in chain):
        return f"connection refused at {address}: nothing listens there"
    if any(isinstance(part, socket.gaierror) for part in chain) or "resolve" in text:
        return f"the name in {address} cannot be resolved"
    if any(isinstance(part, (TimeoutError, trio.TooSlowError)) for part in chain):
        return f"no answer from {address}"
    if "Maximum connections" in text:
        return "this node has as many connections as it may"
    if "refused by this node" in text:
        return f"the peer at {address} is banned for a while"
    for part in chain:
        if isinstance(part, OSError) and part.strerror:
            return f"cannot reach {address}: {part.strerror.lower()}"
    if "security" in text or "handshake" in text or "mux" in text:
        return f"what answers at {address} does not speak libp2p with Noise and Yamux, or hung up"
    return f"cannot connect to {address}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    pending: list[BaseException | None] = [error]
    seen: set[int] = set()
    while pending:
        current = pending.pop(0)
        if current is None or id(current) in seen or len(seen) > 50:
            continue
        seen.add(id(current))
        yield current
        pending += [current.__cause__, current.__context__]
        if isinstance(current, BaseExceptionGroup):
            pending += current.exceptions
