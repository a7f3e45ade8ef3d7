"""Hostile nodes as processes of their own: a liar who provides a content and sends other bytes, and a vandal who sends rubbish everywhere.

Both speak real libp2p with real keys. Started by `HostileProcess`; told what to attack by JSON lines on stdin; they say what they did,
as one JSON object, when stdin ends.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import trio
from multiaddr import Multiaddr

from p2pnode.core import encoding
from p2pnode.core.cid import RAW, Cid
from p2pnode.core.fetch_messages import MAX_REQUEST_BYTES, Status, decode_request, encode_head
from p2pnode.core.gossip_frame import circle_topic
from p2pnode.core.ids import CircleId, PeerId, parse_id
from p2pnode.core.keys import KeyPair
from p2pnode.core.manifest import describe, first
from p2pnode.core.records import encode_signed, seq_of
from p2pnode.core.search_messages import QUESTION_BYTES, Question, decode_answer, encode_question
from p2pnode.errors import P2pnodeError
from p2pnode.limits import SEARCH_ANSWER_BYTES
from p2pnode.net.addresses import to_id
from p2pnode.net.network import Libp2pNetwork
from p2pnode.net.opening import open_network
from p2pnode.ports import Stream
from p2pnode.services.framing import receive_frame, send_frame
from p2pnode.store.addresses import PeerAddresses
from p2pnode.store.memory import InlineEngine
from p2pnode.store.providers import ProviderTable
from tests.support.dags import Tree, build
from tests.support.dags import folder as folder_node
from tests.support.rubbish import FETCH, IDENTIFY, JOIN, SEARCH, SYNC, Rubbish, framed, protocols

NETWORK = "p2pnode"
LOOPBACK = "/ip4/127.0.0.1/tcp/0"
HOSTILE_TITLE = "Howto \x1b[2J\x1b]0;owned\x07 [bold red]free[/] \u202egnp.exe\u2066 <script>" + "\u0301" * 40
IDENTITY_S = 3.0
"""A vandal who is banned comes back under another name."""
PAUSE_S = 0.01
"""Between two attacks: the honest share the processors with whoever attacks."""

Steps = Callable[[dict[str, Any]], Awaitable[None]]


class HostileProcess:
    """A hostile node, as tests see it."""

    def __init__(self, role: str, addresses: list[str], *, seed: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.hostile", role, str(seed), *addresses],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline().split()[:1] == ["ready"]

    def tell(self, **what: Any) -> None:
        """Lies: `root`, `path`, `word`; gossip: `circle`."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()

    def finish(self) -> Counter[str]:
        """End it; how often it did what."""
        out, _ = self.process.communicate(timeout=30)
        return Counter(json.loads(out.splitlines()[-1]))

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def hostile_network(host_key: bytes, network: str = NETWORK) -> AbstractAsyncContextManager[Libp2pNetwork]:
    """A network with a real identity and nothing on the disk."""
    return open_network(
        host_key=host_key,
        listen=[LOOPBACK],
        network_name=network,
        bootstrap=[],
        lan=False,
        address_book=PeerAddresses(InlineEngine(), time.time),
        providers=ProviderTable(InlineEngine()),
        clock=time.time,
    )


# ---------------------------------------------------------------- the liar


