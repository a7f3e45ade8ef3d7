"""A manifest as a value: what a work is, who made it, under which licence, and the root of its content.

Read with `Manifest.of` from a record (a stranger's: limits and types are checked, nothing else believed); written with `describe`,
then `first` or `revise`. Whether the licence exists is `local.licence`'s question, whether the content is there the store's.
Called by publishing, search, the catalogue and the screens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from p2pnode.core.cid import MAX_CID_BYTES, Cid
from p2pnode.core.fields import Fields, array, digest, integer, mapping, octets, optional_text, text, texts
from p2pnode.core.identifiers import check_identifier
from p2pnode.core.ids import NO_CIRCLE, CircleId, PublicKey, RecordId, WorkId
from p2pnode.core.keys import KeyPair
from p2pnode.core.record import MANIFEST, Record, Value
from p2pnode.core.records import make, new_work_target, normalised
from p2pnode.errors import DecodeError, UsageError

MAX_TITLE_CHARACTERS = 300
MAX_KIND_CHARACTERS = 40
MAX_SUMMARY_CHARACTERS = 4_000
MAX_CREATORS = 50
MAX_NAME_CHARACTERS = 200
MAX_ROLE_CHARACTERS = 60
MAX_LICENCE_CHARACTERS = 300
MAX_LANGUAGE_CHARACTERS = 35
"""A language tag of BCP 47 with every part that is in use."""
MAX_TAGS = 32
MAX_TAG_CHARACTERS = 60
MAX_IDENTIFIERS = 20
MAX_SCHEME_CHARACTERS = 20
MAX_VALUE_CHARACTERS = 300
MAX_SOURCES = 20
MAX_SOURCE_CHARACTERS = 500
DEFAULT_ROLE = "author"


@dataclass(frozen=True, slots=True)
class Creator:
    """Somebody named as having made the work. `key` only claims to be theirs until they sign something themselves."""

    name: str
    role: str = DEFAULT_ROLE
    key: PublicKey | None = None


@dataclass(frozen=True, slots=True)
class Identifier:
    """What the rest of the world calls the work: scheme (doi, isbn, ...) and value."""

    scheme: str
    value: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """One revision of a work. All texts are as hostile as their author: clean them with `core.text` before a terminal sees them.

    `work` is the id of the first manifest's record; `base` the revision that this one follows, None for the first. `bytes` and
    `files` count the content as its author claims.
    """

    record: RecordId
    work: WorkId
    base: RecordId | None
    author: PublicKey
    circle: CircleId
    created: int
    title: str
    kind: str
    summary: str
    creators: tuple[Creator, ...]
    licence: str
    language: str
    tags: tuple[str, ...]
    identifiers: tuple[Identifier, ...]
    sources: tuple[str, ...]
    root: Cid
    bytes: int
    files: int

    @classmethod
    def of(cls, record: Record) -> Manifest:
        """Read a manifest record. DecodeError names the field that is wrong."""
        if record.kind != MANIFEST:
            raise DecodeError(f"a {record.kind[:20]!r} record is no manifest")
        work = mapping(record.fields, "work")
        revision = "base" in record.fields
        return cls(
            record=record.id,
            work=WorkId(record.target if revision else record.id),
            base=RecordId(digest(record.fields, "base")) if revision else None,
            author=record.author,
            circle=record.circle,
            created=record.created,
            **{name: reader(work) for name, reader in _READERS.items()},
        )


_READERS: Final[Mapping[str, Callable[[Fields], Any]]] = {
    "title": lambda work: text(work, "title", least=1, most=MAX_TITLE_CHARACTERS),
    "kind": lambda work: optional_text(work, "kind", most=MAX_KIND_CHARACTERS),
    "summary": lambda work: optional_text(work, "summary", most=MAX_SUMMARY_CHARACTERS),
    "creators": lambda work: tuple(_creator(item) for item in array(work, "creators", most=MAX_CREATORS)),
    "licence": lambda work: optional_text(work, "licence", most=MAX_LICENCE_CHARACTERS),
    "language": lambda work: optional_text(work, "language", most=MAX_LANGUAGE_CHARACTERS),
    "tags": lambda work: texts(work, "tags", most=MAX_TAGS, most_characters=MAX_TAG_CHARACTERS),
    "identifiers": lambda work: tuple(_identifier(item) for item in array(work, "identifiers", most=MAX_IDENTIFIERS)),
    "sources": lambda work: texts(work, "sources", most=MAX_SOURCES, most_characters=MAX_SOURCE_CHARACTERS),
    "root": lambda work: Cid.from_bytes(octets(work, "root", most=MAX_CID_BYTES)),
    "bytes": lambda work: integer(work, "bytes"),
    "files": lambda work: integer(work, "files"),
}
"""How each field of a `work` map is read, by its name; the names are those of Manifest."""


def check_fields(work: Fields) -> None:
    """Check some fields of a `work` map, as an edit's patch carries them. DecodeError names one that is wrong, or no manifest's."""
    for name in work:
        reader = _READERS.get(name)
        if reader is None:
            raise DecodeError(f"a manifest has no field {name[:MAX_KIND_CHARACTERS]!r}")
        reader(work)


def _creator(item: Value) -> Creator:
    fields = _item_map(item, "a creator")
    return Creator(
        name=text(fields, "name", least=1, most=MAX_NAME_CHARACTERS),
        role=optional_text(fields, "role", most=MAX_ROLE_CHARACTERS),
        key=PublicKey(digest(fields, "key")) if "key" in fields else None,
    )


def _identifier(item: Value) -> Identifier:
    fields = _item_map(item, "an identifier")
    return Identifier(
        scheme=text(fields, "scheme", least=1, most=MAX_SCHEME_CHARACTERS),
        value=text(fields, "value", least=1, most=MAX_VALUE_CHARACTERS),
    )


def _item_map(item: Value, what: str) -> Fields:
    if not isinstance(item, Mapping):
        raise DecodeError(f"{what} is not a map")
    return item


# ---------------------------------------------------------------- writing


def describe(
    *,
    title: str,
    root: Cid,
    bytes: int,
    files: int,
    kind: str = "",
    summary: str = "",
    creators: Sequence[Creator] = (),
    licence: str = "",
    language: str = "",
    tags: Iterable[str] = (),
    identifiers: Iterable[Identifier] = (),
    sources: Iterable[str] = (),
) -> dict[str, Value]:
    """The `work` map of a manifest; empty values are left out. Identifiers are checked (UsageError); limits when it is signed."""
    if not title.strip():
        raise UsageError("a work needs a title")
    checked = [check_identifier(identifier.scheme, identifier.value) for identifier in identifiers]
    optional: dict[str, Value] = {
        "kind": kind.strip(),
        "summary": summary.strip(),
        "creators": tuple(_creator_fields(creator) for creator in creators),
        "licence": licence.strip(),
        "language": language.strip(),
        "tags": tuple(dict.fromkeys(tag for tag in (str(normalised(t.strip())) for t in tags) if tag)),
        "identifiers": tuple({"scheme": scheme, "value": value} for scheme, value in dict.fromkeys(checked)),
        "sources": tuple(source.strip() for source in sources if source.strip()),
    }
    required: dict[str, Value] = {"title": title.strip(), "root": root.to_bytes(), "bytes": bytes, "files": files}
    return required | {name: value for name, value in optional.items() if value}


def first(
    key: KeyPair, work: Mapping[str, Value], *, circle: CircleId = NO_CIRCLE, nonce: bytes, seq: int, created: int
) -> Record:
    """The first manifest of a new work: its record id is the work's id. `nonce` is 16 random bytes. UsageError over a limit."""
    target = new_work_target(nonce)
    return _checked(make(key, MANIFEST, circle=circle, target=target, seq=seq, created=created, work=work, nonce=nonce))


def revise(key: KeyPair, work: Mapping[str, Value], *, follows: Manifest, seq: int, created: int) -> Record:
    """A later manifest of the same work. UsageError over a limit or if `key` is not the work's author."""
    if key.public != follows.author:
        raise UsageError("only the author of a work writes its revisions", hint="propose an edit instead")
    circle, target, base = follows.circle, follows.work, follows.record
    return _checked(make(key, MANIFEST, circle=circle, target=target, seq=seq, created=created, work=work, base=base))


def _creator_fields(creator: Creator) -> dict[str, Value]:
    fields: dict[str, Value] = {"name": creator.name.strip(), "role": creator.role.strip()}
    if creator.key is not None:
        fields["key"] = creator.key
    return fields


def _checked(record: Record) -> Record:
    try:
        Manifest.of(record)
    except DecodeError as error:
        raise UsageError(f"this description cannot be published: {error.message}") from error
    return record
