"""A week of a circle: people come and go, ask, vote; one of them is bad and has a swarm behind it; the network is rough.

Two phases. Safety, with faults on: whatever the honest reject is adopted nowhere, at no time, and nobody loses a ballot that was
acknowledged. Liveness, with faults off: everybody ends with the same records, the same bytes of every verdict, and what the honest want
is adopted. The same seed gives the same run, down to the digest of what happened.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from p2pnode.core import explain
from p2pnode.core.charter import DEFAULT_CLASSES, Class, genesis
from p2pnode.core.ids import CircleId, PeerId, PublicKey, QuestionId
from p2pnode.core.keys import KeyPair, pseudonym
from p2pnode.core.proposals import cast, vouch
from p2pnode.core.record import Record
from p2pnode.core.records import SECONDS_A_DAY, encode_signed, seq_of
from p2pnode.core.standing import Asked
from p2pnode.core.verdict import CircleView
from p2pnode.sim.faults import NONE, ROUGH, Faults
from p2pnode.sim.network import Hub
from p2pnode.sim.resident import EPOCH, Resident

SALT = hashlib.sha256(b"simulated circle").digest()
RULE = Class(b=1, q=3)
"""One bad key is tolerated, three approvals are needed."""
GOOD, BAD = "good", "bad"
SESSION_S = (120.0, 400.0)
"""How long somebody is online at a time."""
EVENING_S = 18 * 3600.0
"""After midnight: when people come online, all within the same hour or two."""
ONLINE_AT_ONCE = 10
"""On the average, in the evening."""
DAYS_OFF = 0.55
"""Share of evenings on which somebody does not come."""
SETTLING_S = 900.0
"""Virtual seconds that everybody is online without faults, after which all must agree: seven periods of sync at the least."""
SETTLING_AT_ONCE = 100
"""Nodes online at one time by then. A larger circle comes in turns, twice: first what all know gathers, then all get it."""
SWARM = 30
"""Keys behind the bad member."""
SWARM_PEER = PeerId("swarm")
"""From whom the bad member's node says it has their records."""
VOTES_A_SESSION = 5
"""What a person reads at a time."""
VERDICTS_COMPARED = 10
"""Nodes whose verdicts are compared byte for byte at the end; the records are compared on all."""
MOST_SKEW_S = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is simulated."""

    nodes: int = 100
    days: int = 7
    seed: int = 1
    faults: Faults = ROUGH
    partition_days: tuple[int, ...] = (2, 3)
    """Days on which half of the network does not reach the other half."""


@dataclass(slots=True)
class Report:
    """What came of it. `digest` is over everything that happened, in order."""

    plan: Plan
    proposed: int = 0
    ballots: int = 0
    refused: int = 0
    attacks: int = 0
    adopted: int = 0
    records: int = 0
    sessions: int = 0
    problems: list[str] = field(default_factory=list)
    digest: str = ""


class Broken(AssertionError):
    """The simulation found a state that must not be. Its text names the seed."""


class Week:
    """One run. `play` is given to `determinism.run`."""

    def __init__(self, plan: Plan, tell: Callable[[str], None] = lambda words: None) -> None:
        """`tell` hears how far the run is."""
        self.plan, self.rng, self._tell = plan, random.Random(plan.seed), tell
        self.report = Report(plan)
        self._trace = hashlib.sha256()

    async def play(self) -> Report:
        """Both phases. Broken if something that must hold does not."""
        async with trio.open_nursery() as nursery:
            self.hub = Hub(nursery, faults=self.plan.faults, rng=self.rng)
            await self._found()
            async with trio.open_nursery() as lives:
                lives.start_soon(self._weather)
                for resident in self.residents:
                    lives.start_soon(self._live, resident)
            await self._settle()
            await self._agree()
            nursery.cancel_scope.cancel()
        self.report.sessions = sum(len(one.network.opened) for one in self.residents)
        self.report.digest = self._trace.hexdigest()
        return self.report

    def _happened(self, *what: object) -> None:
        self._trace.update(f"{trio.current_time():.6f} {what}\n".encode())

    def _broken(self, words: str) -> Broken:
        return Broken(f"seed {self.plan.seed}, virtual second {trio.current_time():.0f}: {words}")

    # ------------------------------------------------------------ the circle

    async def _found(self) -> None:
        """A circle that has grown: everybody known by two others; the last resident is bad."""
        skew = [0.0, 0.0, -MOST_SKEW_S, MOST_SKEW_S]
        names = [f"n{number:04d}" for number in range(self.plan.nodes)]
        self.residents = [Resident(self.hub, name, skew_s=self.rng.choice(skew)) for name in names]
        keys = [pseudonym(hashlib.sha256(b"sim " + name.encode()).digest(), SALT) for name in names]
        self.writer = _Writer(keys[0])
        stewards = [key.public for key in keys[: min(4, len(keys))]]
        records = [self.writer.genesis(stewards)]
        self.circle = CircleId(records[0].id)
        for number, key in enumerate(keys[4:], 4):
            for voucher in self.rng.sample(keys[: max(4, number // 2)], 2):
                records.append(self.writer.vouch(voucher, key, self.circle))
        for resident in self.residents:
            await resident.settle_in(SALT, records)
        self.bad, self.bad_key = self.residents[-1], keys[-1]
        self.swarm = [KeyPair(hashlib.sha256(b"swarm %d" % number).digest()) for number in range(SWARM)]

    async def _weather(self) -> None:
        """Partitions come and go by the day; the last evening is calm."""
        for day in range(self.plan.days):
            self._tell(f"day {day + 1} of {self.plan.days}, {self.report.ballots} ballots")
            cut = day in self.plan.partition_days
            sides = {one.network.peer_id: number % 2 for number, one in enumerate(self.residents)}
            self.hub.part(sides if cut else {})
            await trio.sleep(SECONDS_A_DAY)
        self.hub.part({})

    # ------------------------------------------------------------ phase one: safety

    async def _live(self, resident: Resident) -> None:
        window_s = self.plan.nodes * sum(SESSION_S) / 2 / ONLINE_AT_ONCE
        for day in range(self.plan.days):
            if self.rng.random() < DAYS_OFF:
                continue
            await trio.sleep_until(day * SECONDS_A_DAY + EVENING_S + self.rng.uniform(0, window_s))
            length = self.rng.uniform(*SESSION_S)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(resident.online, length, self.residents, self.rng)
                await trio.sleep(length * 0.4)
                await (self._attack() if resident is self.bad else self._behave(resident))
            await self._look(resident)

    async def _behave(self, resident: Resident) -> None:
        """Honest: ask now and then, and vote on a few things, for what is good and against what is bad."""
        if self.rng.random() < 0.03:
            title = f"work {self.report.proposed}"
            question = await resident.propose(self.circle, title, GOOD)
            self.report.proposed += 1
            await resident.vote(self.circle, question, "approve")
            self._happened("proposed", resident.name, title)
        for asked in await resident.unanswered(self.circle, VOTES_A_SESSION):
            question, choice = asked.question.id, "reject" if _is_bad(asked) else "approve"
            told = await resident.vote(self.circle, question, choice)
            self.report.ballots += told
            self.report.refused += not told
            self._happened("voted", resident.name, question.hex(), choice, told)

    async def _attack(self) -> None:
        """Ask for something bad, and have the whole swarm approve it, with equivocations among it."""
        question = await self.bad.propose(self.circle, f"bad {self.report.proposed}", BAD)
        self.report.proposed += 1
        await self.bad.vote(self.circle, question, "approve")
        records = [self.writer.vouch(self.bad_key, key, self.circle) for key in self.swarm]
        for key in self.swarm:
            records.append(self.writer.ballot(key, self.circle, question, "approve"))
        first = self.swarm[0]
        records += [
            self.writer.ballot(first, self.circle, question, choice, counter=7) for choice in ("approve", "reject")
        ]
        await self.bad.admission.admit([encode_signed(record) for record in records], self.circle, SWARM_PEER)
        self.report.attacks += 1
        self._happened("attacked", question.hex())

    async def _look(self, resident: Resident) -> None:
        """At the end of a session: nothing bad is adopted here, nothing of one's own is lost."""
        bad = [asked for asked in await resident.questions(self.circle) if _is_bad(asked)]
        for asked in await resident.adopts(self.circle, bad):
            raise self._broken(f"{resident.name} lists what honest members reject: {asked.question.id.hex()}")
        if lost := await resident.lost():
            raise self._broken(f"{resident.name} lost {len(lost)} of its own ballots")
        resident.rest()

    # ------------------------------------------------------------ phase two: liveness

    async def _settle(self) -> None:
        self.hub.faults = NONE
        if len(self.residents) <= SETTLING_AT_ONCE:
            turns, between_s = self.residents, 0.0
        else:
            turns, between_s = 2 * self.residents, SETTLING_S / SETTLING_AT_ONCE
        async with trio.open_nursery() as nursery:
            for number, resident in enumerate(turns):
                self._tell(f"{number} of {len(turns)} settle")
                nursery.start_soon(self._stay, resident)
                await trio.sleep(between_s)

    async def _stay(self, resident: Resident) -> None:
        await resident.online(SETTLING_S, self.residents, self.rng)
        resident.rest()

    async def _agree(self) -> None:
        """All hold the same, say the same in the same bytes, and adopted what enough of them want."""
        day = int(EPOCH + trio.current_time()) // SECONDS_A_DAY
        first = await self.residents[0].view(self.circle, day)
        expected = {record.id for record in await self.residents[0].records(self.circle)}
        said = _said(first)
        compared = self.rng.sample(self.residents, min(VERDICTS_COMPARED, len(self.residents)))
        for resident in self.residents[1:]:
            held = {record.id for record in await resident.records(self.circle)}
            if held != expected:
                raise self._broken(
                    f"{resident.name} misses {len(expected - held)} records and has {len(held - expected)} more"
                )
            if resident in compared and _said(await resident.view(self.circle, day)) != said:
                raise self._broken(f"{resident.name} says something else of the same records")
        for asked in first.questions():
            decision = first.decide(asked.question.id)
            good = not _is_bad(asked)
            self.report.adopted += decision.state == "adopted"
            if good and decision.approve > decision.reject + RULE.b * 3 and decision.state != "adopted":
                raise self._broken(f"what everybody wants is not adopted: {asked.question.id.hex()}")
        self.report.records = len(expected)
        self._happened("agreed", len(expected), said)


