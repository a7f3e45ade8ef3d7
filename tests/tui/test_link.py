"""The connection that comes and goes: starting a node, losing it, finding it again, and what is said about it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from p2pnode.config import Home
from p2pnode.errors import P2pnodeError
from p2pnode.tui.__main__ import farewell
from p2pnode.tui.app import P2pnodeApp
from p2pnode.tui.chrome import Banner
from p2pnode.tui.launch import Launch, launch
from p2pnode.tui.panel import Panel
from p2pnode.tui.rows import Rows
from tests.tui import world
from tests.tui.conftest import Scripted
from tests.tui.driving import screen_text, scripted_app, settled, until
from tests.tui.scripted_node import ScriptedNode


class FakeLaunch(Launch):
    """A start that is under way, or that failed."""

    def __init__(self, error: P2pnodeError | None = None) -> None:
        self.error = error

    def check(self) -> None:
        if self.error:
            raise self.error


@pytest.mark.asyncio
async def test_a_node_that_does_not_run_is_started(home: Home) -> None:
    nodes: list[ScriptedNode] = []

    def start(at: Home) -> Launch:
        nodes.append(ScriptedNode(at, world.filled()))
        return FakeLaunch()

    app = scripted_app(home, autostart=True, start=start)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: app.node.link.state == "starting")
        assert "Starting the node…" in screen_text(pilot)
        assert "starting" in screen_text(pilot)
        with nodes[0]:
            await until(pilot, lambda: app.node.link.online)
            await settled(pilot)
            assert not pilot.app.screen.query_one(Banner).has_class("-shown")
            assert "3 connected" in screen_text(pilot)


@pytest.mark.asyncio
async def test_a_start_that_fails_says_why(home: Home) -> None:
    error = P2pnodeError("the node ended at once (status 1): the port is taken", hint="read the log")
    app = scripted_app(home, autostart=True, start=lambda at: FakeLaunch(error))
    async with app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: app.node.link.state == "lost")
        text = screen_text(pilot)
        assert "the port is taken" in text
        assert "read the log" in text
        assert "again in 3600 s" in text


@pytest.mark.asyncio
async def test_a_lost_node_is_said_and_what_was_shown_stays(home: Home, scripted: Scripted) -> None:
    node = scripted()
    app = scripted_app(home)
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        await pilot.press("3")
        await settled(pilot)
        node.vanish()
        await until(pilot, lambda: app.node.link.state == "lost")
        assert "the node has stopped" in screen_text(pilot)
        assert "again in 3600 s" in screen_text(pilot)
        assert "An Atlas of Wild Bees" in screen_text(pilot)
        assert pilot.app.screen.has_class("-stale")
        await pilot.press("4")
        await pilot.pause()
        assert pilot.app.screen.has_class("-stale")
        assert pilot.app.screen.query_one("#circles-panel", Panel).state == "error"
        node.rise()
        await pilot.press("r")
        await until(pilot, lambda: app.node.link.online)
        await settled(pilot)
        assert not pilot.app.screen.has_class("-stale")
        assert "again in" not in screen_text(pilot)
        assert len(pilot.app.screen.query_one("#circles", Rows).rows) == 2


@pytest.mark.asyncio
async def test_a_node_that_comes_back_is_found_without_a_key(home: Home, scripted: Scripted) -> None:
    node = scripted()
    app = scripted_app(home, pauses_s=(0.05,))
    async with app.run_test() as pilot:
        await settled(pilot)
        for _ in range(3):
            node.vanish()
            await until(pilot, lambda: app.node.link.state == "lost")
            node.rise()
            await until(pilot, lambda: app.node.link.online)


@pytest.mark.asyncio
async def test_a_call_without_a_node_says_how_to_start_one(home: Home) -> None:
    app = scripted_app(home)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.node.link.state == "lost")
        with pytest.raises(P2pnodeError) as caught:
            await app.node.call("node.status")
        assert caught.value.code == "no_daemon"
        assert "press s" in caught.value.hint


def test_the_real_launch_writes_the_log_and_tells_the_last_words(home: Home) -> None:
    script = "import sys; print('started', flush=True); sys.exit('no room on the disk')"
    started = launch(home, (sys.executable, "-c", script))
    assert started._process.wait(30) == 1
    with pytest.raises(P2pnodeError, match=r"status 1.*no room on the disk") as caught:
        started.check()
    assert str(home.log / "daemon.log") in caught.value.hint
    assert "started" in (home.log / "daemon.log").read_text()


def test_what_is_launched_is_detached_from_the_terminal(home: Home) -> None:
    script = "import os, sys; print(os.getsid(0) == os.getpid(), sys.argv[1:], os.isatty(0), flush=True)"
    started = launch(home, (sys.executable, "-c", script))
    started._process.wait(30)
    expected = f"True ['--home', '{home.path}'] False"
    assert expected in (home.log / "daemon.log").read_text()


def test_a_home_that_cannot_be_made_is_an_error_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(P2pnodeError, match="cannot be started") as caught:
        launch(Home(tmp_path / "file" / "home"))
    assert "writable" in caught.value.hint


def test_the_farewell_says_how_to_stop_the_node() -> None:
    assert farewell(True, None) == "The node keeps running. Stop it with: p2pnode stop"
    assert farewell(True, "/a b") == "The node keeps running. Stop it with: p2pnode --home '/a b' stop"
    assert farewell(False, None).endswith("p2pnode daemon")


def test_help_comes_without_a_screen_and_without_textual() -> None:
    code = (
        "import sys, p2pnode.tui.__main__ as m\n"
        "try: m.main(['--help'])\n"
        "except SystemExit: print(sorted({'textual', 'trio', 'libp2p', 'sqlite3'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert "usage: p2pnode tui" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_app_never_loads_the_node() -> None:
    forbidden = {"trio", "libp2p", "sqlite3", "p2pnode.store", "p2pnode.services"}
    code = f"import sys, p2pnode.tui.app; print(sorted({forbidden!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_app_can_be_made_for_any_home(tmp_path: Path) -> None:
    assert P2pnodeApp(Home(tmp_path)).node.home.path == tmp_path
