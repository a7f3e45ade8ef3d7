"""What lies in the kernel and is not on its way yet cannot be overtaken: it is kept small on every connection, dialled or taken."""

from __future__ import annotations

import socket

import pytest

from p2pnode.net.socket import UNSENT_BYTES
from tests.support.net import link, networks

OPTION = getattr(socket, "TCP_NOTSENT_LOWAT", None)


@pytest.mark.trio
@pytest.mark.network
@pytest.mark.skipif(OPTION is None, reason="this system has no TCP_NOTSENT_LOWAT")
async def test_no_connection_keeps_much_unsent() -> None:
    async with networks(2) as (one, other):
        await link(one, other)
        for node, peer in ((one, other), (other, one)):
            (connection, *_) = node.peers_table.connections(peer.peer_id)
            raw = connection.muxed_conn.secured_conn.conn.stream._socket
            assert raw.getsockopt(socket.IPPROTO_TCP, OPTION) == UNSENT_BYTES
