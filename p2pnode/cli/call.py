"""One call of the command line: which home, whether JSON is wanted, and the way to the daemon.

Every command gets one of these. Nothing here prints or knows a command; the control client is imported when it is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from p2pnode.config import Home, find_home
from p2pnode.errors import NoDaemonError

if TYPE_CHECKING:
    from p2pnode.control.blocking import BlockingClient

Object = dict[str, Any]
OnEvent = Callable[[str, Object], None]

LOCAL_TIMEOUT_S = 30.0
"""For what the daemon answers from its own disk: in milliseconds, unless the disk is very busy."""
NETWORK_TIMEOUT_S = 120.0
"""For what waits for one other peer: a dial through every address of a slow one, and its answer."""


@dataclass
class Call:
    """Filled in while the arguments are read."""

    home_argument: str | None = None
    json: bool = False
    device: str | None = None
    """The paired machine that `--node` names; None: this one."""

    @property
    def home(self) -> Home:
        """The node's folder."""
        return find_home(self.home_argument)

    def client(self) -> AbstractContextManager[BlockingClient]:
        """A connection to the daemon. NoDaemonError says whether none runs or one is not ready."""
        from p2pnode.control.blocking import BlockingClient

        try:
            return BlockingClient(self.home, self.device)
        except NoDaemonError as error:
            raise self._explain(error) from None

    def ask(
        self,
        method: str,
        params: Object | None = None,
        on_event: OnEvent | None = None,
        timeout_s: float | None = LOCAL_TIMEOUT_S,
    ) -> Object:
        """The result of one method of the daemon."""
        with self.client() as client:
            return client.call(method, params, on_event, timeout_s)

    def items(self, method: str, params: Object | None = None) -> list[Object]:
        """The items of a method that lists."""
        items = self.ask(method, params).get("items", [])
        return [item for item in items if isinstance(item, dict)]

    def _explain(self, error: NoDaemonError) -> NoDaemonError:
        from p2pnode.control.lock import running_pid

        pid = running_pid(self.home)
        if pid is not None:
            return NoDaemonError(
                f"the daemon at {self.home.path} (process {pid}) does not answer",
                hint="it is starting or stopping; try again in a moment",
            )
        if self.home_argument:
            return NoDaemonError(error.message, hint=f"start one with: p2pnode daemon --home {self.home_argument}")
        return error
