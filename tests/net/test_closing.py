"""While a host closes, what still runs may ask where it listens: nowhere any more, which is no failure."""

from __future__ import annotations

import pytest
import trio

from p2pnode.net.punch.sources import source_for
from tests.support.hostile import hostile_network

pytestmark = [pytest.mark.trio, pytest.mark.network]


async def test_who_asks_for_addresses_while_the_listeners_close_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    close = trio.SocketListener.aclose
    with trio.fail_after(60):
        async with hostile_network(b"anna".ljust(32)) as anna:
            assert anna.addresses()

            async def closed(listener: trio.SocketListener) -> None:
                await close(listener)  # libp2p names it until all of them are closed
                told.append(
                    (anna.addresses(), anna.outside.candidates(4), source_for(anna._swarm, "/ip4/1.1.1.1/tcp/1"))
                )

            monkeypatch.setattr(trio.SocketListener, "aclose", closed)
    assert told and set(map(str, told)) == {str(([], [], None))}
