"""Methods about archives (CAR): writing a content out as one, taking one in."""

from __future__ import annotations

from contextlib import aclosing

from p2pnode.core.cid import Cid
from p2pnode.core.ids import split_text
from p2pnode.errors import DecodeError, NotFoundError
from p2pnode.ports import Emit, Json
from p2pnode.services.api.description import read_description
from p2pnode.services.api.method import ApiMethod
from p2pnode.services.api.reading import send_frames
from p2pnode.services.car_export import car_bytes, export_car
from p2pnode.services.car_import import CarImport
from p2pnode.services.new_work import NewWork
from p2pnode.services.node import Node
from p2pnode.services.params import Params
from p2pnode.services.resolve import find_circle


async def export(node: Node, params: Params, emit: Emit) -> Json:
    """Write a content to a file as an archive."""
    text, path = params.text("work"), params.path("path")
    params.end()
    root = await content_root(node, text)
    return await export_car(node.store, root, path, on_progress=lambda progress: emit("car.progress", progress))


async def read(node: Node, params: Params, emit: Emit) -> Json:
    """Stream the archive of a content: `work.opened`, then `work.bytes` as the client grants credit (`read.credit`)."""
    text = params.text("work")
    params.end()
    root = await content_root(node, text)
    if await node.store.read_block(root) is None:
        raise NotFoundError(f"{root} is not here", hint="fetch it first: p2pnode get")
    with node.reading.credits.open() as (token, credit):
        emit("work.opened", {"read": token, "path": f"{root}.car", "cid": str(root)})
        async with aclosing(car_bytes(node.store, root)) as parts:
            sent = await send_frames(parts, credit, emit)
    return {"bytes": sent, "cid": str(root)}


async def import_(node: Node, params: Params, emit: Emit) -> Json:
    """Take an archive in; with a title its content becomes a work."""
    path = params.path("path")
    new = await _new_work(node, params)
    params.end()
    importing = CarImport(node.store, node.me, node.admission, node.clock, node.outbox.wake)
    answer = await importing.run(path, new, on_progress=lambda progress: emit("car.progress", progress))
    for item in answer["items"]:
        if new is not None:
            node.emit("work.published", {"work": item["work"], "title": new.description.title})
    return answer


async def content_root(node: Node, text: str) -> Cid:
    """The CID of a work's content, or the CID that was given. NotFoundError if it is neither."""
    if split_text(text) is not None:
        return (await node.search.find(text)).root
    try:
        return Cid.parse(text)
    except DecodeError as error:
        raise NotFoundError(f"{text!r} is neither a work nor a CID", hint="find one with: p2pnode search") from error


async def _new_work(node: Node, params: Params) -> NewWork | None:
    wanted, private = params.optional_text("circle"), params.flag("private")
    description = read_description(params) if params.has("title") else None
    circle = None if wanted is None else await node.store.read(lambda tx: find_circle(tx, wanted))
    return None if description is None else NewWork(description, circle, private)


METHODS: dict[str, ApiMethod] = {"car.export": export, "car.import": import_, "car.read": read}
