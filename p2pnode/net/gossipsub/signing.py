"""Signatures of gossip messages, as StrictSign wants them: by the sender's peer key, over the message without signature and key.

Called by `net.gossip`. Ed25519 is verified by libsodium as every signature in this program; other kinds of keys (foreign nodes
have them) by libp2p.
"""

from __future__ import annotations

from typing import Any

from libp2p.crypto.serialization import deserialize_public_key
from libp2p.peer.id import ID
from libp2p.pubsub.pb.rpc_pb2 import Message

from p2pnode.core.keys import verify
from p2pnode.net.addresses import is_peer_bytes

PREFIX = b"libp2p-pubsub:"
_INLINE_KEY_AT = 6
"""Where the Ed25519 key begins in a peer ID that carries its key."""


def sign(message: Any, key: Any) -> None:
    """Put signature and key into `message`; `key` is libp2p's private key of the sender."""
    message.signature = key.sign(PREFIX + message.SerializeToString())
    message.key = key.get_public_key().serialize()


def is_signed(message: Any) -> bool:
    """Whether the peer that `message` names as its sender signed it. False for anything malformed; raises nothing."""
    sender = message.from_id
    if not message.signature or not is_peer_bytes(sender):
        return False
    unsigned = Message(
        from_id=sender, data=message.data, seqno=message.seqno, topicIDs=message.topicIDs
    ).SerializeToString()
    if len(sender) != 34:
        return verify(sender[_INLINE_KEY_AT:], PREFIX + unsigned, message.signature)
    try:
        key = deserialize_public_key(message.key)
        return bool(ID.from_pubkey(key).to_bytes() == sender and key.verify(PREFIX + unsigned, message.signature))
    except Exception:  # whatever libraries make of a key from outside
        return False
