"""A daemon whose home is on a full or read-only disk, or already taken, or whose port is: one clear line, a documented exit status."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.store.samples import bytes_of
from tests.support.daemons import RealDaemon, wait_until

pytestmark = pytest.mark.network

DISK_KIB = 4096
START_TIMEOUT_S = 60

Mount = Callable[[str], None]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own, with an empty `home`."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_KIB}k", "p2pnode-test", str(place)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("only who may mount a small disk can fill it")
    (place / "home").mkdir()
    yield place
    subprocess.run(["umount", str(place)], check=True)


def leave_free(disk: Path, kib: int) -> None:
    filler = disk / "filler"
    with open(filler, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            os.ftruncate(file.fileno(), max(0, file.tell() - (kib << 10)))


def refused(daemon: RealDaemon, status: int, *words: str) -> None:
    """The daemon does not start: it says so in a line, perhaps with a hint in a second, and nothing else on stderr but log lines."""
    result = daemon.run(*daemon.arguments, check=False, timeout_s=START_TIMEOUT_S)
    said = [line for line in result.stderr.splitlines() if " p2pnode." not in line]
    assert result.returncode == status, result.stderr
    assert result.stdout == ""
    assert said and said[0].startswith("p2pnode: ") and len(said) <= 2, result.stderr
    assert all(line.startswith("  ") for line in said[1:]), result.stderr
    assert all(word in said[0].lower() for word in words), said[0]


@pytest.mark.parametrize("kib", [0, 4, 8, 100])
def test_a_full_disk(disk: Path, kib: int) -> None:
    leave_free(disk, kib)
    daemon = RealDaemon(disk / "home")
    refused(daemon, 1, "full" if kib >= 12 else "no space")
    (disk / "filler").unlink()
    assert daemon.start().json("status")["works"] == 0, "once there is room, it starts as if nothing had been"
    assert daemon.stop() == 0


def test_a_disk_that_cannot_be_written(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    refused(RealDaemon(disk / "home"), 1, "read-only")


def test_a_disk_that_fills_up_while_fetching(
    disk: Path, start: Callable[..., RealDaemon], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transfer fails with the numbers, the node goes on, and fetches it once there is room."""
    (tmp_path / "work.bin").write_bytes(bytes_of(6 << 20))
    anna = start("anna")
    published = anna.json("publish", str(tmp_path / "work.bin"), "--title", "Too large for now")
    monkeypatch.setenv("P2PNODE_FLOOR_BYTES", "262144")
    subprocess.run(["mount", "-o", "remount,size=12m", str(disk)], check=True)
    filler = disk / "filler"
    filler.write_bytes(bytes(8 << 20))
    ben = RealDaemon(disk / "home", bootstrap=(anna.address,)).start()
    try:
        wait_until(lambda: ben.json("status")["peers"] == 1, what="the two are connected")
        result = ben.run("get", published["work"], "--json", check=False)
        error = json.loads(result.stderr)
        assert (result.returncode, error["code"]) == (6, "refused"), error
        assert "MiB free" in error["message"] and "floor_bytes" in error["hint"]
        shown = ben.json("storage")
        assert shown["room_bytes"] < 6 << 20
        filler.unlink()
        assert ben.json("get", published["work"])["bytes"] == 6 << 20
        assert ben.json("verify")["damaged_blocks"] == 0
        assert "Traceback" not in ben.log
        assert ben.stop() == 0
    finally:
        ben.kill()


