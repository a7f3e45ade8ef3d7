"""Asks peers to dial us back, a few of them, and again from time to time. What they say is judged by `voices`.

A peer that refuses (busy, too often, near us) has not spoken, nor has one that says it reached us while no connection
came. Run by `outside`.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable, Sequence

import trio

from p2pnode.core.ids import PeerId
from p2pnode.errors import DecodeError, P2pnodeError, PeerError
from p2pnode.net.addresses import host_of, is_near_ip
from p2pnode.net.nat.dialback_messages import (
    MAX_MESSAGE_BYTES,
    PROTOCOL,
    Dialled,
    Status,
    decode_answer,
    encode_request,
)
from p2pnode.net.nat.voices import ENOUGH_VOICES, Verdict, Voices
from p2pnode.net.places import origin_of
from p2pnode.net.varint import receive_prefixed
from p2pnode.ports import Stream

log = logging.getLogger("p2pnode.net")

LOOK_S = 1.0
ASK_S = 20.0
"""For a peer to dial and answer; go-libp2p tries for 15 s."""
AGAIN_S = 900.0
"""Between two questions once ENOUGH_VOICES have spoken."""
REST_S = 60.0
"""A peer that was asked is not asked again within this time: it has a limit for each."""
MUTE_REST_S = 3600.0
"""Who gives no answer again and again is left alone so long: js-libp2p 3 hangs up, as it takes the old connection for its dial."""
MUTE_GROWTH = 4
"""Each time that longer: one answer is lost where a line is full, or a call by the other kind of IP comes too late."""
MAX_RESTING = 1024

OpenStream = Callable[[PeerId, str], Awaitable[Stream]]


class Asking:
    """`hosts` tells peers that can be asked and where each is seen, `candidates` where we might be reached, best first;
    `has_come` whether a connection came from a range of addresses since some time; `turn` is had while asking: of one peer one thing at a
    time."""

    def __init__(
        self,
        own: PeerId,
        hosts: Callable[[], dict[PeerId, str]],
        candidates: Callable[[], Sequence[str]],
        open_stream: OpenStream,
        changed: Callable[[], None],
        has_come: Callable[[str, float], bool],
        turn: trio.Lock | None = None,
    ) -> None:
        self._turn = turn or trio.Lock()
        self._has_come = has_come
        self._own = own
        self._hosts = hosts
        self._candidates = candidates
        self._open_stream = open_stream
        self._changed = changed
        self._voices = Voices()
        self._rests: dict[PeerId, float] = {}  # until when
        self._mute: dict[PeerId, int] = {}  # how many times in a row each gave no answer
        self._last_at = float("-inf")
        self._asked_about: frozenset[str] = frozenset()

    @property
    def verdict(self) -> Verdict:
        """Whether the internet reaches us."""
        return self._voices.verdict(trio.current_time())

    @property
    def addresses(self) -> list[str]:
        """Where it does."""
        return self._voices.addresses(trio.current_time())

    @property
    def voices(self) -> int:
        """How many peers that rests on."""
        return self._voices.count(trio.current_time())

    def moved(self) -> None:
        """We are somewhere else, or may be reached somewhere else: ask anew."""
        before = (self.verdict, self.addresses)
        self._voices.forget()
        self._rests = {peer: until for peer, until in self._rests.items() if peer in self._mute}
        self._last_at = float("-inf")
        if before != (self.verdict, self.addresses):
            self._changed()

    async def run(self) -> None:
        """For ever."""
        while True:
            before = (self.verdict, self.addresses)
            async with self._turn:
                peer = self._next()
                if peer is not None:
                    await self._ask(peer, self._hosts().get(peer, ""))
            if before != (self.verdict, self.addresses):
                self._changed()
            await trio.sleep(LOOK_S)

    async def ask_now(self) -> int:
        """Ask as many peers as decide, of different ranges, whatever is known already; none that was asked a moment ago. How many."""
        before = (self.verdict, self.addresses)
        async with self._turn:
            asked = self._chosen()
            async with trio.open_nursery() as nursery:
                for peer, host in asked.items():
                    nursery.start_soon(self._ask, peer, host)
        if before != (self.verdict, self.addresses):
            self._changed()
        return len(asked)

    def _chosen(self) -> dict[PeerId, str]:
        """Peers to ask, each of another range."""
        hosts, ranges = self._fresh(), set[str]()
        asked: dict[PeerId, str] = {}
        for peer, host in random.sample(sorted(hosts.items()), len(hosts)) if self._candidates() else ():
            if len(asked) < ENOUGH_VOICES and (origin := origin_of(host).range) not in ranges:
                ranges.add(origin)
                asked[peer] = host
        return asked

    def _fresh(self) -> dict[PeerId, str]:
        """Who can be asked now, and where each is seen."""
        now = trio.current_time()
        self._rests = {peer: until for peer, until in self._rests.items() if until > now}
        hosts = self._hosts()
        return {p: host for p, host in hosts.items() if host and not is_near_ip(host) and p not in self._rests}

    def _next(self) -> PeerId | None:
        """Whom to ask now."""
        now = trio.current_time()
        candidates = self._candidates()
        about = frozenset(map(host_of, candidates))
        if about - self._asked_about:
            self.moved()  # another address outside
        self._asked_about = about or self._asked_about
        is_due = now - self._last_at >= AGAIN_S
        if not candidates or (not is_due and self._voices.count(now) >= ENOUGH_VOICES):
            return None  # before every peer is looked at, twice a second
        hosts = self._fresh()
        fresh = list(hosts)
        if not fresh:
            return None
        unheard = [peer for peer in fresh if not self._voices.has_of(origin_of(hosts[peer]).range, now)]
        if unheard and self._voices.count(now) < ENOUGH_VOICES:
            return random.choice(unheard)
        return random.choice(unheard or fresh) if is_due else None

    async def _ask(self, peer: PeerId, host: str) -> None:
        now = trio.current_time()
        self._rests[peer], self._last_at = now + REST_S, now
        candidates, origin = self._candidates(), origin_of(host).range
        answer = await self._answer(peer, candidates)
        if answer is None:
            self._rest_longer(peer, now)
            return
        self._mute.pop(peer, None)
        if answer.status == Status.OK and (answer.address in candidates or not answer.address):
            if self._has_come(origin, now):  # else it says so and did not call
                self._voices.heard(origin, answer.address or candidates[0], trio.current_time())
        elif answer.status == Status.DIAL_ERROR:
            self._voices.heard(origin, "", trio.current_time())

    def _rest_longer(self, peer: PeerId, now: float) -> None:
        mute = self._mute.pop(peer, 0)
        self._mute[peer] = mute + 1
        self._rests[peer] = now + min(MUTE_REST_S, REST_S * MUTE_GROWTH**mute)
        for kept in (self._rests, self._mute):
            while len(kept) > MAX_RESTING:
                del kept[next(iter(kept))]

    async def _answer(self, peer: PeerId, candidates: Sequence[str]) -> Dialled | None:
        stream: Stream | None = None
        try:
            with trio.move_on_after(ASK_S):
                stream = await self._open_stream(peer, PROTOCOL)
                await stream.send_all(encode_request(self._own, candidates))
                data = await receive_prefixed(stream, MAX_MESSAGE_BYTES)
                if data is not None:
                    try:
                        return decode_answer(data)
                    except DecodeError as error:
                        raise PeerError(error.message) from error
        except P2pnodeError as error:
            log.debug("%s does not say whether it reaches us: %s", peer, error.message)
        finally:
            if stream is not None:
                with trio.CancelScope(shield=True), trio.move_on_after(0.5):
                    await stream.aclose()
        return None
