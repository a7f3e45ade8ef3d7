"""The node as the screens see it: a connection that comes and goes, calls, and events. Wraps the asyncio control client.

Only this file knows that there is a control socket. `run` keeps the connection for as long as the app lives, starts a daemon
the first time none answers (and whenever asked to), and says what it is doing through `on_link`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from p2pnode.config import Home
from p2pnode.control.aio import ControlClient
from p2pnode.errors import NoDaemonError, P2pnodeError, TimedOutError
from p2pnode.tui.launch import Launch, launch
from p2pnode.tui.words import Answer

OnEvent = Callable[[str, Answer], None]

PAUSES_S = (1.0, 2.0, 4.0, 8.0)
"""Between attempts to reach a lost node; the last one repeats. Each is counted down on the screen."""
START_TIMEOUT_S = 30.0
"""A daemon that opens a large store on a slow card needs some seconds; one that needs more hangs."""
START_POLL_S = 0.1
"""How often we look whether a starting daemon answers."""
CALL_TIMEOUT_S = 30.0
"""For answers that wait for no peer and no large file. Whoever expects more says so."""


@dataclass(frozen=True, slots=True)
class Link:
    """How we stand with the node: connecting, starting, online or lost (with the next attempt's time and the reason)."""

    state: str = "connecting"
    retry_at: float = 0.0
    error: P2pnodeError | None = None
    device: str = ""
    """The paired machine that is driven; empty for the home's own node."""

    @property
    def online(self) -> bool:
        return self.state == "online"


class Node:
    """One home's node. Callbacks are called on the app's own loop, in order."""

    def __init__(
        self,
        home: Home,
        *,
        on_link: Callable[[Link], None],
        on_event: OnEvent,
        clock: Callable[[], float],
        autostart: bool = True,
        pauses_s: tuple[float, ...] = PAUSES_S,
        start: Callable[[Home], Launch] = launch,
        device: str | None = None,
    ) -> None:
        self.home = home
        self.device = device
        """The paired machine that is driven through this home's node; None: the home's own."""
        self.link = Link()
        self.pending = 0
        """Calls that wait for their answer, those without an end not counted."""
        self._on_link = on_link
        self._on_event = on_event
        self._clock = clock
        self._start_wanted = autostart
        self._pauses_s = pauses_s
        self._start = start
        self._failures = 0
        self._hurry = asyncio.Event()
        self._client: ControlClient | None = None

    async def run(self) -> None:
        """Connect, and again whenever the connection ends, until cancelled."""
        while True:
            try:
                await self._stay_connected()
                error: P2pnodeError = NoDaemonError("the node has stopped")
            except P2pnodeError as failure:
                error = failure
            if isinstance(error, NoDaemonError) and self._start_wanted:
                self._start_wanted = False
                try:
                    await self._start_daemon()
                    continue
                except P2pnodeError as failure:
                    error = failure
            await self._pause(error)

    def hurry(self, *, start: bool = False) -> None:
        """Try again now instead of at the end of the pause; with `start`, start a daemon where none answers."""
        self._start_wanted = self._start_wanted or start
        self._hurry.set()

    async def call(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        *,
        on_event: OnEvent | None = None,
        timeout_s: float | None = CALL_TIMEOUT_S,
    ) -> Answer:
        """The answer of one method. Raises P2pnodeError only; cancelling the task cancels the request."""
        if self._client is None:
            raise NoDaemonError("the node does not answer", hint="press s to start it")
        self.pending += 1
        try:
            return await self._client.call(method, params, on_event=on_event, timeout_s=timeout_s)
        finally:
            self.pending -= 1

    async def _stay_connected(self) -> None:
        client = await ControlClient.connect(self.home, self.device)
        unsubscribe: Callable[[], None] = lambda: None  # noqa: E731
        try:
            unsubscribe = await client.subscribe(self._on_event)
            self._client = client
            self._failures = 0
            self._set(Link("online"))
            await client.lost.wait()
        finally:
            self._client = None
            unsubscribe()
            await client.close()

    async def _start_daemon(self) -> None:
        self._set(Link("starting"))
        started = await asyncio.to_thread(self._start, self.home)
        deadline = asyncio.get_running_loop().time() + START_TIMEOUT_S
        while asyncio.get_running_loop().time() < deadline:
            try:
                client = await ControlClient.connect(self.home)
            except NoDaemonError:
                started.check()
                await asyncio.sleep(START_POLL_S)
            else:
                await client.close()
                return
        raise TimedOutError(f"the node was started, but does not answer after {START_TIMEOUT_S:g} s")

    async def _pause(self, error: P2pnodeError) -> None:
        pause_s = self._pauses_s[min(self._failures, len(self._pauses_s) - 1)]
        self._failures += 1
        self._hurry.clear()
        self._set(Link("lost", self._clock() + pause_s, error))
        try:
            async with asyncio.timeout(pause_s):
                await self._hurry.wait()
        except TimeoutError:
            pass
        self._set(Link("connecting", 0.0, error))

    def _set(self, link: Link) -> None:
        self.link = replace(link, device=self.device or "")
        self._on_link(self.link)
