"""Two devices of one person that sign apart: what they made void is signed again by one of them, once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
import trio
import trio.testing

from p2pnode.core.ids import CircleId, PublicKey, QuestionId
from p2pnode.core.keys import KeyPair
from p2pnode.core.record import BALLOT, VOUCH, Record
from p2pnode.core.registers import effective
from p2pnode.errors import RefusedError
from p2pnode.services import vouches
from p2pnode.services.ballots import cast_own
from p2pnode.services.devices_voids import LEAST_WAIT_S, MOST_WAIT_S, Voids, find_voids, random_wait_s
from p2pnode.services.me import Me
from tests.support.loopback import Hub, a_hub
from tests.support.people import Person

pytestmark = pytest.mark.trio

QUESTION = QuestionId(hashlib.sha256(b"a question").digest())
WHOM = KeyPair(bytes(range(32))).public


class Device(Person):
    """One of Anna's machines."""

    def __init__(self, hub: Hub, name: str) -> None:
        super().__init__(hub, name)
        self.me = Me(hashlib.sha256(b"anna").digest())
        self.circles = self.new_circles()

    def voids(self, wait_s: float, may_sign: Callable[[], None] = lambda: None) -> Voids:
        return Voids(self.store, self.admission, self.me, self.clock, may_sign, lambda: wait_s)

    async def say(self, circle: CircleId, choice: str) -> None:
        """A ballot, and a vouch that says alike."""

        def write(tx):  # type: ignore[no-untyped-def]
            cast_own(tx, self.me, self.admission, circle, QUESTION, choice, f"from {self.name}", self.now)
            vouches.sign(tx, self.me, self.admission, circle, WHOM, give=choice == "approve", now=self.now)

        await self.store.write(write)
        self.admission.changed(circle)

    async def void(self, circle: CircleId) -> int:
        key = await self.key(circle)
        return len(await self.store.read(lambda tx: find_voids(tx, circle, key)))

    async def said(self, circle: CircleId) -> list[object]:
        """The choices that stand, of the ballot and the vouch; None for what is void."""
        key = await self.key(circle)
        held: list[Record | None] = [
            await self.store.read(
                lambda tx: effective(tx.records(circle, kinds=[BALLOT], author=key, target=QUESTION))
            ),
            await self.store.read(lambda tx: effective(tx.records(circle, kinds=[VOUCH], author=key, target=WHOM))),
        ]
        return [None if record is None else record.fields["choice"] for record in held]


async def apart(hub: Hub) -> tuple[Device, Device, CircleId]:
    """Two devices in one circle that said different things under one number, the laptop a second later, and then heard of each other."""
    desk, laptop = Device(hub, "desk"), Device(hub, "laptop")
    circle = await desk.create("Readers")
    salt = await desk.store.read(lambda tx: tx.circle_salt(circle))
    assert salt is not None
    await laptop.store.write(lambda tx: tx.add_circle(circle, salt, laptop.now))
    await desk.tell(laptop, circle)
    assert await desk.key(circle) == await laptop.key(circle)
    await desk.say(circle, "reject")
    laptop.now += 1
    await laptop.say(circle, "approve")
    await exchange(desk, laptop, circle)
    for device in (desk, laptop):
        assert await device.void(circle) == 2 and await device.said(circle) == [None, None]
    return desk, laptop, circle


async def exchange(one: Device, other: Device, circle: CircleId) -> None:
    await one.tell(other, circle)
    await other.tell(one, circle)


async def test_one_device_signs_again_what_was_said_last_and_the_other_finds_it_mended() -> None:
    async with a_hub() as hub:
        desk, laptop, circle = await apart(hub)
        assert len(await desk.voids(0).mend(circle)) == 2
        await exchange(desk, laptop, circle)
        assert await laptop.voids(0).mend(circle) == []
        for device in (desk, laptop):
            assert await device.said(circle) == ["approve", 1]


async def test_it_reads_again_after_it_waited(autojump_clock: trio.testing.MockClock) -> None:
    """The other device is quicker: what it signed arrives while we wait, and nothing is signed twice."""
    async with a_hub() as hub:
        desk, laptop, circle = await apart(hub)
        signed: dict[str, int] = {}

        async def mend(device: Device, wait_s: float) -> None:
            signed[device.name] = len(await device.voids(wait_s).mend(circle))
            await exchange(desk, laptop, circle)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(mend, desk, 40.0)
            nursery.start_soon(mend, laptop, 5.0)
        assert signed == {"laptop": 2, "desk": 0}
        assert await desk.said(circle) == await laptop.said(circle) == ["approve", 1]


async def test_two_that_were_too_quick_try_again_until_one_stands(autojump_clock: trio.testing.MockClock) -> None:
    async with a_hub() as hub:
        desk, laptop, circle = await apart(hub)
        desk.now += 10  # so that their new ballots differ, under one number again
        await desk.voids(3).mend(circle)
        await laptop.voids(3).mend(circle)
        await exchange(desk, laptop, circle)
        assert await desk.void(circle) == await laptop.void(circle) == 2
        await desk.voids(3).mend(circle)
        await exchange(desk, laptop, circle)
        assert await desk.void(circle) == await laptop.void(circle) == 0
        assert await desk.said(circle) == await laptop.said(circle) == ["approve", 1]


async def test_by_itself_it_notices_what_others_bring(autojump_clock: trio.testing.MockClock) -> None:
    async with a_hub() as hub, trio.open_nursery() as nursery:
        desk, laptop, circle = await apart(hub)
        nursery.start_soon(desk.voids(30).run)
        await trio.sleep(90)
        assert await desk.said(circle) == ["approve", 1]
        laptop.now += 5
        await laptop.say(circle, "reject")  # under the number of what was signed again, of which it has not heard
        await exchange(desk, laptop, circle)
        await trio.sleep(90)
        assert await desk.void(circle) == 0
        nursery.cancel_scope.cancel()


async def test_a_device_that_signs_nothing_leaves_it_void() -> None:
    def refuse() -> None:
        raise RefusedError("this machine signs nothing in circles")

    async with a_hub() as hub:
        desk, _, circle = await apart(hub)
        with pytest.raises(RefusedError):
            await desk.voids(0, refuse).mend(circle)
        assert await desk.void(circle) == 2


async def test_what_is_not_void_and_not_ours_is_left_alone() -> None:
    async with a_hub() as hub:
        desk = Device(hub, "desk")
        circle = await desk.create("Readers")
        await desk.say(circle, "approve")
        assert await desk.voids(0).mend(circle) == []
        assert await desk.voids(0).mend(CircleId(bytes(range(32)))) == []
        other = PublicKey(bytes(range(32)))
        assert await desk.store.read(lambda tx: find_voids(tx, circle, other)) == []


async def test_the_waits_are_those_of_the_protocol() -> None:
    waits = [random_wait_s() for _ in range(200)]
    assert all(LEAST_WAIT_S <= wait <= MOST_WAIT_S for wait in waits) and len(set(waits)) > 100
    assert (LEAST_WAIT_S, MOST_WAIT_S) == (1, 60)
