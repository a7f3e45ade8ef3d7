"""Pairing two machines, what a certificate allows, and everybody who would like to be paired without the code."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from p2pnode.core import device_messages as messages
from p2pnode.core.device import certify
from p2pnode.core.device_roles import DRIVE, ROLES, SERVER_ROLES, VOTE
from p2pnode.core.ids import PeerId
from p2pnode.core.keys import KeyPair
from p2pnode.errors import DecodeError, NetworkError, NotFoundError, P2pnodeError, RefusedError, UsageError
from p2pnode.ports import Stream
from p2pnode.services import devices_pairing
from p2pnode.services.devices_control import CONTROL_PROTOCOL
from p2pnode.services.devices_pake import Exchange
from p2pnode.services.framing import send_frame
from tests.support.devices import Machine, Shown, begin, frame, guess, hand_over, pair, wrong
from tests.support.loopback import a_hub

pytestmark = pytest.mark.trio


async def test_two_machines_are_paired_by_the_code_and_remember_it() -> None:
    async with a_hub() as hub:
        desk, server = Machine(hub, "desk"), Machine(hub, "nas")
        answer = await pair(desk, server)
        assert (answer["name"], answer["peer_id"], answer["roles"]) == ("server", "nas", sorted(SERVER_ROLES))
        for machine in (desk, server):
            again = machine.opened()
            await again.start()
            assert [(d["name"], d["state"]) for d in again.list()["items"]] == [
                ("desk", "paired"),
                ("server", "paired"),
            ]
            assert again.roster.owner == desk.me.profile.public
            assert again.roster.allows(PeerId("desk"), DRIVE) and not again.roster.allows(PeerId("nas"), DRIVE)
            assert (
                "device.paired",
                {"peer_id": "nas" if machine is desk else "desk", "name": "server" if machine is desk else "desk"},
            ) in machine.events


async def test_nothing_answers_pairing_unless_a_code_is_shown() -> None:
    async with a_hub() as hub, trio.open_nursery() as nursery:
        desk, server = Machine(hub, "desk"), Machine(hub, "nas")
        with pytest.raises(NetworkError, match="does not speak"):
            await guess(desk.network, server.peer, "000000")
        shown = await Shown(server, nursery).told()
        await desk.devices.enter(
            str(shown.code), address=server.network.addresses()[0], name=None, own_name=None, roles=()
        )
        await shown.done()
        with pytest.raises(NetworkError, match="does not speak"):
            await guess(desk.network, server.peer, shown.code.secret)


async def test_three_wrong_codes_kill_the_code_even_for_who_knows_it() -> None:
    async with a_hub() as hub, trio.open_nursery() as nursery:
        desk, server = Machine(hub, "desk"), Machine(hub, "nas")
        shown = await Shown(server, nursery).told()
        for number in range(devices_pairing.WRONG_TRIES):
            with pytest.raises(RefusedError, match="not the code"):
                messages.read_confirm(
                    await guess(hub.node(f"mallory{number}"), server.peer, wrong(shown.code, number + 1))
                )
        await shown.done()
        assert isinstance(shown.error, RefusedError) and "3 wrong" in shown.error.message
        with pytest.raises(NetworkError):
            await desk.devices.enter(
                str(shown.code), address=server.network.addresses()[0], name=None, own_name=None, roles=()
            )
        assert server.devices.roster.owner is None and desk.devices.roster.all() == []


async def test_two_wrong_codes_leave_the_third_to_the_right_one() -> None:
    async with a_hub() as hub, trio.open_nursery() as nursery:
        desk, server = Machine(hub, "desk"), Machine(hub, "nas")
        shown = await Shown(server, nursery).told()
        mistyped = parse_again(str(shown.code), wrong(shown.code))
        for _ in range(2):
            with pytest.raises(RefusedError, match="not the code"):
                await enter(desk, mistyped, server)
        assert (await enter(desk, str(shown.code), server))["peer_id"] == "nas"
        await shown.done()


async def test_a_guess_that_breaks_off_before_it_shows_anything_learns_nothing_and_is_bounded() -> None:
    async with a_hub() as hub, trio.open_nursery() as nursery:
        desk, server = Machine(hub, "desk"), Machine(hub, "nas")
        mallory = hub.node("mallory")
        shown = await Shown(server, nursery).told()
        refused = 0
        for _ in range(30):
            try:
                stream, _ = await begin(mallory, server.peer, "123456")
                await stream.reset()
            except P2pnodeError:
                refused += 1
        assert refused == 30 - devices_pairing.EXCHANGES_PER_PEER
        assert not shown.over.is_set()
        await enter(desk, str(shown.code), server)  # a flood of one peer leaves room for the person's own machine
        await shown.done()


async def test_many_peers_that_break_off_end_the_code_not_the_node() -> None:
    async with a_hub() as hub, trio.open_nursery() as nursery:
        server = Machine(hub, "nas")
        shown = await Shown(server, nursery).told()
        number = 0
        with trio.fail_after(60):
            while not shown.over.is_set():
                number += 1
                try:
                    stream, _ = await begin(hub.node(f"m{number}"), server.peer, "123456")
                    await stream.reset()
                except P2pnodeError:
                    await trio.lowlevel.checkpoint()
        assert number >= devices_pairing.EXCHANGES
        assert isinstance(shown.error, RefusedError) and "were begun" in shown.error.message
        assert (await Shown(server, nursery).told()).code != shown.code
        nursery.cancel_scope.cancel()


async def test_a_code_dies_of_age(autojump_clock: trio.testing.MockClock) -> None:
    async with a_hub() as hub, trio.open_nursery() as nursery:
        server = Machine(hub, "nas")
        shown = await Shown(server, nursery).told()
        await trio.sleep(devices_pairing.CODE_LIFETIME_S - 1)
        assert not shown.over.is_set()
        await trio.sleep(2)
        assert isinstance(shown.error, RefusedError) and "in time" in shown.error.message


async def test_somebody_who_holds_a_pairing_up_is_cut(autojump_clock: trio.testing.MockClock) -> None:
    async with a_hub() as hub, trio.open_nursery() as nursery:
        desk, server = Machine(hub, "desk"), Machine(hub, "nas")
        shown = await Shown(server, nursery).told()
        await begin(hub.node("mallory"), server.peer, "123456")
        with pytest.raises(RefusedError, match="busy"):
            await enter(desk, str(shown.code), server)
        await trio.sleep(devices_pairing.EXCHANGE_S + 1)
        await enter(desk, str(shown.code), server)
        await shown.done()


async def test_only_one_code_is_shown_at_a_time() -> None:
    async with a_hub() as hub, trio.open_nursery() as nursery:
        server = Machine(hub, "nas")
        await Shown(server, nursery).told()
        with pytest.raises(RefusedError, match="shown already"):
            await server.devices.show(None, lambda name, data: None)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff" * 4096, messages.encode_confirm(bytes(32)), b"\x81\xa1v\x02"])
async def test_frames_that_are_none_cost_a_stream(data: bytes) -> None:
    async with a_hub() as hub, trio.open_nursery() as nursery:
        desk, server = Machine(hub, "desk"), Machine(hub, "nas")
        shown = await Shown(server, nursery).told()
        stream = await hub.node("mallory").open_stream(server.peer, messages.PAIR_PROTOCOL)
        await send_frame(stream, data)
        with pytest.raises(NetworkError):
            await frame(stream)
        await enter(desk, str(shown.code), server)
        await shown.done()


async def test_an_oversized_frame_is_not_read() -> None:
    async with a_hub() as hub, trio.open_nursery() as nursery:
        server = Machine(hub, "nas")
        await Shown(server, nursery).told()
        stream = await hub.node("mallory").open_stream(server.peer, messages.PAIR_PROTOCOL)
        await stream.send_all((messages.MAX_FRAME_BYTES + 1).to_bytes(4, "big"))
        with pytest.raises(NetworkError):
            await stream.receive_some(1)
        nursery.cancel_scope.cancel()


# ---------------------------------------------------------------- in the middle, replayed, stolen


async def test_in_the_middle_of_two_machines_nobody_is_paired() -> None:
    """Mallory shows the desk a node with the right plate and carries every frame on to the real one."""
    async with a_hub() as hub, trio.open_nursery() as nursery:
        desk, server = Machine(hub, "desk"), Machine(hub, "nas")
        mallory = hub.node("mallory")
        shown = await Shown(server, nursery).told()

        async def carry(stream: Stream) -> None:
            onward = await mallory.open_stream(server.peer, messages.PAIR_PROTOCOL)
            for _ in range(2):
                await send_frame(onward, await frame(stream))
                await send_frame(stream, await frame(onward))

        mallory.serve(messages.PAIR_PROTOCOL, carry)

        async def never(peer: PeerId, name: str) -> list:  # type: ignore[type-arg]
            raise AssertionError("nothing is certified for who is in the middle")

        with pytest.raises(RefusedError, match="not the code"):
            await devices_pairing.enter(desk.network, shown.code, PeerId("mallory"), never)
        assert desk.devices.roster.all() == [] and server.devices.roster.owner is None
        nursery.cancel_scope.cancel()


async def test_a_false_server_that_does_not_know_the_code_gets_no_certificate() -> None:
    async with a_hub() as hub:
        desk, mallory = Machine(hub, "desk"), hub.node("mallory")

        async def pretend(stream: Stream) -> None:
            theirs = messages.read_element(await frame(stream))
            exchange = Exchange("B", b"000000", enters=stream.peer, shows=mallory.peer_id)
            key = exchange.finish(theirs)
            await send_frame(stream, messages.encode_element(exchange.element))
            await frame(stream)
            await send_frame(stream, messages.encode_confirm(messages.confirmation(key, "B"), "nas"))

        mallory.serve(messages.PAIR_PROTOCOL, pretend)
        with pytest.raises(RefusedError, match="does not know the code"):
            await enter(desk, parse_again(f"{plate('mallory')}-000-000", "482913"), mallory.addresses()[0])
        assert desk.devices.roster.all() == []


async def test_what_was_said_in_one_pairing_is_worth_nothing_in_another() -> None:
    async with a_hub() as hub, trio.open_nursery() as nursery:
        desk, server = Machine(hub, "desk"), Machine(hub, "nas")
        shown = await Shown(server, nursery).told()
        recorded: list[bytes] = []
        exchange = Exchange("A", shown.code.password, enters=PeerId("desk"), shows=PeerId("nas"))
        stream = await desk.network.open_stream(server.peer, messages.PAIR_PROTOCOL)
        recorded.append(messages.encode_element(exchange.element))
        await send_frame(stream, recorded[0])
        key = exchange.finish(messages.read_element(await frame(stream)))
        recorded.append(messages.encode_confirm(messages.confirmation(key, "A")))
        await stream.reset()  # not sent: the code is still good, and this confirmation was the right one

        again = await desk.network.open_stream(server.peer, messages.PAIR_PROTOCOL)
        await send_frame(again, recorded[0])
        await frame(again)
        await send_frame(again, recorded[1])
        with pytest.raises(RefusedError, match="not the code"):
            messages.read_confirm(await frame(again))
        nursery.cancel_scope.cancel()


async def test_certificates_about_others_or_by_two_identities_are_refused() -> None:
    key, other = KeyPair(bytes(32)), KeyPair(bytes(range(32)))
    desk_peer, nas = PeerId("desk"), PeerId("nas")
    good = certify(key, desk_peer, "desk", ROLES, seq=1), certify(key, nas, "nas", SERVER_ROLES, seq=1)
    cases = [
        (good[0], good[0]),
        (good[0], certify(other, nas, "nas", ROLES, seq=1)),
        (certify(key, PeerId("mallory"), "desk", ROLES, seq=1), good[1]),
        (good[0], certify(key, nas, "nas", (), seq=1)),
    ]
    async with a_hub() as hub, trio.open_nursery() as nursery:
        desk, server = Machine(hub, "desk"), Machine(hub, "nas")
        shown = await Shown(server, nursery).told()
        for case in cases:
            stream, shared = await begin(desk.network, nas, shown.code.secret)
            await send_frame(stream, messages.encode_confirm(messages.confirmation(shared, "A")))
            await frame(stream)
            with pytest.raises((RefusedError, NetworkError, DecodeError)):
                await hand_over(stream, *case)
        assert server.devices.roster.owner is None
        nursery.cancel_scope.cancel()


async def test_a_paired_server_belongs_to_nobody_else_until_it_leaves() -> None:
    async with a_hub() as hub, trio.open_nursery() as nursery:
        desk, other, server = Machine(hub, "desk"), Machine(hub, "other"), Machine(hub, "nas")
        await pair(desk, server)
        shown = await Shown(server, nursery).told()
        with pytest.raises(RefusedError, match="another person's device"):
            await enter(other, str(shown.code), server)
        assert server.devices.roster.owner == desk.me.profile.public
        await server.devices.leave()
        await enter(other, str(shown.code), server)
        await shown.done()
        assert server.devices.roster.owner == other.me.profile.public


async def test_a_device_certifies_nobody() -> None:
    async with a_hub() as hub:
        desk, server, third = Machine(hub, "desk"), Machine(hub, "nas"), Machine(hub, "third")
        await pair(desk, server)
        with pytest.raises(RefusedError, match="a device itself"):
            await enter(server, f"{plate('third')}-000-000", third)
        with pytest.raises(RefusedError, match="a device itself"):
            await server.devices.rename("desk", "x")


# ---------------------------------------------------------------- driving


class Door:
    """Answers every session with a byte, then waits."""

    def __init__(self) -> None:
        self.served: list[str] = []

    async def serve(self, stream: Stream, device: str) -> None:
        self.served.append(device)
        await stream.send_all(b"!")
        await stream.receive_some(1)


async def knock(machine: Machine, peer: PeerId) -> Stream:
    stream = await machine.network.open_stream(peer, CONTROL_PROTOCOL)
    assert await stream.receive_some(1) == b"!"
    return stream


async def test_only_a_certified_device_drives_and_it_is_cut_at_once_when_revoked() -> None:
    async with a_hub() as hub:
        desk, server, mallory = Machine(hub, "desk"), Machine(hub, "nas"), Machine(hub, "mallory")
        door = Door()
        with pytest.raises(NetworkError, match="does not speak"):
            await knock(desk, server.peer)  # switched off
        server.devices.control.start(door)
        for stranger in (desk, mallory):
            with pytest.raises(NetworkError):
                await knock(stranger, server.peer)
        await pair(desk, server)
        stream = await knock(desk, server.peer)
        assert door.served == ["desk"] and server.devices.control.sessions == 1
        with pytest.raises(NetworkError):
            await knock(mallory, server.peer)
        await server.devices.take([certify(desk.me.profile, desk.peer, "desk", (), seq=int(desk.now) + 9)])
        with pytest.raises(NetworkError), trio.fail_after(30):
            await stream.receive_some(1)
        with pytest.raises(NetworkError):
            await knock(desk, server.peer)
        assert server.devices.control.sessions == 0


async def test_a_device_that_may_not_drive_does_not() -> None:
    async with a_hub() as hub:
        desk, server = Machine(hub, "desk"), Machine(hub, "nas")
        await pair(desk, server)
        desk.devices.control.start(Door())
        with pytest.raises(NetworkError):
            await knock(server, desk.peer)


async def test_a_stolen_certificate_is_worth_nothing_without_its_key() -> None:
    """Mallory has the server's whole store, the desk's certificate in it, but neither host key."""
    async with a_hub() as hub:
        desk, server, mallory = Machine(hub, "desk"), Machine(hub, "nas"), Machine(hub, "mallory")
        await pair(desk, server)
        server.devices.control.start(Door())
        stolen = server.devices.roster.all()
        await mallory.devices.roster.belong_to(desk.me.profile.public, stolen)
        await server.devices.take(stolen)
        with pytest.raises(NetworkError):
            await knock(mallory, server.peer)


async def test_an_old_certificate_does_not_undo_a_revocation() -> None:
    async with a_hub() as hub:
        desk, server = Machine(hub, "desk"), Machine(hub, "nas")
        await pair(desk, server)
        old = server.devices.roster.all()
        await desk.devices.revoke("server")
        await desk.devices.take(old)
        assert desk.devices.list()["items"][1]["state"] == "revoked"
        with pytest.raises(RefusedError, match="was revoked"):
            await desk.devices.control.reach("server")
        await pair(desk, server)  # only the person brings it back, by a new code
        assert desk.devices.list()["items"][1]["state"] == "paired"


async def test_a_server_lets_go_of_a_lost_desk_by_itself() -> None:
    async with a_hub() as hub:
        desk, server = Machine(hub, "desk"), Machine(hub, "nas")
        await pair(desk, server)
        server.devices.control.start(Door())
        stream = await knock(desk, server.peer)
        assert (await server.devices.revoke("desk"))["state"] == "dropped"
        with pytest.raises(NetworkError), trio.fail_after(30):
            await stream.receive_some(1)
        again = server.opened()
        await again.start()
        assert not again.roster.allows(desk.peer, DRIVE)
        await pair(desk, server)  # the desk's own certificate is the one of before
        assert server.devices.roster.allows(desk.peer, DRIVE)
        again = server.opened()
        await again.start()
        assert again.roster.allows(desk.peer, DRIVE)


async def test_certificates_of_strangers_are_not_kept_and_the_list_is_bounded() -> None:
    async with a_hub() as hub:
        desk, server = Machine(hub, "desk"), Machine(hub, "nas")
        await pair(desk, server)
        await server.devices.take([certify(KeyPair(bytes(32)), PeerId("mallory"), "m", ROLES, seq=1)])
        assert server.devices.roster.of(PeerId("mallory")) is None
        with pytest.raises(RefusedError, match="at most 64"):
            await server.devices.take(
                certify(desk.me.profile, PeerId(f"p{n}"), f"n{n}", ("seed",), seq=1) for n in range(80)
            )


async def test_what_signs_in_circles_is_refused_on_a_server_and_allowed_where_certified() -> None:
    async with a_hub() as hub:
        desk, server, trusted = Machine(hub, "desk"), Machine(hub, "nas"), Machine(hub, "laptop")
        server.devices.refuse_signing()  # nobody's device: as ever
        await pair(desk, server)
        desk.devices.refuse_signing()
        with pytest.raises(RefusedError, match="signs nothing in circles"):
            server.devices.refuse_signing()
        await pair(desk, trusted, VOTE, DRIVE, name="laptop")
        trusted.devices.refuse_signing()


async def test_names_are_found_shortened_and_never_twice() -> None:
    async with a_hub() as hub:
        desk, one, two = Machine(hub, "desk"), Machine(hub, "nas-in-the-cellar"), Machine(hub, "nas-in-the-attic")
        await pair(desk, one)
        assert (await pair(desk, two))["name"] == "server-2"
        assert desk.devices.roster.find("nas-in-the-c").name == "server"
        assert (await desk.devices.rename("server-2", "attic"))["name"] == "attic"
        with pytest.raises(RefusedError, match="another device"):
            await desk.devices.rename("attic", "server")
        with pytest.raises(NotFoundError):
            desk.devices.roster.find("cellar")
        with pytest.raises(RefusedError, match="very machine"):
            await desk.devices.control.reach("desk")


async def test_a_code_of_another_node_is_noticed_before_anything_is_sent() -> None:
    async with a_hub() as hub:
        desk, server = Machine(hub, "desk"), Machine(hub, "nas")
        with pytest.raises(NotFoundError, match="no connected node"):
            await desk.devices.enter(f"{plate('nas')}-123-456", address=None, name=None, own_name=None, roles=())
        with pytest.raises(RefusedError, match="not that node's"):
            await enter(desk, f"{plate('other')}-123-456", server)
        with pytest.raises(UsageError):
            await enter(desk, "123456", server)
        assert desk.network.opened == []


async def enter(desk: Machine, code: str, at: Machine | str) -> dict[str, object]:
    address = at if isinstance(at, str) else at.network.addresses()[0]
    return await desk.devices.enter(code, address=address, name=None, own_name="desk", roles=())


def parse_again(code: str, secret: str) -> str:
    return f"{code[:4]}-{secret[:3]}-{secret[3:]}"


def plate(peer: str) -> str:
    return devices_pairing.plate_of(PeerId(peer))
