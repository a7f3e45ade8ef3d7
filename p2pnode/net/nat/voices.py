"""What peers found when they dialled us back, and what follows from it. Pure; the time is an argument. Used by `asking`.

One voice a range of addresses (/24 of IPv4, /48 of IPv6), the latest of each, for a while: a liar with many names has one voice. The
majority decides; while it is tied, what was believed before holds. A false yes needs a connection to us, and so is none (`asking`); a false
no has us keep relays that we do not need, for no longer than a voice lasts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

VOICES = 5
"""Kept, the latest; of five, two may lie."""
ENOUGH_VOICES = 3
"""With so many nobody is asked before AGAIN_S."""
VOICE_S = 3600.0
"""How long one counts."""

Verdict = Literal["unknown", "public", "private"]


@dataclass(frozen=True, slots=True)
class _Voice:
    address: str
    """Where we were reached, "" if we were not."""
    at: float


class Voices:
    """Of one node."""

    def __init__(self) -> None:
        self._voices: dict[str, _Voice] = {}
        self._last: Verdict = "unknown"

    def heard(self, origin: str, address: str, now: float) -> None:
        """A peer of this range reached us at `address`, or, if that is "", did not."""
        self._voices.pop(origin, None)
        self._voices[origin] = _Voice(address, now)
        if len(self._voices) > VOICES:
            del self._voices[next(iter(self._voices))]

    def forget(self) -> None:
        """We are somewhere else: nothing that was said holds."""
        self._voices.clear()
        self._last = "unknown"

    def has_of(self, origin: str, now: float) -> bool:
        """Whether somebody of this range has spoken."""
        self._drop_old(now)
        return origin in self._voices

    def count(self, now: float) -> int:
        self._drop_old(now)
        return len(self._voices)

    def verdict(self, now: float) -> Verdict:
        """Whether the internet reaches us."""
        self._drop_old(now)
        yes = sum(bool(voice.address) for voice in self._voices.values())
        no = len(self._voices) - yes
        if not self._voices:
            self._last = "unknown"
        elif yes != no:
            self._last = "public" if yes > no else "private"
        return self._last

    def addresses(self, now: float) -> list[str]:
        """Where we were reached, the most often told first; none unless the verdict is that we are."""
        if self.verdict(now) != "public":
            return []
        told = [voice.address for voice in self._voices.values() if voice.address]
        return sorted(dict.fromkeys(told), key=lambda address: -told.count(address))

    def _drop_old(self, now: float) -> None:
        self._voices = {origin: voice for origin, voice in self._voices.items() if voice.at + VOICE_S > now}
