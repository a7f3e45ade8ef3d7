"""A node's journeys in a process of their own that kills itself (SIGKILL) at a chosen point; and what must hold after that.

A point is one SQL statement, or one call that changes the library (write, sync, rename, unlink, chmod); or a moment, by the clock. It
says on stdout what is finished, a JSON list a line. Run as: python -m tests.support.killing FOLDER JOURNEY SEED POINT SECONDS
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

from p2pnode.core.cid import Cid
from p2pnode.core.ids import NO_CIRCLE
from p2pnode.errors import ChangedError
from p2pnode.ports import Json
from p2pnode.services.admission import Admission
from p2pnode.services.bundle_export import BundleExport, Choice
from p2pnode.services.bundle_import import BundleImport
from p2pnode.services.car_export import export_car
from p2pnode.services.car_import import CarImport
from p2pnode.services.export import read_skeleton
from p2pnode.services.keeping import Keeping
from p2pnode.services.keeping_copies import Copies
from p2pnode.services.keeping_space import ENDED, Space
from p2pnode.services.keeping_verify import Checking
from p2pnode.services.me import Me
from p2pnode.services.publish import Description, Order, Publish
from p2pnode.services.publishing import Publishings
from p2pnode.services.search import Search
from p2pnode.services.serve_blocks import ServeBlocks
from p2pnode.services.transfers import Transfers
from p2pnode.services.views import Views
from p2pnode.store import database, incoming, library
from p2pnode.store.memory import MemoryStore
from p2pnode.store.node_store import NodeStore
from p2pnode.store.sqlite import open_store
from tests.support.loopback import Hub, LoopbackNetwork

SEED_OF_SOURCES = 7
NAMES = ("one", "two", "three")
WORK_BYTES = 1_700_000
QUOTA_FOR_TWO = 5_000_000
CHECKPOINT_BYTES = 400_000
"""Small, so that a fetch has many checkpoints."""
BUNDLE = "all.bundle"
NOON = 1_780_000_000.0
CHANGES = ("write", "fsync", "rename", "unlink", "ftruncate", "chmod", "rmdir", "mkdir")


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


# ---------------------------------------------------------------- the child


class Points:
    """Counts, and kills this very process at one of them."""

    def __init__(self, kill_at: int) -> None:
        self.count, self.kill_at = 0, kill_at

    def pass_one(self, *about: object) -> None:
        self.count += 1
        if self.count == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def install(self) -> None:
        connect = database.connect

        def watched(path: str, *, readonly: bool = False) -> sqlite3.Connection:
            connection = connect(path, readonly=readonly)
            if path != ":memory:":
                connection.set_trace_callback(self.pass_one)
            return connection

        database.connect = watched
        library.os = _Watched(self)  # type: ignore[attr-defined]


class _Watched:
    """The module `os` as the library sees it: each change is a point, before and after it."""

    def __init__(self, points: Points) -> None:
        self._points = points

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in CHANGES:
            return real

        def call(*arguments: Any, **named: Any) -> Any:
            self._points.pass_one()
            result = real(*arguments, **named)
            self._points.pass_one()
            return result

        call.__wrapped__ = real  # type: ignore[attr-defined]
        return call


@asynccontextmanager
async def opened(folder: Path, quota_bytes: int) -> AsyncIterator[NodeStore]:
    async with open_store(folder / "node.db", folder / "library", quota_bytes, 0, lambda: NOON) as store:
        yield store


def quota_of(journey: str) -> int:
    return QUOTA_FOR_TWO if journey == "evict" else 1 << 30


async def write_archives(provider: Node, works: list[Json], folder: Path, journey: str) -> None:
    """What the journeys take in; written once for all children of a home."""
    if journey == "bundle" and not await trio.Path(folder / BUNDLE).exists():
        await provider.exporting.run(str(folder / BUNDLE), Choice(everything=True), on_progress=lambda progress: None)
    for work in works if journey == "import" else ():
        path = folder / f"{work['cid']}.car"
        if not await trio.Path(path).exists():
            root = Cid.parse(work["cid"])
            await export_car(provider.store, root, str(path), on_progress=lambda progress: None)


async def run_child(folder: Path, journey: str, seed: int, points: Points, endless: bool) -> None:
    """One round, or rounds until it is killed."""
    incoming.CHECKPOINT_BYTES = CHECKPOINT_BYTES
    rng = random.Random(seed)
    async with trio.open_nursery() as nursery, opened(folder, quota_of(journey)) as store:
        hub = Hub(nursery)
        provider = Node.on(MemoryStore(lambda: NOON), hub, "provider")
        await provider.publishings.start(nursery)
        works = [await provider.publish(folder / "sources" / name, name) for name in NAMES]
        await write_archives(provider, works, folder, journey)
        node = Node.on(store, hub, "subject", quota_of(journey))
        await node.network.connect(provider.network.addresses()[0])
        began, first = time.monotonic(), points.count
        await node.transfers.start(nursery)
        if journey == "evict":
            while any(shown["state"] not in ENDED for shown in node.transfers.shown()):  # noqa: ASYNC110
                await trio.sleep(0.01)  # what goes on since the last kill takes its room, too
            await release(node, works[1:])
        await node.publishings.start(nursery)
        say("ready")
        await JOURNEYS[journey](node, works, folder, rng)
        say("round", points.count - first, round(time.monotonic() - began, 3), first)
        while endless:
            await JOURNEYS[journey](node, works, folder, rng)
        nursery.cancel_scope.cancel()


def main() -> None:
    folder, journey, seed, kill_at, seconds = sys.argv[1:]
    points = Points(int(kill_at))
    points.install()
    if float(seconds):
        timer = threading.Timer(float(seconds), os.kill, (os.getpid(), signal.SIGKILL))
        timer.daemon = True
        timer.start()
    trio.run(run_child, Path(folder), journey, int(seed), points, bool(points.kill_at) or bool(float(seconds)))


# ---------------------------------------------------------------- the parent


def run(folder: Path, journey: str, seed: int, kill_at: int, seconds: float = 0.0) -> list[list[str]]:
    """What the child said, until it was killed at that point or moment; of one round if at none."""
    command = [
        sys.executable,
        "-m",
        "tests.support.killing",
        str(folder),
        journey,
        str(seed),
        str(kill_at),
        str(seconds),
    ]
    child = subprocess.run(command, capture_output=True, timeout=120, cwd=Path(__file__).parents[2])
    if child.returncode != (-signal.SIGKILL if kill_at or seconds else 0):
        raise AssertionError(f"{command}: {child.returncode}\n{child.stderr.decode()[-3000:]}")
    return [json.loads(line) for line in child.stdout.decode().splitlines()]


def required(said: list[list[str]], before: set[str]) -> set[str]:
    """CIDs that were finished, and not given up since."""
    held = set(before)
    for did, *about in said:
        if did == "has":
            held.add(about[0])
        elif did == "may go":
            held.discard(about[0])
    return held


async def check(folder: Path, journey: str, must: set[str]) -> dict[str, int]:
    """What holds after any kill. Opens the store as the next start would; AssertionError says what is wrong."""
    async with opened(folder, quota_of(journey)) as store:
        assert await store.read_rows(lambda tx, db: db.execute("PRAGMA integrity_check").fetchall()) == [("ok",)]
        assert await store.read_rows(lambda tx, db: db.execute("PRAGMA foreign_key_check").fetchall()) == []
        stored, summed = await store.read_rows(lambda tx, db: (tx.stored_bytes(), db.execute(_SUM).fetchone()[0]))
        assert stored == summed <= quota_of(journey), (stored, summed)
        for cid in sorted(must):
            await _check_whole(store, folder, Cid.parse(cid))
        await _check_rest(store, folder, spoiled=journey == "mend")
        seqs = [(record.author, record.fields["seq"]) for record in await store.read(lambda tx: tx.records(NO_CIRCLE))]
        assert len(seqs) == len(set(seqs)), "two records of one seq: an equivocation"
        return {"stored": stored, "whole": len(must)}


_SUM = """SELECT (SELECT total(length(data)) FROM blocks)
+ (SELECT total(f.size) FROM files f JOIN bases b ON b.id = f.base WHERE b.owned = 1)"""


async def _check_whole(store: NodeStore, folder: Path, root: Cid) -> None:
    content = await store.read(lambda tx: tx.content(root))
    assert content is not None and content.state == "complete", f"{root} was finished and is {content}"
    skeleton = await read_skeleton(store, root)
    cids = [*skeleton.blocks, *(cid for file in skeleton.files for cid, _, _ in file.leaves)]
    for cid in dict.fromkeys(cids):
        data = await store.read_block(cid, public_only=True)
        assert data is not None and Cid.of(cid.codec, data) == cid, f"{cid} of {root}"
    source = next(
        one for one in sorted((folder / "sources").iterdir()) if content.base == str(one) or _same(one, content.base)
    )
    assert source


def _same(one: Path, base: str) -> bool:
    """Whether every file of the source lies under `base` with the same bytes."""
    names = [path.relative_to(one) for path in one.rglob("*") if path.is_file()]
    other = Path(base)
    return all((other / name).is_file() and (other / name).read_bytes() == (one / name).read_bytes() for name in names)


async def _check_rest(store: NodeStore, folder: Path, *, spoiled: bool) -> None:
    """No stray files; works that are listed have their content; what the index says is held is right (or, `spoiled`, not served)."""
    known = await store.read_rows(
        lambda tx, db: {os.fsdecode(p) for (p,) in db.execute("SELECT path FROM bases WHERE owned = 1")}
    )
    strays = set(os.listdir(folder / "library")) - known
    assert not strays, f"nobody knows of {strays}"
    for work in await store.read(lambda tx: tx.works()):
        assert await store.read(lambda tx, root=work.root: tx.content(root)) is not None, f"{work.title} has no content"  # type: ignore[misc]
    places = await store.read_rows(lambda tx, db: db.execute("SELECT DISTINCT cid FROM places").fetchall())
    damaged = await store.read_rows(lambda tx, db: {cid for (cid,) in db.execute("SELECT cid FROM damage")})
    for (binary,) in places:
        if binary in damaged:
            continue
        cid = Cid.from_bytes(binary)
        try:
            data = await store.read_block(cid)
        except ChangedError as error:
            assert spoiled, f"the index says that {cid} is held: {error}"
            continue
        assert data is not None and Cid.of(cid.codec, data) == cid


if __name__ == "__main__":
    main()
