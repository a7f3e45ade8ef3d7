"""Publishing through real daemons: killed, paused by Ctrl-C, gone on, revised and watched, as a person would do it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from p2pnode.core.cid import RAW, Cid
from p2pnode.core.stamp import TICK_NS
from p2pnode.core.unixfs import FileBuilder
from tests.support.daemons import RealDaemon, wait_until
from tests.support.trees import assert_same_tree

MIB, GIB = 1 << 20, 1 << 30
LONG_BYTES = 4 * GIB
"""Of holes: read at the speed of SHA-256, it takes a few seconds."""

Start = Callable[..., RealDaemon]


def zeros(path: Path, size: int) -> str:
    """A sparse file, and the CID of so many zeros without hashing them all."""
    path.touch()
    os.truncate(path, size)
    leaf, builder = Cid.of(RAW, bytes(MIB)), FileBuilder()
    for _ in range(size // MIB):
        builder.add(leaf, MIB)
    return str(builder.finish()[0].cid)


def only(node: RealDaemon) -> Any:
    (one,) = node.lines("publishing")
    return one


def reading(node: RealDaemon) -> Any:
    """The publishing, once a good part was read and stored."""
    return wait_until(lambda: (one := only(node))["bytes"] > GIB // 2 and one, what="a part is read")


@pytest.mark.network
def test_killed_it_goes_on_by_itself_and_paused_when_the_person_comes_back(start: Start, tmp_path: Path) -> None:
    cid = zeros(tmp_path / "long.bin", LONG_BYTES)
    node = start("anna")
    wait_until(lambda: time.time_ns() - TICK_NS > os.stat(tmp_path / "long.bin").st_ctime_ns, what="it is at rest")
    node.run("publish", str(tmp_path / "long.bin"), "--title", "Long", "--detach")
    one = reading(node)
    wait_until(lambda: only(node)["bytes"] >= one["bytes"] + GIB or only(node)["state"] == "done", what="it goes on")
    node.kill()
    node.start()
    done = wait_until(lambda: (one := only(node))["state"] == "done" and one, what="it was finished by itself")
    assert done["publishing"] == one["publishing"]
    assert done["known_bytes"] >= GIB // 2, "what was hashed before the kill was not hashed again"
    assert node.json("show", done["work"])["cid"] == cid

    waiting = node.begin("publish", str(tmp_path / "long.bin"), "--title", "Again", "--private")
    wait_until(lambda: len(node.lines("publishing")) == 2, what="the second one began")
    waiting.send_signal(signal.SIGINT)
    _, said = waiting.communicate(timeout=60)
    shown = {each["title"]: each for each in node.lines("publishing")}
    if shown["Again"]["state"] == "paused":  # all is known by now: it may have been quicker than the signal
        assert waiting.returncode == 130 and shown["Again"]["publishing"] in said
        assert node.json("publishing", "resume", shown["Again"]["publishing"])["cid"] == cid
    assert {each["title"]: each["state"] for each in node.lines("publishing")} == {"Long": "done", "Again": "done"}


@pytest.mark.network
def test_a_watched_folder_is_offered_and_revised_and_the_revision_fetched(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(200):
        (folder / f"{number}.txt").write_bytes(b"%d" % number * 500)
    node = start("anna")
    first = node.json("publish", str(folder), "--title", "Bees", "--watch")
    (folder / "0.txt").write_bytes(b"another")
    (folder / "new.txt").write_bytes(b"new")
    assert node.json("show", first["work"])["watch"]["work"] == first["work"]
    offers = wait_until(lambda: node.json("status")["offers"], what="a revision is offered", timeout_s=90)
    (watched,) = node.lines("watch")
    assert offers == 1 and watched["state"] == "offered"
    assert {name: watched["offer"][name] for name in ("added", "changed", "removed")} == {
        "added": 1,
        "changed": 1,
        "removed": 0,
    }
    assert "1 added, 1 changed" in node.run("show", first["work"]).stdout

    second = node.json("publish", "--revises", first["work"])
    assert (second["work"], second["files"]) == (first["work"], 201) and second["cid"] != first["cid"]
    assert second["known_bytes"] > 0 and "revision" in second
    assert node.json("status")["offers"] == 0
    again = node.run("publish", "--revises", first["work"], "--json", check=False)
    assert again.returncode == 6 and "nothing has changed" in json.loads(again.stderr)["message"]

    ben = start("ben", bootstrap=(node.address,))
    wait_until(lambda: ben.json("status")["peers"] == 1, what="they are connected")
    assert_same_tree(folder, Path(ben.json("get", first["work"])["path"]))
    node.run("watch", "off", first["work"])
    assert node.lines("watch") == []


@pytest.mark.network
def test_what_the_command_line_refuses(start: Start, tmp_path: Path) -> None:
    node = start("anna")
    for arguments, status, words in (
        (["publish", "--title", "x"], 2, "PATH is missing"),
        (["publish", str(tmp_path)], 2, "--title"),
        (["publish", "--revises", "w-aaaaaaaa"], 4, "no work"),
        (["publishing", "resume", "p-00000000"], 4, "no publishing"),
        (["watch", "on", "w-aaaaaaaa"], 4, "no work"),
    ):
        done: subprocess.CompletedProcess[str] = node.run(*arguments, check=False)
        assert (done.returncode, words in done.stderr) == (status, True), done.stderr
