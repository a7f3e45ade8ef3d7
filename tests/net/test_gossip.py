"""Topics over several hops, and what hostile neighbours can do to them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
import trio

from p2pnode.core.ids import PeerId
from p2pnode.errors import UsageError
from p2pnode.net import network as network_module
from p2pnode.net.gossip import MAX_GOSSIP_BYTES
from p2pnode.net.gossipsub.memory import HISTORY_BEATS
from p2pnode.net.network import Libp2pNetwork
from tests.support.net import link, networks, until

pytestmark = [pytest.mark.trio, pytest.mark.network]

TOPIC = "p2pnode/circle/test"


class Inbox:
    """Joins a topic and keeps what was delivered."""

    def __init__(self, network: Libp2pNetwork) -> None:
        self.network = network
        self.messages: list[bytes] = []
        self.forwarders: set[PeerId] = set()
        self.refused: list[bytes] = []

    def validate(self, forwarder: PeerId, data: bytes) -> bool:
        self.forwarders.add(forwarder)
        if data.startswith(b"bad"):
            self.refused.append(data)
            return False
        if data.startswith(b"raise"):
            raise KeyError("a bug in the validator")
        return True

    async def join(self) -> None:
        await self.network.join_topic(TOPIC, self.validate, lambda forwarder, data: self.messages.append(data))


async def joined(nodes: Sequence[Libp2pNetwork]) -> list[Inbox]:
    """A chain of nodes that all know their neighbours' subscriptions."""
    inboxes = [Inbox(node) for node in nodes]
    for inbox in inboxes:
        await inbox.join()
    for left, right in itertools.pairwise(nodes):
        await link(left, right)
        await until(lambda left=left, right=right: right.peer_id in left.gossip.neighbours(TOPIC))
        await until(lambda left=left, right=right: left.peer_id in right.gossip.neighbours(TOPIC))
    return inboxes


async def test_five_nodes_in_a_row_hear_everything_once() -> None:
    async with networks(5) as nodes:
        inboxes = await joined(nodes)
        sent = [b"message %d" % number for number in range(50)]
        for number, message in enumerate(sent):
            await nodes[number % 5].publish(TOPIC, message)
        await until(
            lambda: all(len(inbox.messages) >= 40 for inbox in inboxes),
        )
        await trio.sleep(0.3)  # duplicates would come now
        for number, inbox in enumerate(inboxes):
            assert sorted(inbox.messages) == sorted(m for n, m in enumerate(sent) if n % 5 != number)
        assert inboxes[0].forwarders == {nodes[1].peer_id}


async def test_a_burst_of_two_hundred_arrives_whole() -> None:
    """Mend 12: stock queues and rate limits deliver 6 % of it (see test_mends)."""
    async with networks(3) as nodes:
        inboxes = await joined(nodes)
        for number in range(200):
            await nodes[0].publish(TOPIC, b"burst %d" % number)
        await until(lambda: len(inboxes[2].messages) == 200)


async def test_what_a_validator_refuses_goes_no_further() -> None:
    async with networks(3) as nodes:
        inboxes = await joined(nodes)
        await nodes[0].publish(TOPIC, b"bad")
        await nodes[0].publish(TOPIC, b"raise")
        await nodes[0].publish(TOPIC, b"good")
        await until(lambda: inboxes[2].messages == [b"good"])
        assert inboxes[1].messages == [b"good"]
        assert inboxes[1].refused == [b"bad"] and inboxes[2].refused == []


async def test_a_refusal_is_not_remembered() -> None:
    """A forwarder over its rate says nothing of the message: who offers it again is listened to."""
    async with networks(2) as nodes:
        _first, second = await joined(nodes)
        verdicts = iter([False, True])
        await nodes[1].join_topic(TOPIC, lambda f, d: next(verdicts), lambda f, d: second.messages.append(d))
        await nodes[0].publish(TOPIC, b"early")
        await nodes[0].publish(TOPIC, b"early")
        await until(lambda: second.messages == [b"early"])


