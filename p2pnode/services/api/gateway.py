"""Methods about the gateway: opening it, closing it, where it is."""

from __future__ import annotations

from p2pnode.errors import P2pnodeError
from p2pnode.ports import Emit, Json
from p2pnode.services.api.method import ApiMethod
from p2pnode.services.gateway_door import GatewayDoor
from p2pnode.services.node import Node
from p2pnode.services.params import Params

MAX_PORT = 65535


async def open_(node: Node, params: Params, emit: Emit) -> Json:
    """Open the gateway, or tell where it is open."""
    port = int(params.number("port", 0, least=0, most=MAX_PORT))
    params.end()
    return await _door(node).open(port)


async def close(node: Node, params: Params, emit: Emit) -> Json:
    """Close the gateway."""
    params.end()
    return await _door(node).close()


async def status(node: Node, params: Params, emit: Emit) -> Json:
    """Whether the gateway is open, and where."""
    params.end()
    return _door(node).state()


def _door(node: Node) -> GatewayDoor:
    if node.gateway is None:
        raise P2pnodeError("this node was started without a gateway")
    return node.gateway


METHODS: dict[str, ApiMethod] = {"gateway.open": open_, "gateway.close": close, "gateway.status": status}
