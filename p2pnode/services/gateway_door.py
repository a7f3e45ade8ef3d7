"""What the control methods need of the gateway, as a type only: the gateway stands on the services, so they cannot import it."""

from __future__ import annotations

from typing import Protocol

from p2pnode.ports import Json


class GatewayDoor(Protocol):
    """The gateway of a node, open or not; `p2pnode.gateway.door.Door`."""

    def state(self) -> Json: ...
    async def open(self, port: int) -> Json: ...
    async def close(self) -> Json: ...
