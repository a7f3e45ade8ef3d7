"""Real daemons examine themselves: what a user reads, what a program reads, and the exit status."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemons import RealDaemon, wait_until

pytestmark = pytest.mark.network


def findings(daemon: RealDaemon, *options: str) -> tuple[int, dict[str, dict[str, Any]]]:
    result = daemon.run("doctor", "--json", *options, check=False)
    return result.returncode, {item["check"]: item for item in json.loads(result.stdout)["items"]}


def test_a_lone_node_is_told_so_and_one_with_peers_is_read_back(
    start: Callable[..., RealDaemon], tmp_path: Path
) -> None:
    anna = start("anna")
    status, alone = findings(anna)
    assert status == 1 and alone["peers"]["state"] == "bad" and "invite" in alone["peers"]["hint"]
    said = anna.run("doctor", "--local", check=False)
    assert said.returncode == 1 and "no peer is connected" in said.stdout and "to mend" in said.stdout

    (tmp_path / "book.txt").write_bytes(b"bees\n" * 50_000)
    anna.json("publish", str(tmp_path / "book.txt"), "--title", "Bees")
    ben = start("ben", bootstrap=(anna.address,))
    cora = start("cora", bootstrap=(anna.address,))
    wait_until(lambda: [bool(peer["agent"]) for peer in anna.lines("peers")] == [True, True], what="the three have met")
    found = findings(anna)[1]  # once: a peer answers three times, then not for a minute
    assert found["read_back"]["words"] == "2 peers fetched a random block from here and found it right"
    assert found["clock"]["state"] == "good"
    found = findings(anna, "--local")[1]
    assert found["reach"]["state"] == "good" and found["dht"]["words"].startswith("the table of the DHT holds")
    assert found["descriptors"]["state"] in ("good", "note") and found["disk"]["state"] in ("good", "bad")
    assert "read_back" not in found
    for other in (ben, cora):
        assert findings(other, "--local")[1]["peers"]["state"] == "good"
    result = RealDaemon(tmp_path / "nobody")
    result.home.mkdir()
    assert result.run("doctor", check=False).returncode == 3
