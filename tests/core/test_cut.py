"""What a fork inherits (p2pnode/docs/protocol-circles.md, "Forks"): all of an honest cut, nothing of any other."""

from __future__ import annotations

import json
import random

import pytest

from p2pnode.core import cut, explain
from p2pnode.core.admission import beyond_caps, known_authors
from p2pnode.core.cut import Inheritance, inherited
from p2pnode.core.record import Record
from p2pnode.core.records import APPROVE, cut_digest, decode_signed, encode_signed, make
from p2pnode.core.standing import VOID
from p2pnode.core.verdict import CircleView
from p2pnode.errors import DecodeError, RefusedError
from tests.core import forks, make_cut_vectors
from tests.core.circles import DAY, Circle, keys, person


def test_members_and_listings_are_those_of_the_parent_and_later_vouches_there_are_not() -> None:
    of = forks.parent()
    fork = forks.honest(of)
    assert list(fork.view().members) == keys("founder", "ben", "cleo")
    assert fork.view().work_verdict(forks.WORK).verdict == "listed"
    of.vouch("founder", "dora")
    fork.more.extend(of.records)  # even if somebody brings them
    assert list(fork.view().members) == keys("founder", "ben", "cleo")


def test_a_later_word_in_the_fork_replaces_the_inherited_one() -> None:
    of = forks.parent()
    fork = forks.honest(of)
    here = Circle()
    here.id = fork.id
    fork.more.append(here.vouch("founder", "ben", give=False, seq=20_000))
    assert list(fork.view().members) == keys("founder")
    fork.more.append(here.vouch("founder", "cleo", seq=20_001))
    assert list(fork.view().members) == keys("founder", "cleo")


def test_inherited_vouches_expire_as_they_would_have() -> None:
    fork = forks.honest(forks.parent())
    assert len(fork.view(DAY + 364).members) == 3
    assert len(fork.view(DAY + 365).members) == 1


def test_two_inherited_ballots_of_one_number_are_void_in_the_fork() -> None:
    of = forks.parent()
    question = of.view().questions()[0].question.id
    first = of.cast("cleo", question, "approve", seq=900)
    other = of.cast("cleo", question, "reject", seq=900)
    assert {first.id, other.id} <= {record.id for record in of.records}
    view = forks.honest(of).view()
    assert [one.choice for one in view.ballots(question) if one.key == person("cleo").public] == [VOID]


@pytest.mark.parametrize("what", forks.HOSTILE)
def test_a_cut_that_holds_what_no_cut_may_is_void_and_brings_nobody(what: str) -> None:
    fork = forks.HOSTILE[what](forks.parent())
    view = fork.view()
    assert view.inheritance.state == "void" and view.inheritance.why
    assert list(view.members) == keys("founder")
    assert view.work_verdict(forks.WORK).verdict == "new"
    assert known_authors(fork.records, fork.id) == frozenset(keys("founder"))


@pytest.mark.parametrize("lost", [0, 1])
def test_as_long_as_a_piece_is_missing_nothing_is_inherited(lost: int) -> None:
    whole = forks.honest(forks.parent())
    some = forks.Fork(whole.genesis, tuple(one for n, one in enumerate(whole.carriers) if n != lost))
    view = some.view()
    assert (view.inheritance.state, view.inheritance.missing) == ("missing", 1)
    assert list(view.members) == keys("founder")
    assert known_authors(some.records, some.id) == frozenset(keys("founder"))
    assert known_authors(whole.records, whole.id) == frozenset(keys("founder", "ben", "cleo"))


def test_pieces_that_the_charter_does_not_name_mean_nothing_and_anybody_may_carry_those_it_names() -> None:
    of = forks.parent()
    whole = forks.honest(of)
    bomb = forks.part([encode_signed(of.genesis)])
    other = [cut.carry(person("eve"), circle=whole.id, piece=one, **forks.at(50)) for one in (bomb, _piece(whole, 1))]
    fork = forks.Fork(whole.genesis, (whole.carriers[0], *other))
    assert fork.view().inheritance.state == "whole"
    assert other[0].id not in fork.view().inheritance.carriers
    assert fork.view().inheritance.carriers == {whole.carriers[0].id, other[1].id}


