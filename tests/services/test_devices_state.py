"""One's machines tell each other certificates, marks, circles and works; the later word stands, and a server in between changes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pnode.core.device import certify
from p2pnode.core.device_roles import DRIVE, ROLES, SERVER_ROLES, VOTE
from p2pnode.core.device_state import (
    DEVICES_PROTOCOL,
    MAX_FRAME_BYTES,
    Entry,
    decode_entry,
    decode_hello,
    decode_page,
    digest_of,
    encode_hello,
    encode_pages,
    later,
    sign_entry,
)
from p2pnode.core.ids import PeerId, WorkId
from p2pnode.core.keys import KeyPair
from p2pnode.errors import DecodeError, NetworkError, P2pnodeError
from p2pnode.services.devices import Devices
from p2pnode.services.devices_state import PREFIX, SharedState
from p2pnode.services.devices_sync import DeviceSync
from p2pnode.services.framing import receive_frame, send_frame
from p2pnode.services.lens import Lens
from p2pnode.services.me import Me
from tests.support.loopback import Hub, a_hub
from tests.support.people import Person, until

KEY, OTHER = KeyPair(bytes(32)), KeyPair(bytes(range(32)))
WORK = WorkId(hashlib.sha256(b"a work").digest())


class Machine(Person):
    """A node among a person's devices; machines of one person have one identity."""

    def __init__(self, hub: Hub, name: str, person: str) -> None:
        super().__init__(hub, name)
        self.me = Me(hashlib.sha256(person.encode()).digest())
        self.circles = self.new_circles()
        self.lens = Lens(self.store)
        self.devices = Devices(
            self.store, self.network, self.me, self.clock, lambda name, data: self.events.append((name, data))
        )
        self.state = SharedState(
            self.store,
            self.devices.roster,
            self.me,
            self.clock,
            self.lens,
            self.circles,
            self.admission,
            self.network.peer_id,
        )
        self.sync = DeviceSync(self.network, self.devices, self.state)

    async def serve(self) -> None:
        """Answer the others; rounds are made by hand."""
        self.network.serve(DEVICES_PROTOCOL, self.sync._answer)

    async def round(self, *others: Machine) -> None:
        await self.state.collect()
        for other in others:
            await self.sync.meet(other.network.peer_id)

    async def marks(self) -> dict[str, str]:
        return {item["work"]: item["mark"] for item in (await self.lens.marked())["items"]}


@asynccontextmanager
async def machines(**persons: str) -> AsyncIterator[list[Machine]]:
    """Paired machines by name; the first one's person owns them all."""
    async with a_hub() as hub:
        made = [Machine(hub, name, person) for name, person in persons.items()]
        owner = made[0].me.profile
        certificates = [
            certify(
                owner,
                one.network.peer_id,
                one.name,
                ROLES if one.me.profile.public == owner.public else SERVER_ROLES,
                seq=1,
            )
            for one in made
        ]
        for one in made:
            await one.devices.roster.belong_to(owner.public, certificates)
            await one.serve()
        yield made


# ---------------------------------------------------------------- the set


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=2)), min_size=1, max_size=6))
def test_the_later_word_stands_in_any_order(words: list[tuple[int, bytes]]) -> None:
    entries = [sign_entry(KEY, "mark/x", value, stamp) for stamp, value in words]

    def merged(order: list[Entry]) -> Entry:
        stands = order[0]
        for one in order:
            stands = later(stands, one)
        return stands

    assert merged(entries).data == merged(entries[::-1]).data
    assert merged(entries).stamp == max(stamp for stamp, _ in words)


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_refused_in_order(data: bytes) -> None:
    for decode in (decode_entry, decode_hello, decode_page):
        with pytest.raises(DecodeError):
            decode(data)


def test_pages_hold_everything_and_fit_their_frames() -> None:
    certificates = [certify(KEY, PeerId(f"p{n}"), f"n{n}", ROLES, seq=1).data for n in range(64)]
    entries = [sign_entry(KEY, f"mark/{n}", bytes(n % 7 * 4000), n).data for n in range(200)]
    pages = encode_pages(certificates, entries)
    assert all(len(page) <= MAX_FRAME_BYTES for page in pages)
    read = [decode_page(page) for page in pages]
    assert [page.more for page in read] == [True] * (len(read) - 1) + [False]
    assert [one for page in read for one in page.certificates] == certificates
    assert [one for page in read for one in page.entries] == entries
    assert len(encode_pages([], [])) == 1
    assert digest_of(entries) == digest_of(entries[::-1]) != digest_of(entries[1:])
    assert decode_hello(encode_hello(digest_of(entries))) == digest_of(entries)


