"""Nodes that are all equally far from each other: namespaces around one slow hub. Needs what `netns.why_not` names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import TracebackType

from tests.support.netns import TIMEOUT_S, Namespaces
from tests.support.slow_hub import address_of

HUB = Path(__file__).with_name("slow_hub.py")


class FarNet:
    """`count` namespaces, a round trip of `round_trip_ms` apart. Ends with the `with`."""

    def __init__(self, count: int, round_trip_ms: float) -> None:
        self.spaces = Namespaces(count)
        self._round_trip_ms = round_trip_ms

    def __enter__(self) -> FarNet:
        self.spaces.__enter__()
        self._hub = subprocess.Popen(
            [sys.executable, str(HUB), str(self._round_trip_ms / 2), *self.spaces.names],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            self._answer("ready")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._hub.stdin is not None and self._hub.stdout is not None
        self._hub.stdin.close()
        try:
            self._hub.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._hub.kill()
            self._hub.wait()
        self._hub.stdout.close()
        self.spaces.__exit__(kind, error, trace)

    def address(self, number: int) -> str:
        """Where the n-th namespace listens: a multiaddr of port 4001."""
        return f"/ip4/{address_of(number)}/tcp/4001"

    def within(self, number: int) -> tuple[str, ...]:
        """What to put before a command of the n-th."""
        return self.spaces.within(number)

    def cut(self, number: int) -> None:
        """Nothing reaches or leaves it any more, and nobody is told."""
        self._say(f"cut {number}")
        self._answer("done")

    def count(self) -> tuple[int, int]:
        """Packets and bytes that were carried."""
        self._say("count")
        packets, size = self._answer().split()
        return int(packets), int(size)

    def _say(self, words: str) -> None:
        assert self._hub.stdin is not None
        self._hub.stdin.write(words + "\n")
        self._hub.stdin.flush()

    def _answer(self, expected: str | None = None) -> str:
        assert self._hub.stdout is not None
        line = self._hub.stdout.readline().strip()
        if not line or (expected is not None and line != expected):
            raise AssertionError(f"the slow hub said {line!r}")
        return line
