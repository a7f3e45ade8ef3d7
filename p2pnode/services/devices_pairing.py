"""Pairing two machines by a short code over `/p2pnode/pair/1`: showing one and answering, or entering one and asking.

Nothing answers the protocol but while somebody waits at a shown code. A code dies after three wrong tries, after ten minutes, after
twenty exchanges, and when it was used. The side that enters the code holds the identity and signs both certificates. The frames
are `core.device_messages`; called by `services.devices`.
"""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import trio

from p2pnode.core.device import Certificate
from p2pnode.core.device_code import SECRET_DIGITS, Code, make_code, plate_of
from p2pnode.core.device_messages import (
    MAX_FRAME_BYTES,
    PAIR_PROTOCOL,
    check_number,
    confirmation,
    encode_certificates,
    encode_confirm,
    encode_done,
    encode_element,
    encode_refused,
    is_confirmed,
    read_certificates,
    read_confirm,
    read_done,
    read_element,
)
from p2pnode.core.ids import PeerId
from p2pnode.errors import (
    AmbiguousError,
    NetworkError,
    NotFoundError,
    P2pnodeError,
    PeerError,
    RefusedError,
    TimedOutError,
)
from p2pnode.ports import Network, Stream
from p2pnode.services.devices_pake import Exchange, Side
from p2pnode.services.framing import receive_frame, send_frame

log = logging.getLogger("p2pnode.devices")

WRONG_TRIES = 3
"""Wrong codes that are answered; then the code is dead."""
EXCHANGES = 20
"""Exchanges that one code is good for, also those that end before anything was shown: each costs some milliseconds."""
EXCHANGES_PER_PEER = 5
"""Of them, those of one peer: another one's flood leaves room for the person's own machine."""
CODE_LIFETIME_S = 600.0
"""For walking to the other machine."""
EXCHANGE_S = 20.0
"""For all frames of one exchange together."""
WRONG = "that is not the code"


@dataclass(frozen=True, slots=True)
class Paired:
    """How a pairing ended: with whom, which number both sides show, and the two certificates."""

    peer: PeerId
    check: str
    certificates: tuple[Certificate, ...]


Accept = Callable[[PeerId, Sequence[Certificate]], Awaitable[None]]
"""Check and keep what the other side certified, durably; P2pnodeError refuses."""
Certify = Callable[[PeerId, str], Awaitable[Sequence[Certificate]]]
"""The certificates for the two machines, kept durably before they are sent; gets the other side's peer ID and its own name for itself."""


class Window:
    """One shown code: what answers while a person waits beside it."""

    def __init__(self, network: Network, name: str, accept: Accept) -> None:
        self._network, self._name, self._accept = network, name, accept
        self.code: Code = make_code(network.peer_id, secrets.randbelow(10**SECRET_DIGITS))
        self._wrong = 0
        self._exchanges: Counter[PeerId] = Counter()
        self._busy = False
        self._over = trio.Event()
        self._paired: Paired | None = None
        self._why = RefusedError("nobody entered the code in time", hint="for a new one: p2pnode device pair")

    async def wait(self, lifetime_s: float = CODE_LIFETIME_S) -> Paired:
        """Answer until somebody paired. RefusedError when the code died."""
        self._network.serve(PAIR_PROTOCOL, self._answer, streams_per_peer=1)
        try:
            with trio.move_on_after(lifetime_s):
                await self._over.wait()
        finally:
            self._network.unserve(PAIR_PROTOCOL)
            self._over.set()
        if self._paired is None:
            raise self._why
        return self._paired

    async def _answer(self, stream: Stream) -> None:
        peer = stream.peer
        if self._over.is_set() or self._busy or self._exchanges[peer] >= EXCHANGES_PER_PEER:
            await send_frame(stream, encode_refused("it is busy with another pairing, or had enough of your tries"))
            return
        self._busy = True
        self._exchanges[peer] += 1
        try:
            with trio.fail_after(EXCHANGE_S):
                await self._exchange(stream)
        except trio.TooSlowError:
            raise NetworkError("it took too long over a pairing") from None
        except RefusedError as error:
            raise NetworkError(f"it refused to go on: {error.message}") from error
        finally:
            self._busy = False
            if sum(self._exchanges.values()) >= EXCHANGES and self._paired is None:
                self._die(f"{EXCHANGES} pairings were begun and none was finished")

    async def _exchange(self, stream: Stream) -> None:
        theirs = read_element(await _frame(stream))
        exchange = await _begin("B", self.code, enters=stream.peer, shows=self._network.peer_id)
        key = await trio.to_thread.run_sync(exchange.finish, theirs)
        await send_frame(stream, encode_element(exchange.element))
        confirm, _ = read_confirm(await _frame(stream))
        if not is_confirmed(key, "A", confirm):
            await self._count_wrong(stream)
            return
        await send_frame(stream, encode_confirm(confirmation(key, "B"), self._name))
        certificates = read_certificates(await _frame(stream))
        try:
            await self._accept(stream.peer, certificates)
        except P2pnodeError as error:
            log.warning("a pairing with %s was refused: %s", stream.peer, error.message)
            await send_frame(stream, encode_refused(error.message))
            return
        self._paired = Paired(stream.peer, check_number(key), certificates)
        await send_frame(stream, encode_done())
        self._over.set()

    async def _count_wrong(self, stream: Stream) -> None:
        self._wrong += 1  # before anything is awaited: a peer that resets now has had its try
        if self._wrong >= WRONG_TRIES:
            self._die(f"{WRONG_TRIES} wrong codes were tried")
        await send_frame(stream, encode_refused(WRONG))

    def _die(self, why: str) -> None:
        self._why = RefusedError(f"the code is dead: {why}", hint="if that was not you, somebody else tried")
        self._over.set()


