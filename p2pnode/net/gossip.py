"""Topics: libp2p's gossipsub with its limits raised, its penalties off, and our synchronous validators.

Gossip is a hint: what does not arrive here, reconciliation brings. Called by `net.network`.
"""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from libp2p.pubsub.gossipsub import PROTOCOL_ID_V11, GossipSub
from libp2p.pubsub.mcache import CacheEntry
from libp2p.pubsub.pubsub import Pubsub

from p2pnode.core.ids import PeerId
from p2pnode.errors import UsageError
from p2pnode.net.failures import say_failed
from p2pnode.net.host import run_service

log = logging.getLogger("p2pnode.net")

MAX_GOSSIP_BYTES = 64 << 10
"""One payload: the protocol's limit for 1-64 records."""
MAX_FRAME_BYTES = 1 << 20
"""One frame of gossipsub, which may carry several payloads."""
MAX_TOPICS_PER_PEER = 1000
HEARTBEAT_S = 1
"""The specification's value; libp2p 0.8.1 takes 120, with which a mesh needs minutes to form."""
DEGREE, DEGREE_LOW, DEGREE_HIGH = 6, 4, 12
"""Mesh neighbours per topic: the specification's values."""
REJOIN_S = 1
"""Pause before a neighbour that left a topic is taken into its mesh again: people do leave and rejoin."""
FLOOD_PEERS = 32
"""Subscribers that get a message of our own directly, mesh or not."""
PENDING_MESSAGES = 16
"""Kept for a neighbour whose subscriptions are not known yet: what is said while it introduces itself."""
MAX_TOPIC_CHARACTERS = 128
"""Ours have about 70; a thousand subscriptions of a peer must not cost megabytes."""
SEEN_S = 300
"""How long a message counts as seen: a few times what the slowest path through a mesh takes."""
IDS_PER_SECOND = 200.0
"""IHAVE and IWANT frames a neighbour may send: 10, the library's value, starves who catches up."""

Validate = Callable[[PeerId, bytes], bool]
Deliver = Callable[[PeerId, bytes], None]


def message_id(message: Any) -> bytes:
    """SHA-256 of the payload: the same record sent by two members is one message."""
    return hashlib.sha256(message.data).digest()


