"""Two real daemons part from a circle: one forks it, the other joins the fork, and both say the same of it to the byte."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.daemons import CommandFailed, RealDaemon, wait_until

pytestmark = pytest.mark.network


def members(daemon: RealDaemon, circle: str) -> int:
    return int(daemon.json("circle", "show", circle)["members"])


def test_a_circle_parts_and_each_part_goes_its_own_way(start: Callable[..., RealDaemon], tmp_path: Path) -> None:
    anna = start("anna")
    ben = start("ben", bootstrap=(anna.address,))
    readers = anna.json("circle", "create", "Readers")["circle"]
    assert ben.json("circle", "join", anna.json("circle", "invite", readers)["invite"])["state"] == "joined"
    wait_until(lambda: members(ben, readers) == 2, what="ben is in the circle")
    (tmp_path / "book.txt").write_text("A book.")
    work = anna.json("publish", str(tmp_path / "book.txt"), "--title", "A book", "--circle", readers)["work"]
    wait_until(lambda: ben.json("circle", "show", readers)["works"] == 1, what="ben sees it listed")

    alone = ben.run("circle", "fork", readers, "Ben alone").stdout
    assert "No vouch leads from its stewards to 1 member of the old one" in alone, "nobody vouches for the founder"
    founder = ben.json("circle", "show", readers)["stewards"][0]
    answer = ben.json("circle", "fork", readers, "Slow readers", "--steward", founder)
    fork = answer["circle"]
    assert answer["parent"] == readers and answer["inherited"]["works"] == 1
    assert (answer["members"], answer["left_behind"]) == (2, 0)
    assert {"circle": fork, "name": "Slow readers"} in ben.json("circle", "show", readers)["forks"]
    assert "forked from" in ben.run("circle", "show", fork).stdout
    rules = ben.json("circle", "show", fork)
    assert (rules["members"], rules["works"], rules["inherited"]["state"]) == (2, 1, "whole")

    link = ben.json("circle", "invite", fork)["invite"]
    with pytest.raises(CommandFailed, match="is a fork of a circle of yours, or pretends to be one"):
        anna.run("circle", "join", link)
    wait_until(
        lambda: anna.json("circle", "show", readers)["announced"], what="anna hears of the fork, and of no other"
    )
    heard = anna.json("circle", "show", readers)["announced"]
    assert {one["name"]: one["members"] for one in heard} == {"Slow readers": 2, "Ben alone": 1}
    wait_until(lambda: "forked" in {one["kind"] for one in anna.lines("notices")}, what="and is told so")
    told = anna.run("circle", "show", readers).stdout
    assert "Slow readers (2 members of this one in it)" in told and "Come along in a fork with" in told
    assert anna.json("circle", "join", fork)["state"] == "joined", "without an invite: what it inherits vouches for her"
    wait_until(lambda: members(anna, fork) == members(ben, fork) == 2, what="both are in the fork")
    wait_until(lambda: anna.json("circle", "show", fork)["works"] == 1, what="what it inherited has arrived")

    said = [daemon.json("explain", work, "--circle", fork)["verdict"] for daemon in (anna, ben)]
    assert json.dumps(said[0], sort_keys=True) == json.dumps(said[1], sort_keys=True)
    assert said[0]["verdict"] == "listed"
    drawing = tmp_path / "flow.svg"
    told = anna.run("explain", work, "--circle", fork, "--tree", "--picture", str(drawing)).stdout
    assert "For: 1 of 1 count" in told and "(steward) for" in told
    assert drawing.read_text().startswith("<svg") and "svg" not in anna.json("explain", work, "--circle", fork)
    anna.run("propose", "takedown", readers, work, "--reason", "it is out of date")
    question = anna.lines("proposals", "--circle", readers)[0]["proposal"]
    anna.run("vote", question, "approve")
    wait_until(lambda: anna.json("circle", "show", readers)["works"] == 0, what="the parent takes it down")
    assert anna.json("circle", "show", fork)["works"] == 1, "what the parent decides later is not the fork's"
    assert anna.run("circle", "fork", "Nobody", "Others", check=False).returncode == 4
