"""Scores and bans: they add up, they fade, they end."""

from __future__ import annotations

from p2pnode.core.ids import PeerId
from p2pnode.net.bans import BAN_S, MAX_PEERS, POINT_LIFE_S, Bans

PEER = PeerId("a")


def test_a_hundred_points_are_a_ban_that_ends() -> None:
    bans = Bans()
    assert not bans.penalise(PEER, 60, "once", 1000.0)
    assert not bans.is_banned(PEER, 1000.0)
    assert bans.penalise(PEER, 40, "twice", 1000.0)
    assert bans.is_banned(PEER, 1000.0 + BAN_S - 1)
    assert [(ban.peer, ban.reason) for ban in bans.current(1001.0)] == [(PEER, "twice")]
    assert not bans.is_banned(PEER, 1000.0 + BAN_S)
    assert bans.current(1000.0 + BAN_S) == []


def test_points_fade() -> None:
    bans = Bans()
    for step in range(50):
        assert not bans.penalise(PEER, 20, "now and then", step * 20 * POINT_LIFE_S)


def test_a_ban_can_be_lifted() -> None:
    bans = Bans()
    bans.penalise(PEER, 100, "a mistake", 0.0)
    assert bans.lift(PEER, 0.5)
    assert not bans.lift(PEER, 0.5)
    assert not bans.is_banned(PEER, 1.0)
    assert not bans.penalise(PEER, 50, "again", 1.0)


def test_negative_points_help_nobody() -> None:
    bans = Bans()
    bans.penalise(PEER, 99, "nearly", 0.0)
    bans.penalise(PEER, -99, "a bug", 0.0)
    assert bans.penalise(PEER, 1, "the last straw", 0.0)


def test_ten_thousand_strangers_do_not_fill_the_memory() -> None:
    bans = Bans()
    for number in range(MAX_PEERS + 500):
        bans.penalise(PeerId(f"scored {number}"), 1, "x", 0.0)
        bans.penalise(PeerId(f"banned {number}"), 100, "x", 0.0)
    assert len(bans._scores) == MAX_PEERS == len(bans._bans)
