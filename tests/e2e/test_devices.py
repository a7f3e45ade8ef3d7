"""A desk and a home server as a person has them: real daemons, the real command line, and attackers with keys of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from p2pnode.config import Home
from p2pnode.control.blocking import BlockingClient
from p2pnode.control.codec import MAX_LINE_BYTES
from p2pnode.core import device_messages as messages
from p2pnode.core.device_code import parse_code
from p2pnode.core.ids import PeerId
from p2pnode.errors import NetworkError, P2pnodeError, RefusedError
from p2pnode.local.identity import load_or_create_host_key
from p2pnode.services.devices_control import CONTROL_PROTOCOL
from p2pnode.services.devices_pairing import WRONG_TRIES
from tests.support.daemons import RealDaemon, wait_until
from tests.support.devices import guess, wrong
from tests.support.home_server import DEADLINE_S, Start, paired, show_code, start_server
from tests.support.hostile import hostile_network

pytestmark = pytest.mark.network


def failure(daemon: RealDaemon, *arguments: str) -> tuple[int, dict[str, Any]]:
    """The exit status and the error of a command that fails."""
    result = daemon.run(*arguments, "--json", check=False)
    assert result.returncode != 0, result.stdout
    return result.returncode, json.loads(result.stderr.splitlines()[-1])


def test_a_server_is_paired_driven_and_revoked(start: Start, tmp_path: Path) -> None:
    server, desk = start_server(start, tmp_path), start("desk")
    status, error = failure(desk, "--node", "server", "status")
    assert (status, error["code"]) == (4, "not_found")
    paired(desk, server)
    assert [(d["name"], d["state"]) for d in desk.lines("device")] == [("desk", "paired"), ("server", "paired")]

    there = desk.json("--node", "server", "status")
    assert there["peer_id"] == server.peer_id and there["remote"] == {"on": True, "sessions": 1}
    assert "remote control" in server.run("status").stdout and desk.json("status")["remote"]["on"] is False

    music = tmp_path / "music"
    music.mkdir()
    (music / "song.txt").write_text("la la la\n" * 1000)
    work = desk.json("--node", "server", "publish", f"server:{music}", "--title", "Our songs")
    assert [w["title"] for w in desk.lines("list", "--node", "server")] == ["Our songs"]
    assert desk.run("--node", "server", "cat", f"{work['work']}/song.txt").stdout == "la la la\n" * 1000
    status, error = failure(desk, "--node", "server", "publish", str(music), "--title", "x")
    assert status == 2 and "path of this machine" in error["message"] and "server:/PATH" in error["hint"]

    for signing in (["circle", "create", "Readers"], ["vouch", "c-aaaaaa", "k-aaaaaa"]):
        status, error = failure(desk, "--node", "server", *signing)
        assert status == 6 and "signs nothing in circles" in error["message"]
        assert failure(server, *signing)[0] == 6
    assert desk.json("circle", "create", "Readers")["name"] == "Readers"
    assert failure(desk, "--node", "server", "device", "revoke", "desk")[0] == 2
    assert failure(desk, "--node", "server", "gateway")[0] == 2

    with BlockingClient(Home(desk.home), "server") as session:
        assert session.call("node.status")["peer_id"] == server.peer_id
        with pytest.raises(P2pnodeError, match="no method"):
            session.call("device.revoke", {"device": "server"})
        assert server.json("device", "revoke", "desk")["state"] == "dropped"
        assert session.wait_until_closed(DEADLINE_S)
    status, error = failure(desk, "--node", "server", "status")
    assert (status, error["code"]) == (1, "network")


def test_the_identity_revokes_a_server_and_pairs_it_again(start: Start, tmp_path: Path) -> None:
    server, desk = start_server(start, tmp_path), start("desk")
    paired(desk, server)
    assert desk.json("device", "revoke", "server")["state"] == "revoked"
    status, error = failure(desk, "--node", "server", "status")
    assert status == 6 and "was revoked" in error["message"]
    paired(desk, server)
    desk.stop()
    desk.start()  # what was paired is still so after a restart
    assert desk.json("--node", "server", "status")["peer_id"] == server.peer_id
    assert desk.json("device", "rename", "server", "cellar")["name"] == "cellar"
    assert desk.json("--node", "cellar", "status")["peer_id"] == server.peer_id


def test_a_server_that_may_not_seed_serves_its_own_people_only(start: Start, tmp_path: Path) -> None:
    server, desk = start_server(start, tmp_path), start("desk")
    (tmp_path / "book.txt").write_bytes(b"bees\n" * 100_000)
    work = server.json("publish", str(tmp_path / "book.txt"), "--title", "Bees")["work"]
    paired(desk, server, may=("sync", "repair"))
    stranger = start("stranger", bootstrap=(server.address,))
    wait_until(lambda: stranger.json("status")["peers"], what="the stranger is connected")
    assert stranger.run("get", work, "--timeout", "3", check=False).returncode == 7
    wait_until(lambda: desk.run("get", work, check=False).returncode == 0, what="the desk has it")


def test_nothing_answers_where_it_is_switched_off(start: Start, tmp_path: Path) -> None:
    server, desk = start_server(start, tmp_path, remote=False), start("desk")
    paired(desk, server)
    status, error = failure(desk, "--node", "server", "status")
    assert status == 1 and "remote = true" in error["hint"]
    assert "remote control" not in server.run("status").stdout


def test_no_daemon_at_the_desk_is_said(tmp_path: Path) -> None:
    desk = RealDaemon(tmp_path / "desk")
    desk.home.mkdir()
    status, error = failure(desk, "--node", "server", "status")
    assert (status, error["code"]) == (3, "no_daemon")


# ---------------------------------------------------------------- attackers

Pair = tuple[RealDaemon, RealDaemon]


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """A server and a desk that are paired, for all who attack them."""
    folder = tmp_path_factory.mktemp("machines")
    (folder / "server").mkdir()
    (folder / "server" / "config.toml").write_text("remote = true\n")
    server, desk = RealDaemon(folder / "server"), RealDaemon(folder / "desk")
    try:
        server.start()
        desk.start()
        paired(desk, server)
        yield server, desk
    finally:
        for daemon in (server, desk):
            daemon.kill()
            print(f"---- {daemon.home.name}\n{daemon.log[-4000:]}")


def test_whoever_tries_codes_has_three_tries(machines: Pair) -> None:
    server, desk = machines
    shown, code = show_code(server)
    trio.run(_try_codes, server, parse_code(code))
    _, errors = shown.communicate(timeout=DEADLINE_S)
    assert shown.returncode == 6 and "3 wrong codes" in errors
    status, error = failure(desk, "device", "pair", code, "--at", server.address)
    assert status == 1 and error["code"] == "network"
    assert [one["name"] for one in server.lines("device")] == ["desk", "server"]
    paired(desk, server)  # a new code is a new game


async def _try_codes(server: RealDaemon, code: Any) -> None:
    peer = PeerId(server.peer_id)
    for number in range(WRONG_TRIES):
        async with hostile_network(bytes([number + 1]) * 32) as mallory:
            with trio.fail_after(DEADLINE_S):
                await mallory.connect(server.address)
                with pytest.raises(RefusedError, match="not the code"):
                    messages.read_confirm(await guess(mallory, peer, wrong(code, number + 1)))
    async with hostile_network(bytes([9]) * 32) as mallory:
        with trio.fail_after(DEADLINE_S):
            await mallory.connect(server.address)
            with pytest.raises(P2pnodeError):
                await guess(mallory, peer, code.secret)


def test_strangers_floods_and_oversized_frames_leave_the_pair_alone(machines: Pair) -> None:
    server, desk = machines
    shown, _ = show_code(server)
    with BlockingClient(Home(desk.home), "server") as session:
        trio.run(_attack, server)
        assert session.call("node.status")["peer_id"] == server.peer_id
        assert session.call("node.status")["remote"]["sessions"] == 1
    shown.terminate()
    shown.communicate(timeout=DEADLINE_S)
    assert "Traceback" not in server.log


async def _attack(server: RealDaemon) -> None:
    peer = PeerId(server.peer_id)
    async with hostile_network(bytes([7]) * 32) as mallory:
        with trio.fail_after(DEADLINE_S):
            await mallory.connect(server.address)
            with pytest.raises(
                NetworkError
            ):  # at the first or at the last of these: the node does not wait for what is said
                stream = await mallory.open_stream(peer, CONTROL_PROTOCOL)
                await stream.send_all(b'{"id": 1, "method": "node.stop", "params": {}}\n')
                while await stream.receive_some(100):
                    pass
    async with hostile_network(bytes([8]) * 32) as mallory:
        with trio.fail_after(DEADLINE_S):
            await mallory.connect(server.address)
            stream = await mallory.open_stream(peer, messages.PAIR_PROTOCOL)
            with pytest.raises(NetworkError):
                await stream.send_all(b"\xff\xff\xff\xff" + bytes(8192))
                while await stream.receive_some(100):
                    pass
    async with hostile_network(bytes([10]) * 32) as mallory:
        with trio.fail_after(DEADLINE_S):
            await mallory.connect(server.address)
            async with trio.open_nursery() as nursery:
                for _ in range(50):
                    nursery.start_soon(_open_and_drop, mallory, peer)


async def _open_and_drop(mallory: Any, peer: PeerId) -> None:
    try:
        stream = await mallory.open_stream(peer, messages.PAIR_PROTOCOL)
        await stream.send_all(b"\x00")
        await stream.reset()
    except P2pnodeError:
        pass


def test_the_desk_hears_the_servers_events(machines: Pair, tmp_path: Path) -> None:
    server, desk = machines
    watching = desk.begin("--node", "server", "status")  # one session beside the other
    with BlockingClient(Home(desk.home), "server") as session:
        heard: list[str] = []

        def on_event(name: str, data: dict[str, Any]) -> None:
            heard.append(name)
            if name == "events.subscribed":
                (tmp_path / "a.txt").write_text("a")
                server.begin("publish", str(tmp_path / "a.txt"), "--title", "A").communicate(timeout=DEADLINE_S)
            if name == "work.published":
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            session.call("events.subscribe", {}, on_event, DEADLINE_S)
    assert "work.published" in heard
    watching.communicate(timeout=DEADLINE_S)
    wait_until(partial(_no_session, server), what="the server has no session left")


def test_the_machines_tell_each_other_marks_circles_and_works(machines: Pair, tmp_path: Path) -> None:
    server, desk = machines
    (tmp_path / "b.txt").write_text("b")
    work = desk.json("publish", str(tmp_path / "b.txt"), "--title", "From the desk")["work"]
    circle = desk.json("circle", "create", "Gardeners")["circle"]
    desk.run("mark", work, "keep")
    desk.run("device", "rename", "server", "cellar")  # a change of certificates: they meet at once
    wait_until(lambda: [one["name"] for one in server.lines("circle", "list")] == ["Gardeners"], what="the circle")
    wait_until(lambda: work in [one["work"] for one in server.lines("device", "works")], what="the desk's works")
    assert [(one["work"], one["mark"]) for one in server.lines("marks")] == [(work, "keep")]
    assert server.lines("device")[0]["name"] == "cellar"
    assert server.json("circle", "show", circle)["members"] == 1  # it follows, and is no member
    desk.run("device", "rename", "cellar", "server")


def test_who_has_the_desks_key_hurts_himself_only_and_once_it_is_revoked_is_nobody(machines: Pair) -> None:
    """The desk is stolen: the thief has its disk, key and certificate, and speaks the protocols by hand."""
    server, desk = machines
    desk.stop()
    key = load_or_create_host_key(Home(desk.home).host_key)
    trio.run(_break_the_language, server, key)
    wait_until(partial(_no_session, server), what="the server has no session left")
    server.run("device", "revoke", "desk")
    trio.run(_come_back, server, key)
    wait_until(lambda: f"{desk.peer_id} may not drive this node" in server.log, what="it is turned away")
    assert "Traceback" not in server.log


async def _come_back(server: RealDaemon, key: bytes) -> None:
    async with hostile_network(key) as thief:
        with trio.fail_after(DEADLINE_S):
            await thief.connect(server.address)
            with pytest.raises(NetworkError):
                stream = await thief.open_stream(PeerId(server.peer_id), CONTROL_PROTOCOL)
                while await stream.receive_some(100):
                    pass


async def _break_the_language(server: RealDaemon, key: bytes) -> None:
    async with hostile_network(key) as device:
        with trio.fail_after(DEADLINE_S):
            await device.connect(server.address)
            stream = await device.open_stream(PeerId(server.peer_id), CONTROL_PROTOCOL)
            await stream.send_all(b"x" * (MAX_LINE_BYTES + 10) + b"\n" + b"\xff\n{}\n[1]\n")
            said = b""
            while said.count(b"decode") < 4:
                said += await stream.receive_some(65536)
            await stream.reset()


def _no_session(server: RealDaemon) -> bool:
    return bool(server.json("status")["remote"]["sessions"] == 0)
