"""Methods about circles: founding, joining, vouching, deciding, and why."""

from __future__ import annotations

from p2pnode.core.ids import CIRCLE_PREFIX, CircleId, id_text
from p2pnode.core.invite import INVITE_LIFETIME_S
from p2pnode.core.records import CHOICES
from p2pnode.errors import NotFoundError
from p2pnode.ports import Emit, Json
from p2pnode.services.api.method import ApiMethod
from p2pnode.services.invites import MAX_USES
from p2pnode.services.join import waiting
from p2pnode.services.node import Node
from p2pnode.services.params import Params
from p2pnode.services.resolve import find_circle, find_key, find_question

MAX_HOURS = 10**6
"""Any number that a person can mean: the service says what makes sense."""
INVITE_CHARACTERS = 8192
REASON_CHARACTERS = 1000


async def create(node: Node, params: Params, emit: Emit) -> Json:
    """Found a circle."""
    name, purpose, profile = params.text("name"), params.text("purpose", ""), params.optional_text("profile")
    params.end()
    answer = await node.circles.create(name, purpose, profile=profile)
    node.emit("circle.joined", answer)
    return answer


async def list_circles(node: Node, params: Params, emit: Emit) -> Json:
    """Our circles, and those we wait for."""
    params.end()
    return await node.circles.list()


async def show(node: Node, params: Params, emit: Emit) -> Json:
    """One circle."""
    circle = await _circle(node, params)
    params.end()
    return await node.circles.show(circle, provisional=node.sync.is_provisional(circle))


async def invite(node: Node, params: Params, emit: Emit) -> Json:
    """A link into a circle."""
    circle = await _circle(node, params)
    uses = params.number("uses", 1, least=1, most=MAX_USES)
    hours = params.number("hours", INVITE_LIFETIME_S / 3600, least=-MAX_HOURS, most=MAX_HOURS)
    params.end()
    return await node.circles.invites.make(circle, uses=int(uses), lifetime_s=int(hours * 3600))


async def open_invites(node: Node, params: Params, emit: Emit) -> Json:
    """Links into a circle that can still be used."""
    circle = await _circle(node, params)
    params.end()
    return await node.circles.invites.open(circle)


async def close_invite(node: Node, params: Params, emit: Emit) -> Json:
    """Close one of them."""
    circle, id = await _circle(node, params), params.text("id")
    params.end()
    return await node.circles.invites.close(circle, id)


async def join(node: Node, params: Params, emit: Emit) -> Json:
    """Redeem a link, now or when its maker is online."""
    link, fork = params.text("invite", longest=INVITE_CHARACTERS), params.flag("fork")
    params.end()
    return await node.circles.join(link, fork=fork)


async def leave(node: Node, params: Params, emit: Emit) -> Json:
    """Leave a circle, or stop waiting for one."""
    text, force = params.text("circle"), params.flag("force")
    params.end()
    try:
        circle = await node.store.read(lambda tx: find_circle(tx, text))
    except NotFoundError:
        circle = await _waited_for(node, text)
    return await node.circles.leave(circle, force=force)


async def _waited_for(node: Node, text: str) -> CircleId:
    for one in await node.store.read(waiting):
        circle = one.invite.circle
        if id_text(CIRCLE_PREFIX, circle).startswith(text) or one.invite.name.casefold() == text.casefold():
            return circle
    raise NotFoundError(f"no circle {text!r} is known here", hint="your circles: p2pnode circle list")


async def vouch(node: Node, params: Params, emit: Emit) -> Json:
    """Vouch for a key in a circle."""
    circle, text = await _circle(node, params), params.text("key")
    params.end()
    key = await node.store.read(lambda tx: find_key(tx, text))
    return await node.circles.vouches.give(circle, key)


async def revoke(node: Node, params: Params, emit: Emit) -> Json:
    """Take a vouch back."""
    circle, text = await _circle(node, params), params.text("key")
    params.end()
    key = await node.store.read(lambda tx: find_key(tx, text))
    return await node.circles.vouches.revoke(circle, key)


async def proposals(node: Node, params: Params, emit: Emit) -> Json:
    """Questions of one circle, or of all."""
    text = params.optional_text("circle")
    params.end()
    circle = None if text is None else await node.store.read(lambda tx: find_circle(tx, text))
    return await node.circles.proposals(circle)


async def queue(node: Node, params: Params, emit: Emit) -> Json:
    """What waits for our ballot."""
    text = params.optional_text("circle")
    params.end()
    circle = None if text is None else await node.store.read(lambda tx: find_circle(tx, text))
    return {"items": await node.circles.questions.queue(circle)}


async def cast(node: Node, params: Params, emit: Emit) -> Json:
    """Cast a ballot, or replace one's own."""
    text, choice = params.text("proposal"), params.choice("choice", CHOICES)
    reason = params.text("reason", "", longest=REASON_CHARACTERS)
    params.end()
    question = await node.store.read(lambda tx: find_question(tx, text))
    return await node.circles.cast(question, choice, reason)


async def explain(node: Node, params: Params, emit: Emit) -> Json:
    """Why a circle says what it says."""
    text, circle, as_svg = params.text("id"), params.optional_text("circle"), params.flag("svg")
    params.end()
    return await node.explain.run(text, circle, as_svg=as_svg)


async def _circle(node: Node, params: Params) -> CircleId:
    text = params.text("circle")
    return await node.store.read(lambda tx: find_circle(tx, text))


METHODS: dict[str, ApiMethod] = {
    "circle.create": create,
    "circle.list": list_circles,
    "circle.show": show,
    "circle.invite": invite,
    "circle.invites": open_invites,
    "circle.uninvite": close_invite,
    "circle.join": join,
    "circle.leave": leave,
    "vouch.give": vouch,
    "vouch.revoke": revoke,
    "proposal.list": proposals,
    "proposal.queue": queue,
    "ballot.cast": cast,
    "verdict.explain": explain,
}
