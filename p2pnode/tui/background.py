"""Running something beside the screen: the one way workers are started here.

Workers take functions, never coroutines: one that is replaced before it began leaves nothing behind that was never awaited.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, cast

from textual.dom import DOMNode
from textual.worker import Worker


def in_background(
    owner: DOMNode, work: Callable[[], Coroutine[Any, Any, None]], group: str, *, exclusive: bool = True
) -> Worker[None]:
    """Run `work` for as long as `owner` lives; with `exclusive` the group's older work is cancelled first."""
    return cast("Worker[None]", owner.run_worker(cast(Any, work), group=group, exclusive=exclusive))
