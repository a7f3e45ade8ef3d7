"""Five real nodes, two of them hostile in different ways: the honest three finish their whole journey.

One provides the same content and sends other bytes. The other sends rubbish on every protocol, floods, answers searches falsely and
comes back under a new name when it is banned.
"""

from __future__ import annotations

import json
import random
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.daemons import RealDaemon, wait_until
from tests.support.hostile import HostileProcess
from tests.support.trees import assert_same_tree

pytestmark = pytest.mark.network

SEED = 20260
MAX_PEAK_MIB = 350
"""Of one honest daemon under attack; one at rest has about 130."""
LEAVES = 24
"""MiB of the content: several providers are asked for something like this."""

Hostile = Callable[[str, list[str]], HostileProcess]


@pytest.fixture
def hostile() -> Iterator[Hostile]:
    started: list[HostileProcess] = []

    def begin(role: str, addresses: list[str]) -> HostileProcess:
        started.append(HostileProcess(role, addresses, seed=SEED))
        return started[-1]

    yield begin
    for process in started:
        process.kill()


def peak_mib(daemon: RealDaemon) -> int:
    """The most memory that the process ever held."""
    assert daemon.process is not None
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) >> 10


def make_books(folder: Path) -> Path:
    """A folder of large and small files."""
    rng = random.Random(SEED)
    (folder / "part").mkdir(parents=True)
    (folder / "howto.bin").write_bytes(rng.randbytes(LEAVES << 20))
    for number in range(30):
        (folder / "part" / f"{number}.txt").write_bytes(rng.randbytes(3000 + number))
    return folder


def get_although_the_liar_is_first(daemon: RealDaemon, work: str, to: Path, others: list[RealDaemon]) -> None:
    """The honest providers are held until the liar was caught."""
    for other in others:
        other.signal(signal.SIGSTOP)
    try:
        got = daemon.begin("get", work, "-o", str(to), "--json")
        wait_until(lambda: re.search(r"it sent \d+ bytes that are not block", daemon.log), what="the liar is caught")
    finally:
        for other in others:
            other.signal(signal.SIGCONT)
    out, errors = got.communicate(timeout=120)
    assert got.returncode == 0, errors
    assert json.loads(out)["path"] == str(to)


def verdict(daemon: RealDaemon, what: str, circle: str) -> bytes:
    return json.dumps(daemon.json("explain", what, "--circle", circle)["verdict"]).encode()


def counted(daemon: RealDaemon, work: str, circle: str) -> tuple[int, int] | None:
    """(approve, reject) of a work in a circle, None while it is unknown."""
    result = daemon.run("show", work, "--json", check=False)
    said = [] if result.returncode else json.loads(result.stdout)["verdicts"]
    return next(((v["approve"], v["reject"]) for v in said if v["circle"] == circle), None)


def test_the_honest_finish_their_journey(start: Callable[..., RealDaemon], hostile: Hostile, tmp_path: Path) -> None:
    print("seed", SEED)
    anna = start("anna")
    ben = start("ben", bootstrap=(anna.address,))
    cleo = start("cleo", bootstrap=(anna.address, ben.address))
    honest = (anna, ben, cleo)
    books = make_books(tmp_path / "books")
    liar = hostile("liar", [daemon.address for daemon in honest])
    vandal = hostile("vandal", [daemon.address for daemon in honest])

    published = anna.json("publish", str(books), "--title", "Howto of howtos", "--tag", "honest")
    liar.tell(root=published["cid"], path=str(books), word="howtos")
    assert liar.process.stdout is not None and liar.process.stdout.readline().strip() == "told"

    for daemon in (ben, cleo):
        wait_until(
            lambda daemon=daemon: published["work"] in [hit["work"] for hit in daemon.lines("search", "howto")],
            what="the work is found",
        )
        shown = daemon.run("search", "howto").stdout
        assert "\x1b" not in shown and "\u202e" not in shown and "\x07" not in shown
        copy = tmp_path / f"copy of {daemon.home.name}"
        get_although_the_liar_is_first(daemon, published["work"], copy, others=[d for d in honest if d is not daemon])
        assert_same_tree(books, copy)

    circle = anna.json("circle", "create", "Readers")["circle"]
    vandal.tell(circle=circle)
    for guest in (ben, cleo):
        answer = guest.json("circle", "join", anna.json("circle", "invite", circle)["invite"])
        if answer["state"] != "joined":
            wait_until(lambda guest=guest: guest.json("circle", "list"), what="the join is answered after all")
    for daemon in honest:
        wait_until(
            lambda daemon=daemon: daemon.json("circle", "show", circle)["members"] == 3, what="three are on the roll"
        )
    question = anna.json("propose", "list", circle, published["work"])["proposal"]
    for daemon, choice in zip(honest, ("approve", "approve", "reject"), strict=True):
        wait_until(
            lambda daemon=daemon: daemon.run("explain", question, check=False).returncode == 0,
            what="the proposal is there",
        )
        daemon.json("vote", question, choice)
    for daemon in honest:
        wait_until(
            lambda daemon=daemon: counted(daemon, published["work"], circle) == (2, 1), what="three ballots counted"
        )
    assert len({verdict(daemon, question, circle) for daemon in honest}) == 1

    lies, harm = liar.finish(), vandal.finish()
    print("the liar", dict(lies), "\nthe vandal", dict(harm))
    assert lies["lied about leaves"] and lies["lied about skeleton"]
    assert harm["identities"] > 1 and harm["gossip"] and harm["stream floods"]
    for daemon in honest:
        print(daemon.home.name, "peak MiB", peak_mib(daemon), "log lines", daemon.log.count("\n"))
        assert daemon.json("status")["works"] >= 1
        assert peak_mib(daemon) < MAX_PEAK_MIB
        assert "Traceback" not in daemon.log and "a bug" not in daemon.log
        assert daemon.stop() == 0
