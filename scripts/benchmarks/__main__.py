"""`scripts/bench [--long] [ROW...]`: runs the rows and prints one line for each figure. Without names: all but the long ones."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from scripts.benchmarks import (
    announce,
    bitswap,
    catching_up,
    commands,
    content,
    curation,
    debian,
    far,
    idle,
    million,
    million_peers,
    moving,
    network,
    real,
    spreading,
    syncing,
    tallying,
    transport,
)
from scripts.benchmarks.figures import Figure

ROWS: dict[str, Callable[[Path], list[Figure]]] = {
    "publish": content.publish,
    "publish-small": content.publish_small,
    "fetch": moving.fetch,
    "fetch-small": moving.fetch_small,
    "providers": moving.providers,
    "bitswap": bitswap.bitswap,
    "stream": transport.stream,
    "trip": transport.trip,
    "far": far.far,
    "gossip": network.gossip,
    "dht": network.dht,
    "requests": network.requests,
    "tally": curation.tally,
    "tallying": tallying.tallying,
    "debian": debian.debian_table,
    "sync": syncing.engines,
    "door": syncing.door,
    "catching-up": catching_up.daemons,
    "spreading": spreading.spreading,
    "cli": commands.cli,
    "memory": commands.memory,
    "idle": commands.idle,
}

LONG: dict[str, Callable[[Path], list[Figure]]] = {
    "moving-memory": moving.moving_memory,
    "real": real.real,
    "announce": announce.announce,
    "million": million.alone,
    "million-recent": million_peers.recent,
    "million-scattered": million_peers.scattered,
    "idle-hundred": idle.idle_hundred,
}
"""Rows that take many minutes or many gigabytes of disk: by name, or with --long."""


def main() -> int:
    names = [name for name in sys.argv[1:] if name != "--long"]
    every = ROWS | LONG
    wanted = names or list(every if "--long" in sys.argv else ROWS)
    unknown = [name for name in wanted if name not in every]
    if unknown:
        print(f"no row {unknown[0]!r}; rows are: {', '.join(every)}", file=sys.stderr)
        return 2
    for name in wanted:
        with tempfile.TemporaryDirectory(prefix="p2pnode-bench-") as folder:
            for figure in every[name](Path(folder)):
                print(figure.line(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
