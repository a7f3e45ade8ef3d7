"""The ports that settings open when the node starts: the gateway and the metrics. One that is taken costs that door only, and is told.

Metrics are tried again every minute, because nobody sits there to ask for them; the gateway is a person's to open. Called by the daemon.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from p2pnode.errors import RefusedError
from p2pnode.gateway.door import Door
from p2pnode.gateway.metrics import serve_metrics
from p2pnode.services.closed_doors import GATEWAY, METRICS, ClosedDoors

AGAIN_S = 60.0
"""Between two tries to open the port of the metrics."""


async def open_gateway(door: Door, port: int, doors: ClosedDoors) -> None:
    """Open it, or tell why not."""
    try:
        await door.open(port)
    except RefusedError as error:
        doors.shut(GATEWAY, error.message)


async def keep_metrics(text: Callable[[], Awaitable[str]], port: int, doors: ClosedDoors) -> None:
    """Serve them for ever, as soon as the port is free."""
    while True:
        try:
            await serve_metrics(text, port, lambda: doors.opened(METRICS))
        except RefusedError as error:
            doors.shut(METRICS, error.message)
        await trio.sleep(AGAIN_S)
