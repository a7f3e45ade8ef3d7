"""Methods about works: finding, showing."""

from __future__ import annotations

import os

from p2pnode.limits import SEARCH_TIMEOUT_S
from p2pnode.ports import Content, Emit, Json, Work
from p2pnode.services.api.method import ApiMethod
from p2pnode.services.catalogue import details, hit, verdicts
from p2pnode.services.node import Node
from p2pnode.services.params import Params

MAX_ENTRIES_SHOWN = 200
"""Files listed by `show`."""
LONGEST_SEARCH_S = 120.0
MAX_LISTED = 10_000


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
    contents = await node.store.read(lambda tx: {work.root: tx.content(work.root) for work in works})
    return {"items": [_listed(node, work, said[work.id], contents[work.root]) for work in works]}


def _listed(node: Node, work: Work, verdicts: list[Json], content: Content | None) -> Json:
    shown = hit(work, verdicts, local=work.state != "heard")
    return shown | {"state": _state(node, work, content), "private": work.private, "added": work.added}


def _state(node: Node, work: Work, content: Content | None) -> str:
    """As the catalogue has it, but for what is not here in full: that is fetching, or partial."""
    if work.state == "own" or (content is not None and content.state == "complete"):
        return work.state
    if node.transfers.is_running(work.root):
        return "fetching"
    return "partial" if content is not None else work.state


def _is_shown(content: Content) -> bool:
    """Whether its files lie under their own names; a fetch that was not finished once lies in a hidden folder of the library."""
    return content.state == "complete" or not content.owned or not os.path.basename(content.base).startswith(".")


async def show(node: Node, params: Params, emit: Emit) -> Json:
    """Everything that is known of one work."""
    text = params.text("work")
    params.end()
    work = await node.search.find(text)
    said = await verdicts(node.store, node.views, [work.id])
    content = await node.store.read(lambda tx: tx.content(work.root))
    answer = _listed(node, work, said[work.id], content) | details(work)
    if content is not None:
        answer["held_bytes"] = await node.store.read(lambda tx: tx.held_bytes(work.root))
    if content is not None and _is_shown(content):
        answer["path"] = content.base
        files = await node.store.read(lambda tx: tx.content_files(work.root, MAX_ENTRIES_SHOWN))
        answer["entries"] = [{"path": path, "bytes": size} for path, size in files]
    if (watched := node.watching.of(work.id)) is not None:
        answer["watch"] = watched
    answer["proposals"] = await node.circles.proposals_about(work.id)
    return answer


METHODS: dict[str, ApiMethod] = {
    "work.search": search,
    "work.list": list_works,
    "work.show": show,
}
