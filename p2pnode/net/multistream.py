"""Agreeing on a stream's protocol (multistream-select 1.0.0) in one flight each way, directly on a stream of the muxer.

Who opens says header and protocol at once and need not wait (`Proposal`); who is asked answers both at once. libp2p's own exchange takes
two round trips and six tasks' turns, and its strings may end the host. Called by `net.stream`, `net.network` and `net.host`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import trio
from libp2p.stream_muxer.exceptions import MuxedStreamEOF, MuxedStreamError

from p2pnode.net.relay.circuit import is_relayed

log = logging.getLogger("p2pnode.net")

HEADER: Final = "/multistream/1.0.0"
REFUSAL: Final = "na"
MAX_LINE_BYTES: Final = 1024
"""Of a line with its end: no protocol of anybody is named at such length."""
MAX_PROPOSALS: Final = 16
"""Protocols that a peer may ask for on one stream."""

Handlers = Mapping[Any, Callable[[Any], Awaitable[None]] | None]


class NegotiationError(Exception):
    """The two sides do not agree on what to speak. The text is for people."""


class Proposal:
    """One protocol, proposed on a stream of ours. `unsent` goes before the first bytes, and `accepted` comes before the first read."""

    def __init__(self, protocol: str) -> None:
        self.unsent = _line(HEADER) + _line(protocol)
        self._protocol = protocol
        self._lines: _Lines | None = None
        self._header_came = False

    def sent(self) -> bytes:
        """What is to be sent first, once."""
        unsent, self.unsent = self.unsent, b""
        return unsent

    async def accepted(self, muxed: Any) -> None:
        """Send what was not sent and read the answer; may be cancelled and called again. NegotiationError if it is a refusal,
        MuxedStreamError if the stream breaks."""
        if self.unsent:
            await muxed.write(self.sent())
        self._lines = self._lines or _Lines(muxed)
        if not self._header_came:
            await self._expect(HEADER)
            self._header_came = True
        await self._expect(self._protocol)

    async def _expect(self, wanted: str) -> None:
        assert self._lines is not None
        try:
            line = await self._lines.next()
        except MuxedStreamEOF:
            raise NegotiationError("it ended the stream") from None
        if line != wanted:
            raise NegotiationError("it does not speak it" if line == REFUSAL else "it does not speak multistream")


async def open_muxed(connections: Sequence[Any]) -> Any:
    """A new stream of the muxer on one of a peer's connections: a direct one if there is any, the newest first. MuxedStreamError."""
    failure: Exception = MuxedStreamError("not connected")
    ordered = sorted(enumerate(connections), key=lambda one: (is_relayed(one[1].muxed_conn), -one[0]))
    for _, connection in ordered:
        try:
            return await connection.muxed_conn.open_stream()
        except MuxedStreamError as error:
            failure = error
    raise failure


def answering(handlers: Handlers, patience_s: float) -> Callable[[Any], Awaitable[None]]:
    """A handler of new streams of the muxer: agrees on one of `handlers` within `patience_s` and hands the stream on. A stream on which
    that fails is reset; raises what the protocol's handler does."""

    async def answer(muxed: Any) -> None:
        protocol = None
        try:
            with trio.move_on_after(patience_s):
                protocol = await _agree(muxed, handlers)
        except (NegotiationError, MuxedStreamError) as error:
            log.debug("a stream of %s: %r", muxed.muxed_conn.peer_id, error)
        handle = handlers.get(protocol) if protocol else None
        await (handle(muxed) if handle else muxed.reset())

    return answer


async def _agree(muxed: Any, handlers: Handlers) -> str:
    """The protocol, told to the peer. The header's answer waits for the protocol's, if that is here already."""
    lines = _Lines(muxed)
    if await lines.next() != HEADER:
        raise NegotiationError("it does not speak multistream")
    owed = _line(HEADER)
    for _ in range(MAX_PROPOSALS):
        if owed and not muxed.received.size:
            await muxed.write(owed)
            owed = b""
        protocol = await lines.next()
        known = handlers.get(protocol) is not None
        await muxed.write(owed + _line(protocol if known else REFUSAL))
        owed = b""
        if known:
            return protocol
    raise NegotiationError(f"none of {MAX_PROPOSALS} protocols is spoken here")


def _line(text: str) -> bytes:
    body = text.encode() + b"\n"
    if len(body) > MAX_LINE_BYTES:
        raise NegotiationError("a protocol's name is too long")
    length = bytes([len(body)]) if len(body) < 0x80 else bytes([len(body) & 0x7F | 0x80, len(body) >> 7])
    return length + body


class _Lines:
    """Lines of a stream, without a byte of what follows them; a cancelled read loses nothing."""

    def __init__(self, muxed: Any) -> None:
        self._muxed = muxed
        self._held = bytearray()

    async def next(self) -> str:
        """NegotiationError if it cannot be a line; MuxedStreamEOF, MuxedStreamError."""
        while (missing := _missing(self._held)) > 0:
            self._held += await self._muxed.read(missing)
        start = 1 if self._held[0] < 0x80 else 2
        body, self._held = bytes(self._held[start:-1]), bytearray()
        try:
            return body.decode()
        except UnicodeDecodeError:
            raise NegotiationError("a line that is not UTF-8") from None


def _missing(held: bytearray) -> int:
    """How many bytes to read next, at least one, for the line that `held` begins; 0 when it is whole."""
    if not held or (len(held) == 1 and held[0] >= 0x80):
        return 1
    start = 1 if held[0] < 0x80 else 2
    length = held[0] & 0x7F | (held[1] << 7 if start == 2 else 0)
    if not 0 < length <= MAX_LINE_BYTES:
        raise NegotiationError(f"a line of {length} bytes")
    if len(held) < start + length:
        return start + length - len(held)
    if held[-1] != 0x0A:
        raise NegotiationError("a line without an end")
    return 0
