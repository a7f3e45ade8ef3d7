"""Where the control socket is, who may come, and that one home has one daemon."""

from __future__ import annotations

import os
import signal
import socket
import stat
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from p2pnode.config import Home
from p2pnode.control.endpoint import TcpEndpoint, UnixEndpoint, connect, is_own, read_endpoint
from p2pnode.control.listening import MAX_SOCKET_PATH_BYTES, listen
from p2pnode.control.lock import DaemonLock, running_pid
from p2pnode.errors import NoDaemonError, RefusedError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets and modes")

HOLD = """
import sys, pathlib
from p2pnode.config import Home
from p2pnode.control.listening import listen
from p2pnode.control.lock import DaemonLock
home = Home(pathlib.Path(sys.argv[1]))
lock, listening = DaemonLock.acquire(home), listen(home)
print("held", flush=True)
sys.stdin.read()
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_modes_keep_others_out(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    usual = os.umask(0o022)
    lock, listening = DaemonLock.acquire(home), listen(home)
    try:
        assert mode(home.run) == 0o700
        assert mode(home.control) == 0o600
        assert mode(home.run / "control.sock") == 0o600
        assert home.control.read_text() == f"unix {home.run / 'control.sock'}\n"
    finally:
        os.umask(usual)
        listening.close()
        lock.release()
    assert sorted(path.name for path in home.run.iterdir()) == ["lock"]


def test_a_run_folder_that_was_open_is_closed(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.run.mkdir(mode=0o755)
    home.run.chmod(0o755)
    listening = listen(home)
    listening.close()
    assert mode(home.run) == 0o700


@pytest.mark.parametrize("name", ["long" * 40, "line\nbreak"])
def test_a_path_no_socket_can_have_gets_a_short_one(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = tmp_path / "r"
    runtime.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    home = Home(tmp_path / name)
    listening = listen(home)
    place = listening.endpoint
    assert isinstance(place, UnixEndpoint)
    assert place.path.startswith(str(runtime)) or len(str(runtime)) > 60
    assert len(os.fsencode(place.path)) <= MAX_SOCKET_PATH_BYTES
    assert mode(Path(place.path).parent) == 0o700
    assert read_endpoint(home) == place
    connect(home)[0].close()
    listening.close()
    assert not Path(place.path).parent.exists()


def test_no_daemon(tmp_path: Path) -> None:
    with pytest.raises(NoDaemonError, match="no daemon runs at"):
        connect(Home(tmp_path))
    assert running_pid(Home(tmp_path)) is None


@pytest.mark.parametrize(
    "text", [b"", b"\n", b"unix \n", b"tcp 99999 abc\n", b"tcp 5\n", b"pipe x\n", b"\xff\xfe\n", b"x" * 99999]
)
def test_a_damaged_control_file(text: bytes, tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.run.mkdir()
    home.control.write_bytes(text)
    with pytest.raises(NoDaemonError):
        connect(home)
    listen(home).close()  # and the next daemon is not disturbed by it


def test_paths_that_are_no_unicode(tmp_path: Path) -> None:
    home = Home(Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")))
    listening = listen(home)
    connect(home)[0].close()
    listening.close()


def test_a_second_daemon_is_told_the_pid_of_the_first(tmp_path: Path) -> None:
    home = Home(tmp_path)
    first = DaemonLock.acquire(home)
    assert running_pid(home) == os.getpid()
    with pytest.raises(RefusedError, match=f"process id {os.getpid()} already runs") as refusal:
        DaemonLock.acquire(home)
    assert refusal.value.exit_status == 6
    first.release()
    first.release()
    assert running_pid(home) is None
    DaemonLock.acquire(home).release()


def test_what_a_killed_daemon_leaves_disturbs_nobody(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(RefusedError, match=f"process id {holder.pid} already runs"):
        DaemonLock.acquire(home)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert home.control.exists() and (home.run / "control.sock").exists()
    with pytest.raises(NoDaemonError, match="no daemon answers"):
        connect(home)
    lock = DaemonLock.acquire(home)
    listening = listen(home)
    connect(home)[0].close()
    listening.close()
    lock.release()


def test_a_socket_without_its_control_file_is_stale_too(tmp_path: Path) -> None:
    home = Home(tmp_path)
    listening = listen(home)
    listening.listener.close()
    home.control.unlink()
    listen(home).close()


@pytest.mark.parametrize("name", ["short", "long" * 40])
def test_a_copied_home_leaves_the_first_ones_socket_alone(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "r").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "r"))
    first, copy = Home(tmp_path / name), Home(tmp_path / "copy")
    listening = listen(first)
    copy.run.mkdir(parents=True)
    copy.control.write_bytes(first.control.read_bytes())
    if name == "short":
        with pytest.raises(NoDaemonError):
            connect(copy)
    listen(copy).close()
    connect(first)[0].close()
    listening.close()


def test_a_home_has_many_names(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    listening = listen(Home(tmp_path / "link"))
    for name in ("real", "link", "../" + tmp_path.name + "/link"):
        connect(Home(tmp_path / name))[0].close()
    listening.close()


@pytest.mark.parametrize("name", ["short", "long" * 40])
def test_nothing_gathers_in_the_temporary_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = tmp_path / "r"
    runtime.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    home = Home(tmp_path / name)
    for _ in range(3):
        listen(home).listener.close()  # as if killed: names and folders stay
    assert len(list(runtime.iterdir())) == (0 if name == "short" else 1)


def test_tcp_where_there_are_no_unix_sockets(tmp_path: Path) -> None:
    home = Home(tmp_path)
    listening = listen(home, "tcp")
    place = read_endpoint(home)
    assert isinstance(place, TcpEndpoint)
    assert listening.token == place.token and len(place.token) == 64
    assert listening.listener.getsockname()[0] == "127.0.0.1"
    connect(home)[0].close()
    listening.close()
    assert not home.control.exists()


class SocketOf(socket.socket):
    """A connected socket of which the kernel would say that a certain user is at its other end."""

    uid = 0

    def getsockopt(self, *args: int) -> bytes:  # type: ignore[override]
        return struct.pack("3i", 1, self.uid, 1)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells who it is")
def test_other_users_are_strangers() -> None:
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        assert is_own(one), "the kernel's own answer about ourselves"
    with SocketOf(socket.AF_UNIX) as claimed:
        for uid, own in ((os.geteuid(), True), (0, True), (os.geteuid() + 4321, False)):
            claimed.uid = uid
            assert is_own(claimed) is own
