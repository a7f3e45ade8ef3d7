"""The command about the gateway: what it asks the daemon, and that it prints the address and nothing else on stdout."""

from __future__ import annotations

from tests.cli.conftest import Cli
from tests.cli.test_commands import Serve

URL = "http://127.0.0.1:8080/token/"
OPEN = {"open": True, "url": URL, "port": 8080, "token": "token"}


def test_opening_asking_and_closing(cli: Cli, serve: Serve) -> None:
    daemon = serve({"gateway.open": OPEN, "gateway.status": OPEN, "gateway.close": {"open": False}})
    said = cli("gateway", "--port", "8080")
    assert (said.out, daemon.calls.pop()) == (URL + "\n", ("gateway.open", {"port": 8080}))
    assert "--stop" in said.err
    assert cli("gateway", "--json").json == OPEN
    assert daemon.calls.pop() == ("gateway.open", {})
    assert cli("gateway", "--status").out == URL + "\n"
    assert daemon.calls.pop()[0] == "gateway.status"
    assert "closed" in cli("gateway", "--stop").out
    assert daemon.calls.pop()[0] == "gateway.close"


def test_what_excludes_each_other(cli: Cli, serve: Serve) -> None:
    serve({})
    for arguments in (["--stop", "--status"], ["--port", "1", "--stop"], ["--port", "0"], ["--port", "70000"]):
        assert cli("gateway", *arguments).status == 2
