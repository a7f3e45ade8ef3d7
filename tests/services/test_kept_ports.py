"""The port of the first start is asked for again; a port that somebody took is not insisted on."""

from __future__ import annotations

import socket

import pytest

from p2pnode.services.kept_ports import keep_ports, kept_ports
from p2pnode.store.memory import MemoryStore

FREE = "/ip4/127.0.0.1/tcp/0"

pytestmark = pytest.mark.trio


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_the_port_is_kept() -> None:
    store, port = MemoryStore(lambda: 0.0), unused_port()
    assert await kept_ports(store, [FREE]) == [FREE]
    await keep_ports(store, [FREE], [f"/ip4/127.0.0.1/tcp/{port}/p2p/12D3Koo"])
    assert await kept_ports(store, [FREE]) == [f"/ip4/127.0.0.1/tcp/{port}"]
    assert await kept_ports(store, ["/ip4/0.0.0.0/tcp/0"]) == ["/ip4/0.0.0.0/tcp/0"], "another address, another port"
    assert await kept_ports(store, ["/ip4/127.0.0.1/tcp/4001"]) == ["/ip4/127.0.0.1/tcp/4001"]


async def test_a_port_that_is_taken_is_left() -> None:
    store = MemoryStore(lambda: 0.0)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        await keep_ports(store, [FREE], [f"/ip4/127.0.0.1/tcp/{taken.getsockname()[1]}/p2p/x"])
        assert await kept_ports(store, [FREE]) == [FREE]
