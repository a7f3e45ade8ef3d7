"""Asking other nodes: one request and its answer on a stream that is kept for the next one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from p2pnode.core.ids import PeerId
from p2pnode.errors import DecodeError, NetworkError, PeerError
from p2pnode.net.kad.wire import MAX_MESSAGE_BYTES, Contact, KadMessage, decode, encode
from p2pnode.net.varint import receive_prefixed
from p2pnode.ports import Stream

REQUEST_S = 5.0
"""Dial, stream and answer together: a peer that needs longer is no help to a lookup."""
KEEP_S = 20.0
"""An idle stream is kept this long: shorter than a server's patience."""
KEPT_STREAMS = 2
"""Idle streams per peer."""

Open = Callable[[Contact], Awaitable[Stream]]


class KadClient:
    """Requests of one node. `open_stream` dials if need be and raises NetworkError."""

    def __init__(self, open_stream: Open) -> None:
        self._open = open_stream
        self._idle: dict[PeerId, list[tuple[float, Stream]]] = {}

    async def request(self, contact: Contact, *messages: KadMessage) -> KadMessage:
        """Send the messages and return the answer to the last. NetworkError if none comes in time."""
        try:
            with trio.fail_after(REQUEST_S):
                kept = self._take(contact.peer)
                if kept is not None:
                    try:
                        return await self._exchange(kept, messages)
                    except NetworkError:
                        pass  # it may have been closed while it lay idle
                return await self._exchange(await self._open(contact), messages)
        except trio.TooSlowError as error:
            raise NetworkError(f"{contact.peer} does not answer DHT requests") from error

    async def _exchange(self, stream: Stream, messages: tuple[KadMessage, ...]) -> KadMessage:
        done = False
        try:
            await stream.send_all(b"".join(encode(message) for message in messages))
            # ADD_PROVIDER is echoed by some implementations and not by others: read on to the answer that matters
            for _ in messages:
                answer = await self._receive(stream)
                if answer.kind == messages[-1].kind:
                    done = True
                    return answer
            raise PeerError("a DHT request was answered by something else")
        finally:
            if done:
                self._keep(stream)
            else:
                with trio.CancelScope(shield=True), trio.move_on_after(0.5):
                    await stream.reset()

    async def _receive(self, stream: Stream) -> KadMessage:
        data = await receive_prefixed(stream, MAX_MESSAGE_BYTES)
        if data is None:
            raise NetworkError("the peer ended the stream instead of answering")
        try:
            return decode(data)
        except DecodeError as error:
            raise PeerError(error.message) from error

    def _take(self, peer: PeerId) -> Stream | None:
        kept = self._idle.get(peer, [])
        while kept:
            since, stream = kept.pop()
            if trio.current_time() - since < KEEP_S:
                return stream
        return None

    def _keep(self, stream: Stream) -> None:
        self._idle.setdefault(stream.peer, []).append((trio.current_time(), stream))

    async def close_idle(self) -> None:
        """Close what has lain idle too long or too many; called now and then."""
        horizon = trio.current_time() - KEEP_S
        for peer, kept in list(self._idle.items()):
            fresh = [entry for entry in kept if entry[0] >= horizon][-KEPT_STREAMS:]
            for entry in kept:
                if entry not in fresh:
                    await entry[1].aclose()
            if fresh:
                self._idle[peer] = fresh
            else:
                self._idle.pop(peer, None)
