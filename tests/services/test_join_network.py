"""Joining over real libp2p hosts on loopback: the link's addresses are enough, and a peer that cannot be is survived."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import trio

from p2pnode.core.ids import PeerId
from p2pnode.core.invite import encode_invite, parse_invite
from p2pnode.net.network import Libp2pNetwork
from tests.support.net import networks
from tests.support.people import Person

pytestmark = [pytest.mark.trio, pytest.mark.network]


def person(name: str, network: Libp2pNetwork) -> Person:
    hub: Any = SimpleNamespace(node=lambda _: network)
    return Person(hub, name)


async def test_strangers_meet_by_a_link_alone() -> None:
    async with networks(2) as opened, trio.open_nursery() as nursery:
        anna, ben = person("anna", opened[0]), person("ben", opened[1])
        for one in (anna, ben):
            await one.circles.start(nursery)
        circle = await anna.create("Readers")
        link = (await anna.circles.invites.make(circle))["invite"]
        with trio.fail_after(30):
            answer = await ben.circles.join(link)
        assert answer["state"] == "joined", answer
        assert (await ben.views.of(circle)).is_member(await ben.key(circle))
        assert [view.peer for view in opened[1].peers()] == [opened[0].peer_id]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("peer", ["nobody", "12D3KooWGzh6EbKXbGRwDF1QSbrgpPbMPWcYrqiaPN3PfWpUJ5nk"])
async def test_a_peer_that_cannot_be_reached_is_waited_for(peer: str) -> None:
    async with networks(2) as opened, trio.open_nursery() as nursery:
        anna, ben = person("anna", opened[0]), person("ben", opened[1])
        await anna.circles.start(nursery)
        invite = parse_invite((await anna.circles.invites.make(await anna.create()))["invite"])
        addresses = (f"/ip4/127.0.0.1/tcp/1/p2p/{peer}", f"/rubbish/p2p/{peer}")
        with trio.fail_after(40):
            answer = await ben.circles.join(encode_invite(replace(invite, peer=PeerId(peer), addresses=addresses)))
        assert answer["state"] == "waiting" and "cannot be reached" in answer["reason"]
        nursery.cancel_scope.cancel()
