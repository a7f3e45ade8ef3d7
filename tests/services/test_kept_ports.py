"""The port of the first start is asked for again; a port that somebody took is not insisted on."""

from __future__ import annotations

import socket

import pytest

from p2pnode.services.kept_ports import EVERY_INTERFACE, every_interface, keep_ports, kept_ports
from p2pnode.store.memory import MemoryStore

FREE = "/ip4/127.0.0.1/tcp/0"

pytestmark = pytest.mark.trio


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_the_port_is_kept() -> None:
    store, port = MemoryStore(lambda: 0.0), unused_port()
    assert await kept_ports(store, [FREE]) == [FREE]
    await keep_ports(store, [FREE], [f"/ip4/127.0.0.1/tcp/{port}/p2p/12D3Koo"])
    assert await kept_ports(store, [FREE]) == [f"/ip4/127.0.0.1/tcp/{port}"]
    assert await kept_ports(store, ["/ip4/0.0.0.0/tcp/0"]) == ["/ip4/0.0.0.0/tcp/0"], "another address, another port"
    assert await kept_ports(store, ["/ip4/127.0.0.1/tcp/4001"]) == ["/ip4/127.0.0.1/tcp/4001"]


async def test_a_port_that_is_taken_is_left() -> None:
    store = MemoryStore(lambda: 0.0)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        await keep_ports(store, [FREE], [f"/ip4/127.0.0.1/tcp/{taken.getsockname()[1]}/p2p/x"])
        assert await kept_ports(store, [FREE]) == [FREE]


async def test_both_kinds_of_ip_keep_their_port() -> None:
    store, port = MemoryStore(lambda: 0.0), unused_port()
    got = [f"/{kind}/tcp/{port + number}/p2p/x" for number, kind in enumerate(("ip4/10.0.0.1", "ip6/fd00::1"))]
    await keep_ports(store, EVERY_INTERFACE, got)
    kept = await kept_ports(store, EVERY_INTERFACE)
    assert kept == [f"/ip4/0.0.0.0/tcp/{port}", f"/ip6/::/tcp/{port + 1}"] or not has_ipv6()


async def test_without_ipv6_a_node_listens_by_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = socket.socket

    def without(family: int = socket.AF_INET, *more: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        return whole(family, *more)

    assert every_interface() == (EVERY_INTERFACE if has_ipv6() else EVERY_INTERFACE[:1])
    monkeypatch.setattr("p2pnode.services.kept_ports.socket.socket", without)
    assert every_interface() == EVERY_INTERFACE[:1]


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::", 0))
    except OSError:
        return False
    return True
