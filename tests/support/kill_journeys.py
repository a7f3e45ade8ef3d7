"""A node of parts, and what it does all day: publish, fetch, make room, take archives in, mend. For tests that kill it meanwhile."""

from __future__ import annotations

import hashlib
import json
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from p2pnode.core.cid import Cid
from p2pnode.errors import ChangedError
from p2pnode.ports import Json
from p2pnode.services.admission import Admission
from p2pnode.services.bundle_export import BundleExport
from p2pnode.services.bundle_import import BundleImport
from p2pnode.services.car_import import CarImport
from p2pnode.services.keeping import Keeping
from p2pnode.services.keeping_copies import Copies
from p2pnode.services.keeping_space import Space
from p2pnode.services.keeping_verify import Checking
from p2pnode.services.me import Me
from p2pnode.services.publish import Description, Order, Publish
from p2pnode.services.publishing import Publishings
from p2pnode.services.search import Search
from p2pnode.services.serve_blocks import ServeBlocks
from p2pnode.services.transfers import Transfers
from p2pnode.services.views import Views
from p2pnode.store.node_store import NodeStore
from p2pnode.store.sqlite import open_store
from tests.support.loopback import Hub, LoopbackNetwork

SEED_OF_SOURCES = 7
NAMES = ("one", "two", "three")
WORK_BYTES = 1_700_000
QUOTA_FOR_TWO = 5_000_000
BUNDLE = "all.bundle"
NOON = 1_780_000_000.0


def make_sources(folder: Path) -> None:
    """Three folders: a large file, one of several leaves and a half, many small ones, an empty one."""
    rng = random.Random(SEED_OF_SOURCES)
    for name in NAMES:
        (folder / name / "deep").mkdir(parents=True)
        (folder / name / "large.bin").write_bytes(rng.randbytes(1_200_000))
        (folder / name / "middle.bin").write_bytes(rng.randbytes(300_000))
        (folder / name / "deep" / "empty").write_bytes(b"")
        for number in range(25):
            (folder / name / "deep" / f"{number}.txt").write_bytes(rng.randbytes(rng.randrange(1, 9000)))


@dataclass
class Node:
    """The parts of a node that the journeys need, on a store and a hub."""

    store: NodeStore
    network: LoopbackNetwork
    me: Me
    now: float = NOON
    parts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def on(cls, store: NodeStore, hub: Hub, name: str, quota_bytes: int = 1 << 40) -> Node:
        node = cls(store, hub.node(name), Me(hashlib.sha256(name.encode()).digest()))
        views, ignore = Views(store, node.clock), lambda *about: None
        admission = Admission(store, node.clock, on_manifest=ignore)
        search = Search(store, node.network, views, node.clock, lambda peers: sorted(peers))
        search.start()
        ServeBlocks(node.network, store).start()
        publish = Publish(store, node.me, admission, node.clock, ignore)
        transfers = Transfers(store, node.network, search, node.clock, ignore, ignore)
        keeping = Keeping(store, node.network, transfers, ignore)
        copies = Copies(store, node.network, node.clock)
        space = Space(store, keeping, copies, node.clock, transfers.shown, quota_bytes=quota_bytes, floor_bytes=0)
        store.when_full(space.make_room)
        node.parts = {
            "publishings": Publishings(store, publish, node.clock, ignore),
            "transfers": transfers,
            "keeping": keeping,
            "checking": Checking(store, transfers, node.clock, ignore),
            "bundles": BundleImport(store, admission, node.clock, ignore),
            "exporting": BundleExport(store, views),
            "cars": CarImport(store, node.me, admission, node.clock, ignore),
        }
        return node

    def __getattr__(self, name: str) -> Any:
        return self.parts[name]

    def clock(self) -> float:
        return self.now

    async def publish(self, path: Path, title: str) -> Json:
        one = await self.publishings.begin(Order(str(path), Description(title=title)))
        answer: Json = await self.publishings.wait(one, lambda progress: None)
        return answer

    async def get(self, text: str) -> Json:
        answer: Json = await self.transfers.get(text, None, on_progress=lambda progress: None)
        return answer


