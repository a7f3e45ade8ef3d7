"""Methods about publishing: beginning it, seeing it, pausing it and going on."""

from __future__ import annotations

from p2pnode.core.manifest import Manifest
from p2pnode.errors import UsageError
from p2pnode.ports import Emit, Json
from p2pnode.services.api.description import read_description
from p2pnode.services.api.method import ApiMethod
from p2pnode.services.node import Node
from p2pnode.services.params import Params
from p2pnode.services.publish import Description, Order
from p2pnode.services.publishing import Publishing
from p2pnode.services.resolve import find_circle, find_work
from p2pnode.services.work_questions import refuse_licence


async def publish(node: Node, params: Params, emit: Emit) -> Json:
    """Publish a path in place: a new work, or a new revision of one of ours."""
    revises = params.optional_text("revises")
    order = await (_new_work(node, params) if revises is None else _revision(node, params, revises))
    detach, watch = params.flag("detach"), params.flag("watch")
    params.end()
    if detach and watch:
        raise UsageError("only what is waited for can be watched at once", hint="later: p2pnode watch on WORK")
    one = await node.publishings.begin(order, detach=detach)
    answer = await _answer(node, one, detach, emit)
    if watch:
        work = await node.store.read(lambda tx: find_work(tx, str(answer["work"])))
        await node.watching.turn_on(work, auto=False)
    return answer


async def _new_work(node: Node, params: Params) -> Order:
    path, description = params.path("path"), read_description(params)
    wanted, private = params.optional_text("circle"), params.flag("private")
    if wanted is None:
        return Order(path, description, None, private)
    circle = await node.store.read(lambda tx: find_circle(tx, wanted))
    refuse_licence(
        (await node.views.of(circle)).charter, description.licence
    )  # before a long folder is read for nothing
    return Order(path, description, circle, private)


async def _revision(node: Node, params: Params, revises: str) -> Order:
    """What is not said anew is as in the newest revision, the path too."""
    path = params.optional_path("path")
    if params.optional_text("circle") is not None or params.flag("private"):
        raise UsageError("a revision stays in the circle of its work, and as private as it is")
    work = await node.store.read(lambda tx: find_work(tx, revises))
    said = read_description(params, Description.of(Manifest.of(work.manifest)))
    if path is None:
        content = await node.store.read(lambda tx: tx.content(work.root))
        if content is None or content.owned:
            raise UsageError("this work does not lie in files of yours", hint="say where its new revision lies")
        path = content.base
    return Order(path, said, revises=work.id)


async def _answer(node: Node, one: Publishing, detach: bool, emit: Emit) -> Json:
    if detach:
        return one.shown()
    emit("publish.progress", {"publishing": one.id, "bytes": 0, "files": 0, "path": one.order.path})
    answer = await node.publishings.wait(one, lambda progress: emit("publish.progress", progress))
    if one.order.revises is not None:
        await node.watching.look(one.order.revises)
    return answer


async def publishing_list(node: Node, params: Params, emit: Emit) -> Json:
    """What is being published, waits, is paused, or was done since the start."""
    params.end()
    return {"items": node.publishings.shown()}


async def publishing_pause(node: Node, params: Params, emit: Emit) -> Json:
    """Stop reading; what was hashed is kept."""
    id = params.text("publishing")
    params.end()
    return (await node.publishings.pause(id)).shown()


async def publishing_resume(node: Node, params: Params, emit: Emit) -> Json:
    """Go on where it was; the answer is that of work.publish, unless `detach`."""
    id, detach = params.text("publishing"), params.flag("detach")
    params.end()
    return await _answer(node, await node.publishings.resume(id, detach=detach), detach, emit)


async def publishing_cancel(node: Node, params: Params, emit: Emit) -> Json:
    """Give it up."""
    id = params.text("publishing")
    params.end()
    return (await node.publishings.cancel(id)).shown()


METHODS: dict[str, ApiMethod] = {
    "work.publish": publish,
    "publishing.list": publishing_list,
    "publishing.pause": publishing_pause,
    "publishing.resume": publishing_resume,
    "publishing.cancel": publishing_cancel,
}
