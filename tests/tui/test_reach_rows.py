"""Home's lines about being reached: only where there is something to say."""

from __future__ import annotations

from p2pnode.tui.screens.home import reach_rows


def test_a_reached_node_shows_what_it_relays() -> None:
    relay = {"on": True, "places": 2, "circuits": 1, "bytes": 3_000_000}
    rows = dict(reach_rows({"reach": {"state": "reachable", "hint": "", "relay": relay}}))
    assert set(rows) == {"relays"}
    assert rows["relays"].startswith("for others, within limits: 2 peers, ")


def test_a_relayed_node_shows_what_would_help() -> None:
    rows = reach_rows({"reach": {"state": "relayed", "hint": "forward \x1b[31mTCP port 1", "relay": {"on": False}}})
    assert [name for name, _ in rows] == ["would help"]
    assert "\x1b" not in rows[0][1]


def test_an_older_node_and_a_lonely_one_show_nothing() -> None:
    assert reach_rows({}) == []
    assert reach_rows({"reach": {"state": "alone", "hint": "connect", "relay": {"on": False}}}) == []
