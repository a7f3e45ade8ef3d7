"""What happens in the node, told to whoever listens: services call `emit`, the control server subscribes for its clients.

Synchronous and without queues: a listener takes an event at once and must not wait. A listener that fails is logged and stays.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Listener = Callable[[str, dict[str, Any]], None]

logger = logging.getLogger(__name__)


class EventBus:
    """Names and JSON objects, from one emitter to every listener of the moment, in order."""

    def __init__(self) -> None:
        self._listeners: dict[int, Listener] = {}
        self._serial = 0

    def emit(self, name: str, data: dict[str, Any]) -> None:
        """Tell every listener; never raises, whatever a listener does."""
        for listener in list(self._listeners.values()):
            try:
                listener(name, data)
            except Exception:
                logger.exception("a listener failed on the event %s", name)

    @contextmanager
    def subscribed(self, listener: Listener) -> Iterator[None]:
        """Listen while the block runs."""
        cancel = self.subscribe(listener)
        try:
            yield
        finally:
            cancel()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Listen until the returned function is called."""
        self._serial += 1
        serial = self._serial
        self._listeners[serial] = listener

        def cancel() -> None:
            self._listeners.pop(serial, None)

        return cancel
