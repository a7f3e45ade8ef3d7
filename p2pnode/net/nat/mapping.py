"""Keeps a port of the router leading to ours: asked for, renewed in time, asked again when the router forgot, given back at the end.

Run by `outside` in the background: where no router answers, nobody waits for it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import trio

from p2pnode.errors import NetworkError
from p2pnode.net.nat.gateways import Gateway, Mapping, gateways, gateways6
from p2pnode.net.nat.natpmp_gateway import NatPmp
from p2pnode.net.nat.pcp_gateway import Pcp
from p2pnode.net.nat.upnp_gateway import Upnp

log = logging.getLogger("p2pnode.net")

LOOK_S = 60.0
"""Between two questions whether the router still forwards: a restart costs others at most this long to reach us again."""
NO_ROUTER_S = 600.0
"""Until a router is looked for again where none answered; a change of our addresses asks at once."""
AGAIN_S = 15.0
"""After a router that forwarded a port and then failed, for NO_ROUTER_S: it may be starting anew, which takes minutes."""
GIVE_BACK_S = 1.5
"""At a clean stop; what cannot be given back ends by itself within the hour."""
PARTS = 2
"""A mapping is renewed after this part of its life."""


async def find_gateway(port: int) -> Gateway:
    """PCP first, as it is the newest; NAT-PMP, which is the smallest; then UPnP. NetworkError if no router forwards ports."""
    for host in gateways():
        for ask in (partial(Pcp.find, host, port), partial(NatPmp.find, host)):
            try:
                return await ask()
            except NetworkError as error:
                log.debug("%s", error.message)
    return await Upnp.find()


async def find_firewall(own: str, port: int) -> Gateway:
    """The router whose firewall stands before `own`, a public address of IPv6. NetworkError if none opens ports."""
    for host in gateways6():
        try:
            return await Pcp.find(host, port, own)
        except NetworkError as error:
            log.debug("%s", error.message)
    raise NetworkError("no router answers in PCP by IPv6")


class PortMapping:
    """`port` tells which of our ports to map (None: nobody needs that), `changed` is called when what is mapped changes."""

    def __init__(
        self,
        port: Callable[[], int | None],
        changed: Callable[[], None],
        find: Callable[[int], Awaitable[Gateway]] = find_gateway,
    ) -> None:
        self._port = port
        self._changed = changed
        self._find = find
        self._moved = trio.Event()
        self.mapping: Mapping | None = None
        """What is mapped now."""
        self.kind = ""
        """How the router is spoken to, "" while there is none."""

    def moved(self) -> None:
        """Our addresses are others than before: perhaps there is another router."""
        self._moved.set()

    @property
    def addresses(self) -> Sequence[str]:
        """Where the mapping would be reached, as the router says."""
        if self.mapping is None:
            return []
        family = "ip6" if ":" in self.mapping.address else "ip4"
        return [f"/{family}/{self.mapping.address}/tcp/{self.mapping.outside}"]

    async def run(self) -> None:
        """For ever; gives back what is mapped when it is cancelled."""
        last = float("-inf")  # when a router forwarded
        while True:
            self._moved = trio.Event()
            port = self._port()
            if port is not None:
                try:
                    gateway = await self._find(port)
                    try:
                        await self._keep(gateway, port)
                    finally:
                        last = trio.current_time()
                except NetworkError as error:
                    log.info("no port is forwarded: %s", error.message)
            self._now(None, "")
            with trio.move_on_after(AGAIN_S if trio.current_time() - last < NO_ROUTER_S else NO_ROUTER_S):
                await self._moved.wait()

    async def _keep(self, gateway: Gateway, port: int) -> None:
        """Until our addresses change. NetworkError if the router does not, or not any more."""
        mapping = await gateway.map(port, port)
        began = trio.current_time()
        try:
            while self._port() == port:
                self._now(mapping, gateway.kind)
                with trio.move_on_after(min(LOOK_S, mapping.life_s / PARTS)):
                    await self._moved.wait()
                    return
                is_old = trio.current_time() - began >= mapping.life_s / PARTS
                if is_old or not await gateway.holds(mapping):
                    mapping = await gateway.map(port, mapping.outside)
                    began = trio.current_time()
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(GIVE_BACK_S):
                try:
                    await gateway.unmap(mapping)
                except NetworkError as error:
                    log.debug("a port was not given back: %s", error.message)

    def _now(self, mapping: Mapping | None, kind: str) -> None:
        before, self.mapping, self.kind = self.mapping, mapping, kind
        if before == mapping:
            return
        if mapping is not None:
            log.info("the router leads %s to port %d (%s)", self.addresses[0], mapping.inside, kind)
        self._changed()
