"""How a node is reached, in words, and when that is told."""

from __future__ import annotations

from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock

from p2pnode.cli.node import reach_lines
from p2pnode.core.ids import PeerId
from p2pnode.ports import Network, PeerEvent, PeerView, Reachability
from p2pnode.services.reachability import ASK_NOW_S, STEADY_S, TELL_AGAIN_S, ReachabilityWatch, as_json, is_far, stand

PEER = PeerId("12D3KooWHdiAxVd8uMQR1hGWXccidmfCwLqcMpGwR6QcTP6QRMuD")
CAME = PeerView(PEER, (), "inbound", "", None, ())
CALLED = PeerView(PEER, (), "outbound", "", None, ())
PUNCHED = PeerView(PEER, (), "inbound", "", None, (), "punched")
CIRCUIT = f"/ip4/9.9.9.9/tcp/4001/p2p/{PEER}/p2p-circuit/p2p/{PEER}"


@pytest.mark.parametrize(
    ("reach", "peers", "state", "words", "hint"),
    [
        (Reachability(), [], "alone", "no peers yet; looking on the local network", "peers connect"),
        (Reachability("public", public=("/ip4/9.9.9.9/tcp/1",)), [CALLED], "reachable", "the internet reaches", ""),
        (Reachability("public", reached_by=("IPv4", "IPv6")), [CALLED], "reachable", "node by IPv4 and IPv6", ""),
        (Reachability("public", reached_by=("IPv4",)), [CALLED], "reachable", "reaches this node by IPv4", ""),
        (
            Reachability("public", reached_by=("IPv6",)),
            [CALLED],
            "reachable",
            "IPv6 alone, and nobody comes who has",
            "",
        ),
        (
            Reachability("public", reached_by=("IPv6",), relays=(PEER,)),
            [CALLED],
            "reachable",
            "comes through a relay",
            "",
        ),
        (Reachability("private", port=4001, relays=(PEER,)), [CALLED], "relayed", "through a relay", "TCP port 4001"),
        (Reachability("unknown", port=4001, relays=(PEER,)), [CALLED], "relayed", "through a relay", "TCP port 4001"),
        (Reachability("private", port=4001), [CALLED], "outgoing", "only outgoing", "a reachable friend's node"),
        (Reachability("private"), [CALLED], "outgoing", "only outgoing", "listen on more than this machine"),
        (Reachability(), [CALLED, CAME], "unknown", "1 of them reached", ""),
        (Reachability(), [CALLED, PUNCHED], "unknown", "nobody has reached", ""),
    ],
)
def test_each_state_has_words_and_what_would_help(
    reach: Reachability, peers: list[PeerView], state: str, words: str, hint: str
) -> None:
    standing = stand(reach, peers, lan=True)
    assert standing.state == state
    assert words in standing.words
    assert hint in standing.hint
    assert bool(hint) is bool(standing.hint)


@pytest.mark.parametrize(
    ("mapped", "maps", "hint"),
    [
        ("", True, "forward TCP port 4001 of the router to this machine; or connect"),
        ("", False, "map_ports = true"),
        ("/ip4/100.64.0.2/tcp/4001", True, "(100.64.0.2) is not public, another router stands before it"),
        ("/ip4/9.9.9.9/tcp/4001", True, "look for a firewall"),
    ],
)
def test_what_helps_depends_on_the_router(mapped: str, maps: bool, hint: str) -> None:
    reach = Reachability("private", port=4001, mapped=mapped)
    assert hint in stand(reach, [CALLED], lan=True, maps_ports=maps).hint


def test_the_command_line_says_it_too() -> None:
    reach = Reachability(
        "public", mapped="/ip4/9.9.9.9/tcp/4001", mapped_by="UPnP", is_relay=True, places=2, circuits=1
    )
    lines = dict(reach_lines(as_json(reach, stand(reach, [CALLED], lan=True))))
    assert lines["router"] == "forwards /ip4/9.9.9.9/tcp/4001 (UPnP)"
    assert lines["relay"].startswith("on, for others: 2 places, 1 circuit, 0 bytes")
    assert reach_lines({}) == []


