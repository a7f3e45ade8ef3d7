"""IPv4 and IPv6 are two internets: one may reach us where the other does not, so each has its own voices. Made by `outside`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import trio

from p2pnode.net.nat.asking import Asking
from p2pnode.net.nat.voices import Verdict

Version = Literal[4, 6]
VERSIONS: tuple[Version, ...] = (4, 6)


def version_of(host: str) -> Version:
    """Of an IP address."""
    return 6 if ":" in host else 4


class Families:
    """What peers of both find who dial us back. `make` makes who asks those of one,
    in turn with the other."""

    def __init__(self, make: Callable[[Version, trio.Lock], Asking]) -> None:
        turn = trio.Lock()
        self.of: dict[Version, Asking] = {version: make(version, turn) for version in VERSIONS}

    @property
    def verdict(self) -> Verdict:
        """Whether any of them reaches us: who cannot call by the other one knows that at once, and loses no time."""
        verdicts = {asking.verdict for asking in self.of.values()}
        return "public" if "public" in verdicts else "private" if "private" in verdicts else "unknown"

    @property
    def without_relays(self) -> Verdict:
        """Whether we can do without relays: not as long as those who have only IPv4 do not reach us."""
        verdict = self.verdict
        return "private" if verdict == "public" and self.of[4].verdict == "private" else verdict

    @property
    def reached_by(self) -> tuple[str, ...]:
        """Of which it is known that it reaches us."""
        return tuple(f"IPv{version}" for version, asking in self.of.items() if asking.verdict == "public")

    @property
    def addresses(self) -> list[str]:
        """Where we are reached."""
        return [address for asking in self.of.values() for address in asking.addresses]

    @property
    def voices(self) -> int:
        """How many peers that rests on."""
        return sum(asking.voices for asking in self.of.values())

    def moved(self) -> None:
        """See `Asking`."""
        for asking in self.of.values():
            asking.moved()

    async def ask_now(self) -> int:
        """See `Asking`, of both at once."""
        asked = 0

        async def ask(asking: Asking) -> None:
            nonlocal asked
            asked += await asking.ask_now()

        async with trio.open_nursery() as nursery:
            for asking in self.of.values():
                nursery.start_soon(ask, asking)
        return asked
