"""Re-dialling, on trio's mock clock: who is tried, how often, and who is left alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio
from trio.testing import MockClock

from p2pnode.core.ids import PeerId
from p2pnode.errors import NetworkError
from p2pnode.net.keep import ENOUGH_PEERS, LAST_RETRY_S, Keeper

pytestmark = pytest.mark.trio

BOOT, FRIEND = PeerId("boot"), PeerId("friend")


class Book:
    """An address book with one friend."""

    async def remember(self, peer: PeerId, addresses: Sequence[str], *, answered: bool) -> None: ...

    async def addresses(self, peer: PeerId) -> list[str]:
        return []

    async def recent(self, limit: int) -> list[tuple[PeerId, list[str]]]:
        await trio.lowlevel.checkpoint()
        return [(FRIEND, ["/ip4/127.0.0.1/tcp/2"])]


class Dialler:
    def __init__(self) -> None:
        self.dials: list[tuple[float, PeerId, list[str]]] = []
        self.connected: list[PeerId] = []
        self.works = False

    async def connect(self, peer: PeerId, addresses: Sequence[str]) -> None:
        await trio.lowlevel.checkpoint()
        self.dials.append((trio.current_time(), peer, list(addresses)))
        if not self.works:
            raise NetworkError("nobody there")
        self.connected.append(peer)

    def times(self, peer: PeerId) -> list[float]:
        return [when for when, who, _ in self.dials if who == peer]


async def run(keeper: Keeper, seconds: float) -> None:
    with trio.move_on_after(seconds):
        await keeper.run()


async def test_pauses_grow_to_five_minutes(autojump_clock: MockClock) -> None:
    dialler = Dialler()
    keeper = Keeper([(BOOT, "/ip4/127.0.0.1/tcp/1")], Book(), lambda: dialler.connected, dialler.connect)
    await run(keeper, 3600)
    pauses = [later - sooner for sooner, later in zip(dialler.times(BOOT), dialler.times(BOOT)[1:], strict=False)]
    assert pauses[0] < 5 and pauses[1] > pauses[0]
    assert all(LAST_RETRY_S * 0.75 < pause < LAST_RETRY_S * 1.3 for pause in pauses[-3:])
    assert len(pauses) < 30
    assert len(dialler.times(FRIEND)) > 5


async def test_whoever_went_away_is_back_within_seconds(autojump_clock: MockClock) -> None:
    dialler = Dialler()
    dialler.works = True
    keeper = Keeper([(BOOT, "/ip4/127.0.0.1/tcp/1")], Book(), lambda: dialler.connected, dialler.connect)
    await run(keeper, 60)
    assert len(dialler.times(BOOT)) == 1
    dialler.connected.remove(BOOT)
    await run(keeper, 10)
    assert BOOT in dialler.connected


async def test_with_many_peers_old_acquaintances_are_left_alone(autojump_clock: MockClock) -> None:
    dialler = Dialler()
    dialler.connected = [PeerId(f"{n}") for n in range(ENOUGH_PEERS)]
    keeper = Keeper([(BOOT, "/ip4/127.0.0.1/tcp/1")], Book(), lambda: dialler.connected, dialler.connect)
    await run(keeper, 600)
    assert dialler.times(BOOT) and not dialler.times(FRIEND)


async def test_a_wanted_rest(autojump_clock: MockClock) -> None:
    dialler = Dialler()
    keeper = Keeper([], Book(), lambda: dialler.connected, dialler.connect)
    keeper.rest(FRIEND)
    await run(keeper, LAST_RETRY_S - 10)
    assert dialler.times(FRIEND) == []
    await run(keeper, 20)
    assert len(dialler.times(FRIEND)) >= 1
