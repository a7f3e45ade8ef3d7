"""Sync and gossip of a circle over real hosts on loopback: what the loopback hub promises holds on libp2p."""

from __future__ import annotations

import pytest
import trio

from p2pnode.core.records import encode_signed
from p2pnode.services.gossip import Gossip
from p2pnode.services.me import Me
from p2pnode.services.sync import Sync
from p2pnode.services.sync_peers import PROTOCOL
from tests.support.circle_nodes import pseudonym_of, seed, until_same
from tests.support.circles import Circle, Node
from tests.support.net import link, networks
from tests.support.waiting import until

NAMES = ("ann", "bob", "cat")


@pytest.mark.trio
@pytest.mark.network
async def test_three_nodes_catch_up_and_hear_each_other() -> None:
    circle = Circle("ann", key_of=pseudonym_of)
    nodes = [Node(circle) for _ in NAMES]
    async with networks(3) as nets, trio.open_nursery() as nursery:
        syncs, gossips = [], []
        for name, node, net in zip(NAMES, nodes, nets, strict=True):
            syncs.append(Sync(node.store, net, node.admission, Me(seed(name)), lambda: nodes[0].now))
            gossips.append(Gossip(node.store, net, node.admission, lambda: nodes[0].now))
            await node.join(charter=name == "ann")
            await syncs[-1].start(nursery)
            await gossips[-1].start(nursery)
        ann, bob, cat = nodes
        await ann.admit(*(circle.vouch(circle.steward, pseudonym_of(name)) for name in NAMES[1:]))
        await ann.admit(*(circle.ballot(circle.steward, b"%d" % number) for number in range(300)))
        await link(nets[0], nets[1])
        await until_same(ann, bob, deadline_s=20)
        await link(nets[1], nets[2])  # cat meets only bob
        assert len(await until_same(ann, bob, cat, deadline_s=20)) == 303
        assert PROTOCOL in next(view.protocols for view in nets[2].peers() if view.peer == nets[1].peer_id)
        await until(lambda: syncs[2].peers_of(circle.id) == {nets[1].peer_id: pseudonym_of("bob").public})

        ballot = circle.ballot(pseudonym_of("cat"), b"by gossip")
        await cat.admit(ballot)
        topic_peers = nets[2].gossip.neighbours
        await until(lambda: any(topic_peers(t) for t in nets[2].gossip.mesh.topics), deadline_s=20)
        with trio.fail_after(20):
            while ballot not in await ann.held():
                await gossips[2].publish_records(circle.id, [encode_signed(ballot)])
                await trio.sleep(0.5)
        nursery.cancel_scope.cancel()
