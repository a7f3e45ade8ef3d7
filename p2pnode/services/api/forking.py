"""The method that forks a circle."""

from __future__ import annotations

from p2pnode.core.charter import MAX_STEWARDS
from p2pnode.errors import UsageError
from p2pnode.ports import Emit, Json
from p2pnode.services.api.method import ApiMethod
from p2pnode.services.node import Node
from p2pnode.services.params import Params
from p2pnode.services.resolve import find_circle, find_key, find_question


async def fork(node: Node, params: Params, emit: Emit) -> Json:
    """Found a fork of one of our circles."""
    circle, name = params.text("circle"), params.text("name")
    purpose, rules = params.optional_text("purpose"), params.optional_text("rules")
    keys = params.texts("stewards") if params.has("stewards") else []
    f, works = params.number("f", 0, least=0, most=MAX_STEWARDS), not params.flag("without_works")
    params.end()
    if f != int(f):
        raise UsageError("f is a whole number")
    parent = await node.store.read(lambda tx: find_circle(tx, circle))
    stewards = [await node.store.read(lambda tx, text=text: find_key(tx, text)) for text in keys]  # type: ignore[misc]
    question = None if rules is None else await node.store.read(lambda tx: find_question(tx, rules))
    answer = await node.circles.forking.fork(
        parent, name, purpose=purpose, stewards=stewards, f=int(f), rules=question, works=works
    )
    node.emit("circle.joined", {"circle": answer["circle"], "name": answer["name"]})
    return answer


METHODS: dict[str, ApiMethod] = {"circle.fork": fork}
"""What the control socket knows of forks."""
