"""Expelling, readmitting, stewards and charters by services; and stewards' nodes that seal what they saw adopted."""

from __future__ import annotations

import pytest

from p2pnode.core.charter import Class
from p2pnode.core.ids import CIRCLE_PREFIX, KEY_PREFIX, CircleId, QuestionId, id_text, parse_id
from p2pnode.core.record import SEAL
from p2pnode.core.records import SECONDS_A_DAY
from p2pnode.errors import RefusedError, UsageError
from p2pnode.ports import Json
from p2pnode.services.api.questions import read_rules
from p2pnode.services.rule_questions import RuleChange
from p2pnode.services.sealing import Sealing
from tests.support.people import Person, circle_id, people

pytestmark = pytest.mark.trio

SEALED = Class(b=0, q=1, sealed=True, cooldown_s=7 * SECONDS_A_DAY)


def question_of(answer: Json) -> QuestionId:
    return QuestionId(parse_id("p", answer["proposal"]))


async def adopt(person: Person, answer: Json) -> QuestionId:
    question = question_of(answer)
    await person.circles.cast(question, "approve")
    return question


async def joined(host: Person, guest: Person, circle: CircleId) -> None:
    assert (await guest.circles.join((await host.circles.invites.make(circle))["invite"]))["state"] == "joined"


def watch_of(person: Person) -> Sealing:
    return Sealing(person.store, person.admission, person.views, person.me, person.clock, lambda circle: False)


async def seals(person: Person, circle: CircleId) -> int:
    return sum(record.kind == SEAL for record in await person.records(circle))


async def test_a_member_is_expelled_told_why_and_readmitted() -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        await joined(anna, ben, circle)
        whom, asks = await ben.key(circle), anna.circles.rule_questions
        with pytest.raises(UsageError, match="reason"):
            await asks.expel(circle, whom, "")
        with pytest.raises(RefusedError, match="not expelled"):
            await asks.readmit(circle, whom, "")
        assert (await anna.circles.vouches.give(circle, whom))["expelled"] is False
        out = await adopt(anna, await asks.expel(circle, whom, "spam"))
        assert (await anna.circles.vouches.give(circle, whom))["expelled"] is True, "it carries nothing yet"
        with pytest.raises(RefusedError, match="already"):
            await asks.expel(circle, whom, "spam")
        await anna.tell(ben, circle)
        with pytest.raises(RefusedError, match="expelled you") as told:
            await ben.circles.cast(out, "reject")
        assert f"propose readmit {id_text(CIRCLE_PREFIX, circle)} {id_text(KEY_PREFIX, whom)}" in (
            told.value.hint or ""
        )
        await adopt(anna, await asks.readmit(circle, whom, "sorry"))
        await anna.tell(ben, circle)
        await ben.circles.cast(out, "reject")
        await adopt(anna, await asks.expel(circle, whom, "again"))
        assert not (await anna.views.of(circle)).is_member(whom)


async def test_stewards_and_strangers_cannot_be_expelled() -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        with pytest.raises(RefusedError, match="recalled"):
            await anna.circles.rule_questions.expel(circle, await anna.key(circle), "x")
        with pytest.raises(RefusedError, match="no member"):
            await anna.circles.rule_questions.expel(circle, ben.me.profile.public, "x")


async def test_a_charter_is_changed_by_a_steward_only_and_only_if_it_says_something_new() -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        await joined(anna, ben, circle)
        asks = anna.circles.rule_questions
        with pytest.raises(UsageError, match="change nothing"):
            await asks.change_rules(circle, RuleChange(), "")
        with pytest.raises(UsageError, match="not valid"):
            await asks.change_rules(circle, RuleChange(f=1), "")
        with pytest.raises(RefusedError, match="only a steward"):
            await ben.circles.rule_questions.change_rules(circle, RuleChange(name="Mine"), "")
        await adopt(anna, await asks.change_rules(circle, RuleChange(name="Better", licences=("MIT",)), "nicer"))
        charter = (await anna.views.of(circle)).charter
        assert (charter.name, charter.licences) == ("Better", ("MIT",))


