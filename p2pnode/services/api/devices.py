"""Methods about one's other machines."""

from __future__ import annotations

from p2pnode.core.device_roles import NAME_CHARACTERS
from p2pnode.ports import Emit, Json
from p2pnode.services.api.method import ApiMethod
from p2pnode.services.node import Node
from p2pnode.services.params import Params


async def device_list(node: Node, params: Params, emit: Emit) -> Json:
    """The machines that belong together, this one among them."""
    params.end()
    return node.devices.list()


async def device_works(node: Node, params: Params, emit: Emit) -> Json:
    """Works that one's other machines hold."""
    params.end()
    return {"items": node.device_sync.state.works_elsewhere()}


async def device_accept(node: Node, params: Params, emit: Emit) -> Json:
    """Show a pairing code (the event device.code) and wait until it is entered elsewhere."""
    name = params.optional_text("name")
    params.end()
    return await node.devices.show(name, emit)


async def device_pair(node: Node, params: Params, emit: Emit) -> Json:
    """Enter the code that another machine shows."""
    code, address = params.text("code", longest=NAME_CHARACTERS), params.optional_text("address")
    name, own_name, roles = params.optional_text("name"), params.optional_text("own_name"), params.texts("roles")
    params.end()
    return await node.devices.enter(code, address=address, name=name, own_name=own_name, roles=roles)


async def device_rename(node: Node, params: Params, emit: Emit) -> Json:
    """Give a device another name."""
    device, name = params.text("device"), params.text("name")
    params.end()
    return await node.devices.rename(device, name)


async def device_revoke(node: Node, params: Params, emit: Emit) -> Json:
    """A device may do nothing any more."""
    device = params.text("device")
    params.end()
    return await node.devices.revoke(device)


async def device_leave(node: Node, params: Params, emit: Emit) -> Json:
    """This machine belongs to nobody again."""
    params.end()
    return await node.devices.leave()


METHODS: dict[str, ApiMethod] = {
    "device.list": device_list,
    "device.works": device_works,
    "device.accept": device_accept,
    "device.pair": device_pair,
    "device.rename": device_rename,
    "device.revoke": device_revoke,
    "device.leave": device_leave,
}
