"""The method that puts a question to a circle, one reader of parameters for each class of decision; and what became of a work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from p2pnode.core.charter import MAX_BAD, MAX_COOLDOWN_S, MAX_QUORUM, MAX_STEWARDS, MAX_VOUCH_DAYS, VALID_K, Class
from p2pnode.core.cid import Cid
from p2pnode.core.ids import WORK_PREFIX, CircleId, PublicKey, QuestionId, WorkId, id_text
from p2pnode.core.record import Value
from p2pnode.core.records import PROPOSAL_CLASSES, SECONDS_A_DAY
from p2pnode.errors import NotFoundError, UsageError
from p2pnode.ports import Emit, Json
from p2pnode.services.api.description import read_description
from p2pnode.services.api.method import ApiMethod
from p2pnode.services.evidence import ADDRESSES, is_address, with_evidence
from p2pnode.services.node import Node
from p2pnode.services.params import Params
from p2pnode.services.resolve import SHOWN_CHARACTERS, find_circle, find_key, find_question
from p2pnode.services.rule_questions import RuleChange

METHOD = "proposal.open"
REASON_CHARACTERS = 1000
"""Of a reason as it is typed; a signed one is shorter still."""
NO_ROOT = Cid.parse("bafkqaaa")
"""The empty identity CID: stands where a description must name a root and an edit does not."""
ARRAYS = ("creators", "tags", "identifiers", "sources")

Ask = Callable[[Node, Params, CircleId, str], Awaitable[Json]]


async def propose(node: Node, params: Params, emit: Emit) -> Json:
    """Put a question to a circle."""
    class_, text = params.choice("class", PROPOSAL_CLASSES), params.text("circle")
    circle = await node.store.read(lambda tx: find_circle(tx, text))
    reason = params.text("reason", "", longest=REASON_CHARACTERS)
    return await ASKS[class_](node, params, circle, reason)


async def _list(node: Node, params: Params, circle: CircleId, reason: str) -> Json:
    return await node.circles.work_questions.list(circle, await _work(node, params), reason)


async def _flag(node: Node, params: Params, circle: CircleId, reason: str) -> Json:
    complaint = params.text("complaint")
    pieces = [await _piece(node, text) for text in params.texts("evidence")] if params.has("evidence") else []
    work = await _work(node, params)
    return await node.circles.work_questions.flag(circle, work, complaint, with_evidence(reason, pieces))


async def _piece(node: Node, text: str) -> str:
    """A piece of evidence as it is signed: an address as it stands, a work by its whole id. NotFoundError for an unknown work."""
    if is_address(text):
        return text
    if not text.strip().lower().startswith(f"{WORK_PREFIX}-"):
        raise UsageError(
            f"{text[:SHOWN_CHARACTERS]!r} is neither a work nor an address",
            hint=f"evidence is a work's id (w-abcdef...) or begins with {', '.join(ADDRESSES)}",
        )
    return id_text(WORK_PREFIX, (await node.search.find(text)).id)


async def _takedown(node: Node, params: Params, circle: CircleId, reason: str) -> Json:
    return await node.circles.work_questions.takedown(circle, await _work(node, params), reason)


async def _appeal(node: Node, params: Params, circle: CircleId, reason: str) -> Json:
    return await node.circles.work_questions.appeal(circle, await _work(node, params), reason)


async def _edit(node: Node, params: Params, circle: CircleId, reason: str) -> Json:
    """With `fields` what is to change; with `revert_to` (an edit, or "listing") how it is to be again."""
    if params.has("revert_to"):
        text = params.text("revert_to")
        work = await _work(node, params)
        to: QuestionId | None = None
        if text != "listing":
            to = await node.store.read(lambda tx: find_question(tx, text))
        return await node.circles.work_questions.revert(circle, work, to, reason)
    fields, content = read_changes(params.object("fields")), params.optional_text("content")
    work = await _work(node, params)
    if content is not None:
        fields |= await _content(node, content)
    return await node.circles.work_questions.edit(circle, work, fields, reason)


def read_changes(values: dict[str, Any]) -> dict[str, Value]:
    """The fields of a description that an edit changes; null and empty values take a field away. UsageError as for publishing."""
    named = {"title": "-"} | {name: value for name, value in values.items() if value is not None}
    params = Params(METHOD, named)
    told = read_description(params).fields(NO_ROOT, 0, 0)
    params.end()
    empty: dict[str, Value] = {name: () if name in ARRAYS else "" for name in values}
    return {name: told.get(name, empty[name]) if values[name] is not None else empty[name] for name in values}


async def _content(node: Node, text: str) -> dict[str, Value]:
    """Another content for the work: it lies here whole, so that its size is known and others can fetch it."""
    root = Cid.parse(text)
    held = await node.store.read(lambda tx: tx.content(root))
    if held is None or held.state != "complete":
        raise NotFoundError("that content is not here whole", hint="publish it first (--private will do), or fetch it")
    if not held.public:
        await node.store.write(lambda tx: tx.set_public(root, True))
    return {"root": root.to_bytes(), "bytes": held.size, "files": held.files}


async def _expel(node: Node, params: Params, circle: CircleId, reason: str) -> Json:
    return await node.circles.rule_questions.expel(circle, await _key(node, params, "key"), reason)


async def _readmit(node: Node, params: Params, circle: CircleId, reason: str) -> Json:
    return await node.circles.rule_questions.readmit(circle, await _key(node, params, "key"), reason)


async def _stewards(node: Node, params: Params, circle: CircleId, reason: str) -> Json:
    f = _whole(params, "f", 0, MAX_STEWARDS)
    rules = node.circles.rule_questions
    if params.has("add") == params.has("remove"):
        raise UsageError(f"{METHOD}: say either add or remove, with a key")
    if params.has("add"):
        return await rules.add_steward(circle, await _key(node, params, "add"), reason, f=f)
    return await rules.remove_steward(circle, await _key(node, params, "remove"), reason, f=f)


async def _charter(node: Node, params: Params, circle: CircleId, reason: str) -> Json:
    change = read_rules(params.object("rules"))
    params.end()
    return await node.circles.rule_questions.change_rules(circle, change, reason)


def read_rules(values: dict[str, Any]) -> RuleChange:
    """What a charter is to say. UsageError names what is wrong; what contradicts itself is refused when it is signed."""
    params = Params(f"{METHOD}: rules", values)
    change = RuleChange(
        name=params.optional_text("name"),
        purpose=params.text("purpose") if params.has("purpose") else None,
        f=_whole(params, "f", 0, MAX_STEWARDS),
        k=_whole(params, "k", min(VALID_K), max(VALID_K)),
        vouch_days=_whole(params, "vouch_days", 1, MAX_VOUCH_DAYS),
        languages=tuple(params.texts("languages")) if params.has("languages") else None,
        licences=tuple(params.texts("licences")) if params.has("licences") else None,
        classes={name: _class(name, rule) for name, rule in params.object("classes").items()},
        grown=params.flag("grown"),
    )
    params.end()
    return change


def _class(name: str, values: Any) -> Class:
    if name not in PROPOSAL_CLASSES or not isinstance(values, dict):
        raise UsageError(f"{name[:40]!r} is no class of decision", hint=f"one of: {', '.join(PROPOSAL_CLASSES)}")
    params = Params(f"{METHOD}: class {name}", values)
    days = params.number("cooldown_days", 0.0, least=0, most=MAX_COOLDOWN_S / SECONDS_A_DAY)
    rule = Class(
        b=_whole(params, "b", 0, MAX_BAD) or 0,
        q=_whole(params, "q", 1, MAX_QUORUM) or 1,
        supermajority=params.flag("supermajority"),
        cooldown_s=int(days * SECONDS_A_DAY),
        sealed=params.flag("sealed"),
    )
    params.end()
    return rule


def _whole(params: Params, name: str, least: int, most: int) -> int | None:
    if not params.has(name):
        return None
    value = params.number(name, 0.0, least=least, most=most)
    if value != int(value):
        raise UsageError(f"{name} is a whole number")
    return int(value)


async def _work(node: Node, params: Params) -> WorkId:
    text = params.text("work")
    params.end()
    return (await node.search.find(text)).id


async def _key(node: Node, params: Params, name: str) -> PublicKey:
    text = params.text(name)
    params.end()
    return await node.store.read(lambda tx: find_key(tx, text))


ASKS: Mapping[str, Ask] = {
    "list": _list,
    "edit": _edit,
    "flag": _flag,
    "takedown": _takedown,
    "appeal": _appeal,
    "expel": _expel,
    "readmit": _readmit,
    "stewards": _stewards,
    "charter": _charter,
}


async def history(node: Node, params: Params, emit: Emit) -> Json:
    """What became of a work."""
    text, within = params.text("work"), params.optional_text("circle")
    params.end()
    row = await node.search.find(text)
    circle = None if within is None else await node.store.read(lambda tx: find_circle(tx, within))
    return await node.history.of(row, circle)


METHODS: dict[str, ApiMethod] = {METHOD: propose, "work.history": history}