@pytest.mark.parametrize(
    ("address", "far"),
    [
        ("/ip4/9.9.9.9/tcp/1", True),
        (CIRCUIT, True),
        ("/ip4/192.168.1.2/tcp/1", False),
        ("/ip4/127.0.0.1/tcp/1", False),
        ("/dns/a.example/tcp/1", False),
        ("", False),
    ],
)
def test_far_addresses_lead_here_from_everywhere(address: str, far: bool) -> None:
    assert is_far(address) is far


class World:
    """A network as far as the watch asks it."""

    def __init__(self) -> None:
        self.said = Reachability()
        self.slow_s = 1.0
        self.told = ["/ip4/192.168.1.2/tcp/1"]
        self._changed = trio.Event()

    def reach(self) -> Reachability:
        return self.said

    def peers(self) -> list[PeerView]:
        return [CALLED]

    def addresses(self) -> list[str]:
        return self.told

    async def reach_changed(self) -> None:
        await self._changed.wait()

    async def ask_outside(self) -> int:
        await trio.sleep(self.slow_s)
        return 3

    def peer_events(self) -> Any:
        return _Silence()

    def change(self, **said: Any) -> None:
        self.said = Reachability(**said)
        self._changed.set()
        self._changed = trio.Event()


class _Silence:
    async def __aenter__(self) -> _Silence:
        return self

    async def __aexit__(self, *error: object) -> None: ...
    def __aiter__(self) -> _Silence:
        return self

    async def __anext__(self) -> PeerEvent:
        return await trio.sleep_forever()


@pytest.mark.trio
async def test_an_event_tells_each_change_once(autojump_clock: MockClock) -> None:
    world, events = World(), list[str]()
    watch = ReachabilityWatch(
        cast(Network, world),
        lambda name, data: events.append(f"{name} {data['state']}"),
        lambda: None,
        lan=True,
        maps_ports=True,
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.run)
        await trio.sleep(1)
        for said in ({"verdict": "private"}, {"verdict": "private", "voices": 2}, {"verdict": "public"}):
            world.change(**said)
            await trio.sleep(2)
        nursery.cancel_scope.cancel()
    assert events == ["reach.changed unknown", "reach.changed outgoing", "reach.changed reachable"]


@pytest.mark.trio
async def test_new_far_addresses_are_told_to_the_dht_once_they_hold(autojump_clock: MockClock) -> None:
    world, told = World(), list[float]()
    watch = ReachabilityWatch(
        cast(Network, world),
        lambda name, data: None,
        lambda: told.append(trio.current_time()),
        lan=True,
        maps_ports=True,
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.run)
        await trio.sleep(1)
        for number in range(10):  # it comes and goes: nothing is told
            world.told = [f"/ip4/9.9.9.{number}/tcp/1"] if number % 2 else []
            world.change()
            await trio.sleep(STEADY_S / 2)
        assert told == []
        await trio.sleep(STEADY_S)
        assert len(told) == 1
        await trio.sleep(TELL_AGAIN_S)
        world.told = [*world.told, CIRCUIT]  # one more way: what others know still leads here
        world.change()
        await trio.sleep(2 * STEADY_S)
        assert len(told) == 1
        world.told = [CIRCUIT.replace("9.9.9.9", "9.9.8.8")]
        world.change()
        await trio.sleep(2 * STEADY_S)
        assert len(told) == 2
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_who_asks_now_waits_no_longer_than_a_person_does(autojump_clock: MockClock) -> None:
    world = World()
    watch = ReachabilityWatch(cast(Network, world), lambda *_: None, lambda: None, lan=True, maps_ports=True)
    assert await watch.ask_now() == 3
    world.slow_s, began = 1000.0, trio.current_time()
    assert await watch.ask_now() == 0
    assert trio.current_time() - began == ASK_NOW_S
