"""The port that a node was given at its first start stays its own: addresses that others remember go on working."""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence

from p2pnode.ports import Store, Tx

_FREE_PORT = re.compile(r"/tcp/0(?=/|$)")


async def kept_ports(store: Store, wanted: Sequence[str]) -> list[str]:
    """Port 0 becomes the port that this node got the first time, so that its address stays what others remember."""

    def work(tx: Tx) -> list[str]:
        return [_with_port(address, tx.get_meta(f"port/{address}")) for address in wanted]

    return await store.read(work)


async def keep_ports(store: Store, wanted: Sequence[str], got: Sequence[str]) -> None:
    """Remember which port each `/tcp/0` got."""
    ports = [match[1] for address in got if (match := re.search(r"/tcp/(\d+)", address))]

    def work(tx: Tx) -> None:
        for address in wanted:
            if _FREE_PORT.search(address) and len(wanted) == 1 and ports:
                tx.set_meta(f"port/{address}", ports[0].encode())

    await store.write(work)


def _with_port(address: str, kept: bytes | None) -> str:
    match = _FREE_PORT.search(address)
    if match is None or kept is None or not _is_free(int(kept)):
        return address
    return address[: match.start()] + f"/tcp/{int(kept)}" + address[match.end() :]


def _is_free(port: int) -> bool:
    """Whether the port can be listened on now; when somebody else took it, a new one is better than no node."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