def say(did: str, *about: object) -> None:
    """One line of what is finished; the parent reads it whole or not at all."""
    os.write(1, (json.dumps([did, *map(str, about)]) + "\n").encode())


# ---------------------------------------------------------------- the journeys


async def publishing(node: Node, works: list[Json], folder: Path, rng: random.Random) -> None:
    """Publish in place, now and then share one no longer."""
    for number in range(3):
        try:
            answer = await node.publish(folder / "sources" / NAMES[number % 3], f"Mine {time.time_ns()}")
        except ChangedError:  # one that goes on since the last kill stood on what was let go here
            continue
        say("has", answer["cid"])
        if rng.random() < 0.4:
            say("may go", answer["cid"])
            await node.keeping.unpublish(answer["work"])


async def fetching(node: Node, works: list[Json], folder: Path, rng: random.Random) -> None:
    """Fetch, remove, fetch again."""
    for work in rng.sample(works, 3):
        await node.get(work["work"])
        say("has", work["cid"])
        if rng.random() < 0.6:
            say("may go", work["cid"])
            await node.keeping.remove(work["work"])


async def evicting(node: Node, works: list[Json], folder: Path, rng: random.Random) -> None:
    """Room for two of three: what is not pinned goes when the next one comes; the first stays."""
    await node.get(works[0]["work"])
    say("has", works[0]["cid"])
    for work in (works[1], works[2], works[1]):
        await node.get(work["work"])
        say("has", work["cid"])
        say("may go", work["cid"])
        await node.keeping.unpin(work["work"])
        node.now += 86_400


async def release(node: Node, works: list[Json]) -> None:
    """A kill may have come between having a work and releasing it: then the next one would find no room."""
    for work in works:
        say("may go", work["cid"])
        root = Cid.parse(work["cid"])
        await node.store.write(lambda tx, root=root: tx.unpin(root))  # type: ignore[misc]


async def importing(node: Node, works: list[Json], folder: Path, rng: random.Random) -> None:
    """Take archives in, and let them go."""
    for work in rng.sample(works, 2):
        await node.cars.run(str(folder / f"{work['cid']}.car"), None, on_progress=lambda progress: None)
        say("has", work["cid"])
        if rng.random() < 0.7:
            say("may go", work["cid"])
            await node.keeping.remove(work["cid"])


async def carrying(node: Node, works: list[Json], folder: Path, rng: random.Random) -> None:
    """Take in a bundle with all of the works, let some of them go again."""
    await node.bundles.run(str(folder / BUNDLE), follow=(), on_progress=lambda progress: None)
    for work in works:
        say("has", work["cid"])
    for work in works:
        if rng.random() < 0.7:
            say("may go", work["cid"])
            await node.keeping.remove(work["cid"])


async def mending(node: Node, works: list[Json], folder: Path, rng: random.Random) -> None:
    """Fetched, spoiled, checked, mended."""
    for work in rng.sample(works, 2):
        got = await node.get(work["work"])
        path = Path(got["path"]) / "large.bin"
        say("may go", work["cid"])
        spoil(path, rng.randrange(1_200_000))
        await node.checking.verify(work["work"], repair=True, on_progress=lambda progress: None)
        say("has", work["cid"])


def spoil(path: Path, at: int) -> None:
    """What a failing disk does."""
    path.chmod(0o644)
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(b"rot")


Journey = Callable[[Node, "list[Json]", Path, random.Random], Awaitable[None]]
JOURNEYS: dict[str, Journey] = {
    "publish": publishing,
    "fetch": fetching,
    "evict": evicting,
    "import": importing,
    "bundle": carrying,
    "mend": mending,
}


@asynccontextmanager
async def opened(folder: Path, quota_bytes: int) -> AsyncIterator[NodeStore]:
    async with open_store(folder / "node.db", folder / "library", quota_bytes, 0, lambda: NOON) as store:
        yield store


def quota_of(journey: str) -> int:
    return QUOTA_FOR_TWO if journey == "evict" else 1 << 30
