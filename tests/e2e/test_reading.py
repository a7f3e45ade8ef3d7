"""Reading and fetching in part with real daemons: bytes on stdout while they arrive, broken pipes, pauses and kills in the middle."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.daemons import RealDaemon, wait_until

pytestmark = [pytest.mark.network]
MIB = 1 << 20


def _folder(path: Path) -> Path:
    rng = random.Random(3)
    (path / "sub").mkdir(parents=True)
    (path / "film.bin").write_bytes(rng.randbytes(24 * MIB + 17))
    (path / "sub" / "notes.txt").write_bytes(b"notes\n" * 1000)
    (path / "b.txt").write_bytes(b"b")
    return path


def _pair(start: Callable[..., RealDaemon]) -> tuple[RealDaemon, RealDaemon]:
    anna = start("anna")
    ben = start("ben", bootstrap=(anna.address,))
    wait_until(lambda: ben.json("status")["peers"] == 1, what="the two are connected")
    return anna, ben


def _shell(daemon: RealDaemon, line: str) -> subprocess.CompletedProcess[bytes]:
    """A pipeline; `cat` in it is ours."""
    ours = f"{sys.executable} -m p2pnode cat"
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line.replace("CAT", ours)],
        env=daemon.environment,
        cwd=daemon.home,
        capture_output=True,
        timeout=60,
    )


def test_a_work_is_read_fetched_in_part_and_opened(start: Callable[..., RealDaemon], tmp_path: Path) -> None:
    anna, ben = _pair(start)
    folder = _folder(tmp_path / "work")
    published = anna.json("publish", str(folder), "--title", "Film")
    work, cid = published["work"], published["cid"]
    film = (folder / "film.bin").read_bytes()

    head = _shell(ben, f"CAT {cid}/film.bin | head -c 100000")
    assert (head.returncode, head.stdout, head.stderr) == (0, film[:100_000], b"")
    part = _shell(ben, f"CAT {work}/film.bin --offset 20000000 --length 1000")
    assert part.stdout == film[20_000_000:20_001_000]
    read = ben.lines("transfers")[0]
    assert read["mode"] == "read" and read["bytes"] < 8 * MIB, "only what is read comes"
    assert ben.lines("list") == [], "what was only read is not kept for good"

    got = ben.json("get", work, "--only", "sub", "--only", "b.txt")
    assert got["state"] == "partial" and (Path(got["path"]) / "sub" / "notes.txt").read_bytes() == b"notes\n" * 1000
    assert not (Path(got["path"]) / "film.bin").exists()
    assert [item["state"] for item in ben.lines("list")] == ["partial"]
    assert ben.run("open", f"{work}/sub/notes.txt", "--print").stdout.strip() == f"{got['path']}/sub/notes.txt"

    whole = _shell(ben, f"CAT {work}/film.bin | sha256sum")
    assert whole.stdout.split()[0].decode() == hashlib.sha256(film).hexdigest()
    assert ben.json("get", work)["path"] == got["path"]
    assert [item["state"] for item in ben.lines("list")] == ["kept"]
    for daemon in (ben, anna):
        for slip in (("get", work, "--only", "none"), ("open", f"{work}/none", "--print")):
            said = daemon.run(*slip, check=False)
            assert said.returncode == 4 and "there is no 'none' in this work" in said.stderr
    assert _shell(ben, f"CAT {work}").returncode == 2  # a folder
    assert _shell(ben, f"CAT {work}/none").returncode == 4


def test_what_runs_goes_on_after_a_kill_and_what_is_paused_stays_so(
    start: Callable[..., RealDaemon], tmp_path: Path
) -> None:
    anna, ben = _pair(start)
    folder = _folder(tmp_path / "work")
    cid = anna.json("publish", str(folder), "--title", "Film")["cid"]
    reader = subprocess.Popen(
        [sys.executable, "-m", "p2pnode", "cat", f"{cid}/film.bin"],
        env=ben.environment,
        cwd=ben.home,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert reader.stdout is not None and len(os.read(reader.stdout.fileno(), 1000)) == 1000
    reader.send_signal(signal.SIGINT)  # it is blocked: nobody reads what it writes
    reader.communicate(timeout=30)
    assert reader.returncode == 130
    wait_until(lambda: ben.lines("transfers")[0]["state"] == "done", what="nobody reads any more")

    anna.stop()
    other = tmp_path / "other"
    other.mkdir()
    (other / "x").write_bytes(os.urandom(3 * MIB))
    other_cid = ben.json("cid", str(other))["cid"]
    for each in (cid, other_cid):
        assert ben.run("get", each, "--timeout", "0.5", check=False).returncode == 7
    paused = next(item for item in ben.lines("transfers") if item["cid"] == other_cid)
    ben.run("transfers", "pause", paused["transfer"])
    waiting = next(item for item in ben.lines("transfers") if item["cid"] == cid)
    assert waiting["state"] in ("waiting", "finding"), waiting
    ben.kill()
    ben.start()
    anna.start()
    anna.json("publish", str(other), "--title", "Other")
    ben.run("peers", "connect", anna.address)

    def states() -> dict[str, str]:
        return {item["cid"]: item["state"] for item in ben.lines("transfers", "list")}

    wait_until(lambda: states().get(cid) == "done", what="the fetch goes on by itself")
    assert states()[other_cid] == "paused"
    transfer = next(item["transfer"] for item in ben.lines("transfers") if item["cid"] == other_cid)
    ben.run("transfers", "resume", transfer)
    wait_until(lambda: states()[other_cid] == "done", what="it goes on when it is resumed")
