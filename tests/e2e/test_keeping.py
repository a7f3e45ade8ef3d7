"""Keeping, through real daemons and the real command line: share no longer, free space, make room, find rot and mend it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.store.samples import bytes_of
from tests.support.daemons import RealDaemon, wait_until

pytestmark = pytest.mark.network

SIZE = 3_000_000


def a_file(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_bytes(bytes_of(SIZE, name))
    return path


def test_the_life_of_what_is_kept(start: Callable[..., RealDaemon], tmp_path: Path) -> None:
    anna = start("anna")
    one, two, three = (
        anna.json("publish", str(a_file(tmp_path, name)), "--title", name) for name in ("One", "Two", "Three")
    )
    ben = start("ben", bootstrap=(anna.address,))
    wait_until(lambda: ben.json("status")["peers"] == 1, what="the two are connected")

    got = ben.json("get", one["work"])
    damaged = Path(got["path"])
    damaged.chmod(0o644)
    with open(damaged, "r+b") as file:
        file.seek(1_500_000)
        file.write(b"rot")
    result = ben.run("verify", one["work"], "--json", check=False)
    answer = json.loads(result.stdout)
    assert (result.returncode, answer["damaged_blocks"]) == (1, 1)
    assert [item["path"] for item in answer["items"]] == [str(damaged)]
    mended = ben.json("verify", "--repair")
    assert ([each["state"] for each in mended["repairs"]], mended["damaged_blocks"]) == (["repaired"], 0)
    assert damaged.read_bytes() == bytes_of(SIZE, "One")
    assert damaged.stat().st_mode & 0o777 == 0o444

    ben.json("get", two["work"])
    weighed = {item["works"][0]["title"]: item for item in ben.json("storage")["items"]}
    assert {title: item["reason"] for title, item in weighed.items()} == dict.fromkeys(
        ("One", "Two"), "pinned: kept by promise"
    )
    ben.json("unpin", one["work"])
    assert ben.stop() == 0
    ben.environment["P2PNODE_QUOTA_BYTES"] = str(SIZE * 5 // 2)
    ben.start()
    wait_until(lambda: ben.json("status")["peers"] == 1, what="the two are connected again")
    ben.json("get", three["work"])
    assert {work["title"] for work in ben.lines("list")} == {"Two", "Three"}, "One was not pinned, and made room"
    refused = ben.run("get", one["work"], check=False)
    assert refused.returncode == 6
    assert "may own" in refused.stderr and "p2pnode storage" in refused.stderr

    removed = ben.json("remove", two["work"])
    assert removed["freed_bytes"] >= SIZE
    assert sorted(os.listdir(ben.home / "library")) == ["Three"]
    assert ben.json("get", two["work"])["bytes"] == SIZE

    anna.json("unpublish", three["work"])
    assert (tmp_path / "Three").read_bytes() == bytes_of(SIZE, "Three")
    assert {work["title"] for work in anna.lines("list")} == {"One", "Two"}
    assert anna.json("get", three["work"])["providers"] == 1, "who has it may share it on"
    again = anna.run("unpublish", three["work"], check=False)
    assert again.returncode == 6
    for daemon in (anna, ben):
        assert "Traceback" not in daemon.log
        assert daemon.stop() == 0
