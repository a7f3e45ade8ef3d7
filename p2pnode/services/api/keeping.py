"""Methods about what is kept: letting go, promising, weighing, checking."""

from __future__ import annotations

from p2pnode.ports import Emit, Json
from p2pnode.services.api.method import ApiMethod
from p2pnode.services.node import Node
from p2pnode.services.params import Params


async def unpublish(node: Node, params: Params, emit: Emit) -> Json:
    """Stop sharing a work of one's own."""
    text = params.text("work")
    params.end()
    return await node.keeping.unpublish(text)


async def pin(node: Node, params: Params, emit: Emit) -> Json:
    """Promise to keep what is here."""
    text = params.text("work")
    params.end()
    return await node.keeping.pin(text)


async def unpin(node: Node, params: Params, emit: Emit) -> Json:
    """Release the promise."""
    text = params.text("work")
    params.end()
    return await node.keeping.unpin(text)


async def remove(node: Node, params: Params, emit: Emit) -> Json:
    """Free the bytes of a fetched work."""
    text = params.text("work")
    params.end()
    return await node.keeping.remove(text)


async def storage(node: Node, params: Params, emit: Emit) -> Json:
    """What the store holds, against what it may, and what would go first."""
    params.end()
    return await node.space.show()


async def verify(node: Node, params: Params, emit: Emit) -> Json:
    """Hash again what is held, and perhaps mend it."""
    text, repair = params.optional_text("work"), params.flag("repair")
    params.end()

    def tell(progress: Json) -> None:
        emit("transfer.progress" if "transfer" in progress else "verify.progress", progress)

    return await node.checking.verify(text, repair=repair, on_progress=tell)


METHODS: dict[str, ApiMethod] = {
    "work.unpublish": unpublish,
    "work.pin": pin,
    "work.unpin": unpin,
    "work.remove": remove,
    "storage.show": storage,
    "store.verify": verify,
}
