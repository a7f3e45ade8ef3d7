"""The commands about publishing and watching: what they ask the daemon, and what they print."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.answers import CID, PUBLISHED, RECORD, WORK
from tests.cli.conftest import Cli
from tests.support.control import ControlThread

Serve = Callable[[dict[str, Any]], ControlThread]

PUBLISHING = {
    "publishing": "p-0123abcd",
    "path": "/home/ada/notes",
    "title": "Notes",
    "state": "paused",
    "reason": "as you wished",
    "began": 1.0,
    "bytes": 1024,
    "total": 4096,
}
OFFER = {"added": 2, "changed": 1, "removed": 0, "others": False, "bytes": 2048, "names": ["a"], "since": 1.0}
WATCHED = {"work": WORK, "title": "Notes", "path": "/home/ada/notes", "state": "offered", "reason": "", "offer": OFFER}

CASES = [
    (["publishing", "pause", "p-01"], "publishing.pause", {"publishing": "p-01"}, PUBLISHING, ["Paused"]),
    (["publishing", "cancel", "p-01"], "publishing.cancel", {"publishing": "p-01"}, PUBLISHING, ["nothing was published"]),
    (["publishing", "resume", "p-01"], "publishing.resume", {"publishing": "p-01"}, PUBLISHED, [CID]),
    (["publishing", "resume", "p-01", "--detach"], "publishing.resume", {"publishing": "p-01", "detach": True}, PUBLISHING,
        ["p-0123abcd"]),
    (["watch", "on", WORK], "watch.on", {"work": WORK}, WATCHED, ["3 files: 2 added, 1 changed (2.0 KiB)"]),
    (["watch", "on", WORK, "--auto"], "watch.on", {"work": WORK, "auto": True}, WATCHED | {"offer": None}, ["nothing has changed"]),
    (["watch", "off", WORK], "watch.off", {"work": WORK}, {}, ["watched no more"]),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "method", "params", "answer", "words"), CASES, ids=lambda value: str(value)[:40])
def test_one_answer(
    arguments: list[str], method: str, params: Any, answer: Any, words: list[str], cli: Cli, serve: Serve
) -> None:
    daemon = serve({method: answer})
    for_programs = cli(*arguments, "--json")
    assert (for_programs.status, for_programs.err) == (0, "")
    assert for_programs.json == (answer or {"work": WORK})
    assert daemon.calls == [(method, params)]
    for_people = cli(*arguments)
    assert for_people.status == 0
    for word in words:
        assert word in for_people.out


@pytest.mark.parametrize(
    ("command", "method", "item", "words"),
    [
        ("publishing", "publishing.list", PUBLISHING, ["p-0123abcd", "paused", "1.0 KiB", "as you wished"]),
        ("watch", "watch.list", WATCHED, ["offered", "2 added, 1 changed", "publish --revises"]),
    ],
)
def test_lists(command: str, method: str, item: Any, words: list[str], cli: Cli, serve: Serve) -> None:
    answers: dict[str, Any] = {method: {"items": [item]}}
    serve(answers)
    assert cli(command, "--json").json_lines == [item]
    shown = cli(command)
    for word in words:
        assert word in shown.out
    answers[method]["items"] = []
    assert cli(command, "--json").out == ""
    assert "p2pnode " in cli(command).out, "an empty list says what to do"


def test_a_revision_asks_for_what_is_said_anew_only(cli: Cli, serve: Serve, tmp_path: Path) -> None:
    answer = PUBLISHED | {"revision": RECORD, "known_bytes": 1536}
    daemon = serve({"work.publish": answer})
    said = cli("publish", "--revises", WORK, "--tag", "new")
    assert (said.status, daemon.calls) == (0, [("work.publish", {"revises": WORK, "tags": ["new"], "creators": []})])
    assert RECORD in said.out and "1.5 KiB" in said.out
    cli("publish", str(tmp_path), "--title", "x", "--watch")
    assert daemon.calls[1][1] == {"path": str(tmp_path), "title": "x", "tags": [], "creators": [], "watch": True}
    cli("publish", str(tmp_path), "--title", "x", "--detach")
    assert daemon.calls[2][1]["detach"] is True


def test_what_is_missing_is_said(cli: Cli, serve: Serve, tmp_path: Path) -> None:
    daemon = serve({"work.publish": PUBLISHED})
    for arguments, words in ((("--title", "x"), "PATH is missing"), ((str(tmp_path),), "--title")):
        said = cli("publish", *arguments)
        assert said.status == 2 and words in said.err
    assert daemon.calls == []


def test_status_and_show_tell_of_an_offer(cli: Cli, serve: Serve) -> None:
    from tests.cli.answers import SHOWN, STATUS

    serve({"node.status": STATUS | {"offers": 2}, "work.show": SHOWN | {"watch": WATCHED}})
    assert "2 works changed on the disk" in cli("status").out
    assert "2 added, 1 changed" in cli("show", WORK).out
