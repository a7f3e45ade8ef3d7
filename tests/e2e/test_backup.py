"""A whole home in one file and back: with a daemon that runs, after a kill, beside the original, and never over anything."""

from __future__ import annotations

import gzip
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from p2pnode.config import Home
from p2pnode.errors import RefusedError
from p2pnode.restore import restore
from tests.support.daemons import RealDaemon, wait_until

pytestmark = pytest.mark.network
FIRST_SCHEMA = Path(__file__).parents[1] / "data" / "store-0001.db.gz"
PASSPHRASE = {"P2PNODE_BACKUP_PASSPHRASE": "four brown bears"}


def cli(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "P2PNODE_HOME": str(home),
        "PYTHONPATH": str(Path(__file__).parents[2]),
        **variables,
    }
    command = [sys.executable, "-m", "p2pnode", *arguments]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL
    )


def told(home: Path, *arguments: str, **variables: str) -> dict[str, Any]:
    done = cli(home, *arguments, "--json", **variables)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RealDaemon, RealDaemon]]:
    """Ben fetched a work from Anna, published one of his own, and founded a circle. Both run through all tests here."""
    folder = tmp_path_factory.mktemp("pair")
    (folder / "folder" / "empty").mkdir(parents=True)
    (folder / "folder" / "bees é.txt").write_bytes(os.urandom(3_000_000))
    (folder / "folder" / "small").write_bytes(b"tiny")
    (folder / "own.txt").write_bytes(b"wasps")
    anna = RealDaemon(folder / "anna").start()
    ben = RealDaemon(folder / "ben", bootstrap=(anna.address,)).start()
    try:
        work = anna.json("publish", str(folder / "folder"), "--title", "Bees")["work"]
        wait_until(lambda: ben.json("status")["peers"] == 1, what="the two are connected")
        wait_until(lambda: ben.run("get", work, check=False).returncode == 0, what="the work is here")
        ben.json("publish", str(folder / "own.txt"), "--title", "Wasps")
        ben.json("circle", "create", "Readers")
        yield anna, ben
    finally:
        ben.kill()
        anna.kill()


@pytest.fixture
def ben(pair: tuple[RealDaemon, RealDaemon]) -> RealDaemon:
    return pair[1]


def test_a_home_comes_back_whole_while_its_node_runs(
    ben: RealDaemon, start: Callable[..., RealDaemon], tmp_path: Path
) -> None:
    file = tmp_path / "ben.backup"
    made = told(ben.home, "backup", str(file), **PASSPHRASE)
    assert (made["works"], made["identity"], made["left_out"]) == (1, "sealed", [])
    assert file.stat().st_mode & 0o077 == 0
    assert told(tmp_path, "restore", str(file), "--check") == {"restored": False}
    copy = tmp_path / "copy"
    assert cli(copy, "restore", str(file)).returncode == 2, "a passphrase is needed"
    assert cli(copy, "restore", str(file), P2PNODE_BACKUP_PASSPHRASE="wrong").returncode == 6
    assert not copy.exists()
    back = told(copy, "restore", str(file), **PASSPHRASE)
    assert (back["works_missing"], back["identity"], back["host_key"]) == (0, True, True)
    again = start("copy")
    assert again.peer_id == ben.peer_id
    assert {work["title"] for work in again.lines("list")} == {"Bees", "Wasps"}
    assert [circle["name"] for circle in again.lines("circle", "list")] == ["Readers"]
    assert again.run("verify").returncode == 0
    refused = cli(copy, "restore", str(file), **PASSPHRASE)
    assert refused.returncode == 6 and "is not empty" in refused.stderr
    assert cli(ben.home, "backup", str(file), **PASSPHRASE).returncode == 6, "nor is a backup overwritten"


def test_without_works_they_are_fetched_again(
    pair: tuple[RealDaemon, RealDaemon], ben: RealDaemon, start: Callable[..., RealDaemon], tmp_path: Path
) -> None:
    file = tmp_path / "small.backup"
    told(ben.home, "backup", str(file), "--no-content", "--unlocked")
    assert file.stat().st_size < 1_500_000
    assert told(tmp_path / "copy", "restore", str(file))["works_missing"] == 1
    again = start("copy", bootstrap=(pair[0].address,))
    bees = next(work for work in again.lines("list") if work["title"] == "Bees")
    wait_until(lambda: again.run("get", bees["work"], check=False).returncode == 0, what="it is fetched again")
    assert (tmp_path / "copy" / "library" / "Bees" / "small").read_bytes() == b"tiny"


def test_beside_the_original_no_number_is_used_twice(
    ben: RealDaemon, start: Callable[..., RealDaemon], tmp_path: Path
) -> None:
    """Both sign as one person: two records under one number would show him as a cheat for ever."""
    file = tmp_path / "ben.backup"
    told(ben.home, "backup", str(file), "--no-content", "--unlocked")
    for name in ("Ben", "Benjamin"):
        ben.run("identity", "set", "--name", name)
    told(tmp_path / "copy", "restore", str(file))
    again = start("copy")
    assert again.peer_id != ben.peer_id, (
        "unlocked keys leave the host key out: two nodes of one peer ID would be a muddle"
    )
    again.run("identity", "set", "--name", "Ben the second")
    numbers = []
    for daemon in (ben, again):
        with closing(sqlite3.connect(daemon.home / "node.db")) as database:
            query = "SELECT max(seq) FROM records WHERE own AND kind = 'profile'"
            numbers.append(database.execute(query).fetchone()[0])
    assert numbers[1] > numbers[0]