async def test_stewards_come_and_go() -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        whom, asks = await ben.store.read(lambda tx: ben.me.profile.public), anna.circles.rule_questions
        with pytest.raises(RefusedError, match="only a member"):
            await asks.add_steward(circle, whom, "")
        await joined(anna, ben, circle)
        key = await ben.key(circle)
        with pytest.raises(RefusedError, match="no steward"):
            await asks.remove_steward(circle, key, "")
        await adopt(anna, await asks.add_steward(circle, key, "helps a lot"))
        assert (await anna.views.of(circle)).is_steward(key)
        with pytest.raises(RefusedError, match="already"):
            await asks.add_steward(circle, key, "")
        await adopt(anna, await asks.remove_steward(circle, key, "resigns"))
        assert not (await anna.views.of(circle)).is_steward(key)
        with pytest.raises(RefusedError, match="without stewards"):
            await asks.remove_steward(circle, await anna.key(circle), "")


async def test_the_grown_rules_ask_for_a_seal_and_the_stewards_node_gives_it_after_the_cooldown() -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        await joined(anna, ben, circle)
        asks, sealing = anna.circles.rule_questions, watch_of(anna)
        await adopt(anna, await asks.change_rules(circle, RuleChange(classes={"expel": SEALED}), ""))
        out = await adopt(anna, await asks.expel(circle, await ben.key(circle), "spam"))
        assert await sealing.watch(circle) == []
        anna.now += 6 * SECONDS_A_DAY
        assert await sealing.watch(circle) == [] and (await anna.views.of(circle)).is_member(await ben.key(circle))
        anna.now += SECONDS_A_DAY
        assert await watch_of(anna).watch(circle) == [out]  # a restarted node remembers since when
        assert not (await anna.views.of(circle)).is_member(await ben.key(circle))
        assert await sealing.watch(circle) == [] and await seals(anna, circle) == 1


async def test_a_cooldown_begins_anew_when_the_majority_was_lost_meanwhile() -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        await joined(anna, ben, circle)
        asks, sealing = anna.circles.rule_questions, watch_of(anna)
        await adopt(anna, await asks.change_rules(circle, RuleChange(classes={"expel": SEALED}), ""))
        out = await adopt(anna, await asks.expel(circle, await ben.key(circle), "spam"))
        await sealing.watch(circle)
        anna.now += 5 * SECONDS_A_DAY
        await anna.circles.cast(out, "reject")
        assert await sealing.watch(circle) == []
        await anna.circles.cast(out, "approve")
        await sealing.watch(circle)
        anna.now += 6 * SECONDS_A_DAY
        assert await sealing.watch(circle) == []
        anna.now += SECONDS_A_DAY
        assert await sealing.watch(circle) == [out]


async def test_of_two_futures_of_one_charter_only_the_first_is_ever_sealed() -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        await joined(anna, ben, circle)
        asks, sealing = anna.circles.rule_questions, watch_of(anna)
        rules = {"charter": Class(b=0, q=1, sealed=True)}
        await adopt(anna, await asks.add_steward(circle, await ben.key(circle), ""))
        await adopt(anna, await asks.change_rules(circle, RuleChange(classes=rules), ""))
        one = await adopt(anna, await asks.change_rules(circle, RuleChange(name="One"), ""))
        assert await sealing.watch(circle) == [one]
        await adopt(anna, await asks.change_rules(circle, RuleChange(name="Two"), ""))
        assert await sealing.watch(circle) == [] and await seals(anna, circle) == 1
        assert (await anna.views.of(circle)).charter.name == "Readers"  # both stewards must seal
        await anna.tell(ben, circle)
        ben.now = anna.now
        assert len(await watch_of(ben).watch(circle)) == 1


