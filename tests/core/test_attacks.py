"""Attacks on a circle's decisions with real signed records, each with its outcome. Numbers follow the list of thirty (design 4.6).

What the network does with such records (who is admitted, what waits) is tested with admission; here they have all arrived.
"""

from __future__ import annotations

import hashlib
import random

import pytest
from nacl.bindings import (
    crypto_core_ed25519_scalar_add,
    crypto_core_ed25519_scalar_mul,
    crypto_core_ed25519_scalar_reduce,
    crypto_scalarmult_ed25519_base_noclamp,
)

from p2pnode.core import explain
from p2pnode.core.charter import Class
from p2pnode.core.ids import QuestionId
from p2pnode.core.proposals import cast
from p2pnode.core.record import Record
from p2pnode.core.records import SIGNATURE_DOMAIN, decode_signed, encode_signed, smaller_signature
from p2pnode.core.registers import merge
from p2pnode.core.verdict import CircleView
from p2pnode.errors import DecodeError
from tests.core import debian
from tests.core.ballots import Counter, ballots, charter, number_of, question
from tests.core.circles import DAY, Circle, person, work_id

WORK = work_id("a")
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
GROWN = Class(b=1, q=3)


def village() -> tuple[Circle, QuestionId]:
    """A founder, ten members who vouch for one another, and a proposal by one of them."""
    circle = Circle(rule=GROWN)
    circle.vouches("founder", range(10))
    for number in range(10):
        circle.vouches(number, [(number + 1) % 10, (number + 2) % 10])
    return circle, circle.propose(0)


def state(circle: Circle, asked: QuestionId) -> tuple[str, int, int]:
    decision = circle.view().decide(asked)
    return decision.state, decision.approve, decision.reject


def told(view: CircleView, asked: QuestionId) -> bytes:
    return explain.canonical(view.explain(asked))


# ------------------------------------------------------------ 1: unvouched flood


@pytest.mark.parametrize("choice", ["approve", "reject"])
def test_01_a_flood_of_unvouched_keys_moves_nothing(choice: str) -> None:
    """2,000 keys that vouch for each other and vote: no member, no ballot, the same numbers to the last one."""
    circle, asked = village()
    circle.casts(range(5), asked, "approve" if choice == "reject" else "reject")
    before = state(circle, asked)
    members = circle.view().members
    flood = [f"sybil {number}" for number in range(2_000)]
    for number, sybil in enumerate(flood):
        circle.vouch(sybil, flood[number - 1])
        circle.vouch(sybil, "founder")
        circle.cast(sybil, asked, choice)
    assert state(circle, asked) == before
    assert circle.view().members == members
    assert circle.view().decide(asked).cast.outside == 2_000


# ------------------------------------------------------------ 2: one insider vouching 5,000 keys


@pytest.mark.parametrize("choice", ["approve", "reject"])
def test_02_an_insider_who_vouches_for_5000_keys_carries_k(choice: str) -> None:
    circle, asked = village()
    circle.casts(range(7), asked, "reject" if choice == "approve" else "approve")
    before = state(circle, asked)
    swarm = [f"swarm {number}" for number in range(5_000)]
    circle.vouches(9, swarm)
    circle.casts([9, *swarm], asked, choice)
    decision = circle.view().decide(asked)
    gained = decision.approve if choice == "approve" else decision.reject
    assert gained == circle.charter.k == 3, "its own ballot and two more"
    assert decision.state == before[0], "one such insider is what B = 1 tolerates: 7 - 3 is more than 3"
    assert len(circle.view().members) <= 11 + 50


def test_02_four_insiders_of_the_debian_graph_cast_twelve_bogus_ballots() -> None:
    """In a grown web of trust, with a swarm of a thousand behind each of four well-connected insiders: 4 x K, not one more."""
    graph = debian.vouches()
    busiest = sorted(graph, key=lambda key: (-len(graph[key]), key))
    stewards, insiders = busiest[:4], busiest[4:8]
    swarm = [debian.number_key(10_000 + number) for number in range(4_000)]
    for number, insider in enumerate(insiders):
        graph[insider] = swarm[1_000 * number : 1_000 * number + 1_000]
    members = debian.Membership.of(stewards, graph)
    rules = charter(map(number_of, stewards), f=0, k=3, rule=GROWN)
    tally = Counter(rules, members).count(question(), ballots(map(number_of, [*insiders, *swarm])))
    assert len(tally.sets[0].approve) == 12


