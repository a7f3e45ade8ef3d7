"""A circle grows to twelve real nodes: it is offered grown rules, takes them, and then needs more than a founder's word."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.daemons import RealDaemon, wait_until

pytestmark = [pytest.mark.network, pytest.mark.long]
MEMBERS = 12


def verdict(daemon: RealDaemon, of: str, circle: str) -> str:
    """The part that is the same everywhere, as bytes would be compared."""
    return json.dumps(daemon.json("explain", of, "--circle", circle)["verdict"], sort_keys=True)


def all_see(daemons: list[RealDaemon], what: str, is_so: Callable[[RealDaemon], object]) -> None:
    for daemon in daemons:
        wait_until(lambda daemon=daemon: is_so(daemon), what=f"{daemon.home.name} sees {what}")


def test_a_circle_of_twelve_takes_grown_rules(start: Callable[..., RealDaemon], tmp_path: Path) -> None:
    founder = start("m00")
    others = [start(f"m{number:02}", bootstrap=(founder.address,)) for number in range(1, MEMBERS)]
    everybody = [founder, *others]
    circle = founder.json("circle", "create", "Readers")["circle"]
    link = founder.json("circle", "invite", circle, "--uses", str(MEMBERS - 1))["invite"]
    for one in others[:-1]:
        assert one.json("circle", "join", link)["state"] == "joined"
    assert "grown" not in {one["kind"] for one in founder.lines("notices")}, "eleven are not a dozen"
    assert others[-1].json("circle", "join", link)["state"] == "joined"
    all_see(everybody, "twelve members", lambda one: one.json("circle", "show", circle)["members"] == MEMBERS)
    wait_until(lambda: "grown" in {one["kind"] for one in founder.lines("notices")}, what="the founder is offered them")
    all_see(others, "its welcome", lambda one: "one_voucher" in {said["kind"] for said in one.lines("notices")})

    question = founder.json("propose", "charter", circle, "--grown", "--reason", "We are twelve.")["proposal"]
    founder.run("vote", question, "approve")
    asks_more = lambda one: one.json("circle", "charter", circle)["classes"]["list"]["b"] == 1  # noqa: E731
    all_see(everybody, "the new rules", asks_more)

    (tmp_path / "book.txt").write_text("A book.")
    published = others[0].json("publish", str(tmp_path / "book.txt"), "--title", "A book")["work"]
    question = others[0].json("propose", "list", circle, published)["proposal"]
    for number, one in enumerate(everybody[:4]):
        wait_until(lambda one=one: one.run("vote", question, "approve", check=False).returncode == 0, what="a vote")
        if number == 2:
            wait_until(
                lambda: '"approve": 3' in json.dumps(founder.json("explain", question, "--circle", circle)["verdict"]),
                what="three approvals arrived",
            )
            assert founder.json("circle", "show", circle)["works"] == 0, "one bad member could have added three"
    all_see(everybody, "the book listed", lambda one: one.json("circle", "show", circle)["works"] == 1)
    wait_until(lambda: len({verdict(one, published, circle) for one in everybody}) == 1, what="the same bytes on all")

    bad = others[-1].json("identity", "show", "--circle", circle)["key"]
    question = founder.json("propose", "expel", circle, bad, "--reason", "sells our addresses")["proposal"]
    for one in everybody[:-1]:
        wait_until(lambda one=one: one.run("vote", question, "approve", check=False).returncode == 0, what="a vote")
    wait_until(lambda: len({verdict(one, question, circle) for one in everybody}) == 1, what="the same bytes on all")
    said = founder.json("explain", question, "--circle", circle)["verdict"]
    assert (said["cast"]["approve"], said["state"], said["effective"]) == (MEMBERS - 1, "adopted", False), said
    assert founder.json("circle", "show", circle)["members"] == MEMBERS, "seven days are waited before anybody goes"
