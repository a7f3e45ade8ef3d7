"""Methods about watching published folders."""

from __future__ import annotations

from p2pnode.ports import Emit, Json
from p2pnode.services.api.method import ApiMethod
from p2pnode.services.node import Node
from p2pnode.services.params import Params
from p2pnode.services.resolve import find_work


async def watch_list(node: Node, params: Params, emit: Emit) -> Json:
    """Works that are watched, those with an offer first."""
    params.end()
    return {"items": node.watching.shown()}


async def watch_on(node: Node, params: Params, emit: Emit) -> Json:
    """Watch a published work."""
    text, auto = params.text("work"), params.flag("auto")
    params.end()
    work = await node.store.read(lambda tx: find_work(tx, text))
    return (await node.watching.turn_on(work, auto=auto)).shown()


async def watch_off(node: Node, params: Params, emit: Emit) -> Json:
    """Watch it no more."""
    text = params.text("work")
    params.end()
    work = await node.store.read(lambda tx: find_work(tx, text))
    await node.watching.turn_off(work.id)
    return {}


METHODS: dict[str, ApiMethod] = {
    "watch.list": watch_list,
    "watch.on": watch_on,
    "watch.off": watch_off,
}