# ------------------------------------------------------------ 9: equivocation to two halves


def test_09_two_ballots_for_two_halves_count_in_neither_once_both_are_known() -> None:
    """P7: while the halves are apart each counts its own; when they meet, all count none, and say so in the same bytes."""
    circle, asked = village()
    circle.casts(range(4), asked, "approve")
    common = list(circle.records)
    yes = circle.cast(7, asked, "approve", seq=500)
    no = circle.cast(7, asked, "reject", seq=500)
    halves = [CircleView(circle.charter, [*common, one], DAY) for one in (yes, no)]
    assert [half.decide(asked).approve for half in halves] == [5, 4]
    met = [CircleView(circle.charter, records, DAY) for records in ([*common, yes, no], [no, *reversed(common), yes])]
    assert told(met[0], asked) == told(met[1], asked)
    decision = met[0].decide(asked)
    assert (decision.approve, decision.reject, decision.cast.void) == (4, 0, 1)


def test_09_a_third_and_fourth_version_change_nothing_and_a_later_ballot_mends_it() -> None:
    circle, asked = village()
    for reason in ("a", "b", "c", "d"):
        circle.cast(7, asked, "approve", seq=500, reason=reason)
    assert circle.view().decide(asked).choice_of(person(7).public) == "void"
    shuffled = circle.records[:]
    random.Random(9).shuffle(shuffled)
    assert told(CircleView(circle.charter, shuffled, DAY), asked) == told(circle.view(), asked)
    circle.cast(7, asked, "approve", seq=501)
    assert circle.view().decide(asked).choice_of(person(7).public) == "approve"


def test_09_nodes_that_pruned_the_third_version_say_the_same() -> None:
    """A store keeps two proofs, whichever of five arrived; the smallest two, so that all end with the same."""
    circle, asked = village()
    common = list(circle.records)
    versions = [circle.cast(7, asked, "approve", seq=500, reason=str(number)) for number in range(5)]
    said = set()
    for seed in range(20):
        held: tuple[Record, ...] = ()
        order = versions[:]
        random.Random(seed).shuffle(order)
        for version in order:
            held = merge(held, version).keep
        said.add(told(CircleView(circle.charter, [*common, *held], DAY), asked))
    assert said == {told(circle.view(), asked)}


# ------------------------------------------------------------ 10: equivocating to void an adopted listing


def test_10_an_author_cannot_void_a_listing_by_equivocating() -> None:
    """Proposals are permanent, every body of them; only the author's own ballot can be voided, and that is one."""
    circle, asked = village()
    proposal = circle.records[-1]
    circle.casts(range(6), asked, "approve")
    before = circle.view().work_verdict(WORK)
    assert (before.verdict, before.approve) == ("listed", 6)
    circle.propose(0, reason="another text", seq=proposal.seq & 0xFFFF)
    assert circle.records[-1].seq == proposal.seq and circle.records[-1].id != proposal.id
    circle.withdraw(0, proposal.id)
    circle.withdraw(0, circle.records[-2].id)
    circle.cast(0, asked, "approve", seq=900)
    circle.cast(0, asked, "reject", seq=900)
    after = circle.view().work_verdict(WORK)
    assert (after.verdict, after.approve, after.question) == ("listed", 5, before.question)


def test_10_equivocating_vouches_take_back_one_vouch_and_no_more() -> None:
    circle, asked = village()
    circle.casts(range(6), asked, "approve")
    circle.vouch(0, 1, seq=900)
    circle.vouch(0, 1, seq=900, give=False)
    assert circle.view().work_verdict(WORK).verdict == "listed"
    assert person(0).public not in circle.view().vouchers(person(1).public)


# ------------------------------------------------------------ 11: replays


def test_11_a_ballot_counts_in_its_own_circle_only() -> None:
    """P6: the same people and works in two circles; records of one are handed to the other."""
    circle, asked = village()
    other = Circle(salt=b"\x01" * 32, rule=GROWN)
    other.vouches("founder", range(10))
    there = other.propose(0)
    assert there != asked, "the circle is part of the question"
    other.casts(range(10), there, "approve")
    before = told(circle.view(), asked)
    assert told(circle.view(extra=other.records), asked) == before
    crossed = [
        cast(person(n), circle=other.id, question=asked, choice="approve", reason="", **other.at(DAY, None))
        for n in range(9)
    ]
    assert told(circle.view(extra=crossed), asked) == before, "not even when it names the question"


