"""Asking peers to dial back: whom, how often, and what their answers make of the verdict."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from p2pnode.core.ids import PeerId
from p2pnode.errors import NetworkError
from p2pnode.net.nat.asking import AGAIN_S, MUTE_REST_S, REST_S, Asking
from p2pnode.net.nat.dialback_messages import Dialled, Status, decode_request, encode_answer
from p2pnode.net.nat.families import Families
from p2pnode.ports import Stream

pytestmark = pytest.mark.trio

OWN = PeerId("12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp")
HERE, BEFORE = "/ip4/9.9.9.9/tcp/4001", "/ip4/9.9.9.8/tcp/4001"
REACHED, NOT_REACHED = Dialled(Status.OK, HERE), Dialled(Status.DIAL_ERROR)


class Answering:
    """A stream to a peer that answers a question by `answer`."""

    def __init__(self, peer: PeerId, answer: bytes) -> None:
        self.peer, self._answer = peer, answer
        self.asked = b""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self.asked += bytes(data)

    async def receive_some(self, max_bytes: int) -> bytes:
        await trio.lowlevel.checkpoint()
        data, self._answer = self._answer[:max_bytes], self._answer[max_bytes:]
        return data

    async def send_eof(self) -> None: ...
    async def aclose(self) -> None: ...
    async def reset(self) -> None: ...


class World:
    """Peers by address, and what each says."""

    def __init__(self, **says: Dialled | bytes | None) -> None:
        self.says = {PeerId(name): answer for name, answer in says.items()}
        self.hosts = {peer: f"9.{number}.0.1" for number, peer in enumerate(self.says, start=1)}
        self.asked: list[PeerId] = []
        self.candidates = [HERE]
        self.changes = 0
        self.calls = True

    async def open(self, peer: PeerId, protocol: str) -> Stream:
        self.asked.append(peer)
        answer = self.says[peer]
        if answer is None:
            raise NetworkError("it hung up")
        return Answering(peer, answer if isinstance(answer, bytes) else encode_answer(answer))

    def changed(self) -> None:
        self.changes += 1

    def has_come(self, origin: str, since: float) -> bool:
        return self.calls and origin.startswith("9.") and since <= trio.current_time()


def verdict(one: Asking) -> str:
    return one.verdict


@asynccontextmanager
async def asking(world: World, seconds: float = 10.0) -> AsyncIterator[Asking]:
    one = Asking(OWN, lambda: world.hosts, lambda: world.candidates, world.open, world.changed, world.has_come)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.run)
        await trio.sleep(seconds)
        yield one
        nursery.cancel_scope.cancel()


async def test_three_are_asked_and_then_one_now_and_then(autojump_clock: MockClock) -> None:
    world = World(a=REACHED, b=REACHED, c=REACHED, d=REACHED, e=REACHED)
    async with asking(world) as one:
        assert verdict(one) == "public"
        assert one.addresses == [HERE]
        assert len(world.asked) == len(set(world.asked)) == 3
        assert world.changes == 1
        await trio.sleep(AGAIN_S + 5)
        assert len(world.asked) == 4


async def test_one_liar_among_three_is_outvoted(autojump_clock: MockClock) -> None:
    async with asking(World(a=NOT_REACHED, b=NOT_REACHED, liar=REACHED)) as one:
        assert verdict(one) == "private"
    async with asking(World(a=REACHED, b=REACHED, liar=NOT_REACHED)) as one:
        assert verdict(one) == "public"


async def test_many_names_of_one_range_are_one_voice(autojump_clock: MockClock) -> None:
    world = World(a=REACHED, b=REACHED, **{f"liar{number}": NOT_REACHED for number in range(9)})
    for number, peer in enumerate(peer for peer in world.hosts if peer.startswith("liar")):
        world.hosts[peer] = f"9.200.0.{number + 1}"
    async with asking(world, 60.0) as one:
        assert one.voices == 3
        assert verdict(one) == "public"


@pytest.mark.parametrize(
    "answer",
    [None, b"", b"\x03abc", encode_answer(Dialled(Status.DIAL_REFUSED)), encode_answer(Dialled(Status.INTERNAL_ERROR)),
     encode_answer(Dialled(Status.OK, BEFORE))],
    ids=["hangs-up", "nothing", "nonsense", "refuses", "fails", "reached-elsewhere"],
)  # fmt: skip
async def test_who_says_nothing_about_us_has_no_voice(answer: bytes | None, autojump_clock: MockClock) -> None:
    world = World(a=answer)
    async with asking(world) as one:
        assert world.asked == ["a"]
        assert verdict(one) == "unknown"


async def test_who_says_that_it_called_and_did_not_has_no_voice(autojump_clock: MockClock) -> None:
    world = World(a=REACHED, b=REACHED, c=REACHED)
    world.calls = False
    async with asking(world) as one:
        assert len(world.asked) == 3
        assert verdict(one) == "unknown"


async def test_who_hangs_up_is_left_alone_for_longer_each_time_up_to_an_hour(autojump_clock: MockClock) -> None:
    world = World(a=None)
    async with asking(world) as one:
        one.moved()
        await trio.sleep(30)
        assert len(world.asked) == 1
        await trio.sleep(40)
        assert len(world.asked) == 2, "one answer may have been lost"
        await trio.sleep(3000)
        assert len(world.asked) == 4
        await trio.sleep(10 * MUTE_REST_S)
        assert len(world.asked) <= 15


async def test_nobody_near_is_asked_and_nobody_without_an_address_to_name(autojump_clock: MockClock) -> None:
    near = World(a=REACHED)
    near.hosts[PeerId("a")] = "192.168.1.4"
    nowhere = World(a=REACHED)
    nowhere.candidates = []
    for world in (near, nowhere):
        async with asking(world) as one:
            assert world.asked == []
            assert verdict(one) == "unknown"


async def test_another_address_is_asked_about_at_once(autojump_clock: MockClock) -> None:
    world = World(a=NOT_REACHED, b=NOT_REACHED, c=NOT_REACHED)
    async with asking(world) as one:
        assert verdict(one) == "private"
        world.says = dict.fromkeys(world.says, Dialled(Status.OK, BEFORE))
        world.candidates = [BEFORE]
        await trio.sleep(10)
        assert verdict(one) == "public"
        assert one.addresses == [BEFORE]


async def test_who_moved_asks_anew(autojump_clock: MockClock) -> None:
    world = World(a=REACHED, b=REACHED, c=REACHED)
    async with asking(world) as one:
        world.says = dict.fromkeys(world.says, NOT_REACHED)
        one.moved()
        assert verdict(one) == "unknown"
        await trio.sleep(10)
        assert verdict(one) == "private"


async def test_the_question_names_ourselves_and_where_we_might_be(autojump_clock: MockClock) -> None:
    world = World(a=REACHED)
    streams: list[Answering] = []

    async def open_(peer: PeerId, protocol: str) -> Stream:
        stream = await world.open(peer, protocol)
        assert isinstance(stream, Answering)
        streams.append(stream)
        return stream

    one = Asking(OWN, lambda: world.hosts, lambda: world.candidates, open_, world.changed, world.has_come)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.run)
        await trio.sleep(3)
        nursery.cancel_scope.cancel()
    said = decode_request(streams[0].asked[1:])
    assert (said.peer, said.addresses) == (OWN, (HERE,))


async def test_who_asks_now_is_answered_now_and_not_twice_in_a_minute(autojump_clock: MockClock) -> None:
    world = World(a=REACHED, b=REACHED, c=REACHED, d=REACHED)
    async with asking(world) as one:
        assert len(world.asked) == 3
        world.says = dict.fromkeys(world.says, NOT_REACHED)
        assert await one.ask_now() == 1, "the others were asked a moment ago"
        assert one.verdict == "public"
        await trio.sleep(REST_S)
        assert await one.ask_now() == 3
        assert verdict(one) == "private"
        assert await one.ask_now() <= 1


async def test_a_peer_is_asked_one_thing_at_a_time(autojump_clock: MockClock) -> None:
    world, at_once = World(a=REACHED), 0

    class Slow(World):
        async def open(self, peer: PeerId, protocol: str) -> Stream:
            nonlocal at_once
            at_once += 1
            assert at_once == 1
            await trio.sleep(3)
            at_once -= 1
            return await world.open(peer, protocol)

    slow = Slow(a=REACHED)
    families = Families(
        lambda version, turn: Asking(
            OWN, lambda: slow.hosts, lambda: [HERE], slow.open, slow.changed, slow.has_come, turn
        )
    )
    async with trio.open_nursery() as nursery:
        for one in families.of.values():
            nursery.start_soon(one.run)
        await trio.sleep(20)
        nursery.cancel_scope.cancel()
    assert len(world.asked) == 2
    assert families.verdict == "public" and families.reached_by == ("IPv4", "IPv6")


async def test_relays_are_needed_while_ipv4_does_not_reach_us(autojump_clock: MockClock) -> None:
    world = World(a=REACHED)
    families = Families(
        lambda version, turn: Asking(OWN, dict, lambda: [HERE], world.open, world.changed, world.has_come, turn)
    )
    families.of[6]._voices.heard("a", "/ip6/2600::7/tcp/1", trio.current_time())
    assert (families.verdict, families.without_relays, families.reached_by) == ("public", "public", ("IPv6",))
    families.of[4]._voices.heard("b", "", trio.current_time())
    assert (families.verdict, families.without_relays) == ("public", "private")
    assert families.addresses == ["/ip6/2600::7/tcp/1"] and families.voices == 2
    families.moved()
    assert families.verdict == "unknown"
