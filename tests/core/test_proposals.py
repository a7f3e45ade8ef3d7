"""Questions, ballots and their limits."""

from __future__ import annotations

from typing import Any

import pytest

from p2pnode.core.ids import QuestionId, RecordId, WorkId
from p2pnode.core.proposals import COMPLAINTS, MAX_REASON_CHARACTERS, Question, cast, propose, vouch, withdraw
from p2pnode.core.records import decode_signed, encode_signed, seq_of
from p2pnode.errors import DecodeError, UsageError
from tests.core.examples import ANN, BEN, CIRCLE, NOW, WORK, ballot

COMMON: dict[str, Any] = {"circle": CIRCLE, "seq": seq_of(NOW, 0), "created": NOW}


def test_a_question_is_read_from_its_proposal() -> None:
    record = propose(
        ANN, class_="flag", subject=WORK, base=b"", patch={"complaint": "licence"}, reason=" bad ", **COMMON
    )
    question = Question.of(decode_signed(encode_signed(record)))
    assert (question.id, question.class_, question.complaint) == (record.target, "flag", "licence")
    assert question.work == WorkId(WORK)
    assert record.fields["reason"] == "bad"


def test_the_text_of_a_patch_is_normalised_before_its_id_is_made() -> None:
    one = propose(ANN, class_="edit", subject=WORK, base=b"", patch={"title": "e\u0301"}, reason="", **COMMON)
    other = propose(BEN, class_="edit", subject=WORK, base=b"", patch={"title": "é"}, reason="", **COMMON)
    assert one.target == other.target


def test_a_question_about_a_person_has_no_work_and_no_complaint() -> None:
    record = propose(ANN, class_="expel", subject=BEN.public, base=b"", patch={"complaint": 1}, reason="", **COMMON)
    assert (Question.of(record).work, Question.of(record).complaint) == (None, None)
    with pytest.raises(DecodeError):
        Question.of(ballot())


@pytest.mark.parametrize("script", ["x", "é", "木", "\U0001f333"])
def test_a_reason_of_the_limit_fits_a_ballot_in_every_script(script: str) -> None:
    question = QuestionId(WORK)
    record = cast(ANN, question=question, choice="reject", reason=script * MAX_REASON_CHARACTERS, **COMMON)
    assert decode_signed(encode_signed(record)) == record
    with pytest.raises(UsageError, match="more than"):
        cast(ANN, question=question, choice="reject", reason=script * (MAX_REASON_CHARACTERS + 1), **COMMON)


def test_a_choice_that_is_none_names_the_three() -> None:
    with pytest.raises(UsageError) as caught:
        cast(ANN, question=QuestionId(WORK), choice="yes", reason="", **COMMON)
    assert "approve, reject, abstain" in caught.value.hint


def test_vouches_and_withdrawals() -> None:
    assert vouch(ANN, whom=BEN.public, give=True, **COMMON).fields["choice"] == 1
    assert vouch(ANN, whom=BEN.public, give=False, **COMMON).fields["choice"] == 0
    assert withdraw(ANN, proposal=RecordId(WORK), **COMMON).target == WORK


def test_every_complaint_names_its_remedy() -> None:
    assert set(COMPLAINTS) == {"licence", "corrupt", "duplicate", "metadata", "harmful", "off_topic"}
    assert all(complaint.title and complaint.remedy for complaint in COMPLAINTS.values())
