"""A circle that parts, as people and programs read it: what its futures are, which one holds here, and what one can do about it.

Found by `core.partings`. Called for `circle show`, for its advice, and for the explanation of a question that is one of the futures.
"""

from __future__ import annotations

from collections.abc import Iterable

from p2pnode.core.ids import CIRCLE_PREFIX, KEY_PREFIX, QUESTION_PREFIX, QuestionId, id_text
from p2pnode.core.partings import Parting, partings
from p2pnode.core.verdict import CircleView
from p2pnode.ports import Json

SHORT_ID_CHARACTERS = 12
"""Of an id in a sentence: every command takes it for the whole, and it can be copied from there."""


def told_partings(view: CircleView) -> list[Json]:
    """The `parted` of `circle show`."""
    return [_told(one) for one in partings(view)]


def parting_lines(view: CircleView, about: QuestionId | None = None) -> list[str]:
    """A sentence for each parting, with the command; `about` leaves only those in which this question is a future."""
    circle = id_text(CIRCLE_PREFIX, view.charter.circle)
    found = [one for one in partings(view) if about is None or about in {future.question for future in one.futures}]
    lines = (_split(one, circle) if one.is_split else _two_faced(view, one, circle) for one in found)
    return [line for line in lines if line]


def _told(parting: Parting) -> Json:
    return {
        "split": parting.is_split,
        "needed": parting.needed,
        "stewards": [id_text(KEY_PREFIX, key) for key in parting.two_faced],
        "proposals": [
            {
                "proposal": id_text(QUESTION_PREFIX, future.question),
                "seals": future.seals,
                "with_void": future.with_void,
                "in_force": future.question == parting.in_force,
            }
            for future in parting.futures
        ],
    }


def _split(parting: Parting, circle: str) -> str:
    others = [one.question for one in parting.futures if one.question != parting.in_force]
    if parting.two_faced:
        why = (
            f"{_and(_key(key) for key in parting.two_faced)} sealed more than one future of its rules, which makes those seals void:"
            f" {_and(_short(one.question) for one in parting.futures)}."
        )
    else:
        why = f"{len(parting.futures)} changes of the same rules were adopted, and only one could take effect."
    holds = f"{_short(parting.in_force)} holds" if parting.in_force is not None else "None of them holds"
    return (
        f"This circle parts. {why} {holds}. Whoever wants to go another way can propose it anew, or found it together with others:"
        f" p2pnode circle fork {circle} NAME --rules {_short(others[0])}"
    )


def _two_faced(view: CircleView, parting: Parting, circle: str) -> str:
    """Nothing any more about who is a steward no longer."""
    keys = [key for key in parting.two_faced if view.is_steward(key)]
    if not keys:
        return ""
    return (
        f"{_and(map(_key, keys))} sealed more than one future of this circle's rules, which no steward may: those seals are void."
        f" To recall a steward: p2pnode propose stewards {circle} --remove {_key(keys[0])} --reason WHY"
    )


def _key(key: bytes) -> str:
    return id_text(KEY_PREFIX, key)[:SHORT_ID_CHARACTERS]


def _short(question: QuestionId) -> str:
    return id_text(QUESTION_PREFIX, question)[:SHORT_ID_CHARACTERS]


def _and(parts: Iterable[str]) -> str:
    words = list(parts)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