def test_a_fork_of_a_fork_hands_on_what_it_inherited_and_the_line_proves_it() -> None:
    first = forks.honest(forks.parent())
    originals = first.view().inheritance.originals
    second = forks.fork(first.id, cut.cut_of([first.genesis, *originals]).pieces)
    assert list(second.view().members) == keys("founder", "ben", "cleo")
    assert second.view().work_verdict(forks.WORK).verdict == "listed"
    orphan = forks.fork(
        first.id, cut.cut_of([first.genesis, *(one for one in originals if one.kind != "charter")]).pieces
    )
    assert orphan.view().inheritance.state == "void", "records of a grandparent that nothing names"


def test_a_circle_cannot_be_its_own_parent_nor_parents_each_others() -> None:
    """An id is a digest of the charter that would have to hold it: the nearest one can come is a parent that does not exist."""
    fork = forks.by_hand(forks.parent(), [encode_signed(forks.honest(forks.parent()).genesis)])
    assert fork.view().inheritance.state == "void"


@pytest.mark.parametrize("seed", range(5))
def test_order_and_repetition_do_not_matter_and_a_view_that_follows_says_the_same(seed: int) -> None:
    rng = random.Random(seed)
    fork = forks.honest(forks.parent())
    fresh = explain.canonical(fork.view().explain_work(forks.WORK))
    held: list[Record] = []
    view: CircleView | None = None
    for record in rng.sample(fork.records * 2, len(fork.records) * 2):
        held.append(record)
        view = CircleView(fork.charter, held, DAY, previous=view)
    assert view is not None and explain.canonical(view.explain_work(forks.WORK)) == fresh
    assert view.binding == fork.view().binding


def test_large_cuts_have_many_parts_all_of_which_are_kept_beyond_the_caps() -> None:
    of = Circle()
    for number in range(400):
        of.vouch(number // 40, number + 1) if number else of.vouch("founder", 1)
    packed = cut.cut_of(of.records)
    assert len(packed.pieces) > 4 and all(len(piece) <= cut.MAX_PART_BYTES for piece in packed.pieces)
    fork = forks.fork(of.id, packed.pieces)
    carriers = fork.view().inheritance.carriers
    assert carriers == {one.id for one in fork.carriers}
    assert not [one for one in beyond_caps(fork.carriers, fork.id, adopted=carriers) if one.id in carriers]
    assert fork.view().inheritance.originals and len(fork.view().members) == len(of.view().members)


def test_what_is_too_much_to_inherit_is_refused_when_it_is_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cut, "MAX_PARTS", 1)
    of = Circle()
    for number in range(200):
        of.vouch("founder", number)
    with pytest.raises(RefusedError, match="at most"):
        cut.cut_of(of.records)


def test_a_record_that_carries_other_bytes_than_it_says_is_no_record() -> None:
    of = forks.parent()
    honest = encode_signed(forks.honest(of).carriers[0])
    assert decode_signed(honest)
    with pytest.raises(DecodeError):
        make_wrong = make(person("eve"), "cut", circle=of.id, target=cut_digest(b"one"), **forks.at(1), data=b"one")
        decode_signed(encode_signed(make_wrong)[:-1] + b"x")


def test_the_vectors_are_what_the_program_says() -> None:
    assert make_cut_vectors.PLACE.read_text(encoding="utf-8") == make_cut_vectors.render()
    cases = json.loads(make_cut_vectors.render())["cases"]
    assert {case["state"] for case in cases} == {"whole", "missing", "void"}


def test_a_circle_that_is_no_fork_inherits_nothing() -> None:
    of = forks.parent()
    assert inherited(of.charter, of.records) == Inheritance("none")
    assert of.cast("ben", of.view().questions()[0].question.id, APPROVE)


def _piece(fork: forks.Fork, number: int) -> bytes:
    data = fork.carriers[number].fields["data"]
    assert isinstance(data, bytes)
    return data
