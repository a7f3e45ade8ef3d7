"""Answering wants by Bitswap: public blocks to whoever asks, one task a peer, one message of each peer at a time.

A peer's wants are looked up most urgent first and answered on streams that we open to it. Peers take turns by messages of about one
MiB, so that many wants of one delay nobody else's: services.turns says who is next; slow ones have few turns among them. What we lack is
said if the asker wants to hear it, and looked for again a while later. What is private or changed looks like what we lack, and so does
everything while works' bytes have to wait. Called by services.bitswap.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import trio

from p2pnode.core.bitswap_ledger import Ledger, Room
from p2pnode.core.bitswap_messages import PROTOCOL_120, Entry, Presence, Want, encode_answer
from p2pnode.core.cid import DAG_PB, Cid
from p2pnode.core.ids import PeerId
from p2pnode.errors import NetworkError, StoreError, TimedOutError
from p2pnode.limits import MIB
from p2pnode.ports import Network, Store, Traffic
from p2pnode.services.background import contained
from p2pnode.services.bitswap_streams import Outgoing
from p2pnode.services.turns import Turns

log = logging.getLogger("p2pnode.bitswap")

LOOKED_UP_TOGETHER = 256
"""Wants of one peer looked up in one go."""
MESSAGE_BYTES = MIB
"""Bytes of blocks in one message, if one block is not larger: a peer's turn."""
BLOCK_INSTEAD_OF_HAVE_BYTES = 1024
"""A block up to this size is sent to whoever asks only whether we have it: cheaper than another round trip (so do go and JavaScript)."""
TURNS = 24
"""Messages read, or being sent, at a time, of all peers together: 24 MiB of our leaves, twice that of the largest blocks."""
SLOW_TURNS = 8
"""... of them for peers that were slow: they must not keep the others waiting."""
SLOW_S = 5.0
"""A peer that needed longer for a message is slow ..."""
SLOW_FOR_S = 120.0
"""... for so long afterwards: the small message behind a large one goes quickly everywhere."""
SEND_TIMEOUT_S = 60.0
"""Seconds for one message to be taken: 17 KB/s; slower readers cost more than they get."""
LINGER_S = 1.0
"""Seconds for which a peer without wants keeps its task and its stream: the next wants are often on their way."""
LOOK_AGAIN_S = 30.0
"""Seconds between two looks for blocks that we lacked."""
MAX_FAILURES = 3
"""Messages in a row that could not be sent, before a peer's wants are forgotten: it asks again when it is back."""


@dataclass(slots=True)
class _Asker:
    """One peer. `answering`: a task is at work for it."""

    ledger: Ledger
    protocol: str
    answering: bool = False
    slow_until: float = -math.inf
    failures: int = 0
    news: trio.Event = field(default_factory=trio.Event)


