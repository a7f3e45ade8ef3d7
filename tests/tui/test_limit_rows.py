"""Home's lines about limits and health: the words of the node, and nothing where there is nothing to say."""

from __future__ import annotations

from typing import Any

import pytest

from p2pnode.config import Home
from p2pnode.services import doctor_checks
from p2pnode.services.doctor import finding_json
from p2pnode.tui.limit_rows import health_line, limit_rows, waiting_line
from tests.tui import world
from tests.tui.driving import screen_text, scripted_app, settled
from tests.tui.scripted_node import ScriptedNode

TRAFFIC: dict[str, Any] = {
    "up_bytes": 1_500_000,
    "down_bytes": 20_000,
    "hour_bytes": 900,
    "month_bytes": 4_000_000,
    "budget_hour_bytes": 0,
    "budget_month_bytes": 50_000_000_000,
    "now_up_bytes_s": 500_000,
    "now_down_bytes_s": 0,
    "schedule": ["22:00-07:00 unlimited"],
    "waiting": None,
    "connections": 12,
    "connections_limit": 320,
}


def test_traffic_is_shown_with_the_limits_that_hold() -> None:
    assert limit_rows({"traffic": TRAFFIC}) == [
        ("traffic", "1.5 MB sent, 20 kB received; 4 MB of 50 GB this month"),
        ("limits", "up at most 500 kB/s; other rates: 22:00-07:00 unlimited"),
    ]


def test_what_waits_and_what_runs_out_is_said() -> None:
    busy = TRAFFIC | {"waiting": "the month's budget of 50 GB is used up", "connections": 300}
    rows = dict(limit_rows({"traffic": busy}))
    assert waiting_line({"traffic": busy}) == "the month's budget of 50 GB is used up"
    assert rows["connections"].startswith("300 of 320")


def test_an_older_node_and_a_healthy_one_show_nothing() -> None:
    assert (
        limit_rows({}) == []
        and waiting_line({}) == ""
        and health_line({}) == ""
        and health_line({"health": None}) == ""
    )


@pytest.mark.asyncio
async def test_home_shows_the_words_of_the_doctor(home: Home) -> None:
    disk = doctor_checks.check_disk(1000, 1_000_000_000, 5, 10)
    answers = world.filled()
    answers["node.status"] = world.STATUS | {"health": finding_json(disk), "traffic": TRAFFIC}
    with ScriptedNode(home, answers):
        app = scripted_app(home)
        async with app.run_test(size=(120, 40)) as pilot:
            await settled(pilot)
            shown = " ".join(screen_text(pilot).split())
            assert "health the disk is nearly full" in shown
            assert "1.5 MB sent, 20 kB received" in shown and "up at most 500 kB/s" in shown
    assert disk.state == "bad" and health_line({"health": finding_json(disk)}) == f"{disk.words}; {disk.hint}"
