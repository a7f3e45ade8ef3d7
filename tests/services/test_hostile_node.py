"""One whole node in this process, and rubbish on every protocol that it serves: it goes on answering, and nothing of it grows.

Each round has a seed of its own, printed when it fails: `P2PNODE_FUZZ_SEED=... P2PNODE_FUZZ_ROUNDS=1` repeats it.
"""

from __future__ import annotations

import os
import random
import resource
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trio

from p2pnode.config import Home, Settings
from p2pnode.control.events import EventBus
from p2pnode.control.server import RemoteSessions
from p2pnode.core.device_messages import PAIR_PROTOCOL
from p2pnode.core.ids import CircleId, PeerId, parse_id
from p2pnode.core.keys import KeyPair
from p2pnode.core.search_messages import Question, decode_answer, encode_question
from p2pnode.daemon import open_node
from p2pnode.errors import P2pnodeError, RefusedError
from p2pnode.limits import SEARCH_ANSWER_BYTES
from p2pnode.net.network import Libp2pNetwork
from p2pnode.ports import Stream
from p2pnode.services.api import remote_methods
from p2pnode.services.framing import receive_frame, send_frame
from p2pnode.services.node import Node
from p2pnode.services.pseudonym_proof import introduce
from p2pnode.services.publish import Description
from tests.support.hostile import LOOPBACK, Vandal, hostile_network
from tests.support.loop_lag import AIM_S, loop_lag
from tests.support.net import until
from tests.support.rubbish import PING, SEARCH, SYNC, Rubbish, protocols

pytestmark = [pytest.mark.trio, pytest.mark.network]

NETWORK = "fuzz"
SEED = int(os.environ.get("P2PNODE_FUZZ_SEED", "7"))
ROUNDS = int(os.environ.get("P2PNODE_FUZZ_ROUNDS", str(2**31)))
BUDGET_S, LONG_BUDGET_S = 15.0, 600.0
MESSAGES = 60
"""Streams of one round, under one name."""
UNFORGIVEN = 15
"""The last of them count: they must end in a ban."""
TASKS_LEFT = 12
"""Of libp2p for a connection that is just being made or given up, and of the node's own periodic work."""
BLOCKED_S = 2 * AIM_S
"""Of processor time of one step of one task; twice the aim, because the attackers' work is in this process, too."""
GROWTH_KIB = 100 << 10
"""Of the peak memory, over what the node and its peers in this process had before the first round."""


@dataclass
class Target:
    """The node, a friend who keeps asking it, and what the node told."""

    node: Node
    friend: Libp2pNetwork
    circle: CircleId
    events: Counter[str]

    @property
    def address(self) -> str:
        return self.node.network.addresses()[0]

    @property
    def peer(self) -> PeerId:
        return self.node.network.peer_id

    async def answers(self) -> None:
        """Ping, and the search for its one work, on the friend's connection."""
        with trio.fail_after(20):
            stream = await self.friend.open_stream(self.peer, PING)
            await stream.send_all(bytes(range(32)))
            got = b""
            while len(got) < 32:
                part = await stream.receive_some(32)
                assert part, "the ping's stream ended"
                got += part
            await stream.aclose()
            assert got == bytes(range(32))
            stream = await self.friend.open_stream(self.peer, SEARCH)
            await send_frame(stream, encode_question(Question(text="howto")))
            answer = await receive_frame(stream, SEARCH_ANSWER_BYTES)
            await stream.aclose()
        assert answer is not None and len(decode_answer(answer)) == 1


@asynccontextmanager
async def target(folder: Path) -> AsyncIterator[Target]:
    events: Counter[str] = Counter()
    home = Home(folder / "home")
    home.path.mkdir()
    settings = Settings(listen=(LOOPBACK,), lan=False, network=NETWORK, relay_serve=True)
    async with (
        open_node(home, settings, lambda name, data: events.update([name]), trio.Event()) as node,
        hostile_network(b"friend".ljust(32), NETWORK) as friend,
    ):
        work = folder / "howto.txt"
        work.write_text("how to\n" * 1000)
        await node.publish.run(
            str(work), Description(title="A howto"), circle=None, private=False, on_progress=lambda _: None
        )
        circle = parse_id("c", (await node.circles.create("Readers"))["circle"])
        node.devices.control.start(RemoteSessions(remote_methods(node), EventBus()))
        await friend.connect(node.network.addresses()[0])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(show_codes, node)
            yield Target(node, friend, CircleId(circle), events)
            nursery.cancel_scope.cancel()