def test_a_kill_in_the_middle_leaves_nothing_half(ben: RealDaemon, tmp_path: Path) -> None:
    file = tmp_path / "ben.backup"
    environment = os.environ | {"P2PNODE_HOME": str(ben.home), "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "p2pnode", "backup", str(file), "--unlocked"]
    for delay_s in (0.0, 0.1, 0.2):
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        wait_until(
            lambda process=process: list(tmp_path.glob(".ben.backup.*")) or process.poll() is not None,
            what="it has begun",
        )
        time.sleep(delay_s)  # somewhere in the middle, or after the end: both must be well
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        if file.exists():
            told(tmp_path, "restore", str(file), "--check")
            file.unlink()
    told(ben.home, "backup", str(file), "--unlocked")
    assert not list(tmp_path.glob(".ben.backup.*")), "what the killed ones left is swept up"


@pytest.mark.long
def test_two_that_vote_as_one_person_spoil_nothing_that_was_said_before(
    start: Callable[..., RealDaemon], tmp_path: Path
) -> None:
    """The original and what was restored beside it answer one question differently, apart: one voice is left, and nobody is a cheat."""
    (tmp_path / "book").write_bytes(b"bees")
    anna = start("anna")
    cleo = start("cleo", bootstrap=(anna.address,))
    anna.run("circle", "create", "Study", "--profile", "study")
    work = anna.json("publish", str(tmp_path / "book"), "--title", "Bees", "--circle", "Study")["work"]
    cleo.run("circle", "join", anna.run("circle", "invite", "Study").stdout.splitlines()[-1])
    wait_until(lambda: cleo.run("show", work, check=False).returncode == 0, what="she knows the work")
    before, after = (
        cleo.json("propose", "edit", "Study", work, "--title", title, "--reason", "so")["proposal"] for title in "AB"
    )
    for question in (before, after):
        wait_until(lambda q=question: anna.run("vote", q, check=False).returncode == 0, what="Anna knows it")
    anna.run("vote", before, "approve")
    told(anna.home, "backup", str(tmp_path / "file"), "--no-content", "--unlocked")
    told(tmp_path / "copy", "restore", str(tmp_path / "file"))
    anna.stop()
    cleo.stop()
    copy = start("copy")
    copy.run("vote", after, "reject")
    copy.stop()
    anna.start()
    anna.run("vote", after, "approve")
    for node in (cleo, copy):
        node.arguments += ["--bootstrap", anna.address]
        node.start()

    def said(node: RealDaemon, question: str) -> list[tuple[str, str]]:
        return [(one["choice"], one["why"]) for one in node.json("explain", question)["ballots"]]

    everybody = (anna, cleo, copy)
    wait_until(lambda: [said(node, after) for node in everybody] == [[("reject", "counted")]] * 3, what="one voice")
    for node in everybody:
        assert said(node, before) == [("approve", "counted")]
        assert node.json("explain", after)["verdict"]["cast"]["void"] == 0, "the restored one's numbers are higher"


KILLED_AT = """
import os, shutil, signal, sys
from p2pnode import backup, restore
left = int(sys.argv.pop(1))
def dying(function):
    def step(*arguments, **options):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return step
restore._make_ready, restore.shutil.move, restore.os.rename, restore._sync = map(
    dying, (restore._make_ready, shutil.move, os.rename, restore._sync))
sys.exit(backup.main(sys.argv[1:]))
"""


def test_a_restore_that_is_killed_at_any_step_leaves_no_home_or_a_whole_one_and_goes_through_again(
    ben: RealDaemon, tmp_path: Path
) -> None:
    """Also when the works go to another disk: what it moved there it takes back, and nothing of anybody else."""
    file = tmp_path / "ben.backup"
    told(ben.home, "backup", str(file), "--unlocked")
    steps = 0
    while True:
        home, library = tmp_path / f"home-{steps}", tmp_path / f"works-{steps}"
        arguments = ["restore", "--home", str(home), "--file", str(file), "--library", str(library), "--json"]
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
        command = [sys.executable, "-c", KILLED_AT, str(steps), *arguments]
        died = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        if home.exists():
            assert (home / "node.db").exists() and (library / "Bees" / "small").read_bytes() == b"tiny"
        else:
            back = restore(Home(home), str(file), str(library), None, check=False, on_bytes=lambda count: None)
            assert (back["restored"], back["works_missing"]) == (True, 0)
            assert (library / "Bees" / "small").read_bytes() == b"tiny"
            assert sorted(one.name for one in library.iterdir()) == [".p2pnode-library", "Bees"]
            assert not list(tmp_path.glob(f".home-{steps}.restoring-*")), "what the killed one left is swept up"
        if died.returncode == 0:
            break
        assert died.returncode == -signal.SIGKILL, died.stderr
        steps += 1
    assert steps >= 5
    with pytest.raises(RefusedError, match="is not empty"):
        restore(Home(tmp_path / "other"), str(file), str(library), None, check=False, on_bytes=lambda count: None)


def test_an_old_home_is_opened_and_its_backup_restored_by_this_version(
    start: Callable[..., RealDaemon], tmp_path: Path
) -> None:
    """A database as the first schema left it: what it holds is there after an upgrade, and after a backup."""
    for name in ("old", "older"):
        (tmp_path / name).mkdir(mode=0o700)
        (tmp_path / name / "node.db").write_bytes(gzip.decompress(FIRST_SCHEMA.read_bytes()))
    told(tmp_path / "older", "backup", str(tmp_path / "older.backup"), "--no-content", "--no-identity")
    told(tmp_path / "copy", "restore", str(tmp_path / "older.backup"))
    counts = []
    for name in ("old", "copy"):
        status = start(name).json("status")
        counts.append((status["works"], status["circles"], status["stored_bytes"] > 0))
    assert counts[0] == counts[1] and counts[0][0] and counts[0][1]
