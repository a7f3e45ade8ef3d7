"""Every validity rule of a charter (design 4.2), from both sides."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnode.core.charter import (
    DEFAULT_CLASSES,
    VALID_K,
    Charter,
    Class,
    class_fields,
    genesis,
    grown_classes,
)
from p2pnode.core.ids import NO_CIRCLE, PublicKey
from p2pnode.core.record import Value
from p2pnode.core.records import decode_signed, encode_signed, make, seq_of
from p2pnode.core.understanding import is_understood
from p2pnode.errors import DecodeError, UsageError
from tests.core.examples import ANN, BEN, CIRCLE, NOW, names, values

COMMON: dict[str, Any] = {
    "name": "Ecology",
    "purpose": "Books",
    "salt": bytes(32),
    "seq": seq_of(NOW, 0),
    "created": NOW,
}


def keys(count: int) -> list[PublicKey]:
    """That many distinct steward keys, our own among them."""
    return [ANN.public, *(PublicKey(bytes([n]) * 32) for n in range(count - 1))]


def found(**changes: Any) -> Charter:
    return Charter.of(genesis(ANN, **(COMMON | changes)))


def test_a_new_circle_has_one_steward_and_the_lone_founders_rules() -> None:
    record = genesis(ANN, **COMMON)
    charter = Charter.of(decode_signed(encode_signed(record)))
    assert charter.circle == record.id == charter.id
    assert (charter.stewards, charter.f, charter.k, charter.vouch_days) == ((ANN.public,), 0, 3, 365)
    assert charter.classes == DEFAULT_CLASSES
    assert set(charter.classes.values()) == {Class(b=0, q=1)}
    assert len(charter.classes) == 9


def test_a_later_charter_keeps_the_circles_id() -> None:
    fields = genesis(ANN, **COMMON).fields["charter"]
    seq = seq_of(NOW, 1)
    later = make(
        BEN, "charter", circle=CIRCLE, target=CIRCLE, seq=seq, created=NOW, salt=bytes(32), charter=fields, base=CIRCLE
    )
    charter = Charter.of(later)
    assert (charter.circle, charter.base) == (CIRCLE, CIRCLE)


def test_the_grown_profile_is_the_table_of_the_design() -> None:
    grown = grown_classes(1)
    day = 86_400
    assert (grown["list"], grown["edit"], grown["flag"]) == (Class(1, 3), Class(1, 2), Class(1, 3))
    assert grown["takedown"] == grown["appeal"] == Class(2, 5)
    assert grown["expel"] == grown["readmit"] == Class(3, 8, cooldown_s=7 * day, sealed=True)
    assert grown["stewards"] == grown["charter"] == Class(3, 10, supermajority=True, cooldown_s=14 * day, sealed=True)
    assert grown_classes(5)["charter"].b == 7
    assert found(stewards=keys(4), f=1, classes=grown).classes == grown


@pytest.mark.parametrize("k", VALID_K)
def test_every_k_of_the_list_is_valid(k: int) -> None:
    assert found(k=k).k == k


@pytest.mark.parametrize("k", [0, 1, 2, 4, 5, 9, 192, 3 * 2**6])
def test_no_other_k_is(k: int) -> None:
    with pytest.raises(UsageError, match="k is"):
        found(k=k)


def tolerant(b: int) -> dict[str, Class]:
    return {name: Class(b=b, q=1) for name in DEFAULT_CLASSES}


@pytest.mark.parametrize(("count", "f"), [(1, 0), (4, 1), (7, 2), (10, 3), (256, 1), (23, 2), (40, 0)])
def test_steward_counts_that_are_safe(count: int, f: int) -> None:
    assert found(stewards=keys(count), f=f, classes=tolerant(f)).f == f


@pytest.mark.parametrize(
    ("count", "f", "why"),
    [
        (1, 1, r"f is 1, but there is only 1 steward$"),
        (2, 2, r"f is 2, but there are only 2 stewards$"),
        (3, 1, "4 stewards or more"),
        (6, 2, "7 stewards or more"),
        (24, 2, "256 ways"),
        (100, 3, "256 ways"),
    ],
)
def test_steward_counts_that_are_not(count: int, f: int, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        found(stewards=keys(count), f=f, classes=tolerant(f))


def test_every_class_tolerates_the_bad_stewards() -> None:
    with pytest.raises(UsageError, match="fewer bad keys"):
        found(stewards=keys(4), f=1, classes=tolerant(1) | {"list": Class(b=0, q=1)})


def test_the_founder_is_a_steward() -> None:
    with pytest.raises(UsageError, match="signed by one of its stewards"):
        found(stewards=[BEN.public])


def broken(**changes: Value) -> bytes:
    """A well-signed charter record with some of its map replaced; None removes."""
    fields = dict(genesis(ANN, **COMMON).fields["charter"]) | changes  # type: ignore[arg-type, call-overload]
    kept = {name: value for name, value in fields.items() if value is not None}
    return encode_signed(
        make(
            ANN,
            "charter",
            circle=NO_CIRCLE,
            target=NO_CIRCLE,
            seq=seq_of(NOW, 0),
            created=NOW,
            salt=bytes(32),
            charter=kept,
        )
    )


BROKEN: dict[str, dict[str, Any]] = {
    "no stewards": {"stewards": ()},
    "stewards absent": {"stewards": None},
    "stewards twice": {"stewards": (ANN.public, ANN.public)},
    "stewards unsorted": {"stewards": tuple(sorted([ANN.public, bytes(32)], reverse=True))},
    "a steward of 31 bytes": {"stewards": (bytes(31),)},
    "too many stewards": {"stewards": tuple(n.to_bytes(32, "big") for n in range(257))},
    "no name": {"name": ""},
    "a name too long": {"name": "x" * 101},
    "no classes": {"classes": None},
    "a class without a quorum": {"classes": {"list": {"b": 0}}},
    "a quorum of nobody": {"classes": {"list": {"b": 0, "q": 0}}},
    "a supermajority of two": {"classes": {"list": {"b": 0, "q": 1, "supermajority": 2}}},
    "a class without a name": {"classes": {"": {"b": 0, "q": 1}}},
    "33 classes": {"classes": {f"c{n}": {"b": 0, "q": 1} for n in range(33)}},
    "a vouch of no days": {"vouch_days": 0},
    "a vouch of eleven years": {"vouch_days": 4016},
    "a parent without a cut": {"parent": bytes(32)},
    "a cut without a parent": {"cut": bytes(32)},
    "f as text": {"f": "0"},
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_charter_is_kept_as_a_record_and_refused_as_a_charter(name: str) -> None:
    record = decode_signed(broken(**BROKEN[name]))
    assert not is_understood(record)
    with pytest.raises(DecodeError):
        Charter.of(record)


def test_a_fork_names_parent_and_cut() -> None:
    charter = Charter.of(decode_signed(broken(parent=CIRCLE, cut=bytes(32))))
    assert (charter.parent, charter.cut) == (CIRCLE, bytes(32))


@given(
    st.dictionaries(
        st.sampled_from(["name", "stewards", "f", "k", "classes", "vouch_days"]) | names, values, max_size=6
    )
)
def test_a_charter_of_anything_raises_only_decode_error(changes: dict[str, Value]) -> None:
    record = decode_signed(broken(**changes))
    try:
        Charter.of(record)
    except DecodeError:
        assert not is_understood(record)


def test_what_is_false_in_a_class_is_absent() -> None:
    assert class_fields(Class(1, 3)) == {"b": 1, "q": 3, "cooldown_s": 0}
    assert class_fields(Class(1, 3, True, 5, True)) == {
        "b": 1,
        "q": 3,
        "cooldown_s": 5,
        "supermajority": 1,
        "sealed": 1,
    }
