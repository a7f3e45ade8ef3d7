"""Writes tests/vectors/flow.json: `python -m tests.core.make_flow_vectors`. Expected numbers come from `flow_reference`, never from
`p2pnode.core.flow`, and the ones that can be seen by hand are asserted here.

Key number n is n as 32 bytes, big-endian. `vouches` are [from, to] pairs as given, self-vouches included. Every set of a decision names
the stewards left out and the ballots that count, in the order of SHA-256(circle || key).
"""

from __future__ import annotations

import hashlib
import json
from itertools import combinations
from pathlib import Path
from typing import Any

from tests.core.flow_reference import greedy_basis

PATH = Path(__file__).parents[1] / "vectors" / "flow.json"
CIRCLE = hashlib.sha256(b"flow vectors").digest()
Pairs = list[tuple[int, int]]


def key_bytes(number: int) -> bytes:
    return number.to_bytes(32, "big")


def case(
    name: str,
    why: str,
    pairs: Pairs,
    stewards: list[int],
    *,
    approve: list[int],
    reject: list[int] = (),  # type: ignore[assignment]
    f: int = 0,
    k: int = 3,
    rule: tuple[int, int, int] = (0, 1, 0),
) -> dict[str, Any]:
    """One decision; `rule` is (B, q, supermajority)."""
    hops = reachable(pairs, stewards)
    members = sorted(hops)
    number = {key: at for at, key in enumerate(members)}
    vouches = [sorted({number[to] for by, to in pairs if by == key and to != key}) for key in members]
    sets = []
    for left_out in combinations(sorted(stewards), f):
        inside = [number[key] for key in stewards if key not in left_out]
        sides = [
            [
                members[at]
                for at in greedy_basis(vouches, inside, k, [number[key] for key in ordered(voters) if key in number])
            ]
            for voters in (approve, reject)
        ]
        sets.append({"left_out": list(left_out), "approve": sides[0], "reject": sides[1]})
    b, q, supermajority = rule
    return {
        "name": name,
        "why": why,
        "circle": CIRCLE.hex(),
        "stewards": sorted(stewards),
        "f": f,
        "k": k,
        "b": b,
        "q": q,
        "supermajority": supermajority,
        "vouches": sorted(pairs),
        "approve": sorted(approve),
        "reject": sorted(reject),
        "members": members,
        "hops": [hops[key] for key in members],
        "sets": sets,
        "adopted": adopted(sets, k, b, q, supermajority),
    }


def adopted(sets: list[dict[str, Any]], k: int, b: int, q: int, supermajority: int) -> bool:
    counts = [(len(one["approve"]), len(one["reject"])) for one in sets]
    return all(a - r > b * k and a >= q and (a >= 2 * r or not supermajority) for a, r in counts)


def ordered(voters: list[int]) -> list[int]:
    return sorted(voters, key=lambda key: hashlib.sha256(CIRCLE + key_bytes(key)).digest())


def reachable(pairs: Pairs, stewards: list[int]) -> dict[int, int]:
    hops = dict.fromkeys(stewards, 0)
    queue = list(stewards)
    for key in queue:
        for by, to in sorted(pairs):
            if by == key and to not in hops:
                hops[to] = hops[key] + 1
                queue.append(to)
    return hops


def tree() -> Pairs:
    """A steward (0), five it vouches for (1-5), and four more behind each of those (6-25)."""
    return [(0, child) for child in range(1, 6)] + [
        (child, 6 + 4 * (child - 1) + leaf) for child in range(1, 6) for leaf in range(4)
    ]


def hop_limit_graph() -> Pairs:
    """Six honest chains 0 -> 10+i -> 20+i -> 30+i -> 40+i; key 1 is bad and vouches for all six 30+i."""
    chains = [(0, 10 + i) for i in range(6)]
    chains += [(10 * j + i, 10 * j + 10 + i) for j in (1, 2, 3) for i in range(6)]
    return [*chains, (0, 1), *((1, 30 + i) for i in range(6))]


def clique(keys: range) -> Pairs:
    return [(one, other) for one in keys for other in keys if one != other]


def thin() -> Pairs:
    """Thirty keys, up to four vouches each, by the digests of their numbers; of 200 such graphs the one that needs a detour."""
    digests = [hashlib.sha256(b"thin 72 %d" % key).digest() for key in range(30)]
    return [(key, digest[at] % 30) for key, digest in enumerate(digests) for at in range(1, 1 + digest[0] % 4)]


