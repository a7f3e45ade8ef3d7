"""Attacks by what is signed and when: bytes that mean two things, clocks, floods, restored backups, nodes that pruned (design 4.6).

Numbers follow the list of thirty. Edit wars (22) and takedown ping-pong (23) stand in `test_edits`, coups (24) and conflicting seals (25)
in `test_rules`; sync abuse (17) and colliding fingerprints (18) in `test_reconcile_hostile` and `test_reconcile`.
"""

from __future__ import annotations

import random
import struct

import msgpack
import pytest

from p2pnode.core import explain, proposals
from p2pnode.core.admission import Caps, beyond_caps, is_early
from p2pnode.core.ids import QuestionId
from p2pnode.core.record import Record
from p2pnode.core.records import SIGNATURE_DOMAIN, decode_signed, encode_signed, seq_of
from p2pnode.core.registers import merge
from p2pnode.core.verdict import CircleView
from p2pnode.errors import DecodeError, UsageError
from tests.core.circles import DAY, DAY_S, Circle, person


def signed(by: object, body: bytes) -> bytes:
    """A body with a valid signature, whatever stands in it."""
    return person(by).sign(SIGNATURE_DOMAIN + body) + body


def a_ballot(circle: Circle) -> Record:
    return circle.cast("founder", circle.propose("founder"), "approve")


OTHER_FORMS = {
    "an integer in nine bytes": lambda fields: _swap(fields, "v", b"\xcf" + struct.pack(">Q", 1)),
    "an integer in two bytes": lambda fields: _swap(fields, "v", b"\xcc\x01"),
    "a signed integer": lambda fields: _swap(fields, "v", b"\xd0\x01"),
    "true for one": lambda fields: _swap(fields, "v", b"\xc3"),
    "one as a float": lambda fields: _swap(fields, "v", b"\xcb" + struct.pack(">d", 1.0)),
    "nil": lambda fields: _swap(fields, "v", b"\xc0"),
    "seq = 2^53": lambda fields: _swap(fields, "seq", b"\xcf" + struct.pack(">Q", 2**53)),
    "a negative seq": lambda fields: _swap(fields, "seq", b"\xff"),
    "text for bytes": lambda fields: _swap(fields, "target", msgpack.packb("x" * 32)),
    "an extension type": lambda fields: _swap(fields, "v", b"\xd4\x01\x01"),
    "keys in another order": lambda fields: _packed(list(reversed(fields))),
    "a key twice": lambda fields: _packed([*fields, fields[-1]]),
    "a map in five bytes": lambda fields: b"\xdf" + struct.pack(">I", len(fields)) + _packed(fields)[1:],
    "bytes after the end": lambda fields: _packed(fields) + b"\xc0",
}


def _pairs(body: bytes) -> list[tuple[bytes, bytes]]:
    return [(msgpack.packb(name), msgpack.packb(value)) for name, value in msgpack.unpackb(body).items()]


def _packed(fields: list[tuple[bytes, bytes]]) -> bytes:
    return bytes([0x80 | len(fields)]) + b"".join(name + value for name, value in fields)


def _swap(fields: list[tuple[bytes, bytes]], name: str, value: bytes) -> bytes:
    return _packed([(key, value if key == msgpack.packb(name) else old) for key, old in fields])


@pytest.mark.parametrize("form", OTHER_FORMS)
def test_13_a_second_form_of_the_same_record_is_no_record(form: str) -> None:
    """Were two encodings of one ballot both valid, one signer could look like an equivocator, or vote with two ids."""
    ballot = a_ballot(Circle())
    fields = _pairs(ballot.body)
    assert _packed(fields) == ballot.body, "the honest form is the one that the program writes"
    with pytest.raises(DecodeError):
        decode_signed(signed("founder", OTHER_FORMS[form](fields)))


@pytest.mark.parametrize(
    ("day", "counts"), [(0, True), (DAY, True), (DAY + 1, True), (DAY + 2, False), (47_482, False)]
)
def test_14_a_ballot_of_1970_counts_like_any_and_one_of_2100_waits(day: int, counts: bool) -> None:
    """Dates back in time gain nothing: a later ballot of the same key replaces them. Dates ahead cannot hold a register for ever."""
    circle = Circle()
    asked = circle.propose("founder")
    ballot = circle.cast("founder", asked, "approve", day=day)
    assert (circle.view().decide(asked).approve == 1) == counts
    assert is_early(ballot, DAY * DAY_S) != counts


def test_14_seq_and_created_cannot_disagree() -> None:
    """Else a record of 1970 could carry a number of 2100 and never be replaced."""
    circle = Circle()
    ballot = a_ballot(circle)
    forged = {**msgpack.unpackb(ballot.body), "seq": seq_of(47_482 * DAY_S, 0)}
    with pytest.raises(DecodeError, match="different days"):
        decode_signed(signed("founder", msgpack.packb(forged)))


