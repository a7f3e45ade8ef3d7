"""An order to publish as bytes and back: what the store remembers of a publishing that is not done.

Our own format, never seen by a peer; a path may be any bytes. Called by services.publishing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from p2pnode.core.ids import CIRCLE_PREFIX, KEY_PREFIX, WORK_PREFIX, CircleId, PublicKey, WorkId, id_text, parse_id
from p2pnode.core.manifest import Creator, Identifier
from p2pnode.services.publish import Description, Order


@dataclass(frozen=True, slots=True)
class Remembered:
    """An unfinished publishing. `content` takes what is read; `earlier` is the base of what was read before the last stop."""

    order: Order
    began: float
    content: int
    earlier: int | None
    paused: bool
    reason: str


def encode(one: Remembered) -> bytes:
    """JSON."""
    order, said = one.order, one.order.description
    value = {
        "path": order.path.encode("utf-8", "surrogateescape").hex(),
        "circle": None if order.circle is None else id_text(CIRCLE_PREFIX, order.circle),
        "private": order.private,
        "revises": None if order.revises is None else id_text(WORK_PREFIX, order.revises),
        "began": one.began,
        "content": one.content,
        "earlier": one.earlier,
        "paused": one.paused,
        "reason": one.reason,
        "texts": [said.title, said.kind, said.summary, said.licence, said.language],
        "creators": [[c.name, c.role, None if c.key is None else id_text(KEY_PREFIX, c.key)] for c in said.creators],
        "tags": list(said.tags),
        "identifiers": [[i.scheme, i.value] for i in said.identifiers],
        "sources": list(said.sources),
    }
    return json.dumps(value).encode()


def decode(data: bytes) -> Remembered:
    """What `encode` wrote."""
    value: dict[str, Any] = json.loads(data)
    title, kind, summary, licence, language = value["texts"]
    description = Description(
        title=title,
        kind=kind,
        summary=summary,
        licence=licence,
        language=language,
        creators=tuple(
            Creator(name, role, None if key is None else PublicKey(parse_id(KEY_PREFIX, key)))
            for name, role, key in value["creators"]
        ),
        tags=tuple(value["tags"]),
        identifiers=tuple(Identifier(scheme, text) for scheme, text in value["identifiers"]),
        sources=tuple(value["sources"]),
    )
    circle, revises = value["circle"], value["revises"]
    order = Order(
        bytes.fromhex(value["path"]).decode("utf-8", "surrogateescape"),
        description,
        None if circle is None else CircleId(parse_id(CIRCLE_PREFIX, circle)),
        value["private"],
        None if revises is None else WorkId(parse_id(WORK_PREFIX, revises)),
    )
    return Remembered(order, value["began"], value["content"], value["earlier"], value["paused"], value["reason"])