async def test_a_circle_that_parts_says_so_and_how_each_goes_its_way() -> None:
    async with people("anna") as (anna,):
        circle, asks = await anna.create(), anna.circles.rule_questions
        futures = []
        for name in ("Slow readers", "Quick readers"):
            futures.append(await asks.change_rules(circle, RuleChange(name=name), ""))
        for asked in futures:
            await anna.circles.cast(QuestionId(parse_id("p", asked["proposal"])), "approve")
        shown = await anna.circles.show(circle)
        ((parted, *none), (first, *_)) = shown["parted"], shown["advice"]
        assert parted["split"] and not none and parted["stewards"] == []
        held, other = sorted(parted["proposals"], key=lambda one: not one["in_force"])
        assert {held["proposal"], other["proposal"]} == {one["proposal"] for one in futures}
        assert first.startswith("This circle parts. 2 changes of the same rules were adopted")
        way = first.split("p2pnode circle fork ")[1]
        assert way == f"{shown['circle']} NAME --rules {other['proposal'][:12]}"
        rules = QuestionId(parse_id("p", other["proposal"]))
        forked = await anna.circles.forking.fork(circle, "The other way", rules=rules)
        assert (await anna.circles.show(circle_id(forked)))["parted"] == []


async def test_nothing_is_sealed_while_the_view_is_provisional() -> None:
    async with people("anna") as (anna,):
        circle = await anna.create()
        asks = anna.circles.rule_questions
        await adopt(
            anna, await asks.change_rules(circle, RuleChange(classes={"charter": Class(0, 1, sealed=True)}), "")
        )
        await adopt(anna, await asks.change_rules(circle, RuleChange(name="Next"), ""))
        unsure = Sealing(anna.store, anna.admission, anna.views, anna.me, anna.clock, lambda circle: True)
        assert await unsure.watch(circle) == []
        assert len(await watch_of(anna).watch(circle)) == 1
        assert (await anna.views.of(circle)).charter.name == "Next"


async def test_leaving_forgets_what_was_watched() -> None:
    async with people("anna") as (anna,):
        circle = await anna.create()
        asks = anna.circles.rule_questions
        await adopt(anna, await asks.change_rules(circle, RuleChange(classes={"charter": SEALED}), ""))
        await adopt(anna, await asks.change_rules(circle, RuleChange(name="Next"), ""))
        await watch_of(anna).watch(circle)
        assert await anna.store.read(lambda tx: tx.meta_with_prefix("seal/"))
        await anna.circles.leave(circle, force=True)
        assert not await anna.store.read(lambda tx: tx.meta_with_prefix("seal/"))


async def test_rules_are_read_strictly() -> None:
    change = read_rules(
        {"k": 6, "classes": {"list": {"b": 1, "q": 3, "cooldown_days": 0.5, "sealed": True}}, "grown": True}
    )
    assert (change.k, change.grown, change.classes["list"]) == (6, True, Class(1, 3, False, SECONDS_A_DAY // 2, True))
    for wrong in (
        {"k": 2.5},
        {"colour": "red"},
        {"classes": {"paint": {}}},
        {"classes": {"list": {"z": 1}}},
        {"vouch_days": 0},
    ):
        with pytest.raises(UsageError):
            read_rules(wrong)


async def test_rules_that_a_circle_could_never_meet_are_told_before_they_are_adopted() -> None:
    async with people("anna") as (anna,):
        circle = await anna.create()
        await adopt(anna, await anna.circles.work_questions.list(circle, await anna.publish("A book"), ""))
        change = RuleChange(classes={"list": Class(b=1, q=2), "expel": Class(b=0, q=1)})
        asked = await anna.circles.rule_questions.change_rules(circle, change, "")
        assert asked["foresight"] == {"out_of_reach": ["list"], "reopens": True, "members": 1}
        told = (await anna.circles.questions.one(question_of(asked)))["standing"]
        assert (told["out_of_reach"], told["reopens"], told["cast"]) == (["list"], True, 0)
        grown = await anna.circles.rule_questions.change_rules(circle, RuleChange(grown=True), "")
        assert "charter" in grown["foresight"]["out_of_reach"]
        named = await anna.circles.rule_questions.change_rules(circle, RuleChange(name="Other readers"), "")
        assert named["foresight"] == {"out_of_reach": [], "reopens": False, "members": 1}
