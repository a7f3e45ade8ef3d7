"""A circle's people and records, made in one line each; and nodes without a network that admit them."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence

import trio

from p2pnode.core.admission import DEFAULT_CAPS, Caps
from p2pnode.core.charter import genesis
from p2pnode.core.ids import CircleId, PeerId, PublicKey, QuestionId
from p2pnode.core.keys import KeyPair
from p2pnode.core.proposals import cast, propose, vouch
from p2pnode.core.record import Record
from p2pnode.core.records import encode_signed, seq_of
from p2pnode.core.sync_index import key_id
from p2pnode.services.admission import Admission, Admitted
from p2pnode.store.memory import MemoryStore

NOON = 1_780_000_000
DAY_S = 86_400
AGREE_S = 5.0
SALT = bytes(31) + b"s"
SOMEBODY = PeerId("12D3KooWSomebody")


def key(name: str) -> KeyPair:
    return KeyPair(hashlib.sha256(name.encode()).digest())


class Circle:
    """A new circle with one steward, and its writers. Each author's counter goes on by itself unless `counter` is given."""

    def __init__(
        self,
        steward: str = "steward",
        salt: bytes = SALT,
        created: int = NOON,
        key_of: Callable[[str], KeyPair] = key,
    ) -> None:
        self.steward = key_of(steward)
        self.charter = genesis(
            self.steward, name="Readers", purpose="", salt=salt, seq=seq_of(created, 0), created=created
        )
        self.id = CircleId(self.charter.id)
        self._counters: dict[PublicKey, int] = {self.steward.public: 0}

    def _at(self, author: KeyPair, created: int, counter: int | None) -> dict[str, int]:
        if counter is None:
            counter = self._counters.get(author.public, 0) + 1
            self._counters[author.public] = counter
        return {"seq": seq_of(created, counter), "created": created}

    def vouch(
        self, author: KeyPair, whom: KeyPair, *, give: bool = True, created: int = NOON, counter: int | None = None
    ) -> Record:
        at = self._at(author, created, counter)
        return vouch(author, circle=self.id, whom=whom.public, give=give, **at)

    def ballot(
        self,
        author: KeyPair,
        question: bytes,
        choice: str = "approve",
        *,
        reason: str = "",
        created: int = NOON,
        counter: int | None = None,
    ) -> Record:
        at = self._at(author, created, counter)
        target = QuestionId(hashlib.sha256(question).digest() if len(question) != 32 else question)
        return cast(author, circle=self.id, question=target, choice=choice, reason=reason, **at)

    def proposal(self, author: KeyPair, subject: bytes, *, created: int = NOON, counter: int | None = None) -> Record:
        at = self._at(author, created, counter)
        work = hashlib.sha256(subject).digest()
        return propose(
            author, circle=self.id, class_="list", subject=work, base=work, patch={}, reason="", **at
        )  # base: any manifest's id


class Node:
    """A store, a clock and the door; no network."""

    def __init__(self, circle: Circle, *, caps: Caps = DEFAULT_CAPS, quarantine_bytes: int = 1 << 20) -> None:
        self.circle = circle
        self.now = float(NOON)
        self.store = MemoryStore(clock=lambda: self.now)
        self.manifests: list[Record] = []
        self.admission = Admission(
            self.store,
            lambda: self.now,
            on_manifest=lambda tx, record: self.manifests.append(record),
            caps=caps,
            quarantine_bytes=quarantine_bytes,
        )

    async def join(self, *, charter: bool = True) -> Node:
        await self.store.write(lambda tx: tx.add_circle(self.circle.id, SALT, self.now))
        if charter:
            await self.admit(self.circle.charter)
        return self

    async def admit(self, *records: Record) -> Admitted:
        return await self.admit_bytes([encode_signed(record) for record in records])

    async def admit_bytes(self, records: Sequence[bytes]) -> Admitted:
        return await self.admission.admit(records, self.circle.id, SOMEBODY)

    async def held(self) -> list[Record]:
        """Every record of the circle in the store, the charter too; memory agrees with it, or the test fails."""
        with trio.fail_after(AGREE_S):
            while True:  # records that come at this very moment are in the store a step before they are in memory
                memory = await self.admission.circle_set(self.circle.id)
                found = await self._stored()
                keys = memory.control.keys(b"", None, 10**6) + memory.rest.keys(b"", None, 10**6)
                if sorted(key_id(key) for key in keys) == [record.id for record in found]:
                    return found
                await trio.sleep(0.001)

    async def _stored(self) -> list[Record]:
        found = await self.store.read(lambda tx: tx.records(self.circle.id))
        genesis = await self.store.read(lambda tx: tx.record(self.circle.charter.id))
        return sorted([*found, *([genesis] if genesis else [])], key=lambda record: record.id)


def history(circle: Circle, rng: random.Random) -> list[Record]:
    """A busy little circle: vouches, ballots changed and contradicted, strangers, early and ancient records."""
    people = [circle.steward, *(key(f"person {number}") for number in range(7))]
    records = [circle.charter, circle.vouch(circle.steward, people[1]), circle.vouch(people[1], people[2])]
    for _ in range(60):
        author, other = rng.choice(people), rng.choice(people)
        created = NOON + rng.randrange(-40, 1) * DAY_S
        counter = rng.randrange(3) if rng.random() < 0.5 else None
        question = b"question %d" % rng.randrange(5)
        choice = rng.choice(("approve", "reject", "abstain"))
        give = rng.random() < 0.8
        records.append(
            rng.choice(
                (
                    lambda: circle.vouch(author, other, give=give, created=created, counter=counter),  # noqa: B023
                    lambda: circle.ballot(author, question, choice, created=created, counter=counter),  # noqa: B023
                    lambda: circle.proposal(author, question, created=created, counter=counter),  # noqa: B023
                )
            )()
        )
    return records
