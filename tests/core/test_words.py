"""Search words: the same function for titles and queries, in every script."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnode.core.cid import RAW, Cid
from p2pnode.core.manifest import Manifest, describe, first
from p2pnode.core.records import seq_of
from p2pnode.core.words import MAX_WORD_CHARACTERS, query_words, word_key, work_words
from tests.core.examples import ANN, NOW


def manifest(title: str, *tags: str) -> Manifest:
    work = describe(title=title, root=Cid.of(RAW, b""), bytes=0, files=0, tags=tags)
    return Manifest.of(first(ANN, work, nonce=bytes(16), seq=seq_of(NOW, 0), created=NOW))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Python 3.11: A Tour", ["python", "3", "11", "tour"]),
        ("STRASSE Straße", ["strasse"]),
        ("ﬁle №", ["file", "no"]),
        ("e\u0301cole École", ["école"]),
        ("I", ["i"]),
        ("C", ["c"]),
        ("don't", ["don"]),
        ("生态学", ["生态", "态学"]),
        ("木", ["木"]),
        ("Linux入門書", ["linux", "入門", "門書"]),
        ("ἈΡΧΉ Ж x", ["ἀρχή", "ж"]),
        ("हिन्दी", ["हिन्दी"]),
        ("", []),
        ("… — !", []),
    ],
)
def test_words_of_a_text(text: str, words: list[str]) -> None:
    assert query_words(text) == words


def test_any_two_neighbours_of_an_unspaced_title_find_it() -> None:
    assert set(query_words("態学")) <= set(query_words("生態学入門"))


@given(st.text(max_size=60))
def test_every_word_is_found_again_by_itself(text: str) -> None:
    for word in query_words(text):
        assert 0 < len(word) <= MAX_WORD_CHARACTERS
        assert query_words(word) in ([word], [word, *query_words(word)[1:]])


def test_case_and_form_of_a_query_do_not_matter() -> None:
    assert query_words("ÉCOLE") == query_words("e\u0301cole") == query_words("École")


def test_a_work_is_provided_under_its_longest_words() -> None:
    words = work_words(manifest("The Art of the Long Title with Considerably Many Words in It", "Typography", "art"))
    assert words == ["long", "title", "with", "considerably", "many", "words", "typography", "the"] or len(words) == 8
    assert {"considerably", "typography", "title", "words"} <= set(words)
    assert "of" not in words
    assert work_words(manifest("Soil", "soil", "Ecology")) == ["soil", "ecology"]


def test_a_huge_text_costs_little() -> None:
    assert len(query_words("ab " * 1_000_000)) == 1
    assert query_words("x" * 1_000_000) == ["x" * MAX_WORD_CHARACTERS]


def test_the_key_of_a_word() -> None:
    assert word_key("soil") == hashlib.sha256(b"p2pnode/word/1soil").digest()
