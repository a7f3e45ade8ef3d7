"""Names from strangers: whatever they are, what leaves can be written to a folder, and no two are the same."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnode.core.names import MAX_NAME_BYTES, is_safe, safe_names


@pytest.mark.parametrize(
    ("claimed", "written"),
    [
        (b"plain name.txt", "plain name.txt"),
        ("日本".encode(), "日本"),
        (b"100%", "100%"),
        (b"", "%"),
        (b".", "%2E"),
        (b"..", "%2E%2E"),
        (b"...", "..."),
        (b"../../etc/passwd", "..%2F..%2Fetc%2Fpasswd"),
        (b"C:\\boot", "C:%5Cboot"),
        (b"a\0b\n", "a%00b%0A"),
        (b"\x7f\xc2\x9b", "%7F%C2%9B"),
        (b"latin-\xe9", "latin-%E9"),
        ("photo\u202egpj.exe".encode(), "photo%E2%80%AEgpj.exe"),
    ],
)
def test_a_name_is_written_as(claimed: bytes, written: str) -> None:
    assert safe_names([claimed]) == [written]
    assert is_safe(claimed) == (written.encode() == claimed)


def test_repeated_names_are_told_apart_also_when_only_case_or_normal_form_differ() -> None:
    names = ["readme.txt", "README.txt", "é", "e\u0301", "readme.txt", "readme~2.txt"]
    assert safe_names([name.encode() for name in names]) == [
        "readme.txt",
        "README~3.txt",
        "é",
        "e\u0301~2",
        "readme~4.txt",
        "readme~2.txt",
    ]


def test_a_harmless_name_keeps_its_own_before_an_escaped_one_takes_it() -> None:
    assert safe_names([b"..", b"%2E%2E"]) == ["%2E%2E~2", "%2E%2E"]


def test_overlong_names_are_cut_and_stay_different() -> None:
    first, second = safe_names([b"x" * 300 + b"1", b"x" * 300 + b"2"])
    assert first != second and len(first) <= MAX_NAME_BYTES


@given(st.lists(st.binary(max_size=6) | st.text(max_size=6).map(lambda t: t.encode("utf-8", "replace")), max_size=30))
def test_any_names_come_out_safe_and_distinct(names: list[bytes]) -> None:
    out = safe_names(names)
    assert len(out) == len(names)
    assert len({unicodedata.normalize("NFC", text).casefold() for text in out}) == len(out)
    for text in out:
        assert text not in ("", ".", "..") and len(text.encode()) <= MAX_NAME_BYTES
        assert not any(c in "/\\" or unicodedata.category(c) == "Cc" for c in text)
