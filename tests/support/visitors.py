"""Nodes that come, say hello and go, one after the other, from a process of their own: each with a name that was never seen.

`python -m tests.support.visitors COUNT SEED ADDRESS`: says `done` when all have been there.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import trio

from p2pnode.core.ids import PeerId
from tests.support.net import NodeNet, round_trip, wait_connected

AT_ONCE = 10


def visit(count: int, address: str, *, seed: int) -> None:
    """Returns when `count` visitors have been at `address`. To be called off the event loop."""
    command = [sys.executable, "-m", "tests.support.visitors", str(count), str(seed), address]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2], check=True)
    assert done.stdout.split() == ["done"]


async def _main(count: int, seed: int, address: str) -> None:
    numbers = iter(range(count))
    host = PeerId(address.rpartition("/")[2])

    async def come_and_go() -> None:
        for number in numbers:
            node = NodeNet(0, listen=())
            node.seed = hashlib.sha256(b"visitor %d %d" % (seed, number)).digest()
            async with node.open() as visitor:
                await visitor.connect(address)
                await wait_connected(visitor, host)
                assert await round_trip(visitor, host) == b"hello"

    async with trio.open_nursery() as nursery:
        for _ in range(AT_ONCE):
            nursery.start_soon(come_and_go)
    print("done", flush=True)


if __name__ == "__main__":
    trio.run(_main, int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
