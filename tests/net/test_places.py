"""Who gets a place, who loses it, and who never does."""

from __future__ import annotations

from collections import Counter

import pytest

from p2pnode.net import places
from p2pnode.net.places import (
    IN_DHT,
    MAX_INBOUND,
    MAX_NEAR,
    MAX_PER_HOST,
    MAX_PER_RANGE,
    MEMBER,
    SETTLED_S,
    Place,
    Places,
    origin_of,
)


class Door:
    """Places, and what became of everybody."""

    def __init__(self, worth: dict[str, int] | None = None) -> None:
        self.places = Places()
        self.worth = worth or {}
        self.places.judge = lambda: lambda peer: self.worth.get(peer, 0)
        self.inside: list[str] = []

    def comes(self, peer: str, host: str, now: float = 0.0) -> bool:
        place = Place(peer, origin_of(host), now, lambda: self.inside.remove(peer))
        if self.places.take(place, now):
            self.inside.append(peer)
            return True
        return False

    def fill(self, count: int, now: float = 0.0, *, per_range: int = 1) -> None:
        """Strangers of as many addresses, so many in a range."""
        for number in range(count):
            where, host = divmod(number, per_range)
            assert self.comes(f"stranger {number}", f"{20 + where // 250}.0.{where % 250}.{host + 1}", now)


@pytest.mark.parametrize(
    ("host", "range", "near"),
    [
        ("8.8.4.4", "8.8.4.0/24", False),
        ("::ffff:8.8.4.4", "8.8.4.0/24", False),
        ("2a00:1450:4001:82b::200e", "2a00:1450:4001::/48", False),
        ("127.0.0.1", "127.0.0.1", True),
        ("::1", "::1", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("fe80::1%eth0", "fe80::1", True),
        ("fd00::1", "fd00::1", True),
        ("", "", False),
    ],
)
def test_origins(host: str, range: str, near: bool) -> None:
    assert (origin_of(host).range, origin_of(host).near) == (range, near)


def test_one_address_and_one_range_stop_at_their_share() -> None:
    door = Door()
    assert sum(door.comes(f"one {n}", "8.8.4.4") for n in range(300)) == MAX_PER_HOST
    assert sum(door.comes(f"two {n}", f"8.8.4.{n % 200 + 5}") for n in range(300)) == MAX_PER_RANGE - MAX_PER_HOST
    assert sum(door.comes(f"six {n}", f"2a00:1450:4001:{n:x}::1") for n in range(300)) == MAX_PER_RANGE
    assert door.comes("the world", "9.9.9.9")


def test_this_machine_and_its_network_have_no_limit_each_and_leave_places_to_the_world() -> None:
    door = Door()
    assert sum(door.comes(f"near {n}", "127.0.0.1") for n in range(300)) == MAX_NEAR
    lan = Door()
    assert sum(lan.comes(f"near {n}", f"10.0.{n // 200}.{n % 200}") for n in range(300)) == MAX_NEAR
    assert sum(lan.comes(f"far {n}", f"20.0.{n}.1") for n in range(100)) == MAX_INBOUND - MAX_NEAR


def test_nobody_loses_his_place_to_another_of_the_same_sort() -> None:
    door = Door()
    door.fill(MAX_INBOUND)
    assert not door.comes("newcomer", "9.9.9.9", SETTLED_S - 1)
    assert len(door.inside) == len(door.places) == MAX_INBOUND


def test_the_crowded_range_gives_up_a_place_to_a_lone_newcomer() -> None:
    door = Door()
    door.fill(MAX_INBOUND, per_range=4)
    assert door.comes("newcomer", "9.9.9.9", 1.0)
    assert len(door.inside) == MAX_INBOUND and "newcomer" in door.inside
    crowd = Counter(place.origin.range for place in door.places._taken)
    assert sorted(crowd.values())[:2] == [1, 3]


def test_who_had_its_time_and_is_of_no_use_goes_first() -> None:
    door = Door({"stranger 3": IN_DHT})
    door.fill(MAX_INBOUND - 1)
    assert door.comes("young", "9.9.9.9", 10.0)
    for number in range(MAX_INBOUND - 2):
        assert door.comes(f"newcomer {number}", f"40.0.{number}.1", SETTLED_S)
    assert not door.comes("one more", "50.0.0.1", SETTLED_S)
    assert {"stranger 3", "young"} <= set(door.inside) and "stranger 4" not in door.inside


def test_who_is_useful_never_goes() -> None:
    door = Door()
    door.fill(MAX_INBOUND, per_range=64 // 4)
    door.worth = dict.fromkeys(door.inside, MEMBER)
    before = list(door.inside)
    for number in range(100):
        assert not door.comes(f"newcomer {number}", f"50.0.{number}.1", 10 * SETTLED_S)
    assert door.inside == before


def test_a_full_host_gives_its_own_places_only() -> None:
    door = Door()
    assert door.comes("elsewhere", "9.9.9.9", 0.0)
    assert sum(door.comes(f"one {n}", "8.8.4.4") for n in range(MAX_PER_HOST)) == MAX_PER_HOST
    assert door.comes("late", "8.8.4.4", SETTLED_S)
    assert "elsewhere" in door.inside and len(door.inside) == MAX_PER_HOST + 1


def test_leaving_gives_the_place_back_once() -> None:
    door = Door()
    place = Place("a", origin_of("8.8.4.4"), 0.0, lambda: None)
    assert door.places.take(place, 0.0)
    door.places.leave(place)
    door.places.leave(place)
    assert len(door.places) == 0 and places.MAX_PER_HOST > 0
