"""Mends of libp2p's pubsub that cannot be made by its constructor's arguments; the others stand in `net.gossip`."""

from __future__ import annotations

from typing import Any

PEER_QUEUE_MESSAGES = 1024
"""Outbound messages waiting for one peer: a burst of a whole circle's records, not a second one."""


def widen_queues() -> None:
    """Let a burst of messages wait instead of dropping it.

    Defect: 32 messages fit a peer's outbound queue and the rest is dropped without a trace (`pubsub/rpc_queue.py:41, 129`): of 200
    messages published at once 6 % arrived.
    """
    from libp2p.pubsub import rpc_queue

    for owner in (rpc_queue.RpcQueue, rpc_queue.PriorityQueue):
        defaults = owner.__init__.__defaults__ or ()
        owner.__init__.__defaults__ = tuple(
            PEER_QUEUE_MESSAGES if value == rpc_queue.OutBoundQueueSize else value for value in defaults
        )


def ignore_peer_records() -> None:
    """Do not let gossip fill the peer store.

    Defect: every gossip frame carries a signed peer record which is verified twice and kept for two hours
    (`pubsub/pubsub.py:445`, `pubsub/gossipsub.py:931`). Our address book learns from `net.identify` only.
    """
    from libp2p.pubsub import gossipsub, pubsub

    def ignore(message: Any, host: Any, peer: Any) -> bool:
        return True

    pubsub.maybe_consume_signed_record = ignore
    gossipsub.maybe_consume_signed_record = ignore
