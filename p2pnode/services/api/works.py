"""Methods about works: finding, showing."""

from __future__ import annotations

import os

import trio

from p2pnode.limits import SEARCH_TIMEOUT_S
from p2pnode.ports import Content, Emit, Json, Work
from p2pnode.services.api.method import ApiMethod
from p2pnode.services.catalogue import details, hit, verdicts
from p2pnode.services.lens import MARKS, Sight, see_all
from p2pnode.services.node import Node
from p2pnode.services.params import Params

MAX_ENTRIES_SHOWN = 200
"""Files listed by `show`."""
LONGEST_SEARCH_S = 120.0
MAX_LISTED = 10_000
LISTED_A_TURN = 500
"""Entries made before others have their turn: about 10 ms."""


async def search(node: Node, params: Params, emit: Emit) -> Json:
    """Search here, at peers and among strangers; hits are told as they come."""
    text, local = params.text("text", longest=256), params.flag("local")
    timeout_s = params.number("timeout_s", SEARCH_TIMEOUT_S, least=0.0, most=LONGEST_SEARCH_S)
    see = await _sight(node, params)

    def on_hit(found: Json) -> None:
        if (seen := see(found)) is not None:
            emit("work.hit", seen)

    answer = await node.search.run(text, local=local, timeout_s=timeout_s, on_hit=on_hit)
    return answer | {"items": see_all(answer["items"], see)}


async def _sight(node: Node, params: Params) -> Sight:
    lens, everything = params.optional_text("lens"), params.flag("all")
    params.end()
    return await node.lens.sight(lens, all=everything)


async def list_works(node: Node, params: Params, emit: Emit) -> Json:
    """Works that were published or kept here, and those being fetched."""
    see = await _sight(node, params)
    works = await node.store.read(lambda tx: tx.works(limit=MAX_LISTED))
    said = await verdicts(node.store, node.views, [work.id for work in works])
    held = await node.store.read(
        lambda tx: {work.root: (tx.content(work.root), tx.pinned(work.root)) for work in works}
    )
    items: list[Json] = []
    for start in range(0, len(works), LISTED_A_TURN):
        part = works[start : start + LISTED_A_TURN]
        items += see_all((_listed(node, work, said[work.id], *held[work.root]) for work in part), see)
        await trio.lowlevel.checkpoint()
    return {"items": items}


def _listed(node: Node, work: Work, verdicts: list[Json], content: Content | None, pinned: bool) -> Json:
    shown = hit(work, verdicts, local=work.state != "heard") | {"pinned": pinned}
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
    content, pinned = await node.store.read(lambda tx: (tx.content(work.root), tx.pinned(work.root)))
    answer = _listed(node, work, said[work.id], content, pinned) | details(work)
    if content is not None:
        answer["held_bytes"] = await node.store.read(lambda tx: tx.held_bytes(work.root))
    if content is not None and _is_shown(content):
        answer |= {"path": content.base, "damaged": content.damaged}
        files = await node.store.read(lambda tx: tx.content_files(work.root, MAX_ENTRIES_SHOWN))
        answer["entries"] = [{"path": path, "bytes": size} for path, size in files]
    if (watched := node.watching.of(work.id)) is not None:
        answer["watch"] = watched
    answer["proposals"] = await node.circles.proposals_about(work.id)
    return answer


async def mark(node: Node, params: Params, emit: Emit) -> Json:
    """Hide, block or keep a work, for oneself."""
    text, word = params.text("work"), params.choice("mark", (*MARKS, "none"))
    params.end()
    work = await node.search.find(text)
    return await node.lens.mark(work.id, None if word == "none" else word)


async def marks(node: Node, params: Params, emit: Emit) -> Json:
    """What we marked."""
    params.end()
    return await node.lens.marked()


async def notices(node: Node, params: Params, emit: Emit) -> Json:
    """What concerns us; `clear` takes it away."""
    clear = params.flag("clear")
    params.end()
    return await (node.notices.clear() if clear else node.notices.list())


METHODS: dict[str, ApiMethod] = {
    "work.mark": mark,
    "work.marks": marks,
    "notice.list": notices,
    "work.search": search,
    "work.list": list_works,
    "work.show": show,
}