class Liar:
    """Answers searches with the true manifest and fetches with false blocks: leaves for one peer, the skeleton for the next."""

    def __init__(self, network: Libp2pNetwork, rng: random.Random, did: Counter[str]) -> None:
        self._network, self._rng, self.did = network, rng, did
        self._true: dict[Cid, bytes] = {}
        self._manifests: list[bytes] = []
        self._modes: dict[PeerId, str] = {}
        network.serve(FETCH, self._serve_fetch)
        network.serve(SEARCH, self._serve_search)

    async def told(self, what: dict[str, Any]) -> None:
        path = Path(what["path"])
        dag = build(_tree(path))
        assert str(dag.root) == what["root"]
        self._true |= dag.interior | dag.leaves
        for view in self._network.peers():
            with suppress(P2pnodeError, trio.TooSlowError):
                self._manifests += await self._manifests_of(view.peer, what["word"])
        self._manifests = list(dict.fromkeys(self._manifests))
        self.did["manifests"] = len(self._manifests)
        self.did["provided"] += await self._network.provide(dag.root.digest)
        print("told", flush=True)

    async def _manifests_of(self, peer: PeerId, word: str) -> list[bytes]:
        stream = await self._network.open_stream(peer, SEARCH)
        with trio.fail_after(5):
            await send_frame(stream, encode_question(Question(text=word)))
            answer = await receive_frame(stream, SEARCH_ANSWER_BYTES)
        await stream.aclose()
        return [encode_signed(record) for record in decode_answer(answer or b"")]

    async def _serve_search(self, stream: Stream) -> None:
        await receive_frame(stream, QUESTION_BYTES)
        await send_frame(stream, encoding.encode({"works": tuple(self._manifests)}))

    async def _serve_fetch(self, stream: Stream) -> None:
        mode = self._modes.setdefault(stream.peer, ("leaves", "skeleton")[len(self._modes) % 2])
        while (frame := await receive_frame(stream, MAX_REQUEST_BYTES)) is not None:
            for cid in decode_request(frame).cids:
                block = self._true.get(cid)
                if block is None:
                    await stream.send_all(encode_head(Status.MISSING, 0))
                    continue
                if (cid.codec == RAW) == (mode == "leaves"):
                    self.did[f"lied about {mode}"] += 1
                    block = self._lie(cid, block)
                await stream.send_all(encode_head(Status.HAVE, len(block)) + block)

    def _lie(self, cid: Cid, block: bytes) -> bytes:
        if cid.codec == RAW:
            return self._rng.randbytes(len(block))
        return folder_node([(b"../../evil", cid), (b"evil", cid)])[1]  # well-formed, and of another CID


def _tree(path: Path) -> Tree:
    return {
        child.name: None if child.is_symlink() else _tree(child) if child.is_dir() else child.read_bytes()
        for child in path.iterdir()
    }


# ---------------------------------------------------------------- the vandal


class Vandal:
    """Rubbish on every protocol, streams and connections without number, false answers, under ever new names."""

    def __init__(self, addresses: list[str], rng: random.Random, did: Counter[str], network: str = NETWORK) -> None:
        self._addresses, self._rng, self.did, self._name = addresses, rng, did, network
        self._circle: CircleId | None = None
        self._answers = 0

    async def told(self, what: dict[str, Any]) -> None:
        self._circle = CircleId(parse_id("c", what["circle"]))

    async def run(self) -> None:
        while True:
            async with hostile_network(self._rng.randbytes(32), self._name) as network:
                self.did["identities"] += 1
                network.serve(SEARCH, self._answer_falsely)
                silly = (IDENTIFY,) if self.did["identities"] % 3 == 2 else ()  # who lies about itself is asked nothing
                for protocol in (FETCH, SYNC, JOIN, *silly):
                    network.serve(protocol, partial(self._answer_rubbish, network, protocol))
                with trio.move_on_after(IDENTITY_S):
                    async with trio.open_nursery() as nursery:
                        for address in self._addresses:
                            nursery.start_soon(self._attack, network, address)

    async def _attack(self, network: Libp2pNetwork, address: str) -> None:
        victim = PeerId(address.rpartition("/")[2])
        rubbish = Rubbish(self._rng, network.peer_id, victim, self._circle)
        held: list[Any] = []
        attacks: list[tuple[int, Callable[[], Awaitable[None]]]] = [
            (50, lambda: self.send_rubbish(network, victim, rubbish, held)),
            (4, lambda: self.flood_streams(network, victim, held)),
            (2, lambda: self.flood_connections(address)),
            (6, lambda: self._gossip(network, rubbish)),
        ]
        while True:
            try:
                with trio.move_on_after(5):
                    await network.connect(address)
                    attack = self._rng.choices([a for _, a in attacks], [w for w, _ in attacks])[0]
                    await attack()
            except Exception as error:
                self.did[type(error).__name__] += 1
                await trio.sleep(0.2)
            await trio.sleep(PAUSE_S)

    async def send_rubbish(self, network: Libp2pNetwork, victim: PeerId, rubbish: Rubbish, held: list[Any]) -> None:
        """One stream of rubbish, which ends in one of the ways that a stream can end."""
        protocol = self._rng.choice(protocols(self._name))
        stream = await network.open_stream(victim, protocol, timeout_s=3)
        self.did[protocol] += 1
        with trio.move_on_after(0.5):
            await stream.send_all(rubbish.some(protocol))
            match self._rng.randrange(4):
                case 0:
                    await stream.reset()
                case 1:
                    await stream.send_eof()
                    await stream.receive_some(1000)
                case 2:
                    held.append(stream)  # neither ended nor read
                case _:
                    await stream.aclose()

    async def flood_streams(self, network: Libp2pNetwork, victim: PeerId, held: list[Any]) -> None:
        """Hundreds of streams on which nothing is said, and some on which a frame is begun and never ended."""
        self.did["stream floods"] += 1
        for _ in range(100):
            with trio.fail_after(1):
                held.append(await network._swarm.new_stream(to_id(victim)))
        for protocol in (FETCH, SEARCH, SYNC, JOIN):
            stream = await network.open_stream(victim, protocol, timeout_s=2)
            await stream.send_all(framed(bytes(1000))[:500])
            held.append(stream)
        del held[:-300]

    async def flood_connections(self, address: str) -> None:
        """Connections that never say who they are, or say it wrongly."""
        port = int(Multiaddr(address.partition("/p2p/")[0]).value_for_protocol("tcp"))
        opened = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(30)]
        for stream in opened:
            with suppress(trio.BrokenResourceError):
                await stream.send_all(self._rng.randbytes(self._rng.randrange(1, 200)))
        await trio.sleep(0.2)
        for stream in opened:
            await stream.aclose()
        self.did["connection floods"] += 1

    async def _gossip(self, network: Libp2pNetwork, rubbish: Rubbish) -> None:
        if self._circle is not None:
            topic = circle_topic(self._circle)
            await network.join_topic(topic, lambda forwarder, data: True, lambda forwarder, data: None)
            for _ in range(20):
                await network.publish(topic, rubbish.gossip())
            self.did["gossip"] += 20

    async def _answer_falsely(self, stream: Stream) -> None:
        await receive_frame(stream, QUESTION_BYTES)
        self._answers += 1
        answers = (forged_answer, hostile_answer, too_many_answer, endless_answer, garbage_answer)
        answer = answers[self._answers % len(answers)]
        self.did[answer.__name__] += 1
        await stream.send_all(answer(self._rng))

    async def _answer_rubbish(self, network: Libp2pNetwork, protocol: str, stream: Stream) -> None:
        self.did[f"answered {protocol}"] += 1
        with trio.move_on_after(1):
            await stream.receive_some(1000)
            await stream.send_all(Rubbish(self._rng, network.peer_id, stream.peer, self._circle).some(protocol))


