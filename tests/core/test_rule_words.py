"""Rules and votes in words: what each rule says, what changes, and how a vote stands before one casts a ballot."""

from __future__ import annotations

import pytest

from p2pnode.core.charter import DEFAULT_CLASSES, grown_classes
from p2pnode.core.profiles import PROFILES
from p2pnode.core.proposals import COMPLAINTS
from p2pnode.core.records import PROPOSAL_CLASSES
from p2pnode.core.rule_words import (
    ASKS,
    change_words,
    charter_words,
    foresight_words,
    parse_rule,
    rule_text,
    rule_words,
    standing_words,
)
from p2pnode.errors import UsageError

FOUNDED = {"b": 0, "q": 1}
GROWN = {"b": 3, "q": 10, "supermajority": True, "sealed": True, "cooldown_days": 14.0}


def test_every_class_of_decision_has_words() -> None:
    assert set(ASKS) == set(PROPOSAL_CLASSES) == set(DEFAULT_CLASSES) == set(grown_classes(0))
    assert all(one.title and one.words for one in PROFILES.values())
    assert all(one.title and one.remedy for one in COMPLAINTS.values())


def test_a_rule_says_what_it_takes() -> None:
    assert rule_words(FOUNDED, 3) == "1 approval at least, more for than against"
    assert rule_words(GROWN, 3) == (
        "10 approvals at least, a lead of more than 9, so that 3 bad members cannot decide it, twice as many for as against, "
        "then 14 days of waiting and the stewards' seals"
    )
    assert rule_words({"b": 0, "q": 2, "sealed": True, "cooldown_s": 86_400}, 3).endswith(
        "then 1 day of waiting and the stewards' seals"
    )


def test_a_charter_tells_every_rule_once() -> None:
    rules = {
        "stewards": ["k-a"],
        "k": 3,
        "f": 0,
        "vouch_days": 183,
        "licences": [],
        "classes": {"list": FOUNDED, "charter": GROWN},
    }
    told = dict(charter_words(rules))
    assert told["a vouch"].startswith("holds for 183 days")
    assert told["licences"] == "any"
    assert told["to list a work"] == rule_words(FOUNDED, 3)
    assert "to change these rules" in told


def test_a_change_of_rules_is_told_before_and_after() -> None:
    changes = {"k": [3, 6], "list": [FOUNDED, {"b": 1, "q": 3}], "purpose": ["", "to read"], "odd": "no pair"}
    assert change_words(changes) == [
        ("ballots that one member's vouches carry (K)", "3", "6"),
        ("to list a work", "1 approval at least, more for than against", rule_words({"b": 1, "q": 3}, 6)),
        ("purpose", "nothing", "to read"),
    ]


@pytest.mark.parametrize(
    ("margin", "tolerates", "words"),
    [
        (4, 1, "The lead is 4: it stands even if 1 voter turned out to be bad."),
        (3, 0, "The lead is 3: one bad member could have made it."),
        (-2, 0, "Those against lead by 2."),
    ],
)
def test_a_vote_says_its_turnout_and_what_its_lead_withstands(margin: int, tolerates: int, words: str) -> None:
    standing = {
        "cast": 5,
        "members": 12,
        "margin": margin,
        "tolerates": tolerates,
        "cost_to_flip": 1,
        "rule": {"b": 1, "q": 3, "k": 3},
    }
    assert standing_words(standing) == [
        "5 of 12 members voted (41 %).",
        "It takes 3 approvals at least, a lead of more than 3, so that 1 bad member cannot decide it.",
        words,
        "For another outcome at least 1 member who is no steward would have to change sides.",
    ]


def test_words_never_fail_on_what_another_daemon_sends() -> None:
    assert standing_words({}) == [
        "0 of 0 members voted.",
        "The charter has no rule for this class of question, so it cannot be adopted.",
    ]
    assert change_words({"k": ["a", "b", "c"], "list": [None, None]}) == [("to list a work", "nothing", "nothing")]
    assert charter_words({})
    assert foresight_words({"out_of_reach": 5, "members": "x"}) == []


def test_what_new_rules_bring_with_them_is_said_before_one_votes() -> None:
    standing = {"members": 3, "reopens": True, "out_of_reach": ["charter", "list"], "rule": {"b": 0, "q": 1, "k": 3}}
    again, beyond = standing_words(standing)[-2:]
    assert "open again" in again
    assert beyond == (
        "With 3 members nobody could do this any more, even if all agreed: change these rules, list a work."
        " Nothing but a fork would lead out of that."
    )
    assert foresight_words({"members": 12, "reopens": False, "out_of_reach": []}) == []


def test_a_rule_is_typed_and_read_back() -> None:
    assert rule_text(GROWN) == "b=3 q=10 cooldown=14 supermajority sealed"
    assert parse_rule(rule_text(GROWN)) == GROWN
    assert rule_text({"b": 0, "q": 2, "cooldown_s": 8, "sealed": True}) == "b=0 q=2 cooldown=0.0001 sealed"
    assert "then 8 seconds of waiting" in rule_words({"b": 0, "q": 2, "cooldown_s": 8, "sealed": True}, 3)
    for wrong in (
        "b=x",
        "q=-1",
        "cooldown=",
        "cooldown=1.",
        "sealed=1",
        "odd",
        "b=1 q=1 b=2",
        "b=" + "9" * 5000,
        "b=²",
    ):
        with pytest.raises(UsageError):
            parse_rule(wrong)
