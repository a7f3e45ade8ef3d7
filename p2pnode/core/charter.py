"""A circle's rules as a value: read from a charter record, checked whole, and written for a new circle.

A charter names the stewards (the source of all trust), how many of them may be bad (f), how many ballots one key's vouches can carry
(K) and, for each class of decision, what it takes to adopt it. Whether a later charter is *in force* is a tally's question
and not asked here. Source: protocol, "Charter". Called by the tally, by admission and by `services.circles`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import comb
from typing import Final

from p2pnode.core.fields import Fields, array, digest, integer, mapping, octets, text, texts
from p2pnode.core.ids import ID_BYTES, NO_CIRCLE, CircleId, PublicKey, RecordId
from p2pnode.core.keys import KeyPair
from p2pnode.core.record import CHARTER, Record, Value
from p2pnode.core.records import PROPOSAL_CLASSES, SECONDS_A_DAY, make
from p2pnode.errors import DecodeError, UsageError

MAX_NAME_CHARACTERS = 100
MAX_PURPOSE_CHARACTERS = 2_000
MAX_STEWARDS = 256
"""Keys: with f = 1 every one of them is left out once, and 256 flows are what a tally computes at most."""
MAX_STEWARD_SETS = 256
"""C(|S|, f): the flows that one tally computes."""
VALID_K = tuple(3 << i for i in range(6))
"""3, 6, 12, 24, 48, 96: an edge's capacity is K/3 and stays whole."""
MAX_CLASSES = 32
MAX_CLASS_CHARACTERS = 32
MAX_BAD = 10_000
"""B: keys that may be bad; more than any circle this program can count."""
MAX_QUORUM = 100_000
MAX_LISTED = 64
"""Languages or licences in a charter."""
MAX_LISTED_CHARACTERS = 100
MAX_COOLDOWN_S = 365 * SECONDS_A_DAY
VOUCH_DAYS = 365
MAX_VOUCH_DAYS = 3_650
GROWN_AT_MEMBERS = 12
"""Members at which the grown profile is offered; never applied by itself, since member counts can be inflated."""


@dataclass(frozen=True, slots=True)
class Class:
    """What it takes to adopt one class of decision: bad keys tolerated (b), least approvals (q), and the rest."""

    b: int
    q: int
    supermajority: bool = False
    cooldown_s: int = 0
    sealed: bool = False


DEFAULT_CLASSES: Final[Mapping[str, Class]] = {name: Class(b=0, q=1) for name in PROPOSAL_CLASSES}
"""Of every new circle: a lone founder can do everything at once, and the screens say what that means."""


def grown_classes(f: int) -> dict[str, Class]:
    """The profile offered at 12 members; `f` is the number of stewards that may be bad."""
    week, fortnight = 7 * SECONDS_A_DAY, 14 * SECONDS_A_DAY
    rules = Class(b=max(3, f + 2), q=10, supermajority=True, cooldown_s=fortnight, sealed=True)
    removal = Class(b=3, q=8, cooldown_s=week, sealed=True)
    return {
        "list": Class(b=1, q=3),
        "edit": Class(b=1, q=2),
        "flag": Class(b=1, q=3),
        "takedown": Class(b=2, q=5),
        "appeal": Class(b=2, q=5),
        "expel": removal,
        "readmit": removal,
        "stewards": rules,
        "charter": rules,
    }


