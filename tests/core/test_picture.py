"""The picture of a flow: its paths are the flow, its text and its drawing say the same, at any size (p2pnode/core/picture.py)."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from p2pnode.core import picture, picture_svg
from p2pnode.core.charter import Class
from p2pnode.core.ids import QuestionId
from p2pnode.core.picture import Picture, picture_of
from tests.core.circles import Circle, person

SVG = "{http://www.w3.org/2000/svg}"
STEWARDS = ("s1", "s2", "s3", "s4")


def village(people: int, seed: int = 1) -> tuple[Circle, QuestionId]:
    """Four stewards, people who came in one by one, and two thirds of all for a question."""
    rng = random.Random(seed)
    circle = Circle(STEWARDS, f=1, rule=Class(b=1, q=3))
    for number in range(people):
        circle.vouch(rng.choice(STEWARDS) if number < 8 else rng.randrange(number // 2), number)
        if number > 8 and rng.random() < 0.5:
            circle.vouch(rng.randrange(number), number)
    question = circle.propose("s1")
    for number in range(people):
        circle.cast(number, question, "reject" if number % 3 == 0 else "approve")
    return circle, question


def seen(people: int, seed: int = 1) -> Picture:
    circle, question = village(people, seed)
    found = picture_of(circle.view(), question)
    assert found is not None
    return found


@pytest.mark.parametrize("seed", range(8))
def test_the_paths_are_the_flow_that_the_tally_counts(seed: int) -> None:
    circle, question = village(40, seed)
    view = circle.view()
    found, worst = picture_of(view, question), view.decide(question).tally.worst
    assert found is not None and worst is not None
    members = found.members
    for side, counted in zip(found.sides, (worst.approve, worst.reject), strict=True):
        assert {members.keys[key] for key in side.counted} == set(counted)
        assert sorted(path[-1] for path in side.paths) == sorted(side.counted)
        through = Counter(key for path in side.paths for key in path)
        along = Counter(pair for path in side.paths for pair in pairwise(path))
        sources = set(members.stewards) - found.left_out
        assert all(path[0] in sources for path in side.paths)
        assert all(to in members.vouches[by] for by, to in along)
        assert all(number <= found.k for key, number in through.items() if key not in sources)
        assert all(number <= found.k // 3 for (by, _), number in along.items() if by not in sources)


@pytest.mark.parametrize(("people", "most_marks"), [(5, 30), (50, 120), (800, 120)])
def test_the_drawing_is_well_formed_and_readable_at_any_size(people: int, most_marks: int) -> None:
    found = seen(people)
    root = ElementTree.fromstring(picture_svg.svg(found))
    marks = root.findall(f"{SVG}g")
    assert 5 < len(marks) <= most_marks
    assert all((mark.findtext(f"{SVG}title") or "").strip() for mark in marks), "every mark has its words"
    width, height = (float(root.attrib[name]) for name in ("width", "height"))
    for text in root.iter(f"{SVG}text"):
        assert 0 <= float(text.attrib["x"]) < width and 0 < float(text.attrib["y"]) < height
    counted = [len(side.counted) for side in found.sides]
    assert all(str(number) in (root.findtext(f"{SVG}title") or "") for number in counted)
    assert root.attrib["role"] == "img" and root.findtext(f"{SVG}desc")


def test_the_drawing_loads_and_runs_nothing() -> None:
    text = picture_svg.svg(seen(20))
    assert "<script" not in text and "href" not in text and "@import" not in text
    assert text == picture_svg.svg(seen(20)), "the same picture is the same text"


@pytest.mark.parametrize("people", [5, 50, 800])
def test_the_tree_fits_a_screen_and_names_every_steward(people: int) -> None:
    found = seen(people)
    lines = picture.lines(found)
    assert len(lines) <= 2 * (picture.TREE_LINES + 3)
    stewards = [key for key in found.members.stewards if key not in found.left_out]
    for side in found.sides:
        named = {path[0] for path in side.paths}
        assert named <= set(stewards)
    text = "\n".join(lines)
    assert all(
        f"{side.choice.capitalize()}: {len(side.counted)} of {len(side.voters)} count" in text for side in found.sides
    )


def test_ballots_without_room_and_stewards_left_out_are_told() -> None:
    circle = Circle()
    circle.vouch("founder", "insider")
    circle.vouches("insider", range(9))
    question = circle.propose("founder")
    circle.casts(range(9), question, "approve")
    found = picture_of(circle.view(), question)
    assert found is not None
    assert any("no room for" in line for line in picture.lines(found))
    assert "for, no room" in picture_svg.svg(found)
    assert picture.short_key(person("insider").public) in "\n".join(picture.lines(found))


def test_without_ballots_there_is_no_picture() -> None:
    circle = Circle()
    question = circle.propose("founder", "flag", patch={"complaint": "licence"})
    assert picture_of(circle.view(), question) is None
