"""Reading what a person says of a work from a call's parameters. Used by every method that makes a work of something."""

from __future__ import annotations

from typing import Any

from p2pnode.core.ids import PublicKey, parse_id
from p2pnode.core.manifest import DEFAULT_ROLE, Creator, Identifier
from p2pnode.errors import UsageError
from p2pnode.services.params import Params
from p2pnode.services.publish import Description


def read_description(params: Params, follows: Description | None = None) -> Description:
    """The description that the parameters give; what they do not say is as in `follows`. UsageError for a wrong type or no title."""
    was = follows or Description(title="")
    return Description(
        title=params.text("title", was.title or None),
        kind=params.text("kind", was.kind),
        summary=params.text("summary", was.summary),
        licence=params.text("licence", was.licence),
        language=params.text("language", was.language),
        creators=[_creator(item) for item in params.objects("creators")] or was.creators,
        tags=params.texts("tags") or was.tags,
        identifiers=[_identifier(item) for item in params.objects("identifiers")] or was.identifiers,
        sources=params.texts("sources") or was.sources,
    )


def _creator(item: dict[str, Any]) -> Creator:
    name, role, key = item.get("name"), item.get("role") or DEFAULT_ROLE, item.get("key")
    if not isinstance(name, str) or not isinstance(role, str) or not (key is None or isinstance(key, str)):
        raise UsageError("a creator has a name, and perhaps a role and a key")
    return Creator(name, role, None if key is None else PublicKey(parse_id("k", key)))


def _identifier(item: dict[str, Any]) -> Identifier:
    scheme, value = item.get("scheme"), item.get("value")
    if not isinstance(scheme, str) or not isinstance(value, str):
        raise UsageError("an identifier has a scheme (doi, isbn, ...) and a value")
    return Identifier(scheme, value)
