"""Methods about bundles: works, records and charters in one file, for nodes that never meet."""

from __future__ import annotations

from p2pnode.core.ids import CircleId, WorkId
from p2pnode.ports import Emit, Json, Tx
from p2pnode.services.api.method import ApiMethod
from p2pnode.services.bundle_export import BundleExport, Choice
from p2pnode.services.bundle_import import BundleImport
from p2pnode.services.node import Node
from p2pnode.services.params import Params
from p2pnode.services.resolve import find_circle, find_work


async def export(node: Node, params: Params, emit: Emit) -> Json:
    """Write chosen works and circles to one file."""
    path = params.path("path")
    works, circles = params.texts("works"), params.texts("circles")
    everything, private = params.flag("all"), params.flag("private")
    params.end()

    def find(tx: Tx) -> tuple[tuple[WorkId, ...], tuple[CircleId, ...]]:
        return tuple(find_work(tx, text).id for text in works), tuple(find_circle(tx, text) for text in circles)

    choice = Choice(*await node.store.read(find), everything, private)
    exporting = BundleExport(node.store, node.views)
    return await exporting.run(path, choice, on_progress=lambda progress: emit("bundle.progress", progress))


async def import_(node: Node, params: Params, emit: Emit) -> Json:
    """Take in what somebody carried over."""
    path, follow, follow_all = params.path("path"), params.texts("follow"), params.flag("follow_all")
    params.end()
    importing = BundleImport(node.store, node.admission, node.clock, node.outbox.wake)
    return await importing.run(
        path, follow=follow, follow_all=follow_all, on_progress=lambda progress: emit("bundle.progress", progress)
    )


METHODS: dict[str, ApiMethod] = {"bundle.export": export, "bundle.import": import_}
