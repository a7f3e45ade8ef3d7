"""Who breaks the rules of whatever protocol, again and again, is shown the door; who only loses its connection is not."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio

from p2pnode.core.ids import PeerId
from p2pnode.errors import DecodeError, NetworkError, P2pnodeError, PeerError
from p2pnode.net.bans import BAN_POINTS
from p2pnode.net.network import Libp2pNetwork
from p2pnode.net.serving import BROKEN_RULE_POINTS
from p2pnode.ports import Stream
from tests.support.net import networks, until, wait_connected

pytestmark = [pytest.mark.trio, pytest.mark.network]

PROTOCOL = "/test/rules/1"


async def meet_often(error: P2pnodeError, times: int) -> tuple[PeerId, list[PeerId]]:
    """A peer whose every stream ends in this error at the other side; (the peer, who is banned at the end)."""

    async def fail(stream: Stream) -> None:
        raise error

    async def open_once(network: Libp2pNetwork, peer: PeerId) -> None:
        with suppress(NetworkError, trio.TooSlowError), trio.fail_after(5):
            stream = await network.open_stream(peer, PROTOCOL)
            await stream.receive_some(1)

    async with networks(2) as (honest, hostile):
        honest.serve(PROTOCOL, fail)
        await hostile.connect(honest.addresses()[0])
        await wait_connected(honest, hostile.peer_id)
        for _ in range(times):
            await open_once(hostile, honest.peer_id)
        if honest.banned():
            await until(lambda: not honest.peers_table.connections(hostile.peer_id))
        return hostile.peer_id, [ban.peer for ban in honest.banned()]


@pytest.mark.parametrize("error", [DecodeError("rubbish"), PeerError("a message without end")])
async def test_broken_rules_end_in_a_ban(error: P2pnodeError) -> None:
    peer, banned = await meet_often(error, BAN_POINTS // BROKEN_RULE_POINTS + 1)
    assert banned == [peer]


async def test_lost_streams_do_not() -> None:
    _, banned = await meet_often(NetworkError("the stream broke"), BAN_POINTS // BROKEN_RULE_POINTS + 5)
    assert banned == []
