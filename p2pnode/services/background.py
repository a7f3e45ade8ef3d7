"""Work that a node does by itself: what goes wrong in it costs that piece of work, never the node.

A full disk, a database that is locked for a moment or a peer that hangs up must not reach the nursery in which everything runs: there it
would end the daemon. Called by every service that starts tasks. Cancelling goes through, always.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import trio

from p2pnode.errors import P2pnodeError

log = logging.getLogger("p2pnode.background")

FIRST_PAUSE_S, LAST_PAUSE_S = 5.0, 300.0
"""Before endless work that failed begins again: doubles from the first to the last. A disk is not free again within a second."""


async def contained(work: Callable[..., Awaitable[object]], *about: object) -> bool:
    """Do it. False if it failed: what is ours is told in one line, a bug of ours with its trace."""
    try:
        await work(*about)
    except Exception as error:
        _say(work, error)
        return False
    return True


async def for_ever(work: Callable[[], Awaitable[object]]) -> None:
    """Do endless work, again after a pause whenever it fails; ends when it is cancelled, or when it returns by itself."""
    pause_s = FIRST_PAUSE_S
    while True:
        began = trio.current_time()
        if await contained(work):
            return
        if trio.current_time() - began > LAST_PAUSE_S:
            pause_s = FIRST_PAUSE_S
        await trio.sleep(pause_s)
        pause_s = min(2 * pause_s, LAST_PAUSE_S)


def _say(work: Callable[..., Awaitable[object]], error: Exception) -> None:
    name = getattr(work, "__qualname__", repr(work))
    causes = _causes(error)
    if all(isinstance(cause, P2pnodeError) for cause in causes):
        log.warning("%s failed: %s", name, causes[0])
    else:
        log.error("%s failed", name, exc_info=error)


def _causes(error: Exception) -> list[Exception]:
    """What a nursery wrapped, however deep."""
    if isinstance(error, ExceptionGroup):
        return [cause for inner in error.exceptions for cause in _causes(inner)]
    return [error]