async def test_nobody_there_is_no_error() -> None:
    async with networks(1) as (a,):
        await a.publish(TOPIC, b"into the void")
        inbox = Inbox(a)
        await inbox.join()
        await a.publish(TOPIC, b"still nobody")
        await a.leave_topic(TOPIC)
        await a.leave_topic(TOPIC)
        assert inbox.messages == []


async def test_sizes() -> None:
    async with networks(2) as nodes:
        inboxes = await joined(nodes)
        whole = b"x" * MAX_GOSSIP_BYTES
        await nodes[0].publish(TOPIC, whole)
        await until(lambda: inboxes[1].messages == [whole])
        for wrong in (b"", whole + b"x"):
            with pytest.raises(UsageError):
                await nodes[0].publish(TOPIC, wrong)


async def test_leaving_ends_delivery() -> None:
    async with networks(2) as nodes:
        inboxes = await joined(nodes)
        await nodes[1].leave_topic(TOPIC)
        await until(lambda: nodes[1].peer_id not in nodes[0].gossip.neighbours(TOPIC))
        await nodes[0].publish(TOPIC, b"gone")
        await inboxes[1].join()
        await until(lambda: nodes[1].peer_id in nodes[0].gossip.neighbours(TOPIC))
        await nodes[0].publish(TOPIC, b"back")
        await until(lambda: b"back" in inboxes[1].messages)


async def test_a_heartbeat_that_fails_once_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_module, "RESTART_S", 0.01)
    async with networks(2) as nodes:
        mesh = nodes[0].gossip.mesh
        beat, failed, again = mesh.heartbeat, trio.Event(), trio.Event()

        def heartbeat(now: float) -> None:
            if not failed.is_set():
                failed.set()
                raise KeyError("a bug")
            again.set()
            beat(now)

        monkeypatch.setattr(mesh, "heartbeat", heartbeat)
        with trio.fail_after(20):
            await again.wait()
        inboxes = await joined(nodes)
        await nodes[0].publish(TOPIC, b"still here")
        await until(lambda: inboxes[1].messages == [b"still here"])


async def test_long_topic_names_of_a_neighbour_are_not_kept() -> None:
    async with networks(2) as nodes:
        await nodes[0].join_topic("x" * 10_000, lambda *_: True, lambda *_: None)
        await joined(nodes)
        assert nodes[1].gossip.neighbours("x" * 10_000) == set()


async def test_what_was_said_before_somebody_came_is_offered_to_him() -> None:
    async with networks(2) as nodes:
        await nodes[0].publish(TOPIC, b"early news")
        inboxes = await joined(nodes)
        await until(lambda: inboxes[1].messages == [b"early news"])


async def test_what_nobody_heard_can_be_said_again() -> None:
    async with networks(2) as nodes:
        await nodes[0].publish(TOPIC, b"news")
        for _ in range(HISTORY_BEATS):  # else it would be offered to whoever comes
            nodes[0].gossip.mesh.cache.beat()
        inboxes = await joined(nodes)
        await nodes[0].publish(TOPIC, b"news")
        await until(lambda: inboxes[1].messages == [b"news"])
        await nodes[0].publish(TOPIC, b"news")
        await nodes[0].publish(TOPIC, b"last")
        await until(lambda: b"last" in inboxes[1].messages)
        assert inboxes[1].messages == [b"news", b"last"]


async def test_a_neighbour_that_reconnects_is_heard_again() -> None:
    async with networks(2) as nodes:
        inboxes = await joined(nodes)
        await nodes[0].disconnect(nodes[1].peer_id)
        await until(lambda: not nodes[1].gossip.neighbours(TOPIC))
        await link(nodes[1], nodes[0])
        await until(lambda: nodes[1].peer_id in nodes[0].gossip.neighbours(TOPIC))
        await nodes[0].publish(TOPIC, b"welcome back")
        await until(lambda: inboxes[1].messages == [b"welcome back"])