def manifest(rng: random.Random, title: str = HOSTILE_TITLE, *, bytes: int = 2**53 - 1, files: int = 10**9) -> bytes:
    """A well-signed manifest that lies in every number and text."""
    now = int(time.time())
    work = describe(title=title, root=Cid.of(RAW, rng.randbytes(8)), bytes=bytes, files=files, summary=HOSTILE_TITLE)
    record = first(KeyPair(rng.randbytes(32)), work, nonce=rng.randbytes(16), seq=seq_of(now, 0), created=now)
    return encode_signed(record)


def _works(works: list[bytes]) -> bytes:
    return framed(encoding.encode({"works": tuple(works)}))


def forged_answer(rng: random.Random) -> bytes:
    signed = bytearray(manifest(rng, "Howto forged"))
    signed[rng.randrange(64)] ^= 1
    return _works([bytes(signed)])


def hostile_answer(rng: random.Random) -> bytes:
    return _works([manifest(rng)])


def too_many_answer(rng: random.Random) -> bytes:
    return _works([manifest(rng, "Howto many")] * 2000)


def endless_answer(rng: random.Random) -> bytes:
    return b"\xff\xff\xff\xff" + rng.randbytes(100_000)


def garbage_answer(rng: random.Random) -> bytes:
    return framed(rng.randbytes(1000))


# ---------------------------------------------------------------- the process


async def _main(role: str, seed: int, addresses: list[str]) -> None:
    rng, did = random.Random(f"{role} {seed}"), Counter[str]()
    if role == "vandal":
        vandal = Vandal(addresses, rng, did)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(vandal.run)
            await _listen(vandal.told)
            nursery.cancel_scope.cancel()
    else:
        async with hostile_network(rng.randbytes(32)) as network:
            liar = Liar(network, rng, did)
            for address in addresses:
                await network.connect(address)
            await _listen(liar.told)
    print(json.dumps(did), flush=True)


async def _listen(told: Steps) -> None:
    print("ready", flush=True)
    while line := await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
        await told(json.loads(line))


if __name__ == "__main__":
    os.nice(5)  # the honest have the same processors
    trio.run(_main, sys.argv[1], int(sys.argv[2]), sys.argv[3:])