class BitswapServer:
    """The providing side. `sent_blocks`, `sent_bytes` and `refused_wants` are counted for whoever looks."""

    def __init__(
        self, network: Network, store: Store, traffic: Traffic | None = None, seeds: Callable[[], bool] = lambda: True
    ) -> None:
        """With `traffic` we lack everything while works' bytes have to wait, and while `seeds` says no: askers go elsewhere, and are
        looked after again."""
        self._network, self._store, self._traffic, self._seeds = network, store, traffic, seeds
        self._room = Room()
        self._askers: dict[PeerId, _Asker] = {}
        self._turns, self._slow_turns = Turns(TURNS, 1), trio.Semaphore(SLOW_TURNS)
        self._nursery: trio.Nursery | None = None
        self.sent_blocks = self.sent_bytes = self.refused_wants = 0

    def start(self, nursery: trio.Nursery) -> None:
        """Answer from now on; tasks live in `nursery`."""
        self._nursery = nursery

    def wanted(self, peer: PeerId, protocol: str, entries: Sequence[Entry], *, full: bool) -> None:
        """A wantlist came."""
        asker = self._askers.get(peer)
        if asker is None:
            if not any(not entry.cancel for entry in entries):
                return
            asker = self._askers[peer] = _Asker(Ledger(self._room), protocol)
        asker.protocol = protocol
        refused = asker.ledger.refused
        asker.ledger.apply(entries, full=full)
        self.refused_wants += asker.ledger.refused - refused
        self._wake(peer, asker)

    def gone(self, peer: PeerId) -> None:
        """Its connection is lost: it says again what it wants when it is back."""
        asker = self._askers.pop(peer, None)
        if asker is not None:
            asker.ledger.clear()
            asker.news.set()

    async def run(self) -> None:
        """Look again for what we lacked; for ever."""
        while True:
            await trio.sleep(LOOK_AGAIN_S)
            for peer, asker in list(self._askers.items()):
                if asker.ledger.waiting:
                    asker.ledger.look_again()
                    self._wake(peer, asker)
                elif not asker.answering and not asker.ledger and trio.current_time() >= asker.slow_until:
                    del self._askers[peer]

    def _wake(self, peer: PeerId, asker: _Asker) -> None:
        asker.news.set()
        if asker.ledger and not asker.answering and self._nursery is not None:
            asker.answering = True
            self._nursery.start_soon(contained, self._answer_all, peer, asker)

    async def _answer_all(self, peer: PeerId, asker: _Asker) -> None:
        outgoing = Outgoing(self._network, peer, asker.protocol)
        try:
            while True:
                asker.news = trio.Event()
                entries = asker.ledger.take(LOOKED_UP_TOGETHER)
                if entries:
                    await self._answer(asker, outgoing, entries)
                    continue
                with trio.move_on_after(LINGER_S):
                    await asker.news.wait()
                if not asker.ledger:
                    return
        finally:
            asker.answering = False
            await outgoing.close()

    async def _answer(self, asker: _Asker, outgoing: Outgoing, entries: list[Entry]) -> None:
        presences, wanted = await self._look_up(asker, entries)
        while (wanted or presences) and self._askers.get(outgoing.peer) is asker:  # who is gone is not dialled for it
            async with AsyncExitStack() as turn:
                if trio.current_time() < asker.slow_until:
                    await turn.enter_async_context(self._slow_turns)
                await self._turns.take(outgoing.peer)
                turn.callback(self._turns.give_back, outgoing.peer)
                blocks = await self._read(asker, wanted, presences)
                self._turns.charge(outgoing.peer, sum(len(block) for _, block in blocks))
                if blocks or presences:
                    await self._send(asker, outgoing, blocks, presences)
            presences = []

    async def _look_up(self, asker: _Asker, entries: list[Entry]) -> tuple[list[Presence], list[Entry]]:
        """What can be said at once, and blocks to be sent, in their order."""
        if self._must_wait():
            return _lack_all(asker, entries), []
        asked = [entry.cid for entry in entries if entry.want is Want.HAVE]
        sizes = dict(zip(asked, await self._sizes(asked), strict=True))
        twins = {twin: cid for cid in asked if sizes[cid] is None and (twin := _twin(cid)) is not None}
        for twin, size in zip(twins, await self._sizes(list(twins)), strict=True):
            sizes[twins[twin]] = size
        presences: list[Presence] = []
        wanted: list[Entry] = []
        for entry in entries:
            size = sizes.get(entry.cid)
            if entry.want is Want.BLOCK or (size is not None and size <= BLOCK_INSTEAD_OF_HAVE_BYTES):
                wanted.append(entry)
            elif size is None:
                _lack(asker, entry, presences)
            else:
                presences.append(Presence(entry.cid, True))
        return presences, wanted

    def _must_wait(self) -> bool:
        return not self._seeds() or (self._traffic is not None and self._traffic.waiting_reason() is not None)

    async def _sizes(self, cids: list[Cid]) -> list[int | None]:
        try:
            return await self._store.public_sizes(cids) if cids else []
        except StoreError as error:
            log.info("wants cannot be looked up: %s", error)
            return [None] * len(cids)

    async def _read(self, asker: _Asker, wanted: list[Entry], presences: list[Presence]) -> list[tuple[Cid, bytes]]:
        """One message's worth of blocks, taken off `wanted`; what we lack goes to `presences`."""
        blocks: list[tuple[Cid, bytes]] = []
        if wanted and self._must_wait():
            presences += _lack_all(asker, wanted)
            wanted.clear()
        if not wanted:
            return blocks
        try:
            found = await self._store.read_blocks(
                [entry.cid for entry in wanted], public_only=True, max_bytes=MESSAGE_BYTES
            )
        except (StoreError, TimedOutError) as error:  # the store tells the user; a peer learns only that we have it not
            log.info("block %s cannot be served: %s", wanted[0].cid, error)
            found = [None]
        for entry, block in zip(wanted, found, strict=False):
            if block is None:
                block = await self._read_twin(entry.cid)
            if block is None:
                _lack(asker, entry, presences)
            else:
                blocks.append((entry.cid, block))
        del wanted[: len(found)]
        return blocks

    async def _read_twin(self, cid: Cid) -> bytes | None:
        """The block under its other version's CID: to the rest of IPFS the two are one."""
        twin = _twin(cid)
        try:
            return None if twin is None else await self._store.read_block(twin, public_only=True)
        except (StoreError, TimedOutError):
            return None

    async def _send(
        self, asker: _Asker, outgoing: Outgoing, blocks: list[tuple[Cid, bytes]], presences: list[Presence]
    ) -> None:
        began = trio.current_time()
        try:
            message = encode_answer(blocks, presences, protocol=asker.protocol)
            await outgoing.send(message, timeout_s=SEND_TIMEOUT_S)
        except NetworkError as error:
            log.info("an answer to %s was lost: %s", outgoing.peer, error.message)
            asker.failures += 1
            asker.slow_until = trio.current_time() + SLOW_FOR_S
            if asker.failures >= MAX_FAILURES:
                asker.ledger.clear()
            return
        asker.failures = 0
        if trio.current_time() - began > SLOW_S:
            asker.slow_until = trio.current_time() + SLOW_FOR_S
        self.sent_blocks += len(blocks)
        self.sent_bytes += sum(len(block) for _, block in blocks)


def _twin(cid: Cid) -> Cid | None:
    """CIDv1 of a CIDv0 and back; None where there is only one."""
    if cid.codec != DAG_PB or cid.multihash[:2] != b"\x12\x20":
        return None
    return Cid(1 - cid.version, DAG_PB, cid.multihash)


def _lack_all(asker: _Asker, entries: Sequence[Entry]) -> list[Presence]:
    presences: list[Presence] = []
    for entry in entries:
        _lack(asker, entry, presences)
    return presences


def _lack(asker: _Asker, entry: Entry, presences: list[Presence]) -> None:
    if entry.send_dont_have and asker.protocol == PROTOCOL_120:
        presences.append(Presence(entry.cid, False))
    asker.ledger.wait(entry)
