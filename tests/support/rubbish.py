"""What hostile peers send: valid messages of every protocol, those mutated, and bytes that never were a message.

All of it comes from one random generator, so that a seed repeats it.
"""

from __future__ import annotations

import hashlib
import random
import struct

from libp2p.kad_dht.pb.kademlia_pb2 import Message as KadPb
from libp2p.pubsub.pb import rpc_pb2
from libp2p.utils import encode_varint_prefixed

from p2pnode.core import encoding
from p2pnode.core.bitswap_messages import PROTOCOLS as BITSWAP
from p2pnode.core.bitswap_messages import Entry, Presence, Want, encode_answer, encode_wants
from p2pnode.core.cid import DAG_PB, RAW, Cid
from p2pnode.core.fetch_messages import PROTOCOL as FETCH
from p2pnode.core.fetch_messages import encode_request as encode_fetch
from p2pnode.core.ids import CircleId, PeerId
from p2pnode.core.invite import JOIN_PROTOCOL as JOIN
from p2pnode.core.invite import encode_request as encode_join
from p2pnode.core.keys import KeyPair
from p2pnode.core.search_messages import PROTOCOL as SEARCH
from p2pnode.core.search_messages import Question, encode_question
from p2pnode.core.sync_hello import Hello, circle_tag, encode_hello
from p2pnode.services.sync_peers import PROTOCOL as SYNC
from tests.support.rubbish_doors import Doors

IDENTIFY, PING, MESHSUB = "/ipfs/id/1.0.0", "/ipfs/ping/1.0.0", "/meshsub/1.1.0"
KIB = 1 << 10


def kad(network: str) -> str:
    return f"/{network}/kad/1.0.0"


def protocols(network: str) -> tuple[str, ...]:
    """Every protocol that a node ever serves."""
    doors = Doors(random.Random(0), PeerId(""), PeerId("")).messages
    return IDENTIFY, PING, MESHSUB, kad(network), FETCH, SEARCH, SYNC, JOIN, *BITSWAP, *doors


