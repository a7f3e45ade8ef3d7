"""Proposing, complaining, voting, taking back: one transaction each, and no ballot in vain."""

from __future__ import annotations

import hashlib

import pytest

from p2pnode.core.cid import RAW, Cid
from p2pnode.core.ids import CircleId, QuestionId, WorkId, id_text, parse_id
from p2pnode.core.manifest import describe, first
from p2pnode.core.record import BALLOT, PROPOSAL, Record
from p2pnode.core.records import decode_signed
from p2pnode.errors import NotFoundError, RefusedError, StoreError, UsageError
from p2pnode.ports import Json, Tx
from p2pnode.services.ballots import list_in_circle
from tests.support.people import Person, people

pytestmark = pytest.mark.trio


async def joined(host: Person, guest: Person, circle: CircleId) -> None:
    assert (await guest.circles.join((await host.circles.invites.make(circle))["invite"]))["state"] == "joined"


def question_of(answer: Json) -> QuestionId:
    return QuestionId(parse_id("p", answer["proposal"]))


async def own_ballots(person: Person, circle: CircleId) -> list[Record]:
    key = await person.key(circle)
    return [one for one in await person.records(circle) if one.kind == BALLOT and one.author == key]


async def verdict(person: Person, circle: CircleId, work: WorkId) -> tuple[str, int, int]:
    said = (await person.views.of(circle)).work_verdict(work)
    return said.verdict, said.approve, said.reject


async def test_two_people_decide_and_see_the_same() -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        await joined(anna, ben, circle)
        work = await anna.publish("A book")
        answer = await anna.circles.work_questions.list(circle, work, reason="worth reading")
        await anna.tell(ben, circle)
        cast = await ben.circles.cast(question_of(answer), "approve", "I read it")
        assert (cast["proposal"], cast["choice"]) == (answer["proposal"], "approve")
        assert cast["ballot"].startswith("r-") and cast["signed_as"] == "pseudonym in " + id_text("c", circle)
        await ben.tell(anna, circle)
        assert await verdict(anna, circle, work) == await verdict(ben, circle, work) == ("listed", 1, 0)
        ours, theirs = [(await one.views.of(circle)).explain(question_of(answer)) for one in (anna, ben)]
        assert ours == theirs


async def test_a_proposal_as_it_is_shown() -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create("Readers")
        await joined(anna, ben, circle)
        work = await anna.publish("A book")
        await anna.circles.work_questions.list(circle, work, reason=" worth reading ")
        [shown] = (await anna.circles.proposals(circle))["items"]
        assert (shown["class"], shown["title"], shown["reason"]) == ("list", "A book", "worth reading")
        assert (shown["circle_name"], shown["state"], shown["mine"]) == ("Readers", "open", None)
        assert (shown["approve"], shown["reject"], shown["abstain"]) == (0, 0, 0)
        assert shown["by"] == id_text("k", await anna.key(circle)) and shown["opened"] == int(anna.now)
        assert "1 more" in shown["needs"] and "subject" not in shown
        await anna.circles.cast(question_of(shown), "approve")
        assert [one["mine"] for one in await anna.circles.proposals_about(work)] == ["approve"]
        assert (await anna.circles.show(circle))["open"] == []
        assert [hit["title"] for hit in (await anna.circles.show(circle))["listed"]] == ["A book"]
        await anna.tell(ben, circle)
        [at_ben] = (await ben.circles.proposals(None))["items"]
        assert (at_ben["title"], at_ben["mine"], at_ben["state"]) == ("", None, "adopted")


async def test_the_same_question_twice_is_one_proposal() -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        await joined(anna, ben, circle)
        work = await anna.publish("A book")
        one = await anna.circles.work_questions.list(circle, work)
        again = await anna.circles.work_questions.list(circle, work, reason="again")
        assert one == again
        assert len([record for record in await anna.records(circle) if record.kind == PROPOSAL]) == 1
        await anna.circles.cast(question_of(one), "approve")
        with pytest.raises(RefusedError, match="listed there already"):
            await anna.circles.work_questions.list(circle, work)


async def test_a_ballot_is_replaced_and_the_same_one_is_not_signed_twice() -> None:
    async with people("anna") as (anna,):
        circle = await anna.create()
        work = await anna.publish("A book")
        question = question_of(await anna.circles.work_questions.list(circle, work))
        first_answer = await anna.circles.cast(question, "approve", "yes")
        again = await anna.circles.cast(question, "approve", "yes")
        assert first_answer["ballot"] == again["ballot"]
        assert [answer["standing"]["cast"] for answer in (first_answer, again)] == [0, 1], "as it stood before"
        await anna.circles.cast(question, "reject", "on second thought")
        assert await verdict(anna, circle, work) == ("rejected", 0, 1)
        [ballot] = await own_ballots(anna, circle)
        assert ballot.fields["choice"] == "reject"
        await anna.circles.cast(question, "abstain")
        assert await verdict(anna, circle, work) == ("new", 0, 0)


