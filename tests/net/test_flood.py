"""Memory and life of a real daemon while others want all it has: a few names in every run, more than it has places for by hand."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.support.crowd import Crowd
from tests.support.daemons import RealDaemon
from tests.support.flood import Flood

pytestmark = pytest.mark.network

CEILING_MIB = 512
"""What the documents promise of the whole daemon under attack (threat-model.md)."""
FEW, FEW_MIB, MANY = 12, 250, 260
"""Names; what the few may cost, who hold some 60 MiB of what they begin and never end; and more names than there are places."""
SAMPLE_S, LONG_S = 8.0, 120.0
CONTENT_BYTES = 24 << 20


def peak_mib(daemon: RealDaemon) -> int:
    assert daemon.process is not None
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) // 1024


def survive(folder: Path, names: int, processes: int, seconds: float) -> int:
    """Peak memory of a daemon, in MiB, that so many names attack; it lets an honest node in, answers its owner and stops as ever."""
    daemon = RealDaemon(folder / "node").start()
    floods: list[Flood] = []
    friend: Crowd | None = None
    try:
        content = folder / "content.bin"
        content.write_bytes(os.urandom(CONTENT_BYTES))
        root = daemon.json("publish", str(content), "--title", "Content")["cid"]
        floods = [Flood(names // processes, daemon.address, seed=n, root=root) for n in range(processes)]
        for flood in floods:
            flood.wait()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(0.5)
            assert daemon.process is not None and daemon.process.poll() is None, daemon.log
        friend = Crowd(1, daemon.address, seed=99, network="p2pnode").wait()
        assert daemon.json("status")["peers"] > 0
        for flood in floods:
            did = flood.finish()
            assert did["_begin_messages"] or did["_open_streams"], did
        peak = peak_mib(daemon)
        assert "Traceback" not in daemon.log
        assert daemon.stop() == 0
        return peak
    finally:
        for flood in floods:
            flood.kill()
        if friend is not None:
            friend.end()
        daemon.kill()


def test_a_few_that_want_everything(tmp_path: Path) -> None:
    assert survive(tmp_path, FEW, 1, SAMPLE_S) < FEW_MIB


@pytest.mark.long
def test_more_names_than_places_for_two_minutes(tmp_path: Path) -> None:
    assert survive(tmp_path, MANY, 4, LONG_S) < CEILING_MIB
