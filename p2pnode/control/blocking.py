"""The blocking client of the control socket: the command line's, standard library only.

One request at a time. Its events are handed over while the call waits; Ctrl-C cancels the request in the daemon and then goes on
to the caller. Never starts a daemon.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, NoReturn

from p2pnode.config import Home
from p2pnode.control import codec, session
from p2pnode.control.codec import Cancel, Event, Failure, FromServer, LineBuffer
from p2pnode.control.endpoint import CONNECT_TIMEOUT_S, connect
from p2pnode.errors import DecodeError, NetworkError, NoDaemonError, P2pnodeError, TimedOutError

OnEvent = Callable[[str, dict[str, Any]], None]
RECEIVE_BYTES = 65536
CANCEL_WAIT_S = 2.0
"""After Ctrl-C: for the daemon to say that it stopped, so that nothing of ours runs on unseen."""


class _DeadlineError(TimedOutError):
    """Our own deadline, not a time-out that the daemon tells."""


class BlockingClient:
    """A connection to the daemon of one home, or through it to another machine's; a context manager."""

    def __init__(self, home: Home, device: str | None = None) -> None:
        """Connect and greet. NoDaemonError when none runs, RefusedError when it is somebody else's.

        With `device` the daemon of that paired machine is spoken to; NotFoundError, RefusedError and NetworkError say why it is not.
        """
        self._home = home
        self._device: str | None = None
        self._lines = LineBuffer()
        self._serial = 0
        self._socket, endpoint = connect(home)
        try:
            if greeting := session.greeting(endpoint):
                self._send(greeting)
            self.hello = session.check_hello(self._receive(time.monotonic() + CONNECT_TIMEOUT_S))
            if device is not None:
                self._go_through(device)
        except BaseException:
            self.close()
            raise

    def _go_through(self, device: str) -> None:
        deadline = time.monotonic() + session.TUNNEL_TIMEOUT_S
        self._send(session.encode_tunnel(device))
        while not session.check_tunnel(self._receive(deadline)):
            pass
        self._device = device
        self.hello = session.check_hello(self._receive(deadline))

    def __enter__(self) -> BlockingClient:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; a request that still runs is cancelled by that."""
        self._socket.close()

    def call(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        on_event: OnEvent | None = None,
        timeout_s: float | None = None,
    ) -> dict[str, Any]:
        """The result of one method. Raises what the daemon answered, by its code; TimedOutError after `timeout_s` without an answer."""
        self._serial += 1
        id = self._serial
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        self._send(session.encode_request(id, method, params or {}))
        try:
            return self._wait(id, on_event, deadline)
        except _DeadlineError:
            self._cancel(id)
            raise TimedOutError(f"the daemon did not answer {method} within {timeout_s:g} s") from None
        except BaseException as error:  # Ctrl-C, a closed pipe under on_event: stop the work in the daemon too
            if not isinstance(error, P2pnodeError):
                self._cancel(id)
            raise

    def tell(self, method: str, params: dict[str, Any]) -> None:
        """A request beside the one that is waited for, from its `on_event`; its answer is not looked at."""
        self._serial += 1
        self._send(session.encode_request(self._serial, method, params))

    def _wait(self, id: int, on_event: OnEvent | None, deadline: float | None) -> dict[str, Any]:
        pending = session.Pending()
        while True:
            message = self._receive(deadline)
            if isinstance(message, Failure) and message.id is None:
                raise DecodeError(f"the daemon did not understand us: {message.message}")
            if session.id_of(message) != id:
                continue  # what is left of an earlier request, or a notice
            if isinstance(message, Event):
                if on_event is not None:
                    on_event(message.name, message.data)
            elif (result := pending.take(message)) is not None:
                return result

    def wait_until_closed(self, timeout_s: float) -> bool:
        """Whether the daemon ends the connection within the time; what it still says is not looked at."""
        deadline = time.monotonic() + timeout_s
        try:
            while True:
                self._receive(deadline)
        except NoDaemonError:
            return True
        except NetworkError:
            return self._device is not None
        except P2pnodeError:
            return False

    def _cancel(self, id: int) -> None:
        with contextlib.suppress(P2pnodeError):
            self._send(codec.encode(Cancel(id)))
            self._wait(id, None, time.monotonic() + CANCEL_WAIT_S)

    def _send(self, data: bytes) -> None:
        try:
            self._socket.settimeout(CONNECT_TIMEOUT_S)
            self._socket.sendall(data)
        except TimeoutError:
            raise TimedOutError("the daemon does not read what it is sent") from None
        except OSError:
            self._gone()

    def _receive(self, deadline: float | None) -> FromServer:
        """The next message. TimedOutError at the deadline (monotonic seconds), NoDaemonError when the daemon goes."""
        while True:
            try:
                line = self._lines.next_line()
                if line is not None:
                    return codec.decode_from_server(line)
            except DecodeError as error:
                raise NetworkError(f"the daemon said something unreadable: {error.message}") from error
            self._lines.receive(self._receive_bytes(deadline))

    def _receive_bytes(self, deadline: float | None) -> bytes:
        left_s = None if deadline is None else max(0.001, deadline - time.monotonic())
        try:
            self._socket.settimeout(left_s)
            data = self._socket.recv(RECEIVE_BYTES)
        except TimeoutError:
            raise _DeadlineError("the daemon did not answer in time") from None
        except OSError:
            data = b""
        if not data:
            self._gone()
        return data

    def _gone(self) -> NoReturn:
        if self._device is not None:
            raise session.lost(self._device)
        raise NoDaemonError(f"the daemon at {self._home.path} went away before it answered")
