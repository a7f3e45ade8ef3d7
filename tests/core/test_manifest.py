"""Manifests: written whole, read from strangers within limits, identifiers checked when somebody types them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnode.core.cid import RAW, Cid
from p2pnode.core.identifiers import check_identifier, split_identifier
from p2pnode.core.ids import NO_CIRCLE
from p2pnode.core.manifest import Creator, Identifier, Manifest, describe, first, revise
from p2pnode.core.record import Record, Value
from p2pnode.core.records import decode_signed, encode_signed, make, seq_of
from p2pnode.core.understanding import is_understood
from p2pnode.errors import DecodeError, UsageError
from tests.core.examples import ANN, BEN, CIRCLE, NOW, WORK, names, values

ROOT = Cid.of(RAW, b"content")
COMMON: dict[str, Any] = {"seq": seq_of(NOW, 0), "created": NOW}


def written(**changes: Any) -> Record:
    description = {"title": "A title", "root": ROOT, "bytes": 7, "files": 1} | changes
    return first(ANN, describe(**description), nonce=bytes(16), **COMMON)


def test_a_whole_description_round_trips() -> None:
    record = written(
        kind="book",
        summary="About.",
        creators=[Creator("Ann", key=ANN.public), Creator("Ben", role="translator")],
        licence="CC-BY-SA-4.0",
        language="pt-BR",
        tags=["ecology", " ecology ", "", "soil"],
        identifiers=[Identifier("doi", "https://doi.org/10.1000/182"), Identifier("isbn", "0-306-40615-2")],
        sources=["https://example.org/book"],
    )
    manifest = Manifest.of(decode_signed(encode_signed(record)))
    assert manifest.work == record.id and manifest.base is None and manifest.circle == NO_CIRCLE
    assert (manifest.title, manifest.kind, manifest.summary) == ("A title", "book", "About.")
    assert manifest.creators == (Creator("Ann", "author", ANN.public), Creator("Ben", "translator", None))
    assert manifest.tags == ("ecology", "soil")
    assert manifest.identifiers == (Identifier("doi", "10.1000/182"), Identifier("isbn", "9780306406157"))
    assert (manifest.root, manifest.bytes, manifest.files) == (ROOT, 7, 1)
    assert is_understood(record)


def test_what_is_empty_is_absent() -> None:
    work = written().fields["work"]
    assert isinstance(work, dict) and set(work) == {"title", "root", "bytes", "files"}
    manifest = Manifest.of(written())
    assert (manifest.kind, manifest.creators, manifest.licence, manifest.tags) == ("", (), "", ())


def test_a_revision_keeps_the_works_id_and_its_author() -> None:
    original = Manifest.of(
        first(ANN, describe(title="One", root=ROOT, bytes=7, files=1), circle=CIRCLE, nonce=bytes(16), **COMMON)
    )
    work = describe(title="Two", root=ROOT, bytes=7, files=1)
    second = Manifest.of(revise(ANN, work, follows=original, **COMMON))
    third = Manifest.of(revise(ANN, work, follows=second, **COMMON))
    assert second.work == third.work == original.work
    assert (second.base, third.base, third.circle) == (original.record, second.record, CIRCLE)
    with pytest.raises(UsageError, match="only the author"):
        revise(BEN, work, follows=original, **COMMON)


OVER = {
    "title": {"title": "x" * 301},
    "no title": {"title": "  "},
    "summary": {"summary": "x" * 4001},
    "creators": {"creators": [Creator("x")] * 51},
    "a creator without a name": {"creators": [Creator(" ")]},
    "tags": {"tags": [str(n) for n in range(33)]},
    "a tag": {"tags": ["x" * 61]},
    "sources": {"sources": [f"s{n}" for n in range(21)]},
    "everything": {"summary": "\U0001f333" * 4000, "sources": ["\U0001f333" * 500]},
}


@pytest.mark.parametrize("name", OVER)
def test_the_writer_refuses_what_is_over_a_limit(name: str) -> None:
    with pytest.raises(UsageError):
        written(**OVER[name])


def test_the_longest_title_fits() -> None:
    assert len(Manifest.of(written(title="\U0001f333" * 300)).title) == 300


def strange(work: dict[str, Value]) -> Record:
    return make(ANN, "manifest", circle=NO_CIRCLE, target=WORK, base=WORK, work=work, **COMMON)


@given(st.dictionaries(names, values, max_size=4), st.data())
def test_a_manifest_of_anything_raises_only_decode_error(extra: dict[str, Value], data: st.DataObject) -> None:
    work = dict(written().fields["work"])  # type: ignore[arg-type, call-overload]
    for name in data.draw(
        st.lists(st.sampled_from(["title", "root", "bytes", "creators", "tags", "identifiers"]), max_size=2)
    ):
        work[name] = data.draw(values)
    record = strange(work | extra)
    try:
        Manifest.of(record)
    except DecodeError:
        assert not is_understood(record)


def test_another_kind_of_record_is_no_manifest() -> None:
    with pytest.raises(DecodeError):
        Manifest.of(make(ANN, "withdraw", circle=CIRCLE, target=WORK, **COMMON))


GOOD = [
    ("doi", "10.1000/182", "10.1000/182"),
    ("DOI", "doi:10.1038/NPHYS1170", "10.1038/nphys1170"),
    ("doi", "https://dx.doi.org/10.1002/0470841559.ch1", "10.1002/0470841559.ch1"),
    ("isbn", "978-0-262-03561-3", "9780262035613"),
    ("isbn", "0 306 40615 2", "9780306406157"),
    ("isbn", "080442957X", "9780804429573"),
    ("issn", "2049-3630", "2049-3630"),
    ("issn", "2434561x", "2434-561X"),
    ("arxiv", "arXiv:1706.03762v5", "1706.03762v5"),
    ("swh", "swh:1:cnt:abc", "swh:1:cnt:abc"),
]


@pytest.mark.parametrize(("scheme", "typed", "kept"), GOOD)
def test_identifiers_are_tidied(scheme: str, typed: str, kept: str) -> None:
    assert check_identifier(scheme, typed) == (scheme.lower(), kept)


BAD = [
    ("isbn", "978-0-262-03561-4"),
    ("isbn", "0306406153"),
    ("isbn", "9770262035613"),
    ("isbn", "٩٧٨٠٢٦٢٠٣٥٦١٣"),
    ("doi", "11.1000/182"),
    ("doi", "10.1000/"),
    ("doi", "10.1000/a b"),
    ("issn", "2049-3631"),
    ("arxiv", "hello"),
    ("ark", " "),
    ("not a scheme", "x"),
    ("", "x"),
]


@pytest.mark.parametrize(("scheme", "typed"), BAD)
def test_mistyped_identifiers_are_refused(scheme: str, typed: str) -> None:
    with pytest.raises(UsageError):
        check_identifier(scheme, typed)


@given(st.integers(0, 10**9 - 1), st.integers(0, 9))
def test_of_ten_check_digits_one_is_right(stem: int, digit: int) -> None:
    def works(check: int) -> bool:
        try:
            check_identifier("isbn", f"978{stem:09}{check}")
        except UsageError:
            return False
        return True

    assert sum(works(check) for check in range(10)) == 1


def test_identifiers_as_people_type_them() -> None:
    assert split_identifier("isbn:9780262035613") == ("isbn", "9780262035613")
    assert split_identifier("https://doi.org/10.1000/182") == split_identifier("10.1000/182") == ("doi", "10.1000/182")
    with pytest.raises(UsageError):
        split_identifier("9780262035613")