async def test_the_ballot_and_its_gossip_are_one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    async with people("anna") as (anna,):
        circle = await anna.create()
        question = question_of(await anna.circles.work_questions.list(circle, await anna.publish("A book")))
        await anna.circles.cast(question, "approve")
        [ballot] = await own_ballots(anna, circle)
        told = [payload for kind, payload in await anna.outbox() if kind == "gossip"]
        assert told[-1] == circle + ballot.sig + ballot.body
        assert decode_signed(told[-1][32:]) == ballot

        def broken(tx: Tx, kind: str, payload: bytes, due: float) -> int:
            raise StoreError("the disk is full")

        held = len(told)
        tx_class = await anna.store.read(lambda tx: type(tx))
        monkeypatch.setattr(tx_class, "enqueue", broken)
        with pytest.raises(StoreError):
            await anna.circles.cast(question, "reject")
        monkeypatch.undo()
        assert await own_ballots(anna, circle) == [ballot], "no ballot without its gossip"
        assert len(await anna.outbox()) == held


async def test_a_ballot_that_would_not_count_is_refused_with_the_way_out() -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        await joined(anna, ben, circle)
        work = await anna.publish("A book")
        question = question_of(await anna.circles.work_questions.list(circle, work))
        await anna.circles.vouches.revoke(circle, await ben.key(circle))
        await anna.tell(ben, circle)
        with pytest.raises(RefusedError, match="would not count") as caught:
            await ben.circles.cast(question, "approve")
        assert f"p2pnode vouch {id_text('c', circle)} {id_text('k', await ben.key(circle))}" in caught.value.hint
        with pytest.raises(RefusedError, match="would not be heard"):
            await ben.circles.work_questions.list(circle, await ben.publish("Another"))
        assert await own_ballots(ben, circle) == []


async def test_unknown_questions_works_and_choices() -> None:
    async with people("anna") as (anna,):
        circle = await anna.create()
        question = question_of(await anna.circles.work_questions.list(circle, await anna.publish("A book")))
        with pytest.raises(UsageError, match="no choice"):
            await anna.circles.cast(question, "yes")
        with pytest.raises(UsageError, match="characters"):
            await anna.circles.cast(question, "reject", "x" * 401)
        with pytest.raises(NotFoundError):
            await anna.circles.cast(QuestionId(bytes(32)), "approve")
        with pytest.raises(NotFoundError, match="description is not here"):
            await anna.circles.work_questions.list(circle, WorkId(bytes(32)))
        with pytest.raises(RefusedError, match="private"):
            await anna.circles.work_questions.list(circle, await anna.publish("Diary", private=True))


async def test_a_complaint_makes_a_listed_work_disputed() -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        await joined(anna, ben, circle)
        work = await anna.publish("A book")
        listing = question_of(await anna.circles.work_questions.list(circle, work))
        await anna.circles.cast(listing, "approve")
        with pytest.raises(UsageError, match="needs a reason"):
            await anna.circles.work_questions.flag(circle, work, complaint="licence")
        with pytest.raises(UsageError, match="class of complaint"):
            await anna.circles.work_questions.flag(circle, work, complaint="spam", reason="x")
        flagged = await anna.circles.work_questions.flag(circle, work, complaint="licence", reason="it is not theirs")
        await anna.tell(ben, circle)
        await ben.circles.cast(question_of(flagged), "approve")
        assert (await verdict(ben, circle, work))[0] == "disputed"
        shown = next(one for one in await anna.circles.proposals_about(work) if one["class"] == "flag")
        assert (shown["complaint"], shown["reason"]) == ("licence", "it is not theirs")


async def test_two_people_who_complain_alike_ask_one_question() -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        await joined(anna, ben, circle)
        work = await anna.publish("A book")
        manifest = (await anna.store.read(lambda tx: tx.work(work))).manifest  # type: ignore[union-attr]
        await ben.store.write(lambda tx: ben._on_manifest(tx, manifest))
        one = await anna.circles.work_questions.flag(
            circle, work, complaint="corrupt", reason="the last page is missing"
        )
        other = await ben.circles.work_questions.flag(circle, work, complaint="corrupt", reason="it ends too early")
        assert one == other


