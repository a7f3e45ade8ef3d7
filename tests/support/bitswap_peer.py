"""A foreign node that speaks Bitswap as a test tells it to: it notes every message that comes and says what it is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

import trio

from p2pnode.core.bitswap_messages import (
    PROTOCOL_120,
    Entry,
    Message,
    Presence,
    Want,
    block_cid,
    decode_message,
    encode_answer,
    encode_wants,
)
from p2pnode.core.cid import Cid, encode_varint
from p2pnode.core.ids import PeerId
from p2pnode.errors import NetworkError
from p2pnode.ports import Stream
from p2pnode.services.bitswap_streams import Reader
from tests.support.loopback import LoopbackNetwork

Answer = Callable[[PeerId, Message], Awaitable[None]]


class Foreigner:
    """`heard` is everything that came, in order; `on_message` is called for each message."""

    def __init__(self, network: LoopbackNetwork, *, protocol: str = PROTOCOL_120, reads: bool = True) -> None:
        self.network, self.protocol, self.reads = network, protocol, reads
        self.heard: list[Message] = []
        self.sizes: list[int] = []
        self.on_message: Answer | None = None
        self._news = trio.Event()
        network.serve(protocol, self._listen, streams_per_peer=100)

    @property
    def peer_id(self) -> PeerId:
        return self.network.peer_id

    async def _listen(self, stream: Stream) -> None:
        if not self.reads:
            await trio.sleep_forever()
        reader = Reader(stream, lambda: None)
        while (size := await reader.size()) is not None:
            message = decode_message(await reader.body(size))
            self.heard.append(message)
            self.sizes.append(size)
            self._news.set()
            self._news = trio.Event()
            if self.on_message is not None:
                await self.on_message(stream.peer, message)

    async def say(self, peer: PeerId, message: bytes) -> None:
        """One message on a stream of its own."""
        stream = await self.network.open_stream(peer, self.protocol)
        await stream.send_all(encode_varint(len(message)) + message)
        await stream.aclose()

    async def want(self, peer: PeerId, *cids: Cid, full: bool = False, **options: object) -> None:
        """Wants of one kind in one message, the first most urgent."""
        entries = [Entry(cid, 100_000 - at, **options) for at, cid in enumerate(cids)]  # type: ignore[arg-type]
        await self.say(peer, encode_wants(entries, full=full))

    async def until(self, ready: Callable[[], bool], timeout_s: float = 600.0) -> None:
        """Messages came until this is so."""
        with trio.fail_after(timeout_s):
            while not ready():
                await self._news.wait()

    @property
    def blocks(self) -> list[Cid]:
        """The blocks that came, each by its own hash, in order."""
        return [block_cid(block) for message in self.heard for block in message.blocks]

    @property
    def presences(self) -> dict[Cid, bool]:
        return {presence.cid: presence.have for message in self.heard for presence in message.presences}

    @property
    def entries(self) -> list[Entry]:
        """All wants that came."""
        return [entry for message in self.heard for entry in message.entries]

    def provides(
        self, blocks: Mapping[Cid, bytes], *, passes_over: Callable[[Entry], bool] = lambda entry: False
    ) -> None:
        """Answer wants from these blocks from now on, but for what it passes over in silence."""

        async def answer(peer: PeerId, message: Message) -> None:
            wanted = [entry for entry in message.entries if not entry.cancel and not passes_over(entry)]
            found, told = [], []
            for entry in wanted:
                if entry.cid not in blocks:
                    told.append(Presence(entry.cid, False))
                elif entry.want is Want.HAVE:
                    told.append(Presence(entry.cid, True))
                else:
                    found.append((entry.cid, blocks[entry.cid]))
            if found or told:
                with suppress(NetworkError):  # the asker may have gone meanwhile
                    await self.say(peer, encode_answer(found, told))

        self.on_message = answer
