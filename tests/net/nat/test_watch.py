"""A machine that is carried elsewhere: dead connections are cut, those that live stay, and it is told once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import trio
from libp2p.abc import ConnectionType
from trio.testing import MockClock

from p2pnode.net.nat.watch import LOOK_S, SETTLE_S, Watch, interface_addresses

pytestmark = pytest.mark.trio


class Connection:
    """One of libp2p's as far as the watch looks at it."""

    def __init__(self, local: str, *, relayed: bool = False, hangs: bool = False) -> None:
        self.closed = False
        self._hangs = hangs
        kind = ConnectionType.RELAYED if relayed else ConnectionType.DIRECT
        secured = SimpleNamespace(conn=SimpleNamespace(stream=SimpleNamespace(local_host=local)), close=self._close)
        self.muxed_conn = SimpleNamespace(get_connection_type=lambda: kind, secured_conn=secured)

    async def _close(self) -> None:
        self.closed = True
        if self._hangs:
            await trio.sleep_forever()


class Machine:
    """Interfaces that change."""

    def __init__(self, *connections: Connection) -> None:
        self.there = frozenset({"127.0.0.1", "192.168.1.2"})
        self.connections = list(connections)
        self.moves = 0

    def get_connections(self) -> list[Any]:
        return self.connections

    async def moved(self) -> None:
        self.moves += 1

    def watch(self) -> Watch:
        return Watch(self, self.moved, lambda: self.there)


async def test_connections_from_an_address_that_is_gone_are_cut(autojump_clock: MockClock) -> None:
    dead, hanging = Connection("192.168.1.2"), Connection("192.168.1.2", hangs=True)
    alive, relayed = Connection("127.0.0.1"), Connection("192.168.1.2", relayed=True)
    machine = Machine(hanging, dead, alive, relayed)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(machine.watch().run)
        await trio.sleep(20 * LOOK_S)
        assert machine.moves == 0
        machine.there = frozenset({"127.0.0.1", "10.0.0.7"})
        await trio.sleep(2 * (LOOK_S + SETTLE_S))
        assert machine.moves == 1
        nursery.cancel_scope.cancel()
    assert dead.closed and hanging.closed
    assert not alive.closed and not relayed.closed


async def test_a_network_that_comes_cuts_nothing_and_is_told(autojump_clock: MockClock) -> None:
    connection = Connection("192.168.1.2")
    machine = Machine(connection)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(machine.watch().run)
        await trio.sleep(1)
        machine.there |= {"10.8.0.2"}
        await trio.sleep(2 * (LOOK_S + SETTLE_S))
        nursery.cancel_scope.cancel()
    assert machine.moves == 1
    assert not connection.closed


async def test_an_interface_that_flickers_is_nothing(autojump_clock: MockClock) -> None:
    machine = Machine(Connection("192.168.1.2"))
    at_home, away = machine.there, frozenset({"127.0.0.1"})
    looks = iter([at_home, away, at_home])
    watch = Watch(machine, machine.moved, lambda: next(looks, at_home))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.run)
        await trio.sleep(10 * LOOK_S)
        nursery.cancel_scope.cancel()
    assert machine.moves == 0
    assert not machine.connections[0].closed


async def test_this_machine_has_addresses() -> None:
    assert "127.0.0.1" in interface_addresses()
