"""The daemon's end of the control socket: binding it, telling clients where it is, and clearing up behind a daemon that was killed.

Called by the daemon only, with the home's lock held: therefore whatever socket lies there already is stale. Plain sockets, no
event loop; `control.server` does the talking.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import sys
import tempfile
from pathlib import Path
from typing import Literal

from p2pnode.config import Home
from p2pnode.control.endpoint import (
    LOOPBACK,
    SHORT_FOLDER_PREFIX,
    Endpoint,
    TcpEndpoint,
    UnixEndpoint,
    connect,
    read_endpoint,
)
from p2pnode.control.lock import make_private_folder
from p2pnode.errors import NoDaemonError, P2pnodeError, StoreError

Transport = Literal["unix", "tcp"]

MAX_SOCKET_PATH_BYTES = 100
"""A Unix socket's path fits 104 bytes on macOS and 108 on Linux, with a zero at its end."""
SOCKET_NAME = "control.sock"
BACKLOG = 64
TOKEN_BYTES = 32


class Listening:
    """A bound, listening socket that run/control names."""

    def __init__(self, home: Home, listener: socket.socket, endpoint: Endpoint) -> None:
        self.home = home
        self.listener = listener
        self.endpoint = endpoint
        self.served = False
        """Set by the server, which then closes the socket itself: closing it under an event loop would confuse that."""

    @property
    def token(self) -> str | None:
        """What a client must show first, None where the kernel vouches for it."""
        return self.endpoint.token if isinstance(self.endpoint, TcpEndpoint) else None

    def close(self) -> None:
        """No new clients; the names vanish. May be called twice."""
        if not self.served:
            self.listener.close()
        if _is_same(self.home, self.endpoint):
            self.home.control.unlink(missing_ok=True)
        if isinstance(self.endpoint, UnixEndpoint):
            _remove_socket(self.endpoint.path)


def default_transport() -> Transport:
    """Unix sockets where Python has them and they carry an identity."""
    return "unix" if hasattr(socket, "AF_UNIX") and sys.platform != "win32" else "tcp"


def listen(home: Home, transport: Transport | None = None) -> Listening:
    """Bind and tell run/control. Call with the home's DaemonLock held. StoreError when no socket can be made."""
    make_private_folder(home)
    _clear_stale(home)
    try:
        if (transport or default_transport()) == "tcp":
            listener, endpoint = _listen_tcp()
        else:
            listener, endpoint = _listen_unix(home)
    except OSError as error:
        raise StoreError(f"the control socket cannot be opened: {error}") from error
    listening = Listening(home, listener, endpoint)
    try:
        _write_control(home, endpoint)
    except OSError as error:
        listening.close()
        raise StoreError(f"{home.control} cannot be written: {error.strerror}") from error
    return listening


def _listen_tcp() -> tuple[socket.socket, Endpoint]:
    listener = socket.create_server((LOOPBACK, 0), backlog=BACKLOG)
    return listener, TcpEndpoint(listener.getsockname()[1], secrets.token_hex(TOKEN_BYTES))


def _listen_unix(home: Home) -> tuple[socket.socket, Endpoint]:
    path = str(home.run / SOCKET_NAME)
    if not _fits(path):
        path = _short_path()
    if sys.platform == "win32":
        raise OSError("Unix sockets carry no identity on Windows")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(os.fsencode(path))  # inside a 0700 folder: nobody gets between bind and chmod
        os.chmod(path, 0o600)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener, UnixEndpoint(path)


def _fits(path: str) -> bool:
    return len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES and "\n" not in path


def _short_path() -> str:
    for folder in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):
        if folder and os.path.isdir(folder) and _fits(f"{folder}/{SHORT_FOLDER_PREFIX}12345678/{SOCKET_NAME}"):
            return os.path.join(tempfile.mkdtemp(prefix=SHORT_FOLDER_PREFIX, dir=folder), SOCKET_NAME)
    raise OSError("no temporary folder has a path short enough for a socket")


def _write_control(home: Home, endpoint: Endpoint) -> None:
    draft = home.control.with_name("control.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(endpoint.to_bytes())
    os.replace(draft, home.control)  # a client sees the old place or the whole new one


def _clear_stale(home: Home) -> None:
    """Our own socket is stale, because we hold the lock; one elsewhere only if nobody answers: this home may be a copy."""
    _remove_socket(str(home.run / SOCKET_NAME))
    try:
        connect(home)[0].close()
    except NoDaemonError:
        with contextlib.suppress(P2pnodeError):
            endpoint = read_endpoint(home)
            if isinstance(endpoint, UnixEndpoint) and Path(endpoint.path).parent.name.startswith(SHORT_FOLDER_PREFIX):
                _remove_socket(endpoint.path)
    except P2pnodeError:
        pass  # somebody else's: not for us to clear


def _remove_socket(path: str) -> None:
    """Unlink a socket of ours, and its folder where that was made for it; leaves anything else alone."""
    place = Path(path)
    if place.name != SOCKET_NAME:
        return
    if place.is_socket():
        place.unlink(missing_ok=True)
    folder = place.parent
    if folder.name.startswith(SHORT_FOLDER_PREFIX):
        with contextlib.suppress(OSError):  # not ours, not empty, not there: then it is not for us to remove
            folder.rmdir()


def _is_same(home: Home, endpoint: Endpoint) -> bool:
    try:
        return read_endpoint(home) == endpoint
    except P2pnodeError:
        return False
