"""What a node may send and receive: rates, schedule and budgets applied to the network's meter, and what was used kept across restarts.

Once a second it reads the meter, counts what went into the hour and the month, and sets the rates that hold now. Others ask
`waiting_reason` before they move a work's bytes. Rates that are set while the node runs hold until it stops; the settings are for good.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, replace

import trio

from p2pnode.config import Settings
from p2pnode.core.traffic_rules import (
    Allowance,
    Moment,
    Rates,
    TrafficRules,
    Usage,
    allowance,
    bytes_in_words,
    check_budget,
    check_rate,
    parse_schedule,
)
from p2pnode.ports import Carried, Emit, Meter, Store, WallClock

TICK_S = 1.0
"""Between two looks at the meter, where something is limited: what goes beyond a budget in between is the rate of a second."""
IDLE_TICK_S = 60.0
"""Between two looks where nothing is."""
KEEP_EVERY_S = 60.0
KEEP_EVERY_BYTES = 64 << 20
"""What was used is written down after a minute or so many bytes: as much may be forgotten by a kill."""
KEEP_AT_END_S = 2.0
META_KEY = "traffic/usage"


class TrafficLimits:
    """The limits of one node (`ports.Traffic`). `schedule` are the windows as they were written."""

    def __init__(self, settings: Settings, store: Store, meter: Meter, clock: WallClock, emit: Emit) -> None:
        self._store, self._meter, self._clock, self._emit = store, meter, clock, emit
        self.schedule = settings.rate_schedule
        self.rules = TrafficRules(
            Rates(settings.rate_up_bytes_s, settings.rate_down_bytes_s),
            parse_schedule(settings.rate_schedule),
            settings.budget_hour_bytes,
            settings.budget_month_bytes,
        )
        self.usage = Usage()
        self.now = Allowance(self.rules.rates)
        self._read = (0, 0)
        self._kept = Usage()
        self._kept_at = clock()
        self._set = trio.Event()
        self._changed = trio.Event()
        self.on_used_up: list[Callable[[], None]] = []
        """Called when a budget is used up: whoever moves works' bytes stops."""

    def waiting_reason(self) -> str | None:
        """Why works' bytes wait, in words; None: they may go."""
        return self.now.waiting

    async def allowed(self) -> None:
        """Return when works' bytes may go."""
        while self.now.waiting is not None:
            await self._changed.wait()

    def limited(self) -> str:
        """By what rate what comes is held back now, in words; "" if by none."""
        rate = self.now.rates.down
        return f"at most {bytes_in_words(rate)}/s by your limits" if rate else ""

    @property
    def counted(self) -> tuple[int, int]:
        """Bytes up and down since the node started, as an interface counts them."""
        return self._meter.counted()

    def kinds(self) -> list[Carried]:
        """The same bytes told apart by what they are for."""
        return self._meter.kinds()

    def set(
        self,
        *,
        up: int | None = None,
        down: int | None = None,
        schedule: tuple[str, ...] | None = None,
        hour_bytes: int | None = None,
        month_bytes: int | None = None,
    ) -> None:
        """Change what is given, at once and until the node stops. UsageError names what cannot be; then nothing is changed."""
        rates = Rates(self.rules.rates.up if up is None else up, self.rules.rates.down if down is None else down)
        check_rate("the rate up", rates.up)
        check_rate("the rate down", rates.down)
        rules = replace(self.rules, rates=rates)
        if schedule is not None:
            rules = replace(rules, windows=parse_schedule(schedule))
        if hour_bytes is not None:
            check_budget("the hour's budget", hour_bytes)
            rules = replace(rules, hour_bytes=hour_bytes)
        if month_bytes is not None:
            check_budget("the month's budget", month_bytes)
            rules = replace(rules, month_bytes=month_bytes)
        self.rules = rules
        self.schedule = self.schedule if schedule is None else schedule
        self.apply()
        self._set.set()

    async def start(self, nursery: trio.Nursery) -> None:
        """Go on where the last run ended, then keep the limits in `nursery`."""
        self.usage = self._kept = _decode(await self._store.read(lambda tx: tx.get_meta(META_KEY)))
        self.apply()
        nursery.start_soon(self.run)

    async def run(self) -> None:
        """Look every second, for ever; what was used is kept at the end, too."""
        try:
            while True:
                self._set = trio.Event()
                with trio.move_on_after(TICK_S if self.rules != TrafficRules() else IDLE_TICK_S):
                    await self._set.wait()
                self.apply()
                if self._is_due():
                    await self._keep()
        finally:
            with trio.CancelScope(deadline=trio.current_time() + KEEP_AT_END_S, shield=True):
                self.apply()
                await self._keep()

    def apply(self) -> None:
        """Count what went since the last time, and set what holds now."""
        counted, moment = self._meter.counted(), _moment(self._clock())
        went = sum(counted) - sum(self._read)
        self._read = counted
        self.usage = self.usage.counted(went, moment)
        before, self.now = self.now, allowance(self.rules, self.usage, moment)
        self._meter.limit(self.now.rates.up, self.now.rates.down)
        if (before.waiting is None) != (self.now.waiting is None):
            self._changed.set()
            self._changed = trio.Event()
            self._emit("limits.changed", {"waiting": self.now.waiting})
            if self.now.waiting is not None:
                for stop in self.on_used_up:
                    stop()

    def _is_due(self) -> bool:
        more = abs(self.usage.month_bytes - self._kept.month_bytes)
        late = self._clock() - self._kept_at > KEEP_EVERY_S
        return more >= KEEP_EVERY_BYTES or (late and more > 0)

    async def _keep(self) -> None:
        usage = self.usage
        if usage == self._kept:
            return
        await self._store.write(lambda tx: tx.set_meta(META_KEY, _encode(usage)))
        self._kept, self._kept_at = usage, self._clock()


def _moment(now: float) -> Moment:
    at = time.localtime(now)
    return Moment(at.tm_year, at.tm_mon, at.tm_mday, at.tm_wday, at.tm_hour, at.tm_min, at.tm_sec)


def _encode(usage: Usage) -> bytes:
    return json.dumps(asdict(usage)).encode()


def _decode(data: bytes | None) -> Usage:
    """What nobody can read any more counts as nothing used: the limits must not keep a node from starting."""
    try:
        values = json.loads(data or b"{}")
        usage = Usage(**values)
        texts, counts = (usage.hour, usage.month), (usage.hour_bytes, usage.month_bytes)
        if all(isinstance(text, str) for text in texts) and all(type(count) is int and count >= 0 for count in counts):
            return usage
    except (ValueError, TypeError):
        pass
    return Usage()