def test_files_under_us_go_and_change(start: Callable[..., RealDaemon], tmp_path: Path) -> None:
    """Of one's own: told, not served, never written. Whoever asks gets nothing wrong."""
    for name in ("kept", "edited", "cut", "deleted"):
        (tmp_path / name).write_bytes(bytes_of(2_500_000, name))
    anna = start("anna")
    works = {
        name: anna.json("publish", str(tmp_path / name), "--title", name)
        for name in ("kept", "edited", "cut", "deleted")
    }
    with open(tmp_path / "edited", "r+b") as file:
        file.seek(1_300_000)
        file.write(b"changed")
    os.truncate(tmp_path / "cut", 1_300_000)
    (tmp_path / "deleted").unlink()
    ben = start("ben", bootstrap=(anna.address,))
    wait_until(lambda: ben.json("status")["peers"] == 1, what="the two are connected")
    assert ben.json("get", works["kept"]["work"])["bytes"] == 2_500_000
    for name in ("edited", "cut", "deleted"):
        asked = ben.run("get", works[name]["work"], "--timeout", "2", check=False)
        assert asked.returncode == 7, "what is right of it comes, what is not is waited for"
    library = sorted(path.name for path in (ben.home / "library").iterdir() if not path.name.startswith("."))
    assert library == ["kept"]
    result = anna.run("verify", "--json", check=False)
    answer = json.loads(result.stdout)
    assert result.returncode == 1
    assert {(Path(item["path"]).name, item["reason"]) for item in answer["items"]} == {
        ("edited", "changed"),
        ("cut", "short"),
        ("deleted", "gone"),
    }
    assert (tmp_path / "edited").read_bytes()[1_300_000:1_300_007] == b"changed"
    again = anna.json("publish", str(tmp_path / "edited"), "--title", "edited")
    assert again["cid"] != works["edited"]["cid"]
    for daemon in (anna, ben):
        assert "Traceback" not in daemon.log
        assert daemon.stop() == 0


def test_a_damaged_database_is_said_and_rescued(start: Callable[..., RealDaemon], tmp_path: Path) -> None:
    (tmp_path / "mine.bin").write_bytes(bytes_of(2_500_000))
    anna = start("anna")
    published = anna.json("publish", str(tmp_path / "mine.bin"), "--title", "Mine")
    circle = anna.json("circle", "create", "Readers")
    refused_now = anna.run("rescue", check=False)
    assert refused_now.returncode == 6, "a daemon runs"
    assert anna.stop() == 0
    database = anna.home / "node.db"
    with sqlite3.connect(database) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'places'").fetchone()
    db.close()
    with open(database, "r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xa5" * 4096)
    told = anna.json("rescue")
    assert told["problems"] and told["incomplete"] == ["places"] and told["unchecked"] == 3
    assert Path(told["set_aside"]).exists()
    anna.start()
    assert [work["work"] for work in anna.lines("list")] == [published["work"]]
    assert [one["circle"] for one in anna.lines("circle", "list")] == [circle["circle"]]
    assert anna.json("verify")["damaged_blocks"] == 0
    ben = start("ben", bootstrap=(anna.address,))
    wait_until(lambda: ben.json("status")["peers"] == 1, what="the two are connected")
    assert ben.json("get", published["work"])["bytes"] == 2_500_000
    for daemon in (anna, ben):
        assert "Traceback" not in daemon.log
        assert daemon.stop() == 0
    assert "healthy" in anna.run("rescue").stdout


def test_a_database_that_cannot_be_read_or_is_newer(tmp_path: Path) -> None:
    home = tmp_path / "anna"
    daemon = RealDaemon(home).start()
    assert daemon.stop() == 0
    with sqlite3.connect(home / "node.db") as db:
        db.execute("PRAGMA user_version = 999")
    db.close()
    refused(daemon, 1, "schema 999")
    (home / "node.db").write_bytes(b"A letter to my aunt. " * 500)
    refused(daemon, 1, "not a database")
    daemon.run("rescue")
    assert daemon.start().json("status")["works"] == 0
    assert daemon.stop() == 0


def test_a_second_daemon_at_one_home(start: Callable[..., RealDaemon]) -> None:
    first = start("anna")
    refused(RealDaemon(first.home), 6, "already runs")
    assert first.json("status")["peer_id"] == first.peer_id
    assert first.stop() == 0


def test_a_port_that_is_taken(start: Callable[..., RealDaemon], tmp_path: Path) -> None:
    first = start("anna")
    second = RealDaemon(tmp_path / "ben", listen=first.address.partition("/p2p/")[0])
    second.home.mkdir()
    refused(second, 1, "cannot listen")


def test_a_wrong_passphrase(start: Callable[..., RealDaemon], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("P2PNODE_PASSPHRASE", "right")
    assert start("anna").stop() == 0
    monkeypatch.setenv("P2PNODE_PASSPHRASE", "wrong")
    refused(RealDaemon(tmp_path / "anna"), 6, "passphrase")
