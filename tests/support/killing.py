"""A node's journeys in a process of their own that kills itself (SIGKILL) at a chosen point; and what must hold after that.

A point is one SQL statement, or one call that changes the library (write, sync, rename, unlink, chmod); or a moment, by the clock. It
says on stdout what is finished, a JSON list a line. Run as: python -m tests.support.killing FOLDER JOURNEY SEED POINT SECONDS
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import trio

from p2pnode.core.cid import Cid
from p2pnode.ports import Json
from p2pnode.services.bundle_export import Choice
from p2pnode.services.car_export import export_car
from p2pnode.services.keeping_space import ENDED
from p2pnode.store import database, incoming, library
from p2pnode.store.memory import MemoryStore
from tests.support.kill_journeys import BUNDLE, JOURNEYS, NAMES, NOON, Node, opened, quota_of, release, say
from tests.support.loopback import Hub

CHECKPOINT_BYTES = 400_000
"""Small, so that a fetch has many checkpoints."""

CHANGES = ("write", "fsync", "rename", "unlink", "ftruncate", "chmod", "rmdir", "mkdir")


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


if __name__ == "__main__":
    main()