class Gossip:
    """The topics of one host. Must run inside `run()`."""

    def __init__(self, host: Any) -> None:
        self._own = host.get_id()
        self._router = GossipSub(
            protocols=[PROTOCOL_ID_V11],
            degree=DEGREE,
            degree_low=DEGREE_LOW,
            degree_high=DEGREE_HIGH,
            heartbeat_interval=HEARTBEAT_S,
            adaptive_gossip_enabled=False,
            spam_protection_enabled=False,  # it counts per forwarder, so it punishes whoever relays
            eclipse_protection_enabled=False,  # every peer of a LAN has the same address prefix
            do_px=False,
            unsubscribe_back_off=REJOIN_S,
            max_pending_messages_per_peer=PENDING_MESSAGES,
        )
        self._router.max_iwant_requests_per_second = IDS_PER_SECOND
        self._router.max_ihave_messages_per_second = IDS_PER_SECOND
        # sequence numbers begin at the time of start, so a node that restarts repeats some: no equivocation (gossipsub.py:2908)
        self._router._check_equivocation = lambda message: True
        # grows with every message and is never emptied (gossipsub.py:1088); nothing reads it when adaptive gossip is off
        self._router.recent_message_deliveries = defaultdict(lambda: deque(maxlen=1))
        self._pubsub = Pubsub(
            host,
            self._router,
            strict_signing=True,
            msg_id_constructor=message_id,
            seen_ttl=SEEN_S,
            validation_cache_ttl=-1,  # a refusal must not be remembered: a forwarder over its rate says nothing of the message
            validation_cache_size=1,
            max_inbound_rpc_size=MAX_FRAME_BYTES,
            max_subscriptions_per_rpc=MAX_TOPICS_PER_PEER,
            max_subscriptions_per_peer=MAX_TOPICS_PER_PEER,
        )
        self._contain_messages()
        self._flood_own_messages()
        self._cache_by_message_id()
        # delivery happens in the validator, so libp2p's own queues of 32 per topic never fill
        self._pubsub.notify_subscriptions = lambda message: None

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        async with run_service(self._pubsub), run_service(self._router):
            await self._pubsub.wait_until_ready()
            try:
                yield
            finally:
                self._pubsub.seen_messages._stop_event.set()  # its thread ends by itself; stop() would wait for it

    async def join(self, topic: str, validate: Validate, deliver: Deliver) -> None:
        """Subscribe; joining again replaces the callables."""

        def check(forwarder: Any, message: Any) -> bool:
            if forwarder == self._own:
                return True
            if message.from_id == self._own.to_bytes() or list(message.topicIDs) != [topic]:
                return False
            if not 0 < len(message.data) <= MAX_GOSSIP_BYTES:
                return False
            return _ask(topic, validate, deliver, PeerId(forwarder.to_base58()), bytes(message.data))

        self._pubsub.set_topic_validator(topic, check, False)
        await self._pubsub.subscribe(topic)

    async def leave(self, topic: str) -> None:
        self._pubsub.remove_topic_validator(topic)
        await self._pubsub.unsubscribe(topic)

    async def publish(self, topic: str, data: bytes) -> None:
        """Send to whoever is there, which may be nobody. UsageError if `data` is empty or too large."""
        if not 0 < len(data) <= MAX_GOSSIP_BYTES:
            raise UsageError(f"a gossip message has 1 to {MAX_GOSSIP_BYTES} bytes, not {len(data)}")
        seen = self._pubsub.seen_messages
        with seen.lock:  # saying it again is meant: nobody may have been there the first time
            seen.cache.pop(hashlib.sha256(data).digest(), None)
        try:
            await self._pubsub.publish(topic, data)
        except Exception as error:
            log.warning("gossip could not be sent: %r", error)

    def neighbours(self, topic: str) -> set[PeerId]:
        """Peers known to be subscribed."""
        return {PeerId(peer.to_base58()) for peer in self._pubsub.peer_topics.get(topic, ())}

    def _flood_own_messages(self) -> None:
        """Send our own messages to every subscriber we are connected to, as go-libp2p does: a mesh takes seconds to form, and
        neighbours under back-off get neither messages nor IHAVE (`pubsub/gossipsub.py:1091, 1511`)."""
        choose = self._router._get_peers_to_send

        def choose_more(topics: Any, msg_forwarder: Any, origin: Any, msg_id: bytes | None = None) -> set[Any]:
            chosen = set(choose(topics, msg_forwarder, origin, msg_id))
            if msg_forwarder == self._own:
                for topic in topics:
                    chosen.update(sorted(self._pubsub.peer_topics.get(topic, ()), key=hash)[:FLOOD_PEERS])
            return chosen - {self._own}

        self._router._get_peers_to_send = choose_more

    def _cache_by_message_id(self) -> None:
        """Offer messages by the ids that the others know them by.

        Defect: the message cache always counts by sender and sequence number (`pubsub/mcache.py:73`), whatever the message id:
        with ids of our own every neighbour asks again for everything it has.
        """
        cache = self._router.mcache

        def put(message: Any) -> None:
            key = message_id(message)
            if key not in cache.msgs:
                cache.msgs[key] = message
                cache.history[0].append(CacheEntry(key, message.topicIDs))

        cache.put = put

    def _contain_messages(self) -> None:
        """Let one bad message cost itself, not the node (`pubsub/pubsub.py:1551`), and subscriptions little memory."""
        push = self._pubsub.push_msg

        async def push_or_drop(forwarder: Any, message: Any) -> None:
            try:
                await push(forwarder, message)
            except Exception as error:
                log.info("a gossip message of %s was dropped: %s", forwarder, type(error).__name__)

        self._pubsub.push_msg = push_or_drop
        subscribe = self._pubsub.handle_subscription

        def subscribe_or_ignore(origin: Any, message: Any) -> None:
            if len(message.topicid) <= MAX_TOPIC_CHARACTERS:
                subscribe(origin, message)

        self._pubsub.handle_subscription = subscribe_or_ignore


def _ask(topic: str, validate: Validate, deliver: Deliver, forwarder: PeerId, data: bytes) -> bool:
    try:
        if not validate(forwarder, data):
            return False
        deliver(forwarder, data)
    except Exception as error:
        say_failed(log, f"the validator of {topic}", error)
        return False
    return True
