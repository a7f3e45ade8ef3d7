"""From which port a node calls: its own towards the internet, any where that one is taken; and nobody else listens there."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import pytest
import trio
from libp2p.transport.exceptions import OpenConnectionError
from multiaddr import Multiaddr

from p2pnode.net.hardening import harden
from p2pnode.net.hardening.listening import share_port
from p2pnode.net.punch.sources import source_for
from p2pnode.net.tcp import MeteredTCP
from p2pnode.net.traffic import Traffic

HOST = "127.0.0.1"


def listening_on(*addresses: str) -> SimpleNamespace:
    listener = SimpleNamespace(get_addrs=lambda: addresses)
    return SimpleNamespace(listeners={"one": listener})


@pytest.mark.parametrize(
    ("bound", "target", "source"),
    [
        ("/ip4/0.0.0.0/tcp/4001", "/ip4/11.0.0.7/tcp/9", ("0.0.0.0", 4001)),
        ("/ip4/11.0.0.1/tcp/4001", "/ip4/11.0.0.7/tcp/9", ("11.0.0.1", 4001)),
        ("/ip6/::/tcp/4001", "/ip6/2600::7/tcp/9", ("::", 4001)),
        ("/ip4/0.0.0.0/tcp/4001", "/ip6/2600::7/tcp/9", None),
        ("/ip4/0.0.0.0/tcp/4001", "/ip4/192.168.1.7/tcp/9", None),
        ("/ip4/127.0.0.1/tcp/4001", "/ip4/11.0.0.7/tcp/9", None),
    ],
)
def test_the_internet_is_called_from_where_we_listen(bound: str, target: str, source: tuple[str, int] | None) -> None:
    assert source_for(listening_on(bound), target) == source


@pytest.mark.trio
async def test_our_calls_share_the_port_and_nobody_else_listens_on_it() -> None:
    harden()
    with socket.create_server((HOST, 0)) as own, socket.create_server((HOST, 0)) as there:
        share_port(SimpleNamespace(listeners=[SimpleNamespace(socket=own)]))
        source, target = own.getsockname(), Multiaddr(f"/ip4/{HOST}/tcp/{there.getsockname()[1]}")
        transport = MeteredTCP(Traffic())
        first = await transport.dial_from(target, source)
        came, address = await trio.to_thread.run_sync(there.accept)
        assert address == source

        with pytest.raises(OpenConnectionError):  # there is a connection from here to there
            await transport.dial_from(target, source)
        second = await transport.dial_with_source(target, source)
        other, address = await trio.to_thread.run_sync(there.accept)
        assert address != source

        with pytest.raises(OSError), socket.create_server(source):
            pass
        for one in (first, second):
            await one.close()
        for accepted in (came, other):
            accepted.close()


@pytest.mark.trio
async def test_who_refuses_is_not_called_again_from_another_port() -> None:
    harden()
    with socket.create_server((HOST, 0)) as own, socket.create_server((HOST, 0)) as there:
        share_port(SimpleNamespace(listeners=[SimpleNamespace(socket=own)]))
        target = Multiaddr(f"/ip4/{HOST}/tcp/{there.getsockname()[1]}")
        there.close()
        with pytest.raises(OpenConnectionError) as refused:
            await MeteredTCP(Traffic()).dial_with_source(target, own.getsockname())
        assert isinstance(refused.value.__cause__, ConnectionRefusedError)
