"""Everything that this node provides, told to the DHT again before others forget it: in the order of the key space, at a steady low rate.

A round goes once through the key space, so that keys that lie together are told together (one look-up for a region, one stream for a
peer). How far it came is kept: a restart goes on there. What is new does not wait for the round: the outbox tells it at once. What
is not provided any more is left out. Runs inside `services.outbox`, which lends it the turn; `share` is asked by the doctor.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

import trio
import trio.lowlevel

from p2pnode.core.encoding import decode_map, encode
from p2pnode.core.keyspace import place_bytes
from p2pnode.errors import DecodeError, P2pnodeError
from p2pnode.limits import PROVIDE_INTERVAL_S
from p2pnode.ports import Network, Store, Tx, WallClock, Work

log = logging.getLogger("p2pnode.announcing")

META = "announcing"
"""Under this name the store keeps how far the round came."""
CHUNK_KEYS = 64
"""Told together: about a thousand records."""
ROUND_S = 2400.0
"""A round is spread over so many seconds: forty minutes leave room for what must be told twice."""
LEAST_KEYS_S = 5.0
"""Keys a second of a small library."""
FIRST_RETRY_S, LAST_RETRY_S = 15.0, 1800.0
"""Pause after a chunk that nobody took; doubles from the first to the last, and ends when a peer comes."""
CLOCK_BACK_S = 60.0
"""A round that begins later than this from now was kept by a clock that ran ahead: it does not count."""
LOOK_S = 3600.0
"""Between two looks at the clock: a machine that slept knows the time again."""
PAGE_WORKS = 100
"""Works read at once: their words are made out of their manifests, some milliseconds for so many."""
SAMPLE_KEYS = 30
"""Keys that `share` looks for."""
LOOKS_AT_ONCE = 3

ProvideKeys = Callable[[Work], list[bytes]]


@dataclass(frozen=True, slots=True)
class Round:
    """`began` in seconds since 1970; `place` is where to go on, None when the round is done."""

    began: float
    place: bytes | None

    def to_bytes(self) -> bytes:
        return encode({"began": int(self.began)} | ({} if self.place is None else {"place": self.place}))

    @classmethod
    def of(cls, data: bytes) -> Round:
        """DecodeError if it is none."""
        read = decode_map(data)
        began, place = read.get("began"), read.get("place")
        if not isinstance(began, int) or not isinstance(place, bytes | None):
            raise DecodeError("not a round of announcing")
        return cls(float(began), place)


@dataclass(frozen=True, slots=True)
class Share:
    """Of `asked` random keys of ours (those that nobody could be asked about do not count) a stranger finds `found`; `keys` are there."""

    keys: int
    asked: int
    found: int


class Announcing:
    """One a node."""

    def __init__(
        self,
        store: Store,
        network: Network,
        clock: WallClock,
        *,
        provide_keys: ProvideKeys,
        other_keys: Callable[[], Awaitable[Iterable[bytes]]],
        turn: trio.Lock,
        tell_later: Callable[[Sequence[bytes]], Awaitable[None]],
        seeds: Callable[[], bool] = lambda: True,
    ) -> None:
        """`other_keys`: those that belong to no work. `turn` is held while keys are told; `tell_later` takes keys that nobody holds. While
        `seeds` says no, works are not told."""
        self._store, self._network, self._clock = store, network, clock
        self._provide_keys, self._other_keys = provide_keys, other_keys
        self._turn, self._tell_later, self._seeds = turn, tell_later, seeds
        self._somebody_came = trio.Event()
        self._again = trio.Event()
        self._is_first = True  # nothing that we answer for is old yet
        self.round: Round | None = None
        self.keys = 0
        """Keys of the last round; `left` of them are still to be told."""
        self.left = 0

    @property
    def next_s(self) -> float | None:
        """Seconds until the next round begins, 0 during one; None before the first."""
        return None if self.round is None else max(0.0, self._due_s())

    def somebody_came(self) -> None:
        """There is somebody to tell."""
        self._somebody_came.set()

    def again(self) -> None:
        """What others keep of us names addresses that do not lead here any more: a new round, now."""
        self._again.set()

    async def run(self) -> None:
        """Round after round, for ever."""
        self.round = await self._kept()
        keys: list[bytes] | None = await self._read_keys()  # we answer for them from the start, whoever asks
        while True:
            await self._somebody_came.wait()
            due_s = self._due_s()
            if due_s > 0:
                keys = None
                with trio.move_on_after(min(due_s, LOOK_S)):
                    await self._again.wait()
                    self.round, self._again = None, trio.Event()
                continue
            if self.round is None or self.round.place is None or not self._is_recent(self.round):
                await self._keep(Round(float(int(self._clock())), b""))  # as it is read back
            await self._go_through(await self._read_keys() if keys is None else keys)

    def _due_s(self) -> float:
        """Seconds until there is something to tell; 0 while a round is under way."""
        if self.round is None or self.round.place is not None or not self._is_recent(self.round):
            return 0.0
        return self.round.began + PROVIDE_INTERVAL_S - self._clock()

    def _is_recent(self, one: Round) -> bool:
        return 0 <= self._clock() - one.began + CLOCK_BACK_S <= PROVIDE_INTERVAL_S + CLOCK_BACK_S

    async def _go_through(self, keys: Sequence[bytes]) -> None:
        """The rest of this round, in order."""
        assert self.round is not None and self.round.place is not None
        rest = [key for key in keys if place_bytes(key) >= self.round.place]
        rate, self.left = max(len(keys) / ROUND_S, LEAST_KEYS_S), len(rest)
        for begin in range(0, len(rest), CHUNK_KEYS):
            began = trio.current_time()
            chunk = rest[begin : begin + CHUNK_KEYS]
            await self._tell([key for key in chunk if self._network.answers_for(key)])
            self.left -= len(chunk)
            if begin + CHUNK_KEYS < len(rest):
                await self._keep(Round(self.round.began, place_bytes(rest[begin + CHUNK_KEYS])))
                await trio.sleep_until(began + len(chunk) / rate)
        await self._keep(Round(self.round.began, None))
        log.info("%d keys were told to the DHT", len(rest))

    async def _tell(self, keys: list[bytes]) -> None:
        pause_s = FIRST_RETRY_S
        while keys:
            held: dict[bytes, int] = {}
            try:
                async with self._turn:
                    held = await self._network.provide_all(keys)
            except P2pnodeError as error:
                log.info("could not provide again: %s", error.message)
            if any(held.values()):
                await self._tell_later([key for key, holders in held.items() if not holders])
                return
            self._somebody_came = trio.Event()
            with trio.move_on_after(pause_s):
                await self._somebody_came.wait()
            pause_s = min(2 * pause_s, LAST_RETRY_S)
            keys = [key for key in keys if self._network.answers_for(key)]

    async def _read_keys(self) -> list[bytes]:
        """All keys of ours, each once, in the order of the key space. We answer for them from now on, and for none that are gone."""
        before = [] if self._is_first else self._network.provided()  # what is published while we read is none of these
        self._is_first = False
        keys = dict.fromkeys(await self._other_keys())
        offset = 0
        while self._seeds() and (works := await self._page(offset)):
            offset += len(works)
            keys |= {key: None for work in works if not work.private for key in self._provide_keys(work)}
            await trio.lowlevel.checkpoint()
        self._network.answer_for(list(keys))
        for key in before:
            if key not in keys:
                self._network.unprovide(key)
        self.keys = len(keys)
        return sorted(keys, key=place_bytes)

    async def _page(self, offset: int) -> list[Work]:
        return await self._store.read(lambda tx: tx.works(limit=PAGE_WORKS, offset=offset))

    async def _kept(self) -> Round | None:
        data = await self._store.read(lambda tx: tx.get_meta(META))
        try:
            return Round.of(data) if data is not None else None
        except DecodeError:
            return None  # a round too many costs an hour of small messages

    async def _keep(self, now: Round) -> None:
        self.round = now

        def work(tx: Tx) -> None:
            tx.set_meta(META, now.to_bytes())

        await self._store.write(work, durable=False)

    async def share(self, sample: int = SAMPLE_KEYS) -> Share:
        """How many of `sample` random keys of ours strangers find, by trying it as one of them would."""
        keys = await self._store.read(lambda tx: _some_works(tx, sample))
        keys_of = [key for work in keys for key in self._provide_keys(work)]
        chosen = random.sample(keys_of, min(sample, len(keys_of)))
        limit = trio.CapacityLimiter(LOOKS_AT_ONCE)
        answers: list[bool] = []

        async def look(key: bytes) -> None:
            async with limit:
                found = await self._network.is_found(key)
            if found is not None:
                answers.append(found)

        async with trio.open_nursery() as nursery:
            for key in chosen:
                nursery.start_soon(look, key)
        return Share(self.keys, len(answers), sum(answers))


def _some_works(tx: Tx, count: int) -> list[Work]:
    """Public works, drawn from all of them."""
    total = tx.count_works()
    drawn = random.sample(range(total), min(total, 4 * count))
    found: list[Work] = []
    for at in drawn:
        found += [work for work in tx.works(limit=1, offset=at) if not work.private]
        if len(found) >= count:
            break
    return found