async def show_codes(node: Node) -> None:
    """A code for pairing after the other: rubbish wears each out."""
    while True:
        with suppress(RefusedError):
            await node.devices.show(None, lambda name, data: None)


async def one_round(target: Target, seed: int, did: Counter[str]) -> None:
    """Everything that one hostile identity does before it is banned or done."""
    rng = random.Random(seed)
    async with hostile_network(rng.randbytes(32), NETWORK) as network:
        vandal = Vandal([target.address], rng, did, NETWORK)
        rubbish = Rubbish(rng, network.peer_id, target.peer, target.circle)
        held: list[Any] = []
        for number in range(MESSAGES):
            if number < MESSAGES - UNFORGIVEN:
                target.node.network.lift_ban(network.peer_id)  # or nothing would come as far as the handlers
            with suppress(P2pnodeError, trio.TooSlowError), trio.move_on_after(3):
                await network.connect(target.address)
                if number % 6 == 5:
                    await rubbish_in_a_session(network, target, rubbish, did)
                else:
                    await vandal.send_rubbish(network, target.peer, rubbish, held)
        with suppress(Exception):  # whatever libp2p says of a connection that it lost
            await vandal.flood_streams(network, target.peer, held)


async def rubbish_in_a_session(network: Libp2pNetwork, target: Target, rubbish: Rubbish, did: Counter[str]) -> None:
    """A sync session that begins as it should, with a key that nobody knows: deeper than a stranger's bytes come."""
    stream: Stream = await network.open_stream(target.peer, SYNC, timeout_s=2)
    theirs = await introduce(stream, network.peer_id, target.circle, KeyPair(rubbish.rng.randbytes(32)))
    if isinstance(theirs, str):
        return
    did["sessions"] += 1
    for _ in range(rubbish.rng.randrange(1, 40)):
        kind = rubbish.rng.choice((0, 1, 2, 3, 4, 5, 0x81, 0x82, 0x83, 0x84, 0xE1, rubbish.rng.randrange(256)))
        body = rubbish.rng.randbytes(rubbish.rng.choice((0, 1, 16, 32, 33, 64, 1024, 30_000)))
        await send_frame(stream, bytes([kind]) + body)
    await stream.receive_some(1 << 16)
    await stream.reset()


def tasks() -> Counter[str]:
    """Every task that lives, by what it runs."""
    found: Counter[str] = Counter()
    root = trio.lowlevel.current_root_task()
    pending = [] if root is None else [root]
    while pending:
        task = pending.pop()
        found[task.name] += 1
        pending += [child for nursery in task.child_nurseries for child in nursery.child_tasks]
    return found


def peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


async def attack_for(folder: Path, budget_s: float) -> None:
    did: Counter[str] = Counter()
    async with target(folder) as under_attack:
        await under_attack.answers()
        await one_round(under_attack, SEED, did)  # what is loaded and made once
        before_tasks, before_kib = tasks(), peak_kib()
        deadline = trio.current_time() + budget_s
        rounds = 0
        with loop_lag() as lag:
            while rounds < ROUNDS and trio.current_time() < deadline:
                rounds += 1
                print("seed", SEED + rounds)
                await one_round(under_attack, SEED + rounds, did)
                await under_attack.answers()
        print("longest steps, ms:", lag.longest(), "collector", round(1e3 * lag.collecting_s))
        print(rounds, "rounds", dict(did), "memory KiB", before_kib, peak_kib(), "tasks", before_tasks.total())
        with trio.move_on_after(30):
            await until(lambda: tasks().total() <= before_tasks.total() + TASKS_LEFT, deadline_s=60)
        assert tasks().total() <= before_tasks.total() + TASKS_LEFT, tasks() - before_tasks
        assert peak_kib() - before_kib < GROWTH_KIB
        assert under_attack.node.network.banned(), "nobody was banned"
        assert not any(took > 1e3 * BLOCKED_S for took, _ in lag.longest()), lag.longest()
        await under_attack.answers()


async def test_rubbish_knows_every_protocol_that_a_node_serves(tmp_path: Path) -> None:
    async with target(tmp_path) as quiet:
        await until(lambda: PAIR_PROTOCOL in quiet.node.network._served.protocols())
        assert sorted(quiet.node.network._served.protocols()) == sorted(protocols(NETWORK))


async def test_rubbish_on_every_protocol(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    await attack_for(tmp_path, BUDGET_S)
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.long
async def test_rubbish_for_ten_minutes(tmp_path: Path) -> None:
    await attack_for(tmp_path, LONG_BUDGET_S)
