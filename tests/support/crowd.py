"""Many honest nodes in a process of their own, each connected to one address and idle: what a node's connections cost it is then its own.

`python -m tests.support.crowd COUNT SEED ADDRESS`: says `ready` when all are connected, ends when stdin does. They listen nowhere, so they
never meet each other.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import trio

from p2pnode.core.ids import PeerId
from tests.support.net import NodeNet, wait_connected


class Crowd:
    """`count` nodes connected to `address`, as tests see them."""

    def __init__(self, count: int, address: str, *, seed: int = 0, network: str = "test") -> None:
        command = [sys.executable, "-m", "tests.support.crowd", str(count), str(seed), address, network]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
        )

    def wait(self) -> Crowd:
        """Until all are connected. To be called off the event loop."""
        assert self.process.stdout is not None
        assert self.process.stdout.readline().split() == ["ready"]
        return self

    def end(self) -> None:
        """At once, without a goodbye."""
        self.process.kill()
        self.process.communicate()


async def _main(count: int, seed: int, address: str, network: str) -> None:
    async with AsyncExitStack() as stack:
        for number in range(count):
            node = NodeNet(0, network=network, listen=())
            node.seed = hashlib.sha256(b"crowd %d %d" % (seed, number)).digest()
            opened = await stack.enter_async_context(node.open())
            await opened.connect(address)
            await wait_connected(opened, PeerId(address.rpartition("/")[2]))
        print("ready", flush=True)
        await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)


if __name__ == "__main__":
    trio.run(_main, int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4])
