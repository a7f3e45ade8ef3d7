"""A node with many peers in other processes: how it ends, and how it finds out that they are gone without a word."""

from __future__ import annotations

import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from p2pnode.net.host import close_host
from tests.support.crowd import Crowd
from tests.support.net import NodeNet, networks, until

pytestmark = [pytest.mark.trio, pytest.mark.network]

FEW, PEERS = 2, 100
SHARE = 0.4
"""Of what a hundred peers would take one after the other, if each takes what one of a few does. The seconds stand in scripts/bench."""
LEAST_S = 0.2
"""Taken for the end with a few peers when it was quicker: a connection alone takes a tenth of a second."""
FOUND_S = 30.0
"""A peer that went silent without closing its connection is given up within this time."""


@asynccontextmanager
async def crowd(count: int, address: str, *, seed: int = 0) -> AsyncIterator[Crowd]:
    found = Crowd(count, address, seed=seed)
    try:
        await trio.to_thread.run_sync(found.wait)
        yield found
    finally:
        found.process.send_signal(signal.SIGCONT)
        await trio.to_thread.run_sync(found.end)


async def seconds_to_end(peers: int) -> float:
    async with NodeNet(1).open() as node, crowd(peers, node.addresses()[0]):
        await until(lambda: len(node.peers()) == peers, deadline_s=60)
        began = time.monotonic()
        await close_host(node._host)
        ended = time.monotonic() - began
        assert not node._swarm.get_connections() and not len(node._swarm._places)
        return ended


async def test_a_node_with_a_hundred_peers_ends_them_all_at_once() -> None:
    few = max(LEAST_S, await seconds_to_end(FEW))
    assert await seconds_to_end(PEERS) < SHARE * PEERS / FEW * few


@pytest.mark.long
async def test_peers_that_went_silent_are_found() -> None:
    """Their process is stopped: no FIN, no RST, and the kernel takes what we send. Only an answer tells life."""
    async with (
        networks(1) as (node,),
        crowd(3, node.addresses()[0], seed=1) as stopped,
        crowd(3, node.addresses()[0], seed=2),
    ):
        await until(lambda: len(node.peers()) == 3 + 3)
        stopped.process.send_signal(signal.SIGSTOP)
        began = trio.current_time()
        await until(lambda: len(node.peers()) == 3, deadline_s=2 * FOUND_S)
        assert trio.current_time() - began < FOUND_S
        assert len(node._swarm._places) == 3