def _is_bad(asked: Asked) -> bool:
    return asked.proposals[0].fields["reason"] == BAD


def _said(view: CircleView) -> str:
    """A digest of the bytes of every verdict."""
    told = hashlib.sha256()
    for asked in view.questions():
        told.update(explain.canonical(view.explain(asked.question.id)))
    return told.hexdigest()


class _Writer:
    """Signs what no service of ours would: the beginnings of a circle, and what attackers send."""

    def __init__(self, founder: KeyPair) -> None:
        self._founder, self._counter = founder, 0

    def _at(self, counter: int | None = None) -> dict[str, int]:
        self._counter += 1
        created = int(EPOCH + trio.current_time())
        return {"seq": seq_of(created, (self._counter if counter is None else counter) % 60_000), "created": created}

    def genesis(self, stewards: list[PublicKey]) -> Record:
        classes, at = dict.fromkeys(DEFAULT_CLASSES, RULE), self._at()
        return genesis(
            self._founder,
            name="simulated",
            purpose="",
            salt=SALT,
            stewards=stewards,
            classes=classes,
            f=1,
            seq=at["seq"],
            created=at["created"],
        )

    def vouch(self, by: KeyPair, whom: KeyPair, circle: CircleId) -> Record:
        return vouch(by, circle=circle, whom=whom.public, give=True, **self._at())

    def ballot(
        self, by: KeyPair, circle: CircleId, question: QuestionId, choice: str, *, counter: int | None = None
    ) -> Record:
        return cast(by, circle=circle, question=question, choice=choice, reason="", **self._at(counter))
