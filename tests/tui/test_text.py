"""Foreign text, numbers and states in words."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from p2pnode.tui import words
from p2pnode.tui.text import MAX_SHOWN_CHARS, clean, clean_indented, clip, marked
from tests.tui.world import HOSTILE, NOW


@given(st.text())
def test_cleaned_text_has_no_control_or_direction_characters(text: str) -> None:
    assert not any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in clean(text))


@given(st.text(), st.integers(0, 60))
def test_clipped_text_fits(text: str, cells: int) -> None:
    assert cell_len(clip(clean(text), cells)) <= cells


def test_hostile_text_keeps_its_letters_and_loses_its_powers() -> None:
    cleaned = clean(HOSTILE)
    assert "[b]bold[/b]" in cleaned
    assert "\x1b" not in cleaned
    assert "\u202e" not in cleaned


def test_long_text_is_cut_before_it_is_looked_at() -> None:
    assert len(clean("x" * 10 * MAX_SHOWN_CHARS)) == MAX_SHOWN_CHARS


def test_an_indent_stays_but_is_bounded() -> None:
    assert clean_indented("  counted \t for") == "  counted for"
    assert clean_indented(" " * 500 + "x") == " " * 8 + "x"


def test_a_word_of_two_scripts_that_look_alike_is_marked() -> None:
    assert marked("Anna Pаypal") == "Anna ⚠Pаypal"
    assert marked("Анна Vogel Ωmega") == "Анна Vogel ⚠Ωmega"
    assert marked("日本 and Straße") == "日本 and Straße"


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (1023 << 10, "1023 KiB"),
        (5 << 40, "5 TiB"),
        ("x", "0 B"),
    ],
)
def test_sizes(count: object, shown: str) -> None:
    assert words.size(count) == shown


@pytest.mark.parametrize(
    ("before_s", "shown"),
    [
        (0, "just now"),
        (59, "just now"),
        (61, "1 minute ago"),
        (7200, "2 hours ago"),
        (-3600, "in the future, says its author"),
    ],
)
def test_times(before_s: float, shown: str) -> None:
    assert words.ago(NOW - before_s, NOW) == shown


def test_a_time_that_is_none_is_said() -> None:
    assert words.ago(None, NOW) == "at an unknown time"


def test_answers_of_the_wrong_shape_are_survived() -> None:
    broken: dict[str, object] = {
        "creators": "nobody",
        "verdicts": [1, None, {}],
        "title": None,
        "bytes": "many",
        "items": None,
    }
    assert words.creators(broken) == "no creator named"
    assert words.verdicts_of(broken) == [{}]
    assert words.items(broken) == []
    assert words.title(broken) == "untitled"


def test_a_transfer_says_why_it_waits() -> None:
    line = words.transfer_line({"state": "waiting", "reason": "no provider\x1b[31m is online"})
    assert line == "waiting · no provider\ufffd[31m is online"


def test_a_transfer_says_how_long_it_takes() -> None:
    line = words.transfer_line(
        {"state": "fetching", "providers": 1, "rate_bytes_s": 1 << 20, "bytes": 0, "total": 90 << 20}
    )
    assert line == "fetching · from 1 provider · 1 MiB/s · 1 minute left"
