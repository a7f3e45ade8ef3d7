"""Real daemons with limits: counters and words as a user sees them, a transfer that waits for a budget, and use that outlives a kill."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemons import RealDaemon, wait_until

pytestmark = pytest.mark.network
MB = 10**6


@pytest.fixture
def daemons(tmp_path: Path) -> Iterator[tuple[RealDaemon, RealDaemon]]:
    anna = RealDaemon(tmp_path / "anna").start()
    ben = RealDaemon(tmp_path / "ben", bootstrap=(anna.address,)).start()
    try:
        wait_until(lambda: ben.json("status")["peers"] == 1, what="the two are connected")
        yield anna, ben
    finally:
        anna.kill()
        ben.kill()


def shared(anna: RealDaemon, path: Path, size: int) -> str:
    path.write_bytes(os.urandom(size))
    cid: str = anna.json("publish", str(path), "--title", "Big")["cid"]
    return cid


def transfer(ben: RealDaemon) -> dict[str, Any]:
    lines = ben.run("transfers", "--json").stdout.splitlines()
    return dict(json.loads(lines[0])) if lines else {}


def test_everything_is_counted_and_a_used_up_budget_is_waited_for(
    daemons: tuple[RealDaemon, RealDaemon], tmp_path: Path
) -> None:
    anna, ben = daemons
    ben.json("get", shared(anna, tmp_path / "first", 3 * MB))
    wait_until(lambda: ben.json("limits")["down_bytes"] > 3 * MB, what="the bytes are counted")
    used = ben.json("status")["traffic"]
    assert 3 * MB < used["down_bytes"] < 4 * MB and used["month_bytes"] <= used["up_bytes"] + used["down_bytes"]
    ben.run("limits", "set", "--hour", "4MB", "--down", "2MB")
    cid = shared(anna, tmp_path / "second", 9 * MB)
    assert ben.run("get", cid, "--timeout", "2", check=False).returncode != 0

    def waits() -> bool:
        shown = transfer(ben)
        return bool(shown.get("state") == "queued" and "the hour's budget of 4 MB is used up" in shown["reason"])

    wait_until(waits, what="the transfer waits for the budget")
    assert "the hour's budget of 4 MB is used up; it begins anew at" in ben.run("limits").stdout
    assert "works wait" in ben.run("status").stdout
    ben.run("limits", "set", "--hour", "0", "--down", "0")
    assert ben.json("get", cid)["bytes"] == 9 * MB
    assert ben.json("limits")["waiting"] is None


def test_what_was_used_outlives_a_stop_and_what_cannot_be_set_is_said(
    daemons: tuple[RealDaemon, RealDaemon], tmp_path: Path
) -> None:
    anna, ben = daemons
    cid = shared(anna, tmp_path / "work", 3 * MB)
    ben.json("get", cid)
    wait_until(lambda: anna.json("limits")["up_bytes"] > 3 * MB, what="the bytes are counted")
    before = anna.json("limits")
    anna.stop()
    anna.start()
    after = anna.json("limits")
    assert after["month_bytes"] >= before["month_bytes"] > 3 * MB
    assert after["up_bytes"] < MB
    for option, value, words in (
        ("--up", "5", "at least 1024"),
        ("--down", "quick", "no count of bytes"),
        ("--schedule", "at night", "no window of a schedule"),
    ):
        result = ben.run("limits", "set", option, value, check=False)
        assert result.returncode == 2 and words in result.stderr
