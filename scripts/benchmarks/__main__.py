"""`scripts/bench [ROW...]`: runs the rows and prints one line for each figure."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from scripts.benchmarks import commands, content, curation, network, transport
from scripts.benchmarks.figures import Figure

ROWS: dict[str, Callable[[Path], list[Figure]]] = {
    "publish": content.publish,
    "fetch": content.fetch,
    "stream": transport.stream,
    "trip": transport.trip,
    "gossip": network.gossip,
    "dht": network.dht,
    "requests": network.requests,
    "tally": curation.tally,
    "cli": commands.cli,
    "memory": commands.memory,
    "idle": commands.idle,
}


def main() -> int:
    wanted = sys.argv[1:] or list(ROWS)
    unknown = [name for name in wanted if name not in ROWS]
    if unknown:
        print(f"no row {unknown[0]!r}; rows are: {', '.join(ROWS)}", file=sys.stderr)
        return 2
    for name in wanted:
        with tempfile.TemporaryDirectory(prefix="p2pnode-bench-") as folder:
            for figure in ROWS[name](Path(folder)):
                print(figure.line(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
