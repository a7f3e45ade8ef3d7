"""The library on a disk of its own that is not there at the start, and goes away while the node runs: words, and no loss.

Disks are bind mounts in a mount namespace of the daemon's own, which needs root, and ends with it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.daemons import RealDaemon, wait_until

pytestmark = [pytest.mark.network, pytest.mark.skipif(os.name != "posix", reason="there are no mounts on Windows")]


def mounted(disk: Path, library: Path) -> tuple[str, ...]:
    """What stands before the daemon's command: a namespace in which the disk lies on the library."""
    script = f"mount --make-rprivate / && mount --bind '{disk}' '{library}' && exec \"$@\""
    return ("unshare", "--mount", "sh", "-c", script, "sh")


def inside(daemon: RealDaemon, *command: str) -> None:
    assert daemon.process is not None
    subprocess.run(["nsenter", "-t", str(daemon.process.pid), "-m", *command], check=True, timeout=60)


def test_a_library_that_is_missing_or_vanishes_costs_nothing(start: Callable[..., RealDaemon], tmp_path: Path) -> None:
    disk, library = tmp_path / "disk", tmp_path / "mount"
    for folder in (disk, library, tmp_path / "ben"):
        folder.mkdir()
    (tmp_path / "ben" / "config.toml").write_text(f'library = "{library}"\n')
    anna = start("anna")
    works = []
    for name in ("bees", "wasps"):
        (tmp_path / name).write_bytes(os.urandom(2_000_000))
        works.append(anna.json("publish", str(tmp_path / name), "--title", name)["work"])

    ben = start("ben", bootstrap=(anna.address,), within=mounted(disk, library))
    wait_until(lambda: ben.json("status")["peers"] == 1, what="the two are connected")
    wait_until(lambda: ben.run("get", works[0], check=False).returncode == 0, what="the first work is here")
    assert (disk / "bees").exists() and os.listdir(library) == []

    inside(ben, "umount", "-l", str(library))
    gone = {item["check"]: item for item in doctor(ben)}
    assert gone["disk"]["state"] == "bad" and "mounted" in gone["disk"]["hint"]
    refused = ben.run("get", works[1], "--timeout", "5", check=False)
    assert refused.returncode != 0 and "Traceback" not in refused.stderr
    assert os.listdir(library) == [], "nothing is written under the mount point"
    inside(ben, "mount", "--bind", str(disk), str(library))
    wait_until(lambda: ben.run("get", works[1], check=False).returncode == 0, what="it goes on when the disk is back")
    assert ben.run("verify").returncode == 0
    assert (disk / "bees").read_bytes() == (tmp_path / "bees").read_bytes()
    assert ben.stop() == 0

    ben.within = ()
    with pytest.raises(AssertionError, match="is not there; nothing was changed"):
        ben.start()
    assert os.listdir(library) == []
    ben.within = mounted(disk, library)
    ben.start()
    assert {work["title"] for work in ben.lines("list")} == {"bees", "wasps"}
    assert ben.run("verify").returncode == 0


def doctor(daemon: RealDaemon) -> list[dict[str, str]]:
    import json

    return list(json.loads(daemon.run("doctor", "--local", "--json", check=False).stdout)["items"])