def cases() -> list[dict[str, Any]]:
    everyone = list(range(26))
    swarm = [(7, 100 + i) for i in range(20)]
    honest = clique(range(10))
    adaptive = {"approve": [7, *range(100, 120)], "reject": [1, 2, 3, 4, 5]}
    limit = hop_limit_graph()
    four = [0, 1, 2, 3]
    return [
        case("lone founder", "one steward, one ballot: enough for B = 0, q = 1", [], [0], approve=[0]),
        case("nobody voted", "0 is not more than 0", [], [0], approve=[]),
        case("a tie changes nothing", "A > R is asked for", [(0, 1)], [0], approve=[0], reject=[1]),
        case(
            "tree 1-5-20, all approve",
            "each of the five carries its own ballot and two of its four",
            tree(),
            [0],
            approve=everyone,
        ),
        case(
            "tree 1-5-20, grown",
            "16 count: they tolerate two bad keys, as 16 > 2 x 3",
            tree(),
            [0],
            approve=everyone,
            rule=(2, 5, 0),
        ),
        case(
            "tree 1-5-20, one too many",
            "margin 16 is not more than 6 x 3",
            tree(),
            [0],
            approve=everyone,
            rule=(6, 5, 0),
        ),
        case("tree 1-5-20 with K = 6", "all 26 count", tree(), [0], approve=everyone, k=6),
        case(
            "tree 1-5-20, leaves only",
            "fifteen of twenty: three a parent, one a vouch",
            tree(),
            [0],
            approve=list(range(6, 26)),
        ),
        case("self-vouches", "they are ignored", [(0, 0), (0, 1), (1, 1), (1, 2)], [0], approve=[1, 2]),
        case("a stranger's ballot", "key 9 is reached by nobody", [(0, 1), (9, 1)], [0], approve=[1, 9]),
        case(
            "vouches for a steward",
            "reach it, and change nothing for its own ballot",
            [(0, 1), (1, 0)],
            [0],
            approve=[0, 1],
        ),
        case(
            "three vouches make a key's weight",
            "one vouch carries K/3 of K",
            [(0, 1), (1, 2), (2, 3), (2, 4), (2, 5)],
            [0],
            approve=[3, 4, 5],
        ),
        case(
            "stewards left out",
            "a steward that is left out counts only as a key that others vouch for",
            [(0, 1), (1, 2), (2, 0), *((3, 10 + i) for i in range(9)), (0, 3)],
            four,
            f=1,
            approve=[0, 1, 2],
            reject=list(range(10, 19)),
            rule=(1, 1, 0),
        ),
        case(
            "a bad steward's swarm cannot force",
            "without steward 3 only its K ballots are left, and B x K covers them",
            [*clique(range(4)), *((3, 10 + i) for i in range(40))],
            four,
            f=1,
            approve=[3, *range(10, 50)],
            rule=(1, 1, 0),
        ),
        case(
            "a bad steward's swarm can veto",
            "every set must agree, and three of four hold steward 3",
            [
                *clique(range(4)),
                *((3, 10 + i) for i in range(40)),
                *((i, 60 + 3 * i + j) for i in range(3) for j in range(3)),
            ],
            four,
            f=1,
            approve=[0, 1, 2, *range(60, 69)],
            reject=list(range(10, 50)),
            rule=(1, 1, 0),
        ),
        case(
            "honest stewards agree",
            "the margin is over B x K in every set",
            [*clique(range(4)), *((i, 60 + 3 * i + j) for i in range(4) for j in range(3))],
            four,
            f=1,
            approve=[*four, *range(60, 72)],
            rule=(1, 3, 0),
        ),
        case(
            "hop limit, before",
            "six honest chains, four vouches long; the bad key keeps still",
            [p for p in limit if p[0] != 1],
            [0],
            approve=list(range(40, 46)),
        ),
        case(
            "hop limit, after",
            "the bad key shortens them all and gains nothing; with a limit of 3 hops it would gain six",
            limit,
            [0],
            approve=list(range(40, 46)),
        ),
        case(
            "adaptive K, as it is",
            "member 7 and twenty made-up keys, one honest circle of ten",
            [*honest, *swarm],
            [0],
            **adaptive,
        ),
        case(
            "adaptive K, had it grown",
            "what a K that follows turnout would have let them do",
            [*honest, *swarm],
            [0],
            k=24,
            **adaptive,
        ),
        case(
            "detours",
            "a thin random graph: one ballot is only reached when an earlier one goes another way",
            thin(),
            [0, 1],
            approve=list(range(30)),
        ),
        case(
            "supermajority missed",
            "4 is less than twice 3",
            clique(range(7)),
            [0],
            approve=[0, 1, 2, 3],
            reject=[4, 5, 6],
            rule=(0, 1, 1),
        ),
        case(
            "supermajority met",
            "4 is twice 2",
            clique(range(7)),
            [0],
            approve=[0, 1, 2, 3],
            reject=[4, 5],
            rule=(0, 1, 1),
        ),
        case(
            "quorum missed", "two ballots where three are asked", clique(range(4)), [0], approve=[0, 1], rule=(0, 3, 0)
        ),
    ]


def render() -> str:
    """The whole file; raises AssertionError when a number that can be seen by hand is another."""
    vectors = cases()
    by_name = {vector["name"]: vector for vector in vectors}
    seen = {
        "tree 1-5-20, all approve": 16,
        "tree 1-5-20, leaves only": 15,
        "tree 1-5-20 with K = 6": 26,
        "hop limit, before": 6,
        "hop limit, after": 6,
        "adaptive K, as it is": 3,
        "detours": 15,
    }
    for name, approve in seen.items():
        assert len(by_name[name]["sets"][0]["approve"]) == approve, name
    assert by_name["adaptive K, had it grown"]["adopted"] and not by_name["adaptive K, as it is"]["adopted"]
    assert not by_name["a bad steward's swarm cannot force"]["adopted"]
    assert not by_name["a bad steward's swarm can veto"]["adopted"]
    lines = ",\n".join(json.dumps(vector, ensure_ascii=True) for vector in vectors)
    return f"[\n{lines}\n]\n"


if __name__ == "__main__":
    PATH.write_text(render(), encoding="utf-8")