# ---------------------------------------------------------------- between machines


@pytest.mark.trio
async def test_marks_go_from_one_desk_to_the_other_through_a_server_that_is_always_on() -> None:
    async with machines(desk="anna", nas="nas", laptop="anna") as (desk, nas, laptop):
        await desk.lens.mark(WORK, "block")
        await desk.round(nas)
        assert list((await nas.marks()).values()) == ["block"]
        await laptop.round(nas)  # the desk is off by now
        assert list((await laptop.marks()).values()) == ["block"]
        laptop.now += 60
        await laptop.lens.mark(WORK, None)
        await laptop.round(nas)
        await desk.round(nas)
        assert await desk.marks() == await nas.marks() == {}


@pytest.mark.trio
async def test_two_desks_that_change_one_thing_apart_agree_on_the_later_word() -> None:
    async with machines(desk="anna", laptop="anna") as (desk, laptop):
        await desk.lens.mark(WORK, "hide")
        await desk.state.collect()
        laptop.now += 5
        await laptop.lens.mark(WORK, "keep")
        await laptop.state.collect()
        await desk.round(laptop)
        assert list((await desk.marks()).values()) == list((await laptop.marks()).values()) == ["keep"]
        assert set(desk.state.entries()) == set(laptop.state.entries())
        held = desk.state.entries()
        await desk.round(laptop)
        await laptop.round(desk)
        assert desk.state.entries() == held  # nothing is signed again for nothing


@pytest.mark.trio
async def test_a_server_follows_the_circles_of_its_owner_and_leaves_with_him() -> None:
    async with machines(desk="anna", nas="nas") as (desk, nas):
        circle = await desk.create("Readers")
        await desk.round(nas)
        assert await nas.store.read(lambda tx: tx.circles()) == [circle]
        assert (await nas.circles.list())["items"][0]["name"] == "Readers"
        desk.now += 60
        await desk.circles.leave(circle, force=True)
        await desk.round(nas)
        assert await nas.store.read(lambda tx: tx.circles()) == []


@pytest.mark.trio
async def test_a_server_that_may_not_sync_any_more_leaves_the_circles_of_its_owner_and_comes_back_with_the_role() -> (
    None
):
    async with machines(desk="anna", server="nas") as (desk, server):
        owner, peer = desk.me.profile, server.network.peer_id

        async def certify_again(seq: int, *without: str) -> None:
            roles = [role for role in SERVER_ROLES if role not in without]
            await desk.devices.roster.take([certify(owner, peer, "server", roles, seq=seq)])
            await desk.round(server)

        followed, own = await desk.create("Readers"), await desk.create("Growers")
        desk.circles.invites.start()
        link = (await desk.circles.invites.make(own))["invite"]
        assert (await server.circles.join(link))[
            "state"
        ] == "joined"  # before it was a device, say: with a name of its own
        await desk.round(server)
        assert await server.store.read(lambda tx: set(tx.circles())) == {followed, own}
        await certify_again(2, "repair")
        assert await server.store.read(lambda tx: set(tx.circles())) == {followed, own}
        await certify_again(3, "sync")
        assert await server.store.read(lambda tx: set(tx.circles())) == {own}, "its own name's circle is its own matter"
        assert await desk.store.read(lambda tx: set(tx.circles())) == {followed, own}
        await desk.round(server)
        assert await server.store.read(lambda tx: set(tx.circles())) == {own}
        await certify_again(4)
        assert await server.store.read(lambda tx: set(tx.circles())) == {followed, own}
        desk.now += 60
        await desk.circles.leave(followed, force=True)
        await desk.round(server)
        assert await server.store.read(lambda tx: set(tx.circles())) == {own}


@pytest.mark.trio
async def test_a_desk_never_leaves_its_own_circles_whatever_its_certificate_says() -> None:
    async with machines(desk="anna", other="anna") as (desk, other):
        circle = await desk.create("Readers")
        await desk.round(other)
        less = certify(desk.me.profile, other.network.peer_id, "other", [DRIVE], seq=2)
        await desk.devices.roster.take([less])
        await desk.round(other)
        assert await other.store.read(lambda tx: tx.circles()) == [circle]


@pytest.mark.trio
async def test_what_could_not_be_applied_is_no_wish_to_undo_it() -> None:
    async with machines(desk="anna", laptop="anna") as (desk, laptop):
        circle = await desk.create("Readers")
        without = certify(desk.me.profile, laptop.network.peer_id, "laptop", {*ROLES} - {"sync"}, seq=2)
        for one in (desk, laptop):
            await one.devices.take([without])
        await desk.round(laptop)
        await laptop.round(desk)
        assert await laptop.store.read(lambda tx: tx.circles()) == []
        assert await desk.store.read(lambda tx: tx.circles()) == [circle]


