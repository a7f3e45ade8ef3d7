"""A progress bar on stderr, for people only: nothing is drawn unless stderr is a terminal."""

from __future__ import annotations

import os
import shutil
import sys
import time
from types import TracebackType
from typing import Any

from p2pnode.cli.output import duration, plural, size
from p2pnode.core.text import clip, safe, width

DRAW_INTERVAL_S = 0.1
"""Ten pictures a second look alive; more would cost time that the work needs."""
BAR_CELLS = 24


class Progress:
    """A context manager; the line vanishes at its end."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._next = 0.0
        self._drawn = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self.clear()

    def clear(self) -> None:
        """Take the line away: something else is about to be written."""
        if self._drawn:
            self._drawn = False
            self._write("\r\x1b[K")

    def update(self, name: str, data: dict[str, Any]) -> None:
        """Take a progress event of the daemon; other events are ignored."""
        now = time.monotonic()
        if not self._shown or not name.endswith(".progress") or now < self._next:
            return
        self._next = now + DRAW_INTERVAL_S
        self._drawn = True
        cells = shutil.get_terminal_size().columns - 1
        self._write("\r\x1b[K" + clip(describe(data), cells))

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


def describe(data: dict[str, Any]) -> str:
    """One line: bar, share, bytes, rate, and what is being done."""
    done, total = data.get("bytes"), data.get("total")
    parts = []
    if isinstance(done, int) and isinstance(total, int) and total > 0:
        share = min(1.0, done / total)
        filled = round(share * BAR_CELLS)
        parts.append(f"[{'#' * filled}{'.' * (BAR_CELLS - filled)}] {int(share * 100):3d} %")
        parts.append(f"{size(done)} of {size(total)}")
    elif isinstance(done, int):
        parts.append(size(done))
    rate, providers = data.get("rate_bytes_s"), data.get("providers")
    if isinstance(rate, (int, float)) and rate > 0:
        parts.append(f"{size(int(rate))}/s")
    if isinstance(left := data.get("eta_s"), (int, float)) and left >= 1:
        parts.append(f"{duration(left)} left")
    if isinstance(providers, int):
        parts.append(plural(providers, "provider"))
    what = safe(str(data.get("reason") or data.get("path") or data.get("title") or ""))
    if what:
        parts.append(what)
    return "  ".join(part for part in parts if width(part))
