"""Attacks by people inside: fooled, bad or expelled members, bad stewards, and what the vouch graph can be bent into (design 4.6).

Numbers follow the list of thirty. Each test says what the attack reaches at most, and that it reaches that and no more.
"""

from __future__ import annotations

import itertools

import pytest

from p2pnode.core import telling
from p2pnode.core.admission import known_authors
from p2pnode.core.charter import Class
from p2pnode.core.ids import QuestionId
from p2pnode.core.membership import ACTIVE_VOUCHES
from p2pnode.core.tally import Counter
from tests.core.ballots import tally
from tests.core.circles import DAY, Circle, keys, person

GROWN = Class(b=1, q=3)
K = 3


def village(rule: Class = GROWN, size: int = 20) -> tuple[Circle, QuestionId]:
    """A founder and members who each vouch for two others, and a proposal by one of them."""
    circle = Circle(rule=rule)
    circle.vouches("founder", range(size))
    for number in range(size):
        circle.vouches(number, [(number + 1) % size, (number + 2) % size])
    return circle, circle.propose(0)


def swarm_of(circle: Circle, name: object, size: int = 60) -> list[str]:
    """Made-up keys that one member vouches for, who vouch for each other."""
    swarm = [f"{name}'s {number}" for number in range(size)]
    circle.vouches(name, swarm)
    for number, key in enumerate(swarm):
        circle.vouch(key, swarm[number - 1])
    return swarm


def counts(circle: Circle, asked: QuestionId) -> tuple[str, int, int]:
    decision = circle.view().decide(asked)
    return decision.tally.outcome, decision.approve, decision.reject


@pytest.mark.parametrize("choice", ["approve", "reject"])
def test_03_ten_fooled_members_carry_ten_times_k_and_b_of_ten_stands_it(choice: str) -> None:
    """They vouched in good faith for somebody with many names: every one of them is a bad key to the tally."""
    circle, asked = village(Class(b=10, q=3), size=50)
    honest = range(10, 50)
    circle.casts(honest, asked, "reject" if choice == "approve" else "approve")
    before = counts(circle, asked)
    for fooled in range(10):
        circle.casts(swarm_of(circle, fooled), asked, choice)
    outcome, approve, reject = counts(circle, asked)
    assert (approve if choice == "approve" else reject) == 10 * K
    assert outcome == "undecided" and before[0] in ("adopted", "rejected")
    assert not (choice == "approve" and outcome == "adopted")


def test_04_sybils_who_vouch_for_honest_members_give_nobody_more_weight() -> None:
    """Praise from made-up keys opens no new way from a steward: the flow of the honest is what it was."""
    circle, asked = village()
    circle.casts(range(8), asked, "approve")
    circle.casts(range(8, 11), asked, "reject")
    before = counts(circle, asked)
    swarm = swarm_of(circle, 19)
    for key in swarm:
        circle.vouches(key, range(20))
    assert counts(circle, asked) == before


def test_05_what_b_insiders_cannot_do_b_plus_one_can() -> None:
    """The threshold of the promise, documented: honest people favour nothing; B = 1 insider fails, two suffice where nobody objects."""
    circle, asked = village()
    circle.casts([0, *swarm_of(circle, 0)], asked, "approve")
    assert counts(circle, asked) == ("undecided", K, 0)
    circle.casts([10, *swarm_of(circle, 10)], asked, "approve")
    assert counts(circle, asked) == ("adopted", 2 * K, 0)
    circle.casts([5, 6, 7], asked, "reject")
    assert counts(circle, asked)[0] == "undecided", "three honest ballots against hold two insiders with all their keys"


def council() -> Circle:
    """Four stewards of whom one may be bad; thirty members known by two of them each."""
    circle = Circle(("s1", "s2", "s3", "s4"), f=1, rule=Class(b=2, q=3))
    for number in range(30):
        for steward in (f"s{number % 4 + 1}", f"s{(number + 1) % 4 + 1}"):
            circle.vouch(steward, number)
    return circle


def test_06_a_bad_stewards_swarm_adopts_nothing_and_its_veto_is_seen() -> None:
    """A steward outside Q is a key like others, so its swarm counts K in the set that decides; its no counts without limit."""
    circle = council()
    asked = circle.propose(0)
    circle.casts(["s1", *(f"x{number}" for number in range(50))], asked, "approve")
    circle.vouches("s1", (f"x{number}" for number in range(50)))
    assert counts(circle, asked)[:2] == ("undecided", 0), "nobody else vouches for it: without it, it is nobody"
    circle.vouch("s2", "s1")
    assert counts(circle, asked)[:2] == ("undecided", K)
    wanted = circle.propose(1, base=bytes([7]) * 32)
    circle.casts(range(30), wanted, "approve")
    assert counts(circle, wanted)[0] == "adopted"
    circle.casts([f"x{number}" for number in range(50)], wanted, "reject")
    decision = circle.view().decide(wanted)
    assert decision.tally.outcome == "undecided" and decision.tally.worst is not None
    assert person("s1").public not in decision.tally.worst.left_out
    assert any("steward" in line for line in telling.text(circle.view().explain(wanted)))