@dataclass(frozen=True, slots=True)
class Charter:
    """One valid charter. `circle` is the id of the genesis charter, which is this record's own id when it is the genesis."""

    id: RecordId
    circle: CircleId
    salt: bytes
    name: str
    purpose: str
    stewards: tuple[PublicKey, ...]
    f: int
    k: int
    classes: Mapping[str, Class]
    vouch_days: int
    languages: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()
    base: RecordId | None = None
    parent: CircleId | None = None
    cut: bytes | None = None
    recovery: PublicKey | None = None

    @classmethod
    def of(cls, record: Record) -> Charter:
        """Read and check a charter record. DecodeError names the rule that it breaks."""
        if record.kind != CHARTER:
            raise DecodeError(f"a {record.kind[:20]!r} record is no charter")
        genesis = record.circle == NO_CIRCLE
        fields = mapping(record.fields, "charter")
        charter = cls(
            id=record.id,
            circle=CircleId(record.id) if genesis else record.circle,
            salt=digest(record.fields, "salt"),
            name=text(fields, "name", least=1, most=MAX_NAME_CHARACTERS),
            purpose=text(fields, "purpose", most=MAX_PURPOSE_CHARACTERS),
            stewards=_stewards(fields),
            f=integer(fields, "f", most=MAX_STEWARDS),
            k=integer(fields, "k"),
            classes=_classes(fields),
            vouch_days=integer(fields, "vouch_days", least=1, most=MAX_VOUCH_DAYS),
            languages=texts(fields, "languages", most=MAX_LISTED, most_characters=MAX_LISTED_CHARACTERS),
            licences=texts(fields, "licences", most=MAX_LISTED, most_characters=MAX_LISTED_CHARACTERS),
            base=None if genesis else RecordId(digest(record.fields, "base")),
            parent=CircleId(digest(fields, "parent")) if "parent" in fields else None,
            cut=octets(fields, "cut", most=ID_BYTES) if "cut" in fields else None,
            recovery=PublicKey(digest(fields, "recovery")) if "recovery" in fields else None,
        )
        _check_numbers(charter)
        if (charter.parent is None) != (charter.cut is None):
            raise DecodeError("a fork names both its parent and its cut")
        if genesis and record.author not in charter.stewards:
            raise DecodeError("a first charter is signed by one of its stewards")
        return charter


def _check_numbers(charter: Charter) -> None:
    """The rules between f, |S|, K and B, without which the tally's safety theorem does not hold."""
    count, f = len(charter.stewards), charter.f
    if charter.k not in VALID_K:
        raise DecodeError(f"k is {charter.k}, not one of {', '.join(map(str, VALID_K))}")
    if f >= count:
        there = "there is only 1 steward" if count == 1 else f"there are only {count} stewards"
        raise DecodeError(f"f is {f}, but {there}")
    if comb(count, f) > MAX_STEWARD_SETS:
        raise DecodeError(f"{f} of {count} stewards can be left out in more than {MAX_STEWARD_SETS} ways")
    if f > 0 and 3 * f > count - 1:
        raise DecodeError(f"f is {f}: {3 * f + 1} stewards or more are needed for it")
    for name, rule in charter.classes.items():
        if rule.b < f:
            raise DecodeError(f"class {name[:MAX_CLASS_CHARACTERS]!r} tolerates fewer bad keys than f = {f}")


def _stewards(fields: Fields) -> tuple[PublicKey, ...]:
    keys = array(fields, "stewards", most=MAX_STEWARDS)
    if not keys:
        raise DecodeError("a charter without stewards has no source of trust")
    stewards = tuple(PublicKey(digest({"steward": key}, "steward")) for key in keys)
    if list(stewards) != sorted(set(stewards)):
        raise DecodeError("stewards are distinct and sorted by their bytes")
    return stewards


def _classes(fields: Fields) -> dict[str, Class]:
    table = mapping(fields, "classes")
    if len(table) > MAX_CLASSES:
        raise DecodeError(f"more than {MAX_CLASSES} classes")
    return {_class_name(name): _class(mapping(table, name)) for name in table}


def _class_name(name: str) -> str:
    if not 0 < len(name) <= MAX_CLASS_CHARACTERS:
        raise DecodeError("the name of a class has 1 to 32 characters")
    return name


def _class(fields: Fields) -> Class:
    return Class(
        b=integer(fields, "b", most=MAX_BAD),
        q=integer(fields, "q", least=1, most=MAX_QUORUM),
        supermajority=_flag(fields, "supermajority"),
        cooldown_s=integer(fields, "cooldown_s", most=MAX_COOLDOWN_S) if "cooldown_s" in fields else 0,
        sealed=_flag(fields, "sealed"),
    )


