"""A daemon whose home is on a full or read-only disk, or already taken, or whose port is: one clear line, a documented exit status."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.daemons import RealDaemon

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
