"""Any JSON to any method of the control socket: an answer, or one of our errors; never anything else, and the node goes on."""

from __future__ import annotations

import json
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from p2pnode.config import Home, Settings
from p2pnode.core.cid import RAW, Cid
from p2pnode.core.ids import id_text
from p2pnode.errors import P2pnodeError
from p2pnode.ports import Json
from p2pnode.services.api import TABLE, methods
from p2pnode.services.me import Me
from p2pnode.services.node import Node
from p2pnode.store.memory import MemoryStore
from tests.support.loopback import Hub

pytestmark = pytest.mark.trio

SEED = int(os.environ.get("P2PNODE_FUZZ_SEED", "11"))
CALLS = 60
"""Of each method."""
CALL_S = 0.4
"""After which a call that waits for providers, as it should, is left."""
NOON = 1_780_000_000.0
NAMES = {
    "path", "title", "kind", "summary", "licence", "language", "creators", "tags", "identifiers", "sources", "circle", "private",
    "text", "local", "timeout_s", "work", "repair", "transfer", "name", "purpose", "invite", "key", "class", "complaint", "reason",
    "proposal", "choice", "id", "about", "address",
}  # fmt: skip
ODD: list[Any] = [
    None, True, 0, -1, 2**63, 10**400, 1.5, float("inf"), float("nan"), "", " ", "\0", "\ud800", "é" * 300, "x" * 5000, "1e9",
    "w-", "w-aaaaaa", "c-aaaaaa", "p-aaaaaa", "k-aaaaaa", "r-aaaaaa", "W-AAAAAA", "w-" + "a" * 52, "k-" + "z" * 52, "-" * 60,
    "*", '"', "AND OR NOT", "a:b", "NEAR(", "bafy", "/ip4/127.0.0.1/tcp/1", "/ip4/1.2.3.4/tcp/99999999/p2p/x", "p2pnode:invite/",
    "p2pnode:invite/AAAA", "p2pnode:invite/" + "é", [], [[]], [None], ["a"] * 65, {}, {"name": 1}, [{"name": "A", "key": "k-1"}],
    [{"name": "A", "role": {}}], [{"scheme": "doi", "value": None}], [{"scheme": "", "value": ""}], [{"name": "\ud800"}], ["\ud800"],
    ["\0"], [""], "MIT AND (", "list", "flag", "approve", "harmful",
]  # fmt: skip


class Fuzzed:
    """A node with a circle, a work and a proposal, and calls that mostly look right."""

    def __init__(self, node: Node, rng: random.Random, folder: Path) -> None:
        self.node, self.rng, self.folder = node, rng, folder
        self.methods = methods(node)
        self.good: list[Any] = []

    async def furnish(self) -> None:
        book = self.folder / "book.txt"
        book.write_text("bees\n")
        circle = (await self.call("circle.create", {"name": "Readers"}))["circle"]
        published = await self.call("work.publish", {"path": str(book), "title": "Bees", "circle": circle})
        shown = await self.call("circle.show", {"circle": circle})
        invite = (await self.call("circle.invite", {"circle": circle}))["invite"]
        self.good = [
            circle,
            published["work"],
            published["proposal"],
            published["cid"],
            shown["me"],
            invite,
            "Bees",
            "Readers",
        ]
        self.good += [id_text("k", self.node.me.profile.public), str(Cid.of(RAW, b"nobody has it"))]

    async def call(self, name: str, params: Json) -> Json:
        answer: Json = await self.methods[name](params, _tell)
        return answer

    def params(self, name: str) -> Json:
        taken = sorted(NAMES & _names_in(name))
        chosen = {key: self._value(key) for key in taken if self.rng.random() < 0.85}
        if self.rng.random() < 0.05:
            chosen["unknown"] = 1
        return chosen

    def _value(self, key: str) -> Any:
        if key in ("path",):
            return self.rng.choice(
                [*ODD, str(self.folder / "book.txt"), str(self.folder), str(self.folder / "none"), "/dev/null"]
            )
        if key == "timeout_s":
            return self.rng.choice([0.01, -1, "1", True, float("nan"), 10**400])
        return self.rng.choice(self.good if self.rng.random() < 0.6 else ODD)


def _tell(event: str, data: Json) -> None:
    json.dumps(data)


def _names_in(method: str) -> set[str]:
    """Parameters that a method reads: the words in its code and in that of what it calls to read them."""
    code = TABLE[method].__code__
    found = {str(const) for const in code.co_consts}
    return found | {"circle"} if "_circle" in code.co_names else found


@asynccontextmanager
async def fuzzed(folder: Path) -> AsyncIterator[Fuzzed]:
    async with trio.open_nursery() as nursery:
        hub, store = Hub(nursery), MemoryStore(clock=lambda: NOON)
        me = Me(b"fuzz".ljust(32))
        node = Node(
            Home(folder / "home"),
            Settings(lan=False),
            store,
            hub.node("anna"),
            me,
            lambda: NOON,
            lambda *_: None,
            trio.Event(),
        )
        await node.start(nursery)
        target = Fuzzed(node, random.Random(SEED), folder)
        await target.furnish()
        yield target
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("name", sorted(TABLE))
async def test_any_json_is_answered_or_refused_in_words(name: str, tmp_path: Path) -> None:
    async with fuzzed(tmp_path) as target:
        for number in range(CALLS):
            params = target.params(name)
            try:
                with trio.move_on_after(CALL_S):
                    json.dumps(await target.call(name, params))
            except P2pnodeError as error:
                assert error.message, params
            except Exception as error:
                pytest.fail(f"seed {SEED}, call {number}: {name} {params!r:.2000} -> {error!r}")
        assert (await target.call("node.status", {}))["circles"] >= 0
