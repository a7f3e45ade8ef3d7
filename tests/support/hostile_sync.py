"""A peer that speaks `/p2pnode/sync/1` by hand, with a pseudonym of its own: what attacks on sync are made of."""

from __future__ import annotations

from p2pnode.core import sync_messages as wire
from p2pnode.core.ids import CircleId
from p2pnode.core.sync_hello import (
    Hello,
    Welcome,
    circle_tag,
    decode_hello,
    decode_welcome,
    encode_hello,
    encode_proof,
    encode_welcome,
    make_proof,
)
from p2pnode.core.sync_messages import Frame, decode_frame
from p2pnode.errors import NetworkError
from p2pnode.ports import Stream
from p2pnode.services.framing import receive_frame, send_frame
from p2pnode.services.sync_peers import PROTOCOL
from tests.support.circle_nodes import CircleNode
from tests.support.circles import Circle, key
from tests.support.loopback import Hub, LoopbackNetwork


class HostileSync:
    """One session with a victim, begun by us. `sent` and `heard` count bytes."""

    def __init__(self, hub: Hub, circle: Circle, victim: CircleNode, name: str = "mallory") -> None:
        self.network = hub.nodes.get(name) or hub.node(name)  # type: ignore[call-overload]
        self.circle, self.victim, self.key = circle.id, victim, key(name)
        self.sent = self.heard = 0

    async def begin(self) -> HostileSync:
        """The introduction, as everybody does it."""
        await self.network.connect(self.victim.network.addresses()[0])
        self.stream: Stream = await self.network.open_stream(self.victim.peer, PROTOCOL)
        tag = circle_tag(self.circle, bytes(16), self.network.peer_id, self.victim.peer)
        await send_frame(self.stream, encode_hello(Hello(bytes(16), tag)))
        welcome = decode_welcome(await receive_frame(self.stream, 200) or b"")
        assert isinstance(welcome, Welcome), welcome
        own, theirs = self.network.peer_id, self.victim.peer
        proof = make_proof(self.key, self.circle, prover=own, verifier=theirs, nonce=welcome.nonce)
        await send_frame(self.stream, encode_proof(proof))
        return self

    async def say(self, *frames: bytes) -> None:
        """Frames of one turn; the last is marked as the last."""
        for frame in (*frames[:-1], wire.with_flags(frames[-1], wire.LAST)):
            self.sent += len(frame)
            await send_frame(self.stream, frame)

    async def hear(self) -> list[Frame]:
        """The victim's turn; NetworkError when it has had enough."""
        frames: list[Frame] = []
        while not frames or not frames[-1].last:
            data = await receive_frame(self.stream, wire.MAX_FRAME_BYTES)
            if data is None:
                raise NetworkError("it hung up")
            self.heard += len(data)
            frames.append(decode_frame(data))
        return frames


def sybil(hub: Hub, circle: CircleId, name: str) -> LoopbackNetwork:
    """A node that listens to the circle's topic and passes nothing on; in sync it proves a key and says that all is settled."""
    network: LoopbackNetwork = hub.node(name)

    async def settled(stream: Stream) -> None:
        hello = decode_hello(await receive_frame(stream, 200) or b"")
        own, peer = network.peer_id, stream.peer
        proof = make_proof(key(name), circle, prover=own, verifier=peer, nonce=hello.nonce)
        await send_frame(stream, encode_welcome(Welcome(bytes(16), proof)))
        await receive_frame(stream, 200)
        while frame := await receive_frame(stream, wire.MAX_FRAME_BYTES):
            if frame[0] & wire.LAST:
                await send_frame(stream, wire.encode_bye(cut=False))
                return

    network.serve(PROTOCOL, settled)
    return network
