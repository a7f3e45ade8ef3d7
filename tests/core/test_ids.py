"""Text ids: there and back, shortened, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnode.core.ids import PREFIXES, SHORTEST_TEXT, id_text, parse_id, prefix_range, split_text
from p2pnode.errors import UsageError

VALUES = st.binary(min_size=32, max_size=32)


@given(st.sampled_from(PREFIXES), VALUES)
def test_there_and_back(prefix: str, value: bytes) -> None:
    assert parse_id(prefix, id_text(prefix, value)) == value


@given(VALUES, VALUES, st.integers(SHORTEST_TEXT, 52))
def test_a_shortened_id_means_exactly_what_begins_with_it(value: bytes, other: bytes, length: int) -> None:
    characters = id_text("w", value)[2 : 2 + length]
    low, high = prefix_range(characters)
    assert low <= value <= high
    assert (low <= other <= high) == id_text("w", other)[2:].startswith(characters)


@given(st.text(max_size=80))
def test_any_text_is_an_id_or_a_clear_error(text: str) -> None:
    if split_text(text) is None:
        with pytest.raises(UsageError):
            parse_id("w", text)


def test_stray_bits_in_the_last_character_are_refused() -> None:
    text = id_text("w", bytes(32))
    with pytest.raises(UsageError, match="stray bits"):
        parse_id("w", text[:-1] + "b")


def test_another_prefix_is_refused() -> None:
    with pytest.raises(UsageError, match="w- id"):
        parse_id("w", id_text("c", bytes(32)))
