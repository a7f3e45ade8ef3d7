"""How ballots come to count, as something to look at: which steward stands behind which ballot, and through whom.

From the flow of the set of stewards that is shown it takes paths, one for every ballot that counts, and draws them as a tree of text;
`core.picture_svg` draws columns of keys by their distance from the stewards. Pure; called by `services.explain`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from p2pnode.core.ids import KEY_PREFIX, PublicKey, QuestionId, id_text
from p2pnode.core.membership import Membership
from p2pnode.core.tally import Stream
from p2pnode.core.verdict import CircleView

Choice = Literal["for", "against"]
TREE_LINES = 60
"""Of one choice's tree: a screen or two."""
TREE_CHILDREN = 6
"""Keys that are written out under one key; the others are told in one line."""
SHORT_CHARACTERS = 10
"""Of a key in a picture: the prefix and eight characters; the whole one stands in the explanation."""


@dataclass(frozen=True, slots=True)
class Side:
    """One choice: members' numbers who chose it, those whose ballots count, and for each of these the way from a steward to it."""

    choice: Choice
    voters: tuple[int, ...]
    counted: frozenset[int]
    vouches: Mapping[tuple[int, int], int]
    paths: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """One question's flow. `left_out` are the stewards that the shown set is without."""

    class_: str
    outcome: str
    k: int
    margin: int
    members: Membership
    left_out: frozenset[int]
    sides: tuple[Side, Side]


def picture_of(view: CircleView, id: QuestionId) -> Picture | None:
    """The flow behind a question's tally; None if there is none to show (no ballots, no such class, pending). NotFoundError as `decide`."""
    decision = view.decide(id)
    worst, electorate = decision.tally.worst, view.electorate(decision.question)
    if worst is None:
        return None
    streams = electorate.counter.streams(decision.of_members, worst.left_out)
    if streams is None or not any(one.voters for one in streams):
        return None
    members = electorate.membership
    left_out = frozenset(members.index[key] for key in worst.left_out)
    sources = frozenset(members.stewards) - left_out
    return Picture(
        class_=decision.question.class_,
        outcome=decision.tally.outcome,
        k=decision.tally.k,
        margin=worst.margin,
        members=members,
        left_out=left_out,
        sides=(_side("for", streams[0], sources), _side("against", streams[1], sources)),
    )


def _side(choice: Choice, stream: Stream, sources: frozenset[int]) -> Side:
    return Side(choice, stream.voters, frozenset(stream.counted), stream.vouches, tuple(_paths(stream, sources)))


def _paths(stream: Stream, sources: frozenset[int]) -> Iterable[tuple[int, ...]]:
    """Take the flow apart: for every ballot that counts one way from a source, no vouch on more ways than it carries."""
    left = dict(stream.vouches)
    into: dict[int, list[int]] = defaultdict(list)
    for by, to in sorted(left):
        into[to].append(by)
    for voter in stream.counted:
        path = _way_back(voter, left, into, sources)
        for by, to in pairwise(path):
            left[by, to] -= 1
        yield path


def _way_back(
    voter: int, left: Mapping[tuple[int, int], int], into: Mapping[int, list[int]], sources: frozenset[int]
) -> tuple[int, ...]:
    """The shortest way from a source to a voter along vouches that still carry something; the voter alone if there were none."""
    onward: dict[int, int] = {voter: -1}
    queue = [voter]
    for key in queue:
        if key in sources:
            path = [key]
            while onward[path[-1]] >= 0:
                path.append(onward[path[-1]])
            return tuple(path)
        for by in into.get(key, ()):
            if by not in onward and left[by, key]:
                onward[by] = key
                queue.append(by)
    return (voter,)


# ---------------------------------------------------------------- as text


@dataclass(slots=True)
class _Branch:
    ballots: int = 0
    ends_here: bool = False
    below: dict[int, _Branch] = field(default_factory=dict)


def lines(picture: Picture) -> list[str]:
    """The picture as a tree for a terminal: stewards at the left margin, below each whom its vouches carry."""
    told: list[str] = []
    for side in picture.sides:
        if not side.voters:
            continue
        told.append(f"{side.choice.capitalize()}: {len(side.counted)} of {len(side.voters)} count")
        root = _Branch()
        for path in side.paths:
            _add(root, path)
        told += _tree(picture, root, side.choice)
        without = [voter for voter in side.voters if voter not in side.counted]
        if without:
            named = ", ".join(short_key(picture.members.keys[one]) for one in without[:TREE_CHILDREN])
            more = f" and {len(without) - TREE_CHILDREN} more" if len(without) > TREE_CHILDREN else ""
            told.append(f"  no room for {named}{more}: whoever vouches for them carries all that it may")
    return told


def _add(root: _Branch, path: Sequence[int]) -> None:
    branch = root
    for key in path:
        branch = branch.below.setdefault(key, _Branch())
        branch.ballots += 1
    branch.ends_here = True


def _tree(picture: Picture, root: _Branch, choice: str) -> list[str]:
    """The tree with as many keys under each as fit."""
    tree: list[str] = []
    for children in range(TREE_CHILDREN, 0, -1):
        tree = list(_branch_lines(picture, root, choice, "", children))
        if len(tree) <= TREE_LINES:
            return tree
    return [*tree[:TREE_LINES], "  ..."]


def _branch_lines(picture: Picture, branch: _Branch, choice: str, indent: str, children: int) -> Iterable[str]:
    ordered = sorted(branch.below.items(), key=lambda item: (-item[1].ballots, item[0]))
    widest = children if indent else TREE_CHILDREN  # every steward, as far as there is room
    shown, hidden = ordered[:widest], ordered[widest:]
    for place, (key, below) in enumerate(shown):
        last = place == len(shown) - 1 and not hidden
        yield f"{indent}{'└' if last else '├'} {_words(picture, key, below, choice)}"
        yield from _branch_lines(picture, below, choice, indent + ("  " if last else "│ "), children)
    if hidden:
        ballots = sum(below.ballots for _, below in hidden)
        yield f"{indent}└ {_count(len(hidden), 'more key')} with {_count(ballots, 'ballot')}"


def _words(picture: Picture, key: int, branch: _Branch, choice: str) -> str:
    said = [short_key(picture.members.keys[key])]
    if key in picture.members.stewards:
        said.append("(left out steward)" if key in picture.left_out else "(steward)")
    if branch.ends_here:
        said.append(choice)
    carried = branch.ballots - branch.ends_here
    if carried:
        limit = "" if key in picture.members.stewards and key not in picture.left_out else f" of at most {picture.k}"
        said.append(f"carries {_count(branch.ballots, 'ballot')}{limit}")
    return " ".join(said)


def short_key(key: PublicKey) -> str:
    """A key as pictures name it."""
    return id_text(KEY_PREFIX, key)[:SHORT_CHARACTERS]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