def _flag(fields: Fields, name: str) -> bool:
    """True is the integer 1, false is absence: records have no booleans."""
    return name in fields and integer(fields, name, least=1, most=1) == 1


# ---------------------------------------------------------------- writing


def genesis(
    key: KeyPair,
    *,
    name: str,
    purpose: str,
    salt: bytes,
    seq: int,
    created: int,
    stewards: Iterable[PublicKey] = (),
    f: int = 0,
    k: int = VALID_K[0],
    classes: Mapping[str, Class] = DEFAULT_CLASSES,
    vouch_days: int = VOUCH_DAYS,
    languages: Iterable[str] = (),
    licences: Iterable[str] = (),
    fork_of: tuple[CircleId, bytes] | None = None,
) -> Record:
    """The first charter of a new circle, signed by `key`, which is its steward unless `stewards` name it among others.

    `salt` is 32 random bytes, in a fork its parent's, and `key` the pseudonym derived from it. `fork_of` is (parent, cut). UsageError
    when a rule is broken.
    """
    chosen = tuple(sorted(set(stewards) or {key.public}))
    kept: dict[str, Value] = {"languages": tuple(languages), "licences": tuple(licences)}
    kept |= {"parent": fork_of[0], "cut": fork_of[1]} if fork_of else {}
    fields = _charter_fields(name, purpose, chosen, f, k, classes, vouch_days, kept)
    record = make(key, CHARTER, circle=NO_CIRCLE, target=NO_CIRCLE, seq=seq, created=created, salt=salt, charter=fields)
    return _checked(record)


def follow(key: KeyPair, base: Charter, new: Charter, *, seq: int, created: int) -> Record:
    """A charter that is to take the place of `base` once it is adopted; signed by one of base's stewards. UsageError if a rule is broken.

    Of `new` only the rules are read: what makes the circle this one (salt, parent, cut) stays as it is.
    """
    if key.public not in base.stewards:
        raise UsageError("only a steward writes a charter", hint="ask one of the stewards to propose it")
    kept: dict[str, Value] = {"languages": new.languages, "licences": new.licences}
    kept |= {} if base.parent is None or base.cut is None else {"parent": base.parent, "cut": base.cut}
    kept |= {} if new.recovery is None else {"recovery": new.recovery}
    fields = _charter_fields(new.name, new.purpose, new.stewards, new.f, new.k, new.classes, new.vouch_days, kept)
    circle = base.circle
    place = {"circle": circle, "target": circle, "seq": seq, "created": created}
    return _checked(make(key, CHARTER, **place, base=base.id, salt=base.salt, charter=fields))  # type: ignore[arg-type]


def _charter_fields(
    name: str,
    purpose: str,
    stewards: tuple[PublicKey, ...],
    f: int,
    k: int,
    classes: Mapping[str, Class],
    vouch_days: int,
    optional: Mapping[str, Value],
) -> dict[str, Value]:
    fields: dict[str, Value] = {
        "name": name,
        "purpose": purpose,
        "stewards": tuple(sorted(stewards)),
        "f": f,
        "k": k,
        "classes": {class_: class_fields(rule) for class_, rule in classes.items()},
        "vouch_days": vouch_days,
    }
    return fields | {field: value for field, value in optional.items() if value}


def class_fields(rule: Class) -> dict[str, Value]:
    """A class as a charter's map holds it: what is false is absent."""
    fields: dict[str, Value] = {"b": rule.b, "q": rule.q, "cooldown_s": rule.cooldown_s}
    if rule.supermajority:
        fields["supermajority"] = 1
    if rule.sealed:
        fields["sealed"] = 1
    return fields


def _checked(record: Record) -> Record:
    try:
        Charter.of(record)
    except DecodeError as error:
        raise UsageError(f"this charter is not valid: {error.message}") from error
    return record