async def test_withdrawing_closes_what_nobody_else_asked_and_nothing_adopted() -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        await joined(anna, ben, circle)
        question = question_of(await anna.circles.work_questions.list(circle, await anna.publish("A book")))
        await anna.tell(ben, circle)
        with pytest.raises(NotFoundError, match="no proposal of this question"):
            await ben.circles.ballots.withdraw(question)
        await anna.circles.ballots.withdraw(question)
        [shown] = (await anna.circles.proposals(circle))["items"]
        assert shown["state"] == "withdrawn"
        with pytest.raises(RefusedError, match="took it back"):
            await anna.circles.cast(question, "approve")
        with pytest.raises(NotFoundError):
            await anna.circles.ballots.withdraw(question)
        reopened = await anna.circles.work_questions.list(
            circle, WorkId(parse_id("w", shown["work"])), reason="after all"
        )
        assert question_of(reopened) == question
        await anna.circles.cast(question, "approve")
        with pytest.raises(RefusedError, match="adopted"):
            await anna.circles.ballots.withdraw(question)


async def test_publishing_into_a_circle_lists_it_in_the_same_transaction() -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        await joined(anna, ben, circle)

        def publish(tx: Tx) -> tuple[Record, Record, QuestionId]:
            key = anna.me.key(tx, circle)
            seq, created = tx.next_seq(key.public, anna.now)
            work = describe(title="A book", root=Cid.of(RAW, b"book"), bytes=4, files=1)
            manifest = first(
                key, work, circle=circle, nonce=hashlib.sha256(b"n").digest()[:16], seq=seq, created=created
            )
            anna.admission.admit_own(tx, manifest, anna.now)
            return list_in_circle(tx, anna.me, anna.admission, circle, manifest, anna.now)

        asked, ballot, question = await anna.store.write(publish)
        anna.admission.changed(circle)
        assert asked.target == ballot.target == question
        work = WorkId(bytes(asked.fields["subject"]))  # type: ignore[arg-type]
        assert await verdict(anna, circle, work) == ("listed", 1, 0)
        await anna.tell(ben, circle)
        assert await verdict(ben, circle, work) == ("listed", 1, 0)
        [shown] = (await ben.circles.proposals(circle))["items"]
        assert shown["title"] == "A book", "the manifest came with the circle's records"


async def test_two_devices_that_voted_alike_in_number_are_void_until_one_votes_again() -> None:
    """A backup restored beside the original costs at most one void ballot (attack 9, P7)."""
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        await joined(anna, ben, circle)
        twin = await restored(anna, circle)
        work = await anna.publish("A book")
        question = question_of(await anna.circles.work_questions.list(circle, work))
        await anna.tell(twin, circle)
        await vote_with_one_number(question, circle, (anna, "approve"), (twin, "reject"))
        for source in (anna, twin):
            await source.tell(ben, circle)
        assert await verdict(ben, circle, work) == ("new", 0, 0)
        assert {one.choice for one in (await ben.views.of(circle)).ballots(question)} == {"void"}
        await twin.tell(anna, circle)
        await anna.circles.cast(question, "approve", "settled")
        await anna.tell(ben, circle)
        assert await verdict(ben, circle, work) == ("listed", 1, 0)


async def restored(original: Person, circle: CircleId) -> Person:
    """The same identity on another device, in the same circle."""
    twin = Person(original.hub, "twin")
    twin.me = original.me
    twin.circles = twin.new_circles()
    salt = await original.store.read(lambda tx: tx.circle_salt(circle))
    assert salt is not None
    await twin.store.write(lambda tx: tx.add_circle(circle, salt, twin.now))
    return twin


async def vote_with_one_number(question: QuestionId, circle: CircleId, *votes: tuple[Person, str]) -> None:
    """Everybody casts, and whoever is behind casts again, until their ballots have the same number."""
    numbers: dict[str, int] = {}
    for turn in range(50):
        for person, choice in votes:
            if numbers.get(person.name, 0) <= min(numbers.values(), default=0):
                await person.circles.cast(question, choice, f"turn {turn}")
                numbers[person.name] = (await own_ballots(person, circle))[0].seq
        if len(set(numbers.values())) == 1:
            return
    pytest.fail("the numbers never met")


async def test_what_waits_for_a_ballot_goes_when_it_is_cast() -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        await joined(anna, ben, circle)
        older = await anna.circles.work_questions.list(circle, await anna.publish("A book"))
        anna.now += 60
        newer = await anna.circles.work_questions.list(circle, await anna.publish("Another"))
        waiting = await anna.circles.questions.queue(None)
        assert [one["proposal"] for one in waiting] == [older["proposal"], newer["proposal"]]
        assert all(one["calls_you"] and one["members"] == 2 for one in waiting)
        assert waiting[0]["cost_to_flip"] == 1 and waiting[0]["cast"]["approve"] == 0
        await anna.circles.cast(question_of(older), "abstain")
        assert [one["proposal"] for one in await anna.circles.questions.queue(circle)] == [newer["proposal"]]
        await anna.tell(ben, circle)
        assert len(await ben.circles.questions.queue(circle)) == 2
