"""The document of the control socket names what there is, with the numbers that hold."""

from __future__ import annotations

import re
from pathlib import Path

from p2pnode.control import backlog, codec, outgoing, server
from p2pnode.limits import MIB
from p2pnode.services.api import TABLE

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "p2pnode" / "docs" / "control.md").read_text(encoding="utf-8")


def test_every_method_is_documented_and_every_documented_one_exists() -> None:
    rows = [line.split("|")[1] for line in DOCUMENT.splitlines() if line.startswith("| `")]
    documented = {name for row in rows for name in re.findall(r"`([a-z.]+)`", row)}
    assert documented == {*TABLE, server.SUBSCRIBE}


def test_every_event_is_documented() -> None:
    services = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "p2pnode" / "services").rglob("*.py"))
    emitted = set(re.findall(r"""emit\(\s*["']([a-z]+\.[a-z]+)["']""", services))
    assert emitted, "the pattern finds how services emit"
    events = DOCUMENT.partition("## Events")[2]
    assert emitted <= set(re.findall(r"`([a-z.]+)`", events))


def test_the_numbers_are_the_programs() -> None:
    assert f"at most {codec.MAX_LINE_BYTES // MIB} MiB" in DOCUMENT.replace("\n", " ")
    assert f"at most {codec.MAX_DEPTH} levels deep" in DOCUMENT
    assert f"at most {server.MAX_REQUESTS} of one client and {server.MAX_CLIENTS} clients" in DOCUMENT
    assert f"beyond {backlog.MAX_PROGRESS} waiting" in DOCUMENT
    assert f"{backlog.MAX_BACKLOG_BYTES // MIB} MiB wait" in DOCUMENT
    assert f"nothing for {outgoing.STALL_S:g} s" in DOCUMENT
    assert f'"api": {codec.API}' in DOCUMENT
    for state in codec.FINAL_STATES:
        assert state in DOCUMENT
