"""`propose` reads what people type: fields of an edit, rules of a charter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from p2pnode.cli.proposing import _fields, read_rule
from p2pnode.errors import UsageError
from tests.cli.conftest import Cli
from tests.support.control import ControlThread

Serve = Callable[[dict[str, Any]], ControlThread]
NOTHING = {
    **dict.fromkeys(("title", "kind", "summary", "licence", "language")),
    **dict.fromkeys(("creators", "tags", "identifiers", "sources", "cleared"), ()),
}


def test_a_rule_is_read_word_by_word() -> None:
    assert read_rule("list") == ("list", {})
    told = read_rule("expel b=3  q=8 cooldown=7 sealed supermajority")
    assert told == ("expel", {"b": 3, "q": 8, "cooldown_days": 7, "sealed": True, "supermajority": True})


@pytest.mark.parametrize("text", ["", "paint b=1", "list b", "list b=-1", "list b=x", "list sealed=1", "list colour=3"])
def test_a_rule_that_cannot_be_read_is_refused_with_an_example_or_the_classes(text: str) -> None:
    with pytest.raises(UsageError) as told:
        read_rule(text)
    assert "list" in (told.value.hint or "")


def test_an_edit_names_what_is_given_and_clears_what_is_said() -> None:
    given = {
        **NOTHING,
        "title": "B",
        "creators": ("Ann",),
        "identifiers": ("doi:10.1000/182",),
        "cleared": ("summary",),
    }
    assert _fields(given) == {
        "title": "B",
        "creators": [{"name": "Ann"}],
        "identifiers": [{"scheme": "doi", "value": "10.1000/182"}],
        "summary": None,
    }


@pytest.mark.parametrize("name", ["title", "colour", "cleared"])
def test_a_title_cannot_be_cleared_nor_what_does_not_exist(name: str) -> None:
    with pytest.raises(UsageError, match="no field"):
        _fields({**NOTHING, "cleared": (name,)})


def test_the_rules_of_a_circle_are_told_in_words_and_as_they_are_typed(cli: Cli, serve: Serve) -> None:
    rule = {"b": 1, "q": 3, "supermajority": True, "cooldown_days": 7.0, "sealed": True}
    rules = {
        "charter": "r-x",
        "name": "Readers",
        "stewards": ["k-a", "k-b"],
        "k": 3,
        "f": 0,
        "classes": {"expel": rule},
    }
    serve({"circle.show": {"circle": "c-x", "rules": rules}})
    shown = cli("circle", "charter", "Readers").out
    for words in (
        "Readers",
        "k-a, k-b",
        "To expel a member: 3 approvals at least",
        "expel b=1 q=3 cooldown=7 supermajority sealed",
    ):
        assert words in shown
    assert cli("circle", "charter", "Readers", "--json").json == rules


def test_an_invite_is_closed_and_shown_as_a_code(cli: Cli, serve: Serve) -> None:
    daemon = serve({"circle.uninvite": {}, "circle.invite": {"invite": "p2pnode:invite/abc", "uses": 1}})
    assert cli("circle", "invites", "R", "--close", "abc").out == "It is closed.\n"
    shown = cli("circle", "invite", "R", "--uses", "3", "--hours", "2", "--qr").out
    assert "▄" in shown and shown.endswith("p2pnode:invite/abc\n")
    assert daemon.calls[-1] == ("circle.invite", {"circle": "R", "uses": 3, "hours": 2.0})


def test_a_number_that_is_nought_is_said_like_any_other(cli: Cli, serve: Serve) -> None:
    daemon = serve({"proposal.open": {"proposal": "p-x"}})
    cli("propose", "charter", "R", "--f", "0")
    assert daemon.calls[-1][1]["rules"] == {"f": 0}
    cli("propose", "stewards", "R", "--remove", "k-a", "--f", "0")
    assert daemon.calls[-1][1]["f"] == 0
