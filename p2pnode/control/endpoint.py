"""Where a home's daemon can be spoken to, and the way in for clients. Standard library only: the command line pays for it.

`run/control` holds one line: `unix PATH`, or `tcp PORT TOKEN` where there are no Unix sockets (Windows). Clients read that
file and nothing else. `control.listening` writes it. Nothing here starts, stops or waits for a daemon.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from dataclasses import dataclass
from typing import NoReturn

from p2pnode.config import Home
from p2pnode.errors import NoDaemonError, RefusedError

LOOPBACK = "127.0.0.1"
CONNECT_TIMEOUT_S = 5.0
"""A daemon on this machine accepts in milliseconds; one that does not within this is hung."""
SHORT_FOLDER_PREFIX = "p2pnode-"
"""Of the folder that a socket gets elsewhere when the home's own path is too long for one."""
MAX_CONTROL_BYTES = 8192
"""Bytes of run/control that are read: longer than any path."""
_CREDENTIALS = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class UnixEndpoint:
    """A Unix socket at an absolute path."""

    path: str

    def to_bytes(self) -> bytes:
        return b"unix " + os.fsencode(self.path) + b"\n"


@dataclass(frozen=True, slots=True)
class TcpEndpoint:
    """A loopback port, and the secret that shows one may read this home's files."""

    port: int
    token: str

    def to_bytes(self) -> bytes:
        return f"tcp {self.port} {self.token}\n".encode()


Endpoint = UnixEndpoint | TcpEndpoint


def read_endpoint(home: Home) -> Endpoint:
    """What run/control says. NoDaemonError when it is not there or cannot be understood."""
    try:
        with open(home.control, "rb") as file:
            line = file.read(MAX_CONTROL_BYTES).split(b"\n")[0]
    except (FileNotFoundError, NotADirectoryError):
        raise NoDaemonError(f"no daemon runs at {home.path}") from None
    except PermissionError:
        raise RefusedError(f"{home.control} may not be read", hint="the node belongs to somebody else") from None
    except OSError as error:
        raise NoDaemonError(f"{home.control} cannot be read: {error.strerror}") from None
    kind, _, rest = line.partition(b" ")
    if kind == b"unix" and rest:
        return _own_place(home, os.fsdecode(rest))
    if kind == b"tcp":
        port, _, token = rest.decode("ascii", "replace").partition(" ")
        if port.isdecimal() and 0 < int(port) < 65536 and token:
            return TcpEndpoint(int(port), token)
    raise NoDaemonError(f"{home.control} does not say where the daemon is", hint="start it again: p2pnode daemon")


def _own_place(home: Home, path: str) -> UnixEndpoint:
    """The socket's place, if it can be this home's: a copied home still names the socket of the one it was copied from."""
    folder = os.path.dirname(path)
    if not os.path.basename(folder).startswith(SHORT_FOLDER_PREFIX):
        try:
            own = os.path.samefile(folder, home.run)
        except OSError:
            own = False
        if not own:
            raise NoDaemonError(f"no daemon runs at {home.path}")
    return UnixEndpoint(path)


def connect(home: Home) -> tuple[socket.socket, Endpoint]:
    """A connected blocking socket and where it leads. NoDaemonError when nobody listens, RefusedError when a stranger does."""
    endpoint = read_endpoint(home)
    try:
        connection = _connect(endpoint)
    except (FileNotFoundError, ConnectionRefusedError, TimeoutError):
        no_answer(home)
    except PermissionError:
        raise RefusedError("the control socket may not be used", hint="the node belongs to somebody else") from None
    except OSError as error:
        raise NoDaemonError(f"the daemon at {home.path} cannot be reached: {error}") from None
    if not is_own(connection):
        connection.close()
        raise RefusedError("another user's program listens at this home's control socket")
    return connection, endpoint


def no_answer(home: Home) -> NoReturn:
    """NoDaemonError for a home whose daemon went without taking leave."""
    raise NoDaemonError(f"no daemon answers at {home.path}") from None


def _connect(endpoint: Endpoint) -> socket.socket:
    if isinstance(endpoint, TcpEndpoint):
        return socket.create_connection((LOOPBACK, endpoint.port), timeout=CONNECT_TIMEOUT_S)
    if not hasattr(socket, "AF_UNIX"):
        raise OSError("this platform has no Unix sockets")
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(CONNECT_TIMEOUT_S)
        connection.connect(os.fsencode(endpoint.path))
    except BaseException:
        connection.close()
        raise
    return connection


def is_own(connection: socket.socket) -> bool:
    """Whether the other end of a Unix socket is our user or root. Where the kernel does not tell, the folder's mode decides."""
    if not sys.platform.startswith("linux") or connection.family != socket.AF_UNIX:
        return True
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(data)
    return uid in (0, os.geteuid())
