"""The terminal UI of a home server, opened at the desk: it shows the server, and says so when it may drive no longer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from p2pnode.config import Home
from tests.support.daemons import RealDaemon
from tests.support.home_server import DEADLINE_S, paired, start_server
from tests.tui.driving import app_at, app_of, screen_text, settled, until

pytestmark = [pytest.mark.network, pytest.mark.asyncio]


async def test_the_screens_of_a_server_at_the_desk(start: Callable[..., RealDaemon], tmp_path: Path) -> None:
    server, desk = start_server(start, tmp_path), start("desk")
    paired(desk, server)
    (tmp_path / "cellar.txt").write_text("a work on the server's disk\n")
    server.run("publish", str(tmp_path / "cellar.txt"), "--title", "From the cellar")
    async with app_at(Home(desk.home), (110, 34), device="server") as pilot:
        await until(pilot, lambda: app_of(pilot).node.link.online, "the server answers", DEADLINE_S)
        await settled(pilot)
        assert "on server" in screen_text(pilot)
        await pilot.press("3")
        await until(pilot, lambda: "From the cellar" in screen_text(pilot), "the server's library", DEADLINE_S)
        server.run("device", "revoke", "desk")
        await until(pilot, lambda: not app_of(pilot).node.link.online, "the connection ends", DEADLINE_S)
        await until(pilot, lambda: "server" in str(app_of(pilot).node.link.error), "why", DEADLINE_S)
