"""Methods about fetching: getting a work or a part of it, and the list of transfers."""

from __future__ import annotations

import math

from p2pnode.ports import Emit, Json
from p2pnode.services.api.method import ApiMethod
from p2pnode.services.node import Node
from p2pnode.services.params import Params
from p2pnode.services.selection import selection


async def get(node: Node, params: Params, emit: Emit) -> Json:
    """Fetch a work or a bare CID, or chosen paths of it; the answer comes when every byte is verified and on the disk."""
    wanted, path, only = params.text("work"), params.optional_path("path"), params.texts("only")
    timeout_s = params.number("timeout_s", math.inf, least=0.0, most=math.inf)
    params.end()
    return await node.transfers.get(
        wanted,
        path,
        only=selection(only) if only else None,
        on_progress=lambda shown: emit("transfer.progress", shown),
        timeout_s=timeout_s,
    )


async def transfer_list(node: Node, params: Params, emit: Emit) -> Json:
    """Transfers since the start: unfinished ones first."""
    params.end()
    return {"items": node.transfers.shown()}


async def pause(node: Node, params: Params, emit: Emit) -> Json:
    """Stop a transfer until it is resumed, after a restart too."""
    transfer = params.text("transfer")
    params.end()
    await node.transfers.pause(transfer)
    return {}


async def resume(node: Node, params: Params, emit: Emit) -> Json:
    """Go on with a transfer that was paused."""
    transfer = params.text("transfer")
    params.end()
    await node.transfers.resume(transfer)
    return {}


async def cancel(node: Node, params: Params, emit: Emit) -> Json:
    """Stop a transfer; what was verified is kept for the next try."""
    transfer = params.text("transfer")
    params.end()
    await node.transfers.cancel(transfer)
    return {}


METHODS: dict[str, ApiMethod] = {
    "work.get": get,
    "transfer.list": transfer_list,
    "transfer.pause": pause,
    "transfer.resume": resume,
    "transfer.cancel": cancel,
}
