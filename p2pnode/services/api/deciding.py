"""Methods about one question: how it stands before one votes, and taking back what one proposed."""

from __future__ import annotations

from p2pnode.ports import Emit, Json
from p2pnode.services.api.method import ApiMethod
from p2pnode.services.node import Node
from p2pnode.services.params import Params
from p2pnode.services.resolve import find_question


async def show(node: Node, params: Params, emit: Emit) -> Json:
    """One question, and under which name we would vote on it."""
    text = params.text("proposal")
    params.end()
    question = await node.store.read(lambda tx: find_question(tx, text))
    return await node.circles.questions.one(question)


async def withdraw(node: Node, params: Params, emit: Emit) -> Json:
    """Take back one's own proposal."""
    text = params.text("proposal")
    params.end()
    question = await node.store.read(lambda tx: find_question(tx, text))
    return await node.circles.ballots.withdraw(question)


METHODS: dict[str, ApiMethod] = {"proposal.show": show, "proposal.withdraw": withdraw}
