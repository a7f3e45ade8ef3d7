"""Keeping a port mapped, in virtual time: renewed, made anew after a restart, given back, and no gateway no matter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from p2pnode.errors import NetworkError
from p2pnode.net.nat.gateways import Gateway, Mapping
from p2pnode.net.nat.mapping import AGAIN_S, LOOK_S, NO_ROUTER_S, PortMapping

pytestmark = pytest.mark.trio


class Router:
    """Forwards ports for a while; `address` and `forgets` can be changed while it runs."""

    kind = "test"

    def __init__(self, life_s: int = 3600) -> None:
        self.life_s = life_s
        self.address = "9.9.9.9"
        self.mapped: list[float] = []
        self.given_back = 0
        self.broken = self.forgot = False
        self.looked_for = 0

    async def find(self, port: int) -> Gateway:
        self.looked_for += 1
        await trio.sleep(0.1)
        if self.broken:
            raise NetworkError("nobody there")
        return self

    async def map(self, inside: int, outside: int) -> Mapping:
        if self.broken:
            raise NetworkError("gone")
        self.forgot = False
        self.mapped.append(trio.current_time())
        return Mapping(self.address, outside, inside, self.life_s)

    async def holds(self, mapping: Mapping) -> bool:
        if self.broken:
            raise NetworkError("gone")
        return not self.forgot and mapping.address == self.address

    async def unmap(self, mapping: Mapping) -> None:
        self.given_back += 1


@asynccontextmanager
async def kept(router: Router, port: int | None = 4001) -> AsyncIterator[tuple[PortMapping, list[str]]]:
    told: list[str] = []
    mapping = PortMapping(lambda: port, lambda: told.append("".join(mapping.addresses)), router.find)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(mapping.run)
        await trio.sleep(1)
        yield mapping, told
        nursery.cancel_scope.cancel()


async def test_a_port_is_mapped_renewed_and_given_back(autojump_clock: MockClock) -> None:
    router = Router(life_s=3600)
    async with kept(router) as (mapping, told):
        assert list(mapping.addresses) == ["/ip4/9.9.9.9/tcp/4001"] == told
        await trio.sleep(3600 * 5)
        assert 9 <= len(router.mapped) <= 11
        assert all(
            later - earlier <= 1800 + LOOK_S for earlier, later in zip(router.mapped, router.mapped[1:], strict=False)
        )
    assert router.given_back == 1


async def test_a_short_life_is_renewed_in_time(autojump_clock: MockClock) -> None:
    router = Router(life_s=60)
    async with kept(router):
        await trio.sleep(600)
        assert len(router.mapped) >= 20


@pytest.mark.parametrize("change", ["forgets", "moves"])
async def test_a_router_that_restarted_is_asked_again_within_a_minute(change: str, autojump_clock: MockClock) -> None:
    router = Router()
    async with kept(router) as (mapping, told):
        if change == "forgets":
            router.forgot = True
        else:
            router.address = "9.9.9.10"
        await trio.sleep(LOOK_S + 1)
        assert len(router.mapped) == 2
        assert list(mapping.addresses) == [f"/ip4/{router.address}/tcp/4001"]
        assert len(told) == (1 if change == "forgets" else 2)


async def test_a_router_that_vanishes_is_looked_for_again(autojump_clock: MockClock) -> None:
    router = Router()
    async with kept(router) as (mapping, told):
        router.broken = True
        await trio.sleep(LOOK_S + 1)
        assert mapping.mapping is None
        assert told[-1] == ""
        router.broken = False
        await trio.sleep(NO_ROUTER_S + AGAIN_S)
        assert mapping.mapping is not None


async def test_a_router_that_takes_minutes_to_start_anew_is_asked_as_soon_as_it_is_there(
    autojump_clock: MockClock,
) -> None:
    router = Router()
    async with kept(router) as (mapping, _):
        router.broken = True
        await trio.sleep(300)
        assert mapping.mapping is None
        router.broken = False
        await trio.sleep(AGAIN_S + 1)
        assert mapping.mapping is not None


async def test_without_a_router_it_is_looked_for_seldom_and_at_once_when_we_moved(autojump_clock: MockClock) -> None:
    router = Router()
    router.broken = True
    async with kept(router) as (mapping, told):
        await trio.sleep(3600)
        assert router.looked_for <= 7
        assert told == []
        router.broken = False
        mapping.moved()
        await trio.sleep(1)
        assert mapping.mapping is not None


async def test_who_moved_gives_back_and_asks_the_router_that_is_there(autojump_clock: MockClock) -> None:
    router = Router()
    async with kept(router) as (mapping, _):
        mapping.moved()
        await trio.sleep(AGAIN_S + 1)
        assert router.given_back == 1
        assert router.looked_for == 2
        assert mapping.mapping is not None


async def test_who_needs_no_port_asks_nobody(autojump_clock: MockClock) -> None:
    router = Router()
    async with kept(router, port=None):
        await trio.sleep(3600)
    assert router.looked_for == 0


async def test_a_router_that_hangs_at_the_end_holds_nobody_up(autojump_clock: MockClock) -> None:
    class Hanging(Router):
        async def unmap(self, mapping: Mapping) -> None:
            await trio.sleep_forever()

    began = 0.0
    async with kept(Hanging()):
        began = trio.current_time()
    assert trio.current_time() - began < 3
