"""Methods about works: publishing, finding, showing, fetching."""

from __future__ import annotations

import math

from p2pnode.limits import SEARCH_TIMEOUT_S
from p2pnode.ports import Emit, Json, Work
from p2pnode.services.api.description import read_description
from p2pnode.services.api.method import ApiMethod
from p2pnode.services.catalogue import details, hit, verdicts
from p2pnode.services.node import Node
from p2pnode.services.params import Params
from p2pnode.services.resolve import find_circle

MAX_ENTRIES_SHOWN = 200
"""Files listed by `show`."""
LONGEST_SEARCH_S = 120.0
MAX_LISTED = 10_000


async def publish(node: Node, params: Params, emit: Emit) -> Json:
    """Publish a path in place."""
    path = params.path("path")
    description = read_description(params)
    wanted, private = params.optional_text("circle"), params.flag("private")
    params.end()
    circle = None if wanted is None else await node.store.read(lambda tx: find_circle(tx, wanted))
    answer = await node.publish.run(
        path,
        description,
        circle=circle,
        private=private,
        on_progress=lambda progress: emit("publish.progress", progress),
    )
    node.emit("work.published", {"work": answer["work"], "title": description.title})
    return answer


async def search(node: Node, params: Params, emit: Emit) -> Json:
    """Search here, at peers and among strangers; hits are told as they come."""
    text, local = params.text("text", longest=256), params.flag("local")
    timeout_s = params.number("timeout_s", SEARCH_TIMEOUT_S, least=0.0, most=LONGEST_SEARCH_S)
    params.end()
    return await node.search.run(text, local=local, timeout_s=timeout_s, on_hit=lambda found: emit("work.hit", found))


async def list_works(node: Node, params: Params, emit: Emit) -> Json:
    """Works that were published or kept here, and those being fetched."""
    params.end()
    works = await node.store.read(lambda tx: tx.works(limit=MAX_LISTED))
    said = await verdicts(node.store, node.views, [work.id for work in works])
    return {"items": [_listed(node, work, said[work.id]) for work in works]}


def _listed(node: Node, work: Work, verdicts: list[Json]) -> Json:
    shown = hit(work, verdicts, local=work.state != "heard")
    return shown | {"state": _state(node, work), "private": work.private, "added": work.added}


def _state(node: Node, work: Work) -> str:
    return "fetching" if work.state == "heard" and node.transfers.is_running(work.root) else work.state


async def show(node: Node, params: Params, emit: Emit) -> Json:
    """Everything that is known of one work."""
    text = params.text("work")
    params.end()
    work = await node.search.find(text)
    said = await verdicts(node.store, node.views, [work.id])
    answer = _listed(node, work, said[work.id]) | details(work) | {"state": _state(node, work)}
    content = await node.store.read(lambda tx: tx.content(work.root))
    if content is not None and content.state == "complete":
        answer["path"] = content.base
        files = await node.store.read(lambda tx: tx.content_files(work.root, MAX_ENTRIES_SHOWN))
        answer["entries"] = [{"path": path, "bytes": size} for path, size in files]
    answer["proposals"] = await node.circles.proposals_about(work.id)
    return answer


async def get(node: Node, params: Params, emit: Emit) -> Json:
    """Fetch a work or a bare CID; the answer comes when every byte is verified and on the disk."""
    wanted, path = params.text("work"), params.optional_path("path")
    timeout_s = params.number("timeout_s", math.inf, least=0.0, most=math.inf)
    params.end()
    return await node.transfers.get(
        wanted, path, on_progress=lambda shown: emit("transfer.progress", shown), timeout_s=timeout_s
    )


async def transfer_list(node: Node, params: Params, emit: Emit) -> Json:
    """Transfers since the start: running ones first."""
    params.end()
    return {"items": node.transfers.shown()}


async def transfer_cancel(node: Node, params: Params, emit: Emit) -> Json:
    """Stop a transfer; what was verified is kept for the next try."""
    transfer = params.text("transfer")
    params.end()
    await node.transfers.cancel(transfer)
    return {}


METHODS: dict[str, ApiMethod] = {
    "work.publish": publish,
    "work.search": search,
    "work.list": list_works,
    "work.show": show,
    "work.get": get,
    "transfer.list": transfer_list,
    "transfer.cancel": transfer_cancel,
}
