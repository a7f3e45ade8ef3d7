"""What a certificate leaves out a machine does not do, from the moment it hears of it: serving, telling, relaying, mending."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from p2pnode.core.device import certify
from p2pnode.core.device_roles import RELAY, REPAIR, SEED, SERVER_ROLES
from p2pnode.net.relay.messages import HOP_PROTOCOL
from p2pnode.net.relay.places import RelayLimits
from p2pnode.services.devices_duties import Duties
from tests.support.devices import Machine
from tests.support.loopback import a_hub
from tests.support.net import NodeNet

pytestmark = pytest.mark.trio


async def certified(desk: Machine, server: Machine, roles: Iterable[str], seq: int = 1) -> None:
    """The server's certificate, and the desk's, as the server keeps them."""
    key = desk.me.profile
    both = [certify(key, desk.peer, "desk", ("drive",), seq=seq), certify(key, server.peer, "nas", roles, seq=seq)]
    await server.devices.roster.belong_to(key.public, both)


class Relays:
    """A network that is told whether it may relay."""

    def __init__(self) -> None:
        self.told: list[bool] = []

    def relay_for_others(self, allowed: bool) -> None:
        self.told.append(allowed)


async def test_a_machine_does_what_its_certificate_says_and_follows_it_at_once() -> None:
    async with a_hub() as hub:
        desk, server, stranger = Machine(hub, "desk"), Machine(hub, "nas"), Machine(hub, "stranger")
        network = Relays()
        duties = Duties(server.devices.roster, network)  # type: ignore[arg-type]  # all that it asks of a network
        duties.start()

        def all_three() -> tuple[bool, bool, bool]:
            return duties.seeds(), duties.repairs(), network.told[-1]

        assert all_three() == (True, True, True) and duties.serves(stranger.peer), "a machine of nobody does everything"
        await certified(desk, server, SERVER_ROLES)
        assert all_three() == (True, True, True)
        for seq, left_out in enumerate((SEED, REPAIR, RELAY), start=2):
            await certified(desk, server, [role for role in SERVER_ROLES if role != left_out], seq)
            assert all_three() == (left_out != SEED, left_out != REPAIR, left_out != RELAY)
            assert duties.serves(stranger.peer) is (left_out != SEED) and duties.serves(desk.peer)
        await certified(desk, server, (), 9)
        assert all_three() == (False, False, False), "a revoked machine does nothing for anybody"
        await server.devices.leave()
        assert all_three() == (True, True, True)


@pytest.mark.network
async def test_a_relay_that_may_not_any_more_is_none_and_one_that_may_again_is_one() -> None:
    async with NodeNet(1).open(relay_limits=RelayLimits()) as relay:
        assert relay.reach().is_relay and HOP_PROTOCOL in relay._served.protocols()
        relay.relay_for_others(False)
        assert not relay.reach().is_relay and HOP_PROTOCOL not in relay._served.protocols()
        relay.relay_for_others(True)
        assert relay.reach().is_relay and HOP_PROTOCOL in relay._served.protocols()
    async with NodeNet(2).open() as other:
        other.relay_for_others(True)
        assert not other.reach().is_relay, "the settings and how it is reached still decide"
