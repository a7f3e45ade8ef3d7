"""The commands about one's machines: what they tell the daemon, and what --node does to every other command."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.cli.conftest import Cli
from tests.support.control import ControlThread

Serve = Callable[[dict[str, Any]], ControlThread]
PEER = "12D3KooWNi9up9zXK5RtnDipchy3pgEJ6KAnBW1QmJQ5xDnFWYyz"
DEVICE = {
    "name": "server",
    "peer_id": PEER,
    "roles": ["relay", "seed"],
    "state": "paired",
    "this": False,
    "connected": True,
    "identity": "k-" + "a" * 52,
    "since": 1_790_000_000,
}


def test_the_list_says_which_machine_may_what(serve: Serve, cli: Cli) -> None:
    serve({"device.list": {"items": [DEVICE, DEVICE | {"name": "desk", "this": True}]}})
    for arguments in (["device"], ["device", "list"]):
        said = cli(*arguments).out
        assert "server" in said and "relay, seed" in said and "desk (this one)" in said
    assert [json.loads(line)["name"] for line in cli("device", "--json").out.splitlines()] == ["server", "desk"]


def test_empty_lists_say_what_to_do(serve: Serve, cli: Cli) -> None:
    serve({"device.list": {"items": []}, "device.works": {"items": []}})
    assert "p2pnode device pair" in cli("device").out
    assert "yet" in cli("device", "works").out


def test_works_of_the_other_machines(serve: Serve, cli: Cli) -> None:
    serve({"device.works": {"items": [{"device": "server", "work": "w-" + "a" * 52, "title": "Songs"}]}})
    assert "Songs" in cli("device", "works").out
    assert json.loads(cli("device", "works", "--json").out)["device"] == "server"


def test_entering_a_code_tells_everything_that_was_said(serve: Serve, cli: Cli) -> None:
    daemon = serve({"device.pair": DEVICE | {"check": "0042"}})
    address = f"/ip4/127.0.0.1/tcp/4001/p2p/{PEER}"
    said = cli(
        *("device", "pair", "k7qm-482-913", "--at", address, "--name", "nas", "--as", "desk", "--may", "seed"),
        *("--may", "vote"),
    )
    assert said.status == 0 and "0042" in said.out and "same check number" in said.err
    assert daemon.calls[-1] == (
        "device.pair",
        {"code": "k7qm-482-913", "roles": ["seed", "vote"], "address": address, "name": "nas", "own_name": "desk"},
    )
    assert cli("device", "pair", "k7qm-482-913", "--may", "king").status == 2


def test_renaming_revoking_and_leaving(serve: Serve, cli: Cli) -> None:
    serve(
        {
            "device.rename": DEVICE | {"name": "cellar"},
            "device.revoke": DEVICE | {"state": "dropped"},
            "device.leave": {},
        }
    )
    assert "cellar now" in cli("device", "rename", "server", "cellar").out
    assert "on this machine" in cli("device", "revoke", "server").out
    assert "nobody's device" in cli("device", "leave").out
    assert json.loads(cli("device", "revoke", "server", "--json").out)["state"] == "dropped"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["publish", "/srv/x", "--title", "X"], "nas:/PATH"),
        (["publish", "nas:x", "--title", "X"], "from its beginning"),
        (["get", "bafkqaaa", "-o", "/tmp"], "nas:/PATH"),
        (["device", "revoke", "desk"], "run it on nas"),
        (["identity", "backup"], "run it on nas"),
        (["gateway"], "run it on nas"),
        (["rescue"], "run it on nas"),
    ],
)
def test_what_is_not_done_on_another_machine_says_so_before_anything_is_asked(
    serve: Serve, cli: Cli, arguments: list[str], words: str
) -> None:
    daemon = serve({})
    said = cli("--node", "nas", *arguments)
    assert said.status == 2 and words in said.err
    assert daemon.calls == []


def test_node_may_stand_behind_the_command_too(serve: Serve, cli: Cli) -> None:
    serve({})
    for arguments in (["--node", "nas", "status"], ["status", "--node", "nas"]):
        said = cli(*arguments)
        assert said.status == 2 and "device.tunnel" in said.err  # this scripted daemon has no other machines
