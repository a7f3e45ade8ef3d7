"""Where a node listens if nobody says: everywhere, by both kinds of IP. The port that it was given at its first start stays its own,
so that addresses which others remember go on working. Called by the daemon.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence

from p2pnode.ports import Store, Tx

EVERY_INTERFACE = ("/ip4/0.0.0.0/tcp/0", "/ip6/::/tcp/0")
_FREE_PORT = re.compile(r"/tcp/0(?=/|$)")


def every_interface() -> tuple[str, ...]:
    """`EVERY_INTERFACE`, without IPv6 on a machine that has none."""
    return tuple(address for address in EVERY_INTERFACE if _is_free(address, 0)) or EVERY_INTERFACE[:1]


async def kept_ports(store: Store, wanted: Sequence[str]) -> list[str]:
    """Port 0 becomes the port that this node got the first time, so that its address stays what others remember."""

    def work(tx: Tx) -> list[str]:
        return [_with_port(address, tx.get_meta(f"port/{address}")) for address in wanted]

    return await store.read(work)


async def keep_ports(store: Store, wanted: Sequence[str], got: Sequence[str]) -> None:
    """Remember which port each `/tcp/0` got, where only one address of its kind was wanted."""

    def work(tx: Tx) -> None:
        for address in wanted:
            alone = sum(_kind(one) == _kind(address) for one in wanted) == 1
            ports = [one.split("/")[4] for one in got if _kind(one) == _kind(address) and "/p2p-circuit" not in one]
            if _FREE_PORT.search(address) and alone and ports:
                tx.set_meta(f"port/{address}", ports[0].encode())

    await store.write(work)


def _kind(address: str) -> str:
    """ip4, ip6, dns."""
    return address.split("/")[1]


def _with_port(address: str, kept: bytes | None) -> str:
    match = _FREE_PORT.search(address)
    if match is None or kept is None or not _is_free(address, int(kept)):
        return address
    return address[: match.start()] + f"/tcp/{int(kept)}" + address[match.end() :]


def _is_free(address: str, port: int) -> bool:
    """Whether the port can be listened on now; when somebody else took it, a new one is better than no node."""
    family, host = (socket.AF_INET6, "::") if _kind(address) == "ip6" else (socket.AF_INET, "")
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((host, port))
    except OSError:
        return False
    return True