def test_15_rejects_that_are_held_back_flip_the_verdict_when_they_come_and_not_before() -> None:
    """Whoever withholds ballots decides what a node sees today, never what it says once it has them: the same bytes everywhere."""
    circle = Circle()
    circle.vouches("founder", "abcde")
    asked = circle.propose("a")
    circle.casts("abc", asked, "approve")
    seen = list(circle.records)
    held_back = [circle.cast(one, asked, "reject") for one in ("d", "e", "founder")]
    eclipsed = CircleView(circle.charter, seen, DAY)
    assert eclipsed.decide(asked).state == "adopted"
    told = {
        explain_bytes(CircleView(circle.charter, order, DAY), asked)
        for order in ([*seen, *held_back], [*held_back, *seen])
    }
    assert len(told) == 1 and circle.view().decide(asked).state == "open"


def explain_bytes(view: CircleView, asked: QuestionId) -> bytes:
    return explain.canonical(view.explain(asked))


def test_26_proposal_spam_is_kept_to_the_cap_and_what_was_adopted_stays() -> None:
    circle = Circle()
    adopted = circle.propose("founder")
    first = circle.records[-1]
    spam = [circle.propose("founder", base=bytes([n // 256, n % 256]) * 16, day=DAY - 1) for n in range(200)]
    records = [record for record in circle.records if record.kind == "proposal"]
    dropped = beyond_caps(records, circle.id, adopted={first.id}, caps=Caps())
    assert len(dropped) == 200 - 64 and first not in dropped and len(set(spam)) == 200
    assert adopted == first.target


@pytest.mark.parametrize("skew", [-1, 0, 1])
def test_28_a_day_of_clock_skew_moves_nothing_but_the_edge(skew: int) -> None:
    """A node whose clock is a day off counts the same ballots; only what is dated beyond tomorrow, by its clock, waits."""
    circle = Circle(vouch_days=30)
    circle.vouches("founder", "ab")
    asked = circle.propose("a")
    circle.casts("ab", asked, "approve")
    assert circle.view(DAY + skew).decide(asked).approve == 2
    edge = [circle.view(DAY + day).decide(asked).approve for day in (29 + skew, 30 + skew)]
    assert edge == {-1: [2, 2], 0: [2, 0], 1: [0, 0]}[skew]


def test_29_a_backup_restored_beside_the_original_costs_one_void_ballot_and_heals() -> None:
    """Two devices count on from the same number: the pair is void everywhere, the next ballot of either stands."""
    circle = Circle()
    circle.vouch("founder", "ann")
    asked = circle.propose("ann")
    circle.cast("ann", asked, "approve", seq=900)
    circle.cast("ann", asked, "reject", seq=900)
    view = circle.view()
    assert (view.decide(asked).cast.void, view.decide(asked).approve) == (1, 0)
    assert view.is_member(person("ann").public), "the identity is not lost"
    circle.cast("ann", asked, "approve", seq=901)
    assert circle.view().decide(asked).approve == 1


def test_29_no_writer_signs_a_number_that_does_not_fit_its_day() -> None:
    circle = Circle()
    with pytest.raises(UsageError):
        proposals.vouch(
            person("founder"), circle=circle.id, whom=person("x").public, give=True, seq=5, created=DAY * DAY_S
        )


@pytest.mark.parametrize("seed", range(10))
def test_30_pruned_and_full_nodes_that_meet_again_and_again_settle_on_one_set(seed: int) -> None:
    """Each keeps what its rules keep, hands it on, and keeps again: the union stops changing and is the same on all."""
    rng = random.Random(seed)
    circle = Circle()
    questions = [circle.propose("founder", base=bytes([n]) * 32) for n in range(12)]
    for number in range(40):
        circle.cast("founder", rng.choice(questions), rng.choice(["approve", "reject"]), seq=1000 + number // 2)
    caps = Caps(registers=6, permanents=5)
    nodes = [kept(rng.sample(circle.records, rng.randint(10, len(circle.records))), circle, caps) for _ in range(4)]
    everything = kept(circle.records, circle, caps)
    nodes.append(everything)
    for _ in range(6):
        for here, there in ((a, b) for a in range(5) for b in range(5) if a != b):
            nodes[here] = kept([*nodes[here], *nodes[there]], circle, caps)
    assert all(sorted(one.id for one in node) == sorted(one.id for one in everything) for node in nodes)


def kept(records: list[Record], circle: Circle, caps: Caps) -> list[Record]:
    """What a node holds of these: registers merged, then the caps of their one author."""
    registers: dict[bytes, tuple[Record, ...]] = {}
    permanent: dict[bytes, Record] = {}
    for record in (decode_signed(encode_signed(one)) for one in records):
        if record.kind == "ballot":
            registers[record.target] = merge(registers.get(record.target, ()), record).keep
        else:
            permanent[record.id] = record
    held = [*permanent.values(), *(one for group in registers.values() for one in group)]
    dropped = set(beyond_caps(held, circle.id, caps=caps))
    return [one for one in held if one not in dropped]
