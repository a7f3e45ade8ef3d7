"""All providers of one fetch: found, opened, tried again after a pause, dropped when they lie. Blocks come out of one channel.

Providers may join while it runs: from the list at the start and from `find_more`, which is asked again and again (soon when nobody
answers, seldom when all goes well). It says what happens through the Transfer. A failing provider never fails the fetch.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial

import trio

from p2pnode.core.cid import Cid
from p2pnode.core.fetch_messages import PROTOCOL
from p2pnode.core.have_messages import Extent, Holding
from p2pnode.core.ids import PeerId
from p2pnode.errors import NetworkError, P2pnodeError, PeerError
from p2pnode.ports import Network
from p2pnode.services.awaited import Bell
from p2pnode.services.bitswap import Bitswap
from p2pnode.services.bitswap_ask import BitswapAsking
from p2pnode.services.hearing import hear
from p2pnode.services.provider import Asking, Block, LiedError, Provider, ReplacedError
from p2pnode.services.rarity import Rarity
from p2pnode.services.transfer import Transfer
from p2pnode.services.wants import Wants

log = logging.getLogger("p2pnode.fetch")

FindMore = Callable[[], Awaitable[Iterable[PeerId]]]

MAX_PROVIDERS = 12
"""Providers asked at once: each costs up to 16 MiB asked ahead and a stream; more would not make a home line faster."""
MAX_KNOWN = 200
"""Providers remembered in one fetch; more are not looked at."""
MAX_FAILURES = 5
"""Failures in a row after which a provider gives its place to another; it may be found again."""
LONGEST_PAUSE_S = 60.0
"""Seconds between two tries at most, of one provider and of finding more."""
FIRST_FIND_PAUSE_S = 5.0
"""Seconds after the first look for more, doubled each time while nobody answers."""
OPEN_TIMEOUT_S = 15.0
CLOSE_TIMEOUT_S = 1.0
READY_BATCHES = 4
"""Batches of verified blocks that wait to be written, of all providers together: a slow disk slows the asking."""
GENEROUS_S = 5.0
"""Seconds for which a provider of the whole is asked for what incomplete nodes have, too."""
LIE_POINTS, MISBEHAVIOUR_POINTS = 50, 25
"""Penalties: a second lie bans; malformed answers need four."""


class Swarm:
    """`blocks` gives lists of (cid, verified bytes), each block once. `wanted` asks for more of them.

    With `bitswap` those who speak nothing better are asked by it.
    """

    def __init__(
        self,
        network: Network,
        root: Cid,
        transfer: Transfer,
        find_more: FindMore | None,
        bitswap: Bitswap | None = None,
    ) -> None:
        self._network, self._root, self._transfer, self._find_more = network, root, transfer, find_more
        self._bitswap = bitswap
        self._wants = Wants()
        self._rarity: Rarity | None = None
        self._laid_out = trio.Event()
        self._leaves: Callable[[], Sequence[Cid]] = tuple
        self._nursery: trio.Nursery | None = None
        self._bell = Bell()
        self._lonely = Bell()
        self._ready, self.blocks = trio.open_memory_channel[list[Block]](READY_BATCHES)
        self._known: dict[PeerId, Provider] = {}
        self._liars: set[PeerId] = set()
        self._backlog: deque[Provider] = deque()
        self._tried = self._open = 0
        self._find_pause_s = FIRST_FIND_PAUSE_S
        self._last_problem = ""

    def wanted(self, blocks: Iterable[tuple[Cid, int]], *, first: bool = False) -> None:
        """Ask for these too: (cid, expected bytes); `first`: before everything that waits."""
        self._wants.add(blocks, first=first)
        self._bell.ring()

    def unwanted(self, cid: Cid) -> bool:
        """Nobody wants it any more. False if it was asked for already, and comes all the same."""
        return self._wants.drop(cid)

    def asked(self) -> Iterable[Cid]:
        """Blocks that somebody was asked for."""
        return self._wants.asked()

    def heard_of(self, peers: Iterable[PeerId]) -> None:
        """These may have something of it."""
        if self._nursery is not None:
            self._add(self._nursery, peers)

    def lay_out(self, leaves: Callable[[], Sequence[Cid]]) -> None:
        """How the content's leaves are numbered by maps: from now on providers say what they have, and the rarest comes first."""
        self._leaves = leaves
        self._laid_out.set()

    async def run(self, providers: Iterable[PeerId]) -> None:
        """Until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self._add(nursery, providers)
            nursery.start_soon(self._keep_finding, nursery, list(providers))

    def _add(self, nursery: trio.Nursery, peers: Iterable[PeerId]) -> None:
        for peer in peers:
            fresh = peer not in self._known and peer not in self._liars and peer != self._network.peer_id
            if fresh and len(self._known) < MAX_KNOWN:
                self._known[peer] = Provider(peer)
                self._backlog.append(self._known[peer])
        while self._backlog and self._tried < MAX_PROVIDERS:
            self._tried += 1
            nursery.start_soon(self._try, nursery, self._backlog.popleft())

    async def _keep_finding(self, nursery: trio.Nursery, first: list[PeerId]) -> None:
        """Look for more again and again; who was given up is tried again too."""
        while True:
            try:
                found = [] if self._find_more is None else await self._find_more()
                self._add(nursery, [*first, *found])
            except P2pnodeError as error:
                self._last_problem = f"looking for more failed: {error.message}"
            pause_s = LONGEST_PAUSE_S if self._open else self._find_pause_s
            self._find_pause_s = FIRST_FIND_PAUSE_S if self._open else min(2 * pause_s, LONGEST_PAUSE_S)
            self._report(pause_s)
            with trio.move_on_after(pause_s):
                await self._lonely.wait()
                await trio.sleep(FIRST_FIND_PAUSE_S)  # the last one went just now: who went may come back by itself

    async def _try(self, nursery: trio.Nursery, provider: Provider) -> None:
        """One provider until it lies or fails too often. Then its place is free for the next."""
        watching = trio.CancelScope()
        nursery.start_soon(self._watch, provider, watching)
        try:
            await self._keep_asking(provider)
        finally:
            watching.cancel()
        del self._known[provider.peer]
        self._tried -= 1
        self._add(nursery, ())

    async def _watch(self, provider: Provider, scope: trio.CancelScope) -> None:
        """Hear what it has, as long as it is asked."""
        with scope:
            try:
                await self._laid_out.wait()
                await hear(self._network, self._root, provider.peer, self._told)
            except PeerError as error:
                self._network.penalise(provider.peer, MISBEHAVIOUR_POINTS, error.message)
        if self._rarity is not None:
            self._rarity.told(provider.peer, None)

    def _told(self, peer: PeerId, holding: Holding) -> None:
        if peer not in self._known:
            return
        self.heard_of(holding.peers)
        if self._rarity is None:
            if holding.extent is not Extent.SOME:
                return  # as long as nobody is incomplete nothing is counted, and no memory taken for it
            self._rarity = Rarity(self._leaves())
        self._rarity.told(peer, holding)
        for provider in self._known.values():
            provider.rank = partial(self._rank, provider) if self._rarity else None
            provider.on_idle = partial(self._grew_idle, provider)
        self._known[peer].lacks.clear()
        self._bell.ring()

    def _rank(self, provider: Provider, cid: Cid) -> int | None:
        """The rarest first; and what incomplete nodes can give each other is not asked of those who have the whole."""
        assert self._rarity is not None
        holders = self._rarity.holders(cid)
        if self._rarity.extent(provider.peer) is Extent.SOME:
            return holders if self._rarity.has(provider.peer, cid) else None
        if holders and trio.current_time() > provider.generous_until:
            return None
        return holders

    def _grew_idle(self, provider: Provider) -> None:
        """Incomplete nodes have all the rest; when they are slower than this one is alone, it is asked for that too, for a while."""
        provider.lacks.clear()
        if self._transfer.rate() <= provider.rate:
            provider.generous_until = trio.current_time() + GENEROUS_S

    async def _keep_asking(self, provider: Provider) -> None:
        while provider.failures < MAX_FAILURES and provider.peer not in self._liars:
            try:
                await self._ask(provider)
            except ReplacedError:
                break
            except LiedError as error:
                self._liars.add(provider.peer)
                self._network.penalise(provider.peer, LIE_POINTS, error.message)
                self._problem(provider, f"it sent {error.message}")
            except PeerError as error:
                provider.failures += 1
                self._network.penalise(provider.peer, MISBEHAVIOUR_POINTS, error.message)
                self._problem(provider, error.message)
            except NetworkError as error:
                provider.failures += 1
                self._problem(provider, error.message)
            if provider.peer not in self._liars:
                await trio.sleep(min(2.0 ** (provider.failures - 1), LONGEST_PAUSE_S))

    async def _ask(self, provider: Provider) -> None:
        asking = await self._open_asking(provider)
        self._open += 1
        self._report(None)
        try:
            await asking.run()
        finally:
            self._open -= 1
            with trio.CancelScope(deadline=trio.current_time() + CLOSE_TIMEOUT_S, shield=True):
                await asking.close()
            if not self._open:
                self._lonely.ring()

    async def _open_asking(self, provider: Provider) -> Asking | BitswapAsking:
        wants, bell = self._wants, self._bell
        if self._bitswap is not None and self._bitswap.is_the_way_to(provider.peer):
            return self._bitswap.asking(provider, self._root, wants, bell, self._hand_over, lambda: bool(self._backlog))
        stream = await self._network.open_stream(provider.peer, PROTOCOL, timeout_s=OPEN_TIMEOUT_S)
        return Asking(provider, stream, self._root, wants, bell, self._hand_over, lambda: bool(self._backlog))

    async def _hand_over(self, provider: Provider, blocks: list[Block]) -> None:
        first = not self._transfer.used_providers
        self._transfer.used_providers.add(provider.peer)
        if first:
            self._report(None)
        await self._ready.send(blocks)

    def _problem(self, provider: Provider, words: str) -> None:
        log.info("provider %s of %s: %s", provider.peer, self._root, words)
        self._last_problem = f"the last one ({provider.peer[-6:]}) failed: {words}"
        self._report(min(2.0**provider.failures, LONGEST_PAUSE_S))

    def _report(self, next_try_s: float | None) -> None:
        self._transfer.providers = self._open
        if self._open and not self._transfer.used_providers:  # whoever is asked may have nothing of it
            asked = "one peer" if self._open == 1 else f"{self._open} peers"
            self._transfer.say("finding", f"asking {asked}; nothing has come yet")
        elif self._open:
            words = "one provider" if self._open == 1 else f"{self._open} providers"
            self._transfer.say("fetching", f"from {words}")
        elif self._tried and not self._last_problem:
            self._transfer.say("finding", f"connecting to {self._tried} of {len(self._known)} known providers")
        else:
            self._transfer.waiting(self._last_problem or "nobody is known to have it", next_try_s)
