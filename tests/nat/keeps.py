"""Keeps a port of the router mapped in one language, as a node does, but looks every second: run within a home's namespace.

keeps.py NAT-PMP|PCP|UPnP ROUTER PORT      prints each address that is mapped, or `nothing`; ends with its stdin
"""

from __future__ import annotations

import sys

import trio

from p2pnode.net.nat import mapping
from p2pnode.net.nat.gateways import Gateway
from p2pnode.net.nat.natpmp_gateway import NatPmp
from p2pnode.net.nat.pcp_gateway import Pcp
from p2pnode.net.nat.upnp_gateway import Upnp

mapping.LOOK_S = mapping.AGAIN_S = 1.0


async def main(language: str, router: str, port: int) -> None:
    async def find(inside: int) -> Gateway:
        if language == "UPnP":
            return await Upnp.find()
        return await (NatPmp.find(router) if language == "NAT-PMP" else Pcp.find(router, inside))

    one = mapping.PortMapping(lambda: port, lambda: print(*one.addresses or ["nothing"], flush=True), find)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.run)
        await trio.to_thread.run_sync(sys.stdin.read)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main, sys.argv[1], sys.argv[2], int(sys.argv[3]))
