"""Parameters of control calls: one type, one bound, and nothing unknown."""

from __future__ import annotations

from typing import Any

import pytest

from p2pnode.errors import UsageError
from p2pnode.services.params import LIST_ITEMS, Params


def params(**values: Any) -> Params:
    return Params("work.publish", values)


def test_what_was_given_is_read_once() -> None:
    given = params(title="T", path="/a", tags=["x"], private=True, timeout_s=2, choice="b", note=None)
    assert given.text("title") == "T"
    assert given.path("path") == "/a"
    assert given.texts("tags") == ["x"]
    assert given.flag("private") is True
    assert given.number("timeout_s", 1.0, least=0, most=5) == 2.0
    assert given.choice("choice", ["a", "b"]) == "b"
    assert given.optional_text("note") is None
    given.end()


def test_what_was_left_out_has_its_default() -> None:
    given = params()
    assert given.text("kind", "") == ""
    assert given.flag("private") is False
    assert given.texts("tags") == []
    assert given.optional_path("path") is None
    given.end()


@pytest.mark.parametrize(
    "read",
    [
        lambda p: p.text("missing"),
        lambda p: p.text("number"),
        lambda p: p.text("long"),
        lambda p: p.text("surrogate"),
        lambda p: p.path("relative"),
        lambda p: p.path("nul"),
        lambda p: p.flag("number"),
        lambda p: p.number("text", 1, least=0, most=5),
        lambda p: p.number("number", 1, least=0, most=5),
        lambda p: p.number("truth", 1, least=0, most=5),
        lambda p: p.choice("text", ["a", "b"]),
        lambda p: p.texts("text"),
        lambda p: p.texts("numbers"),
        lambda p: p.texts("many"),
        lambda p: p.objects("numbers"),
        lambda p: p.end(),
    ],
)
def test_anything_else_is_an_error_that_names_the_method(read: Any) -> None:
    given = params(
        number=7,
        long="x" * 5000,
        surrogate="\ud800",
        relative="a/b",
        nul="/a\0b",
        text="t",
        truth=True,
        numbers=[1],
        many=["x"] * (LIST_ITEMS + 1),
    )
    with pytest.raises(UsageError, match=r"work\.publish"):
        read(given)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (600 / 3600, "0.166667; it lies between 1.5 and 5"),
        (float("nan"), "nan; it"),
        (7, "7; it lies"),
        (10**400, "a number of more than 18 digits; it"),
    ],
)
def test_a_number_out_of_bounds_is_told_as_people_write_it(value: float, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        params(hours=value).number("hours", 2, least=1.5, most=5)
    assert f"hours is {said}" in refused.value.message