@pytest.mark.trio
async def test_a_server_makes_and_changes_no_entry() -> None:
    async with machines(desk="anna", nas="nas") as (desk, nas):
        await nas.lens.mark(WORK, "block")
        assert not await nas.state.collect()
        await nas.round(desk)
        assert await desk.marks() == {} and nas.state.entries() == []
        forged = sign_entry(nas.me.profile, f"mark/{WORK.hex()}", b"block", int(nas.now * 1000))
        changed = sign_entry(desk.me.profile, f"mark/{WORK.hex()}", b"hide", 5).data
        assert await desk.state.take([forged.data]) == 0
        with pytest.raises(DecodeError):
            await desk.state.take([changed[:-1] + b"\x01"])
        assert await desk.marks() == {}


@pytest.mark.trio
async def test_a_clock_gone_wrong_does_not_win_for_ever() -> None:
    async with machines(desk="anna", nas="nas") as (desk, nas):
        ahead = sign_entry(desk.me.profile, f"mark/{WORK.hex()}", b"hide", int((nas.now + 3 * 86_400) * 1000))
        assert await nas.state.take([ahead.data]) == 0
        nas.now += 3 * 86_400
        assert await nas.state.take([ahead.data]) == 1


@pytest.mark.trio
async def test_a_revocation_spreads_to_the_other_machines_and_the_lost_one_is_spoken_to_no_more() -> None:
    async with machines(desk="anna", nas="nas", laptop="anna") as (desk, nas, laptop):
        desk.now += 60
        await desk.devices.revoke("laptop")
        await desk.round(nas)
        lost = laptop.network.peer_id
        assert not nas.devices.roster.allows(lost, DRIVE) and not nas.devices.roster.is_ours(lost)
        assert ("device.revoked", {"peer_id": lost, "name": "laptop"}) in nas.events
        for other in (desk, nas):
            with pytest.raises(NetworkError):
                await laptop.sync.meet(other.network.peer_id)


@pytest.mark.trio
async def test_strangers_and_nonsense_get_a_reset() -> None:
    async with machines(desk="anna", nas="nas") as (desk, nas):
        stranger = desk.hub.node("mallory")
        for payload in (encode_hello(bytes(32)), b"", b"\xff" * 100):
            stream = await stranger.open_stream(desk.network.peer_id, DEVICES_PROTOCOL)
            with pytest.raises(NetworkError):
                await send_frame(stream, payload)
                assert await receive_frame(stream, MAX_FRAME_BYTES) is not None
        for payload in (b"\xff" * 100, b"\x80"):
            stream = await nas.network.open_stream(desk.network.peer_id, DEVICES_PROTOCOL)
            with pytest.raises(P2pnodeError):
                await send_frame(stream, payload)
                assert await receive_frame(stream, MAX_FRAME_BYTES) is not None


@pytest.mark.trio
async def test_entries_outlive_a_restart_and_go_when_the_machine_leaves() -> None:
    async with machines(desk="anna", nas="nas") as (desk, nas):
        await desk.lens.mark(WORK, "hide")
        await desk.round(nas)
        again = SharedState(
            nas.store, nas.devices.roster, nas.me, nas.clock, nas.lens, nas.circles, nas.admission, nas.network.peer_id
        )
        await again.load()
        assert again.entries() == nas.state.entries() != []
        await nas.devices.leave()
        assert nas.state.entries() == []
        assert await nas.store.read(lambda tx: tx.meta_with_prefix(PREFIX)) == []
        assert list((await nas.marks()).values()) == ["hide"]


@pytest.mark.trio
async def test_machines_that_run_by_themselves_tell_each_other_at_once() -> None:
    async with machines(desk="anna", nas="nas") as (desk, nas), trio.open_nursery() as nursery:
        await desk.lens.mark(WORK, "hide")
        for one in (nas, desk):
            await one.sync.start(nursery)
        await until(lambda: desk.state.entries() == nas.state.entries() != [])
        await desk.devices.rename("nas", "cellar")
        await until(lambda: (mine := nas.devices.roster.mine) is not None and mine.name == "cellar")
        assert list((await nas.marks()).values()) == ["hide"]
        nursery.cancel_scope.cancel()


def test_the_roles_of_a_desk_include_voting() -> None:
    assert VOTE in ROLES and VOTE not in SERVER_ROLES
