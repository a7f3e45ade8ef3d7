"""The first journey with real daemons and the real command line: publish, find, fetch, decide together, and agree to the byte."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.daemons import RealDaemon, wait_until
from tests.support.trees import assert_same_tree

pytestmark = pytest.mark.network


def verdict_bytes(daemon: RealDaemon, what: str, circle: str) -> str:
    """The `verdict` part of explain, exactly as printed."""
    answer = daemon.json("explain", what, "--circle", circle)
    return json.dumps(answer["verdict"], sort_keys=True)


def counted(daemon: RealDaemon, work: str, circle: str) -> tuple[int, int] | None:
    """(approve, reject) of a work in a circle, None while it is unknown."""
    result = daemon.run("show", work, "--json", check=False)
    if result.returncode:
        return None
    for verdict in json.loads(result.stdout)["verdicts"]:
        if verdict["circle"] == circle:
            return verdict["approve"], verdict["reject"]
    return None


def join(host: RealDaemon, guest: RealDaemon, circle: str) -> None:
    answer = guest.json("circle", "join", host.json("circle", "invite", circle)["invite"])
    assert answer["circle"] == circle
    assert answer["state"] == "joined", answer
    for daemon in (host, guest):
        wait_until(
            lambda daemon=daemon: daemon.json("circle", "show", circle)["members"] >= 2,
            what="the new member is on the roll",
        )


def test_two_people_publish_find_fetch_vote_and_agree(
    start: Callable[..., RealDaemon], documents: Path, tmp_path: Path
) -> None:
    anna = start("anna")
    ben = start("ben", bootstrap=(anna.address,))
    wait_until(lambda: anna.json("status")["peers"] == 1, what="the two are connected")

    published = anna.json(
        "publish", str(documents), "--title", "Python HOWTOs", "--kind", "documentation",
        "--licence", "PSF-2.0", "--creator", "Python Software Foundation", "--tag", "python",
    )  # fmt: skip
    assert published["files"] == sum(1 for p in documents.rglob("*") if p.is_file() and not p.is_symlink())
    assert anna.run("cid", str(documents)).stdout.strip() == published["cid"]

    hits = wait_until(lambda: ben.lines("search", "howtos"), what="ben finds it by a word")
    assert [hit["work"] for hit in hits] == [published["work"]]
    assert hits[0]["creators"] == [{"name": "Python Software Foundation", "role": "author"}]
    assert hits[0]["local"] is False

    fetched = ben.json("get", published["work"], "-o", str(tmp_path / "fetched"))
    assert fetched["bytes"] == published["bytes"]
    assert fetched["providers"] >= 1
    assert_same_tree(documents, tmp_path / "fetched")

    circle = anna.json("circle", "create", "Readers")["circle"]
    join(anna, ben, circle)
    question = anna.json("propose", "list", circle, published["work"])["proposal"]
    wait_until(lambda: ben.run("explain", question, check=False).returncode == 0, what="the proposal reaches ben")
    assert anna.json("vote", question, "approve", "--reason", "good")["choice"] == "approve"
    assert ben.json("vote", question, "approve")["proposal"] == question
    for daemon in (anna, ben):
        wait_until(
            lambda daemon=daemon: counted(daemon, published["work"], circle) == (2, 0), what="both see two ballots"
        )
    assert verdict_bytes(anna, question, circle) == verdict_bytes(ben, question, circle)
    assert json.loads(verdict_bytes(anna, question, circle))
    said = ben.run("explain", question, "--circle", circle).stdout
    assert " approve, counts: “good”\n" in said and " (you) approve, counts\n" in said
    ballots = ben.json("explain", question, "--circle", circle)["ballots"]
    assert sorted((one["choice"], one["why"], one["reason"]) for one in ballots) == [
        ("approve", "counted", ""),
        ("approve", "counted", "good"),
    ]

    ben.kill()
    anna.json("vote", question, "reject", "--reason", "on second thought")
    ben.start()
    wait_until(lambda: counted(ben, published["work"], circle) == (1, 1), what="ben catches up after kill -9")
    ben.json("vote", question, "reject")
    for daemon in (anna, ben):
        wait_until(
            lambda daemon=daemon: counted(daemon, published["work"], circle) == (0, 2), what="both see the new ballots"
        )
    assert verdict_bytes(anna, question, circle) == verdict_bytes(ben, question, circle)

    cleo = start("cleo", bootstrap=(ben.address,))
    join(ben, cleo, circle)
    wait_until(lambda: counted(cleo, published["work"], circle) == (0, 2), what="the third catches up by sync alone")
    assert verdict_bytes(cleo, question, circle) == verdict_bytes(anna, question, circle)

    assert anna.stop() == 0
    assert ben.run("stop").returncode == 0
    assert ben.run("status", check=False).returncode == 3


def test_publishing_into_a_circle_lists_it_at_once(start: Callable[..., RealDaemon], tmp_path: Path) -> None:
    anna = start("anna")
    circle = anna.json("circle", "create", "Alone")["circle"]
    book = tmp_path / "book.txt"
    book.write_text("a short book\n")
    published = anna.json("publish", str(book), "--title", "A Short Book", "--circle", circle)
    verdict = anna.json("show", published["work"])["verdicts"][0]
    assert (verdict["circle"], verdict["verdict"], verdict["proposal"]) == (circle, "listed", published["proposal"])
    assert (verdict["approve"], verdict["reject"]) == (1, 0)


def test_a_complaint_that_the_circle_shares_makes_a_work_disputed(
    start: Callable[..., RealDaemon], tmp_path: Path
) -> None:
    anna = start("anna")
    ben = start("ben", bootstrap=(anna.address,))
    circle = anna.json("circle", "create", "Readers")["circle"]
    join(anna, ben, circle)
    book = tmp_path / "book.txt"
    book.write_text("all rights reserved\n")
    work = anna.json("publish", str(book), "--title", "Borrowed Book", "--circle", circle)["work"]
    wait_until(lambda: counted(ben, work, circle) == (1, 0), what="the listing reaches ben")

    complaint = ben.json(
        "propose", "flag", circle, work, "--class", "licence", "--reason", "the text itself says all rights reserved"
    )["proposal"]
    ben.json("vote", complaint, "approve")
    wait_until(lambda: anna.run("explain", complaint, check=False).returncode == 0, what="the complaint reaches anna")
    assert complaint in [question["proposal"] for question in anna.lines("proposals", "--circle", circle)]
    anna.json("vote", complaint, "approve")
    for daemon in (anna, ben):
        wait_until(
            lambda daemon=daemon: daemon.json("show", work)["verdicts"][0]["verdict"] == "disputed",
            what="both see the work as disputed",
        )
    assert "licence" in anna.run("explain", work).stdout
    assert verdict_bytes(anna, work, circle) == verdict_bytes(ben, work, circle)


def test_private_works_are_not_found_and_not_served(start: Callable[..., RealDaemon], tmp_path: Path) -> None:
    anna = start("anna")
    ben = start("ben", bootstrap=(anna.address,))
    wait_until(lambda: ben.json("status")["peers"] == 1, what="the two are connected")
    diary = tmp_path / "diary.txt"
    diary.write_text("dear diary\n" * 1000)
    published = anna.json("publish", str(diary), "--title", "Secret diary", "--private")
    assert ben.lines("search", "diary", "--timeout", "2") == []
    refused = ben.run("get", published["cid"], "-o", str(tmp_path / "stolen"), "--timeout", "5", check=False)
    assert refused.returncode == 7
    assert not (tmp_path / "stolen").exists()