async def enter(network: Network, code: Code, peer: PeerId, certify: Certify) -> Paired:
    """Pair with the node that shows this code. RefusedError when it says no; NetworkError, TimedOutError."""
    try:
        with trio.fail_after(EXCHANGE_S):
            stream = await network.open_stream(peer, PAIR_PROTOCOL)
            try:
                return await _enter(network, stream, code, certify)
            except PeerError:
                raise
            except NetworkError as error:
                raise NetworkError(
                    f"the other machine broke off: {error.message}", hint="does it show a code? p2pnode device pair"
                ) from error
            finally:
                with trio.CancelScope(shield=True), trio.move_on_after(1):
                    await stream.aclose()
    except trio.TooSlowError:
        raise TimedOutError("the other machine does not answer in time") from None


async def _enter(network: Network, stream: Stream, code: Code, certify: Certify) -> Paired:
    exchange = await _begin("A", code, enters=network.peer_id, shows=stream.peer)
    await send_frame(stream, encode_element(exchange.element))
    key = await trio.to_thread.run_sync(exchange.finish, read_element(await _frame(stream)))
    await send_frame(stream, encode_confirm(confirmation(key, "A")))
    confirm, name = read_confirm(await _frame(stream))
    if not is_confirmed(key, "B", confirm):
        raise RefusedError(
            "the other machine does not know the code", hint="somebody may be in between: pair on a network you trust"
        )
    certificates = tuple(await certify(stream.peer, name))
    await send_frame(stream, encode_certificates(certificates))
    read_done(await _frame(stream))
    return Paired(stream.peer, check_number(key), certificates)


def find_plate(network: Network, code: Code) -> PeerId:
    """The connected peer whose code that can be. NotFoundError, AmbiguousError."""
    found = [view.peer for view in network.peers() if plate_of(view.peer) == code.plate]
    if not found:
        raise NotFoundError(
            "no connected node shows such a code",
            hint="say where it is: p2pnode device pair CODE --at ADDRESS (its p2pnode status shows the address)",
        )
    if len(found) > 1:
        raise AmbiguousError(f"{len(found)} nodes could show this code", hint="say which one: --at ADDRESS")
    return found[0]


async def _begin(side: Side, code: Code, *, enters: PeerId, shows: PeerId) -> Exchange:
    return await trio.to_thread.run_sync(lambda: Exchange(side, code.password, enters=enters, shows=shows))


async def _frame(stream: Stream) -> bytes:
    data = await receive_frame(stream, MAX_FRAME_BYTES)
    if data is None:
        raise NetworkError("it hung up in the middle of a pairing")
    return data
