"""Gossipsub's RPCs as bytes: frames, their limits, and what of them this node reads.

An RPC is a protobuf message behind an unsigned varint of its length. Called by `mesh` and by `net.gossip`.
Specification: libp2p pubsub and gossipsub v1.1. Generated code for the messages comes from libp2p.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from libp2p.pubsub.pb.rpc_pb2 import RPC, ControlMessage, Message
from libp2p.utils import encode_varint_prefixed

from p2pnode.errors import DecodeError

MAX_TOPIC_CHARACTERS = 128
"""Ours have about 70."""
MAX_SUBSCRIPTIONS = 1000
"""Read of one RPC: a greeting names every topic of a peer."""
MAX_IDS = 500
"""Message ids read of one RPC: several heartbeats of a busy circle; sync brings the rest."""
MAX_CONTROLS = 1000
"""GRAFTs and PRUNEs read of one RPC."""
ID_BYTES = 32
"""Of a message id: SHA-256. Others are not asked for."""


@dataclass(frozen=True, slots=True)
class Rpc:
    """One RPC, cut to the limits. `messages` are protobuf messages as they came; nothing in them is checked yet."""

    messages: Sequence[Any] = ()
    subscriptions: Sequence[tuple[str, bool]] = ()
    have: Sequence[bytes] = ()
    want: Sequence[bytes] = ()
    graft: Sequence[str] = ()
    prune: Sequence[tuple[str, int]] = ()
    """(topic, seconds until we may come back; 0 = it does not say)."""


def decode(data: bytes) -> Rpc:
    """DecodeError for anything that is no RPC."""
    rpc = RPC()
    try:
        rpc.ParseFromString(data)
        if not rpc.HasField("control"):
            return Rpc(rpc.publish, _subscriptions(rpc.subscriptions) if rpc.subscriptions else ())
        control = rpc.control
        return Rpc(
            rpc.publish,
            _subscriptions(rpc.subscriptions),
            _ids(id for entry in control.ihave for id in entry.messageIDs),
            _ids(id for entry in control.iwant for id in entry.messageIDs),
            [entry.topicID for entry in control.graft[:MAX_CONTROLS]],
            [(entry.topicID, entry.backoff) for entry in control.prune[:MAX_CONTROLS]],
        )
    except Exception as error:  # protobuf's, of several kinds
        raise DecodeError("not a gossip RPC") from error


def _subscriptions(entries: Sequence[Any]) -> list[tuple[str, bool]]:
    named = [(entry.topicid, entry.subscribe) for entry in entries[:MAX_SUBSCRIPTIONS]]
    return [(topic, subscribe) for topic, subscribe in named if 0 < len(topic) <= MAX_TOPIC_CHARACTERS]


def _ids(ids: Iterable[bytes]) -> list[bytes]:
    found = [bytes(id) for _, id in zip(range(MAX_IDS), ids, strict=False)]
    return [id for id in found if len(id) == ID_BYTES]


def message_frame(message: Any) -> bytes:
    """One message for the wire."""
    return _frame(RPC(publish=[message]))


def subscription_frame(topics: Iterable[str], subscribe: bool = True) -> bytes:
    """Which topics we follow from now on, or no longer."""
    return _frame(RPC(subscriptions=[RPC.SubOpts(subscribe=subscribe, topicid=topic) for topic in topics]))


def have_frame(topic: str, ids: Sequence[bytes]) -> bytes:
    """IHAVE: what of a topic we could send."""
    control = ControlMessage()
    control.ihave.add(topicID=topic, messageIDs=ids)
    return _frame(RPC(control=control))


def want_frame(ids: Sequence[bytes]) -> bytes:
    """IWANT: send us these."""
    control = ControlMessage()
    control.iwant.add(messageIDs=ids)
    return _frame(RPC(control=control))


def graft_frame(topic: str) -> bytes:
    """GRAFT: you are in our mesh of this topic."""
    control = ControlMessage()
    control.graft.add(topicID=topic)
    return _frame(RPC(control=control))


def prune_frame(topic: str, backoff_s: int) -> bytes:
    """PRUNE: you are not (any more), and come back no sooner than after `backoff_s`."""
    control = ControlMessage()
    control.prune.add(topicID=topic, backoff=backoff_s)
    return _frame(RPC(control=control))


def _frame(rpc: Any) -> bytes:
    return bytes(encode_varint_prefixed(rpc.SerializeToString()))


def new_message(sender: bytes, number: bytes, topic: str, data: bytes) -> Any:
    """A message that is not signed yet."""
    return Message(from_id=sender, seqno=number, topicIDs=[topic], data=data)
