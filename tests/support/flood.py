"""Hostile nodes that want a node's memory: many names, each holding as much as it is let, in every way that needs no rule broken.

`python -m tests.support.flood COUNT SEED NETWORK ADDRESS [ROOT]`: says `ready` when all have come, goes on until stdin ends, and tells what
it began as one JSON object. With ROOT, a public content of the node, its blocks are asked for and never read.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import trio
from libp2p.utils import encode_varint_prefixed
from multiaddr import Multiaddr

from p2pnode.core.cid import Cid
from p2pnode.core.fetch_messages import MAX_CIDS
from p2pnode.core.fetch_messages import encode_request as encode_fetch
from p2pnode.core.ids import PeerId
from p2pnode.net.network import Libp2pNetwork
from tests.support.net import NodeNet
from tests.support.rubbish import FETCH, IDENTIFY, JOIN, MESHSUB, PING, SEARCH, SYNC, framed, kad

PAUSE_S = 0.05
HELD_STREAMS = 400
"""Of one name; the oldest are let go."""
ATTACK_S = 3.0
SILENT_SOCKETS = 20
LIFE_S = 20.0
"""Who was banned comes back under another name."""

Attack = Callable[[Libp2pNetwork, PeerId, list[Any]], Awaitable[None]]


class Flood:
    """The process, as tests see it."""

    def __init__(self, count: int, address: str, *, seed: int = 0, network: str = "p2pnode", root: str = "") -> None:
        command = [sys.executable, "-m", "tests.support.flood", str(count), str(seed), network, address, root]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
        )

    def wait(self) -> Flood:
        """Until all have come. To be called off the event loop."""
        assert self.process.stdout is not None
        assert self.process.stdout.readline().split() == ["ready"]
        return self

    def finish(self) -> Counter[str]:
        """End it; how often it did what."""
        out, _ = self.process.communicate(timeout=60)
        return Counter(json.loads(out.splitlines()[-1]))

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


class Name:
    """One hostile identity."""

    def __init__(self, network: str, address: str, root: str, did: Counter[str]) -> None:
        self._kad, self._address, self.did = kad(network), address, did
        self._root = Cid.parse(root) if root else None
        self._victim = PeerId(address.rpartition("/")[2])

    async def run(self, network: Libp2pNetwork) -> None:
        held: list[Any] = []
        attacks: list[Attack] = [self._begin_messages, self._open_streams, self._fill_windows, self._ask_and_not_read]
        while True:
            for attack in attacks:
                try:
                    await network.connect(self._address)
                    self.did[attack.__name__] += 1
                    with trio.move_on_after(ATTACK_S):
                        await attack(network, self._victim, held)
                except Exception as error:
                    self.did[type(error).__name__] += 1
                del held[:-HELD_STREAMS]
                await trio.sleep(PAUSE_S)

    async def _begin_messages(self, network: Libp2pNetwork, victim: PeerId, held: list[Any]) -> None:
        """Messages of the largest size that is taken, all but their last byte, on as many streams as there may be."""
        beginnings = [
            (MESHSUB, encode_varint_prefixed(bytes(1 << 20))),
            (self._kad, encode_varint_prefixed(bytes(64 << 10))),
            (FETCH, framed(bytes(41_000))),
            (SYNC, framed(bytes(100))),
            (JOIN, framed(bytes(1000))),
            (SEARCH, framed(bytes(2000))),
        ]
        for protocol, message in beginnings:
            for _ in range(8):
                with trio.move_on_after(0.3):
                    stream = await network.open_stream(victim, protocol)
                    held.append(stream)
                    await stream.send_all(message[:-1])

    async def _open_streams(self, network: Libp2pNetwork, victim: PeerId, held: list[Any]) -> None:
        """Streams on which the protocol is agreed on, and nothing said; and PINGs that are never read."""
        for number in range(100):
            with trio.move_on_after(0.2):
                stream = await network.open_stream(victim, (PING, IDENTIFY, self._kad)[number % 3])
                held.append(stream)
                if number % 3 == 0:
                    await stream.send_all(bytes(32))

    async def _fill_windows(self, network: Libp2pNetwork, victim: PeerId, held: list[Any]) -> None:
        """Requests beyond number behind one whose answer is not read."""
        for _ in range(8):
            with trio.move_on_after(0.3):
                stream = await network.open_stream(victim, FETCH)
                held.append(stream)
                await stream.send_all(framed(encode_fetch(self._some(), [self._some()] * MAX_CIDS)) * 100)

    async def _ask_and_not_read(self, network: Libp2pNetwork, victim: PeerId, held: list[Any]) -> None:
        if self._root is not None:
            for _ in range(8):
                with trio.move_on_after(0.3):
                    stream = await network.open_stream(victim, FETCH)
                    held.append(stream)
                    await stream.send_all(framed(encode_fetch(self._root, [self._root] * MAX_CIDS)) * 50)

    def _some(self) -> Cid:
        return self._root or Cid.parse("bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy")


async def _keep_silent(port: int) -> None:
    """Connections without a word, for as long as they are let."""
    while True:
        try:
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                await stream.send_all(b"\x13/multistream/1.0.0\n")
                while await stream.receive_some(1000):
                    pass
        except (OSError, trio.BrokenResourceError):
            pass
        await trio.sleep(0.2)


async def _main(count: int, seed: int, network: str, address: str, root: str) -> None:
    did: Counter[str] = Counter()
    port = int(Multiaddr(address.partition("/p2p/")[0]).value_for_protocol("tcp"))
    async with trio.open_nursery() as nursery:

        async def live(number: int, *, task_status: trio.TaskStatus[None]) -> None:
            node = NodeNet(0, network=network, listen=())
            task_status.started()
            while True:
                did["names"] += 1
                node.seed = hashlib.sha256(b"flood %d %d %d" % (seed, number, did["names"])).digest()
                async with node.open() as opened:
                    with trio.move_on_after(LIFE_S):
                        await Name(network, address, root, did).run(opened)

        for number in range(count):
            await nursery.start(live, number)
        for _ in range(SILENT_SOCKETS):
            nursery.start_soon(_keep_silent, port)
        print("ready", flush=True)
        await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
        print(json.dumps(did), flush=True)
        os._exit(0)


if __name__ == "__main__":
    os.nice(5)  # the honest have the same processors
    trio.run(_main, int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:6])
