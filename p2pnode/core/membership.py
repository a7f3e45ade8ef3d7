"""Who belongs to a circle on a given day: the graph of active vouches, as far as it can be reached from the stewards.

A vouch is active from its day on for `vouch_days` days, unless its author revoked it or signed two different ones with one
number. Vouches for oneself are ignored. Of one key's active vouches the 50 with the smallest record id hold. A member is a
key that active vouches reach from a steward; hop counts are shown and limit invitations, and never touch the tally: with
a hop limit there, one bad member could activate six honest vouches and gain more than its own weight.

An expelled key is passed over, and with it whoever only its vouches reached. Who is expelled is `core.rules`' question.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from p2pnode.core.ids import PublicKey, RecordId
from p2pnode.core.record import Record

ACTIVE_VOUCHES = 50
"""Vouches of one key that hold at a time: nobody knows more distinct persons well enough, and it bounds every graph."""


@dataclass(frozen=True, slots=True)
class Membership:
    """The members, numbered in the order of their keys, and the vouches between them.

    `hops[i]` is the least number of vouches from a steward (0 for a steward); `vouches[i]` the members that i vouches for and
    `vouchers[i]` those who vouch for i, ascending. Stewards vouch and are vouched for like everybody.
    """

    keys: tuple[PublicKey, ...]
    index: Mapping[PublicKey, int]
    stewards: tuple[int, ...]
    hops: tuple[int, ...]
    vouches: tuple[tuple[int, ...], ...]
    vouchers: tuple[tuple[int, ...], ...]

    @classmethod
    def of(
        cls,
        stewards: Sequence[PublicKey],
        vouches: Mapping[PublicKey, Iterable[PublicKey]],
        expelled: Collection[PublicKey] = (),
    ) -> Membership:
        """What `vouches` (author -> keys vouched for, active ones) reach from the stewards without passing an expelled key.

        Stewards cannot be expelled: the charter is what names them, and a change of it what removes them.
        """
        hops = _hops(stewards, vouches, set(expelled).difference(stewards))
        keys = tuple(sorted(hops))
        index = {key: number for number, key in enumerate(keys)}
        onward = [
            tuple(sorted({index[to] for to in vouches.get(key, ()) if to != key and to in index})) for key in keys
        ]
        backward: list[list[int]] = [[] for _ in keys]
        for number, targets in enumerate(onward):
            for target in targets:
                backward[target].append(number)
        return cls(
            keys=keys,
            index=index,
            stewards=tuple(index[steward] for steward in stewards),
            hops=tuple(hops[key] for key in keys),
            vouches=tuple(onward),
            vouchers=tuple(map(tuple, backward)),
        )


def active_vouches(standing: Iterable[Record], *, vouch_days: int, day: int) -> dict[PublicKey, tuple[PublicKey, ...]]:
    """Author -> keys vouched for on that UTC day. `standing` are the vouch records that won their registers."""
    chosen: dict[PublicKey, list[tuple[RecordId, PublicKey]]] = defaultdict(list)
    for vouch in standing:
        given = vouch.fields["choice"] == 1
        if given and vouch.target != vouch.author and day - vouch.day < vouch_days:
            chosen[vouch.author].append((vouch.id, PublicKey(vouch.target)))
    return {author: tuple(key for _, key in sorted(given)[:ACTIVE_VOUCHES]) for author, given in chosen.items()}


def _hops(
    stewards: Sequence[PublicKey],
    vouches: Mapping[PublicKey, Iterable[PublicKey]],
    expelled: Collection[PublicKey],
) -> dict[PublicKey, int]:
    hops = dict.fromkeys(stewards, 0)
    queue = list(stewards)
    for key in queue:
        for target in vouches.get(key, ()):
            if target not in hops and target not in expelled:
                hops[target] = hops[key] + 1
                queue.append(target)
    return hops
