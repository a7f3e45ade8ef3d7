"""Waiting for what has no event: asks again and again, with a deadline. For trio tests."""

from __future__ import annotations

from collections.abc import Callable

import trio

DEADLINE_S = 60.0


async def until(condition: Callable[[], bool], *, deadline_s: float = DEADLINE_S) -> None:
    """Let the others run until it is true. TooSlowError after the deadline."""
    with trio.fail_after(deadline_s):
        while not condition():  # noqa: ASYNC110
            await trio.sleep(0.01)