def framed(payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + payload


class Rubbish:
    """Hostile bytes for a protocol. `circle` makes what concerns a circle look as if it came from within."""

    def __init__(self, rng: random.Random, me: str, victim: str, circle: CircleId | None = None) -> None:
        self.rng, self.me, self.victim = rng, PeerId(me), PeerId(victim)
        self.circle = circle or CircleId(rng.randbytes(32))
        self._doors = Doors(rng, self.me, self.victim).messages

    def valid(self, protocol: str) -> bytes:
        """A message that an honest peer could send, its frame included."""
        rng = self.rng
        if protocol == FETCH:
            cids = [Cid.of(rng.choice((RAW, DAG_PB)), rng.randbytes(8)) for _ in range(rng.choice((1, 2, 256)))]
            return framed(encode_fetch(cids[0], cids))
        if protocol == SEARCH:
            text = rng.choice(("howto", "x" * 256, '"NEAR(a b, 3) OR *', "a\0b", "é\u202e", ""))
            return framed(encode_question(Question(text=text, limit=rng.choice((1, 50, 2**53 - 1)))))
        if protocol == SYNC:
            nonce = rng.randbytes(16)
            return framed(encode_hello(Hello(nonce, circle_tag(self.circle, nonce, self.me, self.victim))))
        if protocol == JOIN:
            key = KeyPair(rng.randbytes(32))
            return framed(encode_join(key, self.circle, rng.randbytes(16), inviter=self.victim, joiner=self.me))
        if protocol == MESHSUB:
            return bytes(encode_varint_prefixed(self._rpc().SerializeToString()))
        if protocol in BITSWAP:
            return bytes(encode_varint_prefixed(self._bitswap()))
        if protocol.endswith("/kad/1.0.0"):
            return bytes(encode_varint_prefixed(self._kad().SerializeToString()))
        if protocol in self._doors:
            return self._doors[protocol]()
        return rng.randbytes(32)

    def _bitswap(self) -> bytes:
        """Wants by the thousand, blocks that nobody asked for, and word of blocks that nobody has."""
        rng = self.rng
        cids = [Cid.of(rng.choice((RAW, DAG_PB)), rng.randbytes(8)) for _ in range(rng.choice((1, 20, 2000)))]
        match rng.randrange(3):
            case 0:
                flags = {"want": rng.choice((Want.BLOCK, Want.HAVE)), "send_dont_have": rng.random() < 0.5}
                return encode_wants(
                    [Entry(cid, rng.randrange(2**31), **flags) for cid in cids], full=rng.random() < 0.2
                )
            case 1:
                return encode_answer([(cid, rng.randbytes(30)) for cid in cids[:20]], protocol=rng.choice(BITSWAP))
            case _:
                return encode_answer([], [Presence(cid, rng.random() < 0.5) for cid in cids])

    def some(self, protocol: str) -> bytes:
        """Anything from nearly right to nothing at all."""
        rng, valid = self.rng, self.valid(protocol)
        shapes = (
            lambda: valid,
            lambda: self._mutated(valid),
            lambda: valid[: rng.randrange(len(valid) + 1)],
            lambda: valid + rng.randbytes(rng.randrange(1, 64)),
            lambda: valid * 8,
            lambda: rng.randbytes(rng.randrange(1, 4 * KIB)),
            lambda: b"\xff" * rng.randrange(1, 40),
            lambda: struct.pack(">I", rng.choice((2**32 - 1, 2**31, 1 << 20, 65536))) + rng.randbytes(100),
            lambda: framed(b""),
            lambda: framed(rng.randbytes(rng.randrange(1, 2 * KIB))),
            lambda: framed(encoding.encode(self._shape(4))),
            lambda: bytes(encode_varint_prefixed(rng.randbytes(rng.randrange(1, 2 * KIB)))),
            lambda: b"\x80\x80\x80\x80\x08" + rng.randbytes(50),
            lambda: framed(b"\x91" * 900),  # arrays in arrays
            lambda: framed(b"\xdd\xff\xff\xff\xff"),  # an array of four thousand million items
            lambda: framed(b"\xc6\xff\xff\xff\xff"),  # four gigabytes of bytes
        )
        return rng.choice(shapes)()

    def gossip(self) -> bytes:
        """A payload for a circle's topic."""
        rng = self.rng
        record = rng.randbytes(rng.randrange(1, 400))
        shapes = (
            lambda: rng.randbytes(rng.randrange(1, 1000)),
            lambda: b"\x01" + len(record).to_bytes(2, "big") + record,
            lambda: b"\x01" + b"\x00\x01x" * 64,
            lambda: b"\x01\xff\xff" + record,
            lambda: rng.randbytes(64 * KIB),
        )
        return rng.choice(shapes)()

    def _mutated(self, data: bytes) -> bytes:
        out, rng = bytearray(data), self.rng
        for _ in range(rng.randrange(1, 6)):
            at = rng.randrange(len(out) + 1)
            match rng.randrange(4):
                case 0 if at < len(out):
                    out[at] ^= 1 << rng.randrange(8)
                case 1:
                    out[at:at] = rng.randbytes(rng.randrange(1, 9))
                case 2:
                    del out[at : at + rng.randrange(1, 9)]
                case _:
                    out[at : at + 4] = rng.choice((b"\xff" * 4, bytes(4), b"\xc0\xc1\xc7\xd4"))
        return bytes(out)

    def _shape(self, depth: int) -> encoding.Value:
        """A value of any shape, with field names that mean something."""
        rng = self.rng
        match rng.randrange(6 if depth else 4):
            case 0:
                return rng.choice((0, 1, 2**53 - 1, rng.randrange(300)))
            case 1:
                return rng.randbytes(rng.choice((0, 16, 32, 33, 64)))
            case 2:
                return rng.choice(("", "x", "\0", "howto", "\u202e" * 10, "z" * 300))
            case 3:
                return ()
            case 4:
                return tuple(self._shape(depth - 1) for _ in range(rng.randrange(4)))
        names = ("text", "limit", "work", "works", "cids", "root", "v", "circle", "secret", "key", "sig", "records")
        return {name: self._shape(depth - 1) for name in rng.sample(names, rng.randrange(5))}

    def _kad(self) -> KadPb:
        rng = self.rng
        message = KadPb(type=rng.randrange(6), key=b"\x12\x20" + rng.randbytes(32))
        if rng.random() < 0.2:
            message.key = rng.randbytes(rng.choice((0, 1, 80, 81, 5000)))
        for _ in range(rng.choice((0, 1, 20, 300))):
            peer = rng.choice((message.providerPeers, message.closerPeers)).add()
            peer.id = rng.choice((b"\x12\x20" + rng.randbytes(32), b"", rng.randbytes(100)))
            peer.addrs.append(rng.choice((b"\x04\x7f\x00\x00\x01\x06\x00\x01", rng.randbytes(30), b"")))
        return message

    def _rpc(self) -> rpc_pb2.RPC:
        rng, rpc = self.rng, rpc_pb2.RPC()
        topic = f"topic {rng.randrange(5)}"
        rpc.subscriptions.add(subscribe=rng.random() < 0.7, topicid=topic)
        rpc.publish.add(
            data=self.gossip()[:2000],
            topicIDs=[topic],
            from_id=rng.choice((b"", b"\x12\x20" + hashlib.sha256(b"x").digest(), rng.randbytes(20))),
            seqno=rng.randbytes(rng.choice((0, 8, 100))),
            signature=rng.randbytes(64),
            key=rng.choice((b"", rng.randbytes(36))),
        )
        rpc.control.ihave.add(topicID=topic, messageIDs=[rng.randbytes(32) for _ in range(rng.randrange(200))])
        rpc.control.iwant.add(messageIDs=[b"zz", rng.randbytes(32)])
        rpc.control.graft.add(topicID=topic)
        rpc.control.prune.add(topicID=topic, backoff=rng.choice((0, 1, 2**63)))
        return rpc