def test_11_a_ballot_counts_on_its_own_question_only() -> None:
    circle, asked = village()
    circle.casts(range(8), asked, "approve")
    flag = circle.propose(9, "flag", patch={"complaint": "licence"})
    other_work = circle.propose(9, subject=work_id("b"))
    other_base = circle.propose(9, base=bytes(range(32)))
    for other in (flag, other_work, other_base):
        assert state(circle, other) == ("open", 0, 0)


def test_11_an_old_ballot_sent_again_does_not_bring_back_an_old_mind() -> None:
    circle, asked = village()
    old = circle.cast(3, asked, "approve")
    circle.cast(3, asked, "reject")
    again = circle.view(extra=[old, decode_signed(encode_signed(old)), old])
    assert again.decide(asked).choice_of(person(3).public) == "reject"


@pytest.mark.parametrize("field", ["circle", "target", "author", "seq", "choice"])
def test_11_no_field_of_a_signed_ballot_can_be_exchanged(field: str) -> None:
    """Every byte of the body is signed: whatever one puts there, it is no record any more."""
    circle, asked = village()
    ballot = circle.cast(3, asked, "approve", seq=1)
    exchanged = {"circle": work_id("x"), "target": work_id("y"), "author": person(4).public}
    body = ballot.body
    if field in exchanged:
        body = body.replace(bytes(ballot.fields[field]), bytes(exchanged[field]))  # type: ignore[arg-type]
    elif field == "choice":
        body = body.replace(b"\xa7approve", b"\xa6reject")
    else:
        body = body.replace((ballot.seq).to_bytes(4, "big"), (ballot.seq + 1).to_bytes(4, "big"))
    assert body != ballot.body
    with pytest.raises(DecodeError):
        decode_signed(ballot.sig + body)


# ------------------------------------------------------------ 12: signature games


def test_12_a_key_of_small_order_signs_for_nobody() -> None:
    """With the key 01 00 .. 00 some verifiers accept any message under a fixed signature; a member's vouch makes it no voter."""
    circle, asked = village()
    honest = circle.cast(3, asked, "approve")
    weak = b"\x01" + bytes(31)
    forged = honest.body.replace(bytes(honest.author), weak)
    for signature in (weak + bytes(32), bytes(64)):
        with pytest.raises(DecodeError):
            decode_signed(signature + forged)


def test_12_an_s_beyond_the_groups_order_is_refused() -> None:
    circle, asked = village()
    honest = circle.cast(3, asked, "approve")
    r, s = honest.sig[:32], int.from_bytes(honest.sig[32:], "little")
    with pytest.raises(DecodeError):
        decode_signed(r + (s + GROUP_ORDER).to_bytes(32, "little") + honest.body)


def test_12_two_valid_signatures_of_one_ballot_are_one_ballot() -> None:
    """Whoever holds a key can sign one body in many ways. The id ignores signatures: no equivocation, no second ballot."""
    circle, asked = village()
    ballot = circle.cast(3, asked, "approve")
    twin = _signed_again(ballot, 3)
    assert decode_signed(encode_signed(twin)).id == ballot.id and twin.sig != ballot.sig
    before = told(circle.view(), asked)
    assert told(circle.view(extra=[twin]), asked) == before
    assert circle.view(extra=[twin]).decide(asked).cast.approve == 1
    proposal = circle.records[-2]
    assert told(circle.view(extra=[_signed_again(proposal, 0)]), asked) == before, "nor is a proposal made twice"
    assert smaller_signature(ballot.sig, twin.sig) == smaller_signature(twin.sig, ballot.sig)


def _signed_again(record: Record, by: object) -> Record:
    """The same body with a second valid Ed25519 signature: the nonce is the signer's choice."""
    message = SIGNATURE_DOMAIN + record.body
    digest = bytearray(hashlib.sha512(person(by).seed).digest()[:32])
    digest[0] &= 248
    digest[31] = digest[31] & 127 | 64
    secret = crypto_core_ed25519_scalar_reduce(bytes(digest) + bytes(32))
    nonce = crypto_core_ed25519_scalar_reduce(hashlib.sha512(b"another nonce").digest())
    r = crypto_scalarmult_ed25519_base_noclamp(nonce)
    challenge = crypto_core_ed25519_scalar_reduce(hashlib.sha512(r + record.author + message).digest())
    s = crypto_core_ed25519_scalar_add(nonce, crypto_core_ed25519_scalar_mul(challenge, secret))
    return Record(record.id, record.body, r + s, record.fields)