def test_06_a_steward_who_vetoes_everything_is_recalled_without_being_asked() -> None:
    circle = council()
    rest = tuple(keys("s2", "s3", "s4"))
    new = circle.write_charter("s2", stewards=rest, f=0)
    recall = circle.propose("s2", "stewards", person("s1").public, base=circle.id, patch={"charter": new.id})
    circle.casts(range(30), recall, "approve")
    swarm = [f"x{number}" for number in range(50)]
    circle.vouches("s1", swarm)
    circle.casts(["s1", *swarm], recall, "reject")
    assert circle.view().charter.stewards == rest


def test_07_a_flood_of_false_rejects_takes_k_a_bad_key_and_never_an_approval_away() -> None:
    circle, asked = village(size=30)
    circle.casts(range(5, 25), asked, "approve")
    before = circle.view().decide(asked)
    circle.casts([0, *swarm_of(circle, 0)], asked, "reject")
    after = circle.view().decide(asked)
    assert (after.approve, after.reject) == (before.approve, K)
    assert after.state == "adopted"


def test_08_a_flood_of_abstentions_changes_no_byte_of_the_numbers() -> None:
    circle, asked = village()
    circle.casts(range(6), asked, "approve")
    before = circle.view().explain(asked)
    circle.casts([*range(6, 20), *swarm_of(circle, 19)], asked, "abstain")
    after = circle.view().explain(asked)
    for name in ("outcome", "counted", "margin", "least_approve", "cost_to_flip"):
        assert after[name] == before[name]


def test_20_a_long_con_ends_with_an_expulsion_and_its_ballots_everywhere_count_no_more() -> None:
    """Years of good ballots, then a swarm: one decision takes the key, its swarm and every ballot of theirs out of every tally."""
    circle, good = village(Class(b=0, q=2))
    circle.casts([7, 8, 9], good, "approve")
    later = circle.propose(7, base=bytes([7]) * 32, day=DAY + 300)
    swarm = [f"con {number}" for number in range(50)]
    for key in swarm:
        circle.vouch(7, key, day=DAY + 300)
        circle.cast(key, later, "approve", day=DAY + 300)
    assert circle.view(DAY + 300).decide(later).tally.outcome == "adopted"
    out = circle.propose(1, "expel", person(7).public, day=DAY + 301)
    for voter in (1, 2, 3, 4, 5):
        circle.cast(voter, out, "approve", day=DAY + 301)
    view = circle.view(DAY + 301)
    assert view.decide(later).tally.outcome == "undecided" and view.decide(later).cast.outside == 50
    assert view.decide(good).approve == 2 and set(keys(7, *swarm)).isdisjoint(view.members)


def test_21_vouches_taken_back_before_a_decision_take_only_what_rested_on_them_alone() -> None:
    """An insider who silences his friends: whoever somebody else vouches for, too, votes on."""
    circle = Circle(rule=Class(b=0, q=2))
    circle.vouches("founder", ["ann", "ben"])
    circle.vouches("ann", ["cat", "dan"])
    circle.vouch("ben", "cat")
    asked = circle.propose("cat")
    circle.casts(["cat", "dan", "ben"], asked, "approve")
    assert circle.view().decide(asked).approve == 3
    for whom in ("cat", "dan"):
        circle.vouch("ann", whom, give=False)
    decision = circle.view().decide(asked)
    assert (decision.approve, decision.cast.outside) == (2, 1) and decision.state == "adopted"


def test_27_vouch_bombs_cost_what_is_active_not_what_was_signed() -> None:
    """A hundred names a member over, only the fifty with the smallest ids are ever members; a chain is walked, not recursed into."""
    circle, asked = village()
    circle.casts(range(8), asked, "approve")
    before = counts(circle, asked)
    for bomber in (17, 18):
        circle.vouches(bomber, (f"bomb {bomber} {number}" for number in range(1_000)))
    assert len(circle.view().members) <= 21 + 2 * ACTIVE_VOUCHES
    assert counts(circle, asked) == before


def test_27_a_chain_of_ten_thousand_lets_two_ballots_through() -> None:
    """The first of the line, whom the steward vouches for, and the one that its own vouch carries."""
    links = 10_000
    vouches = {number: [number + 1] for number in range(links)}
    result = tally([0], vouches, range(1, links + 1))
    assert len(result.sets[0].approve) == 2


def test_27_authors_who_are_known_are_found_along_a_chain_without_recursion() -> None:
    circle = Circle()
    names = ["founder", *range(3_000)]
    for by, whom in itertools.pairwise(names):
        circle.vouch(by, whom)
    assert len(known_authors(circle.records, circle.id)) == 3_001


def test_31_a_graph_that_is_made_to_cost_too_much_is_pending_on_every_node_alike() -> None:
    circle, asked = village(size=12)
    circle.casts(range(12), asked, "approve")
    told = []
    for order in (circle.records, list(reversed(circle.records))):
        view = circle.view() if order is circle.records else type(circle.view())(circle.charter, order, DAY)
        view.rules.assembly.counter = Counter(circle.charter, view.membership, arc_budget=50)
        told.append(view.explain(asked))
    assert told[0] == told[1] and told[0]["outcome"] == "pending" and told[0]["state"] == "open"
