"""What can be asked about persons and rules: to expel and readmit a member, to change the stewards, to change the charter.

Finds the turn of a person's chain and the charter in force, so that people only say whom or what. A change of rules signs the new charter
and the proposal that names it in one transaction; only a steward can. Called by `services.circles`; signing is `services.proposing`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from p2pnode.core.charter import Charter, Class, follow, grown_classes
from p2pnode.core.ids import CIRCLE_PREFIX, KEY_PREFIX, CircleId, PublicKey, id_text
from p2pnode.core.keys import KeyPair
from p2pnode.core.proposals import CHARTER_CHANGE, EXPEL, READMIT, STEWARDS
from p2pnode.core.record import Value
from p2pnode.core.rules import FIRST_TURN
from p2pnode.core.verdict import CircleView
from p2pnode.errors import RefusedError, UsageError
from p2pnode.ports import Json, Store, Tx
from p2pnode.services.admission import Admission
from p2pnode.services.foresight import foresight
from p2pnode.services.me import Me
from p2pnode.services.proposing import Proposing
from p2pnode.services.views import Views


@dataclass(frozen=True, slots=True)
class RuleChange:
    """What is to be different in the next charter; None: as it is. `classes` replaces the rules of the classes it names."""

    name: str | None = None
    purpose: str | None = None
    f: int | None = None
    k: int | None = None
    vouch_days: int | None = None
    languages: tuple[str, ...] | None = None
    licences: tuple[str, ...] | None = None
    classes: Mapping[str, Class] = field(default_factory=dict)
    grown: bool = False

    def apply(self, charter: Charter) -> Charter:
        """The charter as it would read. `grown` takes the profile for circles of a dozen members, for the f that is asked for."""
        named = ("name", "purpose", "f", "k", "vouch_days", "languages", "licences")
        given = {name: value for name in named if (value := getattr(self, name)) is not None}
        changed = replace(charter, **given)
        grown = grown_classes(changed.f) if self.grown else {}
        return replace(changed, classes={**charter.classes, **grown, **self.classes})


class RuleQuestions:
    """Proposals about persons and rules, on one node. Answers are {"proposal": id}, with `foresight` where rules would change.

    Each may raise RefusedError and UsageError.
    """

    def __init__(self, store: Store, admission: Admission, views: Views, me: Me, proposing: Proposing) -> None:
        self._store, self._admission, self._views = store, admission, views
        self._me, self._proposing = me, proposing

    async def expel(self, circle: CircleId, whom: PublicKey, reason: str) -> Json:
        """Ask that a member is expelled: its vouches and ballots count no more, its records stay."""
        if not reason.strip():
            raise UsageError("an expulsion needs a reason", hint="say in a sentence what happened, with --reason")
        view = await self._views.of(circle)
        if view.is_steward(whom):
            raise RefusedError(
                "a steward cannot be expelled, only recalled",
                hint=f"{_command(circle, 'stewards')} --remove {_key(whom)}",
            )
        if whom not in view.rules.expelled and not view.is_member(whom):
            raise RefusedError(
                "that key is no member of this circle", hint=f"its members: p2pnode circle show {_circle(circle)}"
            )
        return await self._turn(circle, view, EXPEL, whom, reason, "the circle has expelled that member already")

    async def readmit(self, circle: CircleId, whom: PublicKey, reason: str) -> Json:
        """Ask that an expelled member comes back."""
        view = await self._views.of(circle)
        return await self._turn(circle, view, READMIT, whom, reason, "that key is not expelled from this circle")

    async def _turn(
        self, circle: CircleId, view: CircleView, class_: str, whom: PublicKey, reason: str, otherwise: str
    ) -> Json:
        turn, base = view.rules.next_on_person.get(whom, FIRST_TURN)
        if turn != class_:
            raise RefusedError(otherwise)
        return await self._proposing.open(circle, class_, whom, base, {}, reason, settled=otherwise)

    async def change_rules(self, circle: CircleId, change: RuleChange, reason: str) -> Json:
        """Ask for another charter. RefusedError if we are no steward; UsageError if its rules contradict each other."""
        charter = (await self._views.of(circle)).charter
        return await self._put_forward(circle, CHARTER_CHANGE, circle, charter, change.apply(charter), reason)

    async def add_steward(self, circle: CircleId, whom: PublicKey, reason: str, *, f: int | None = None) -> Json:
        """Ask that a member becomes a steward; `f`, how many stewards may be bad, may change with their number."""
        view = await self._views.of(circle)
        if view.is_steward(whom):
            raise RefusedError("that key is a steward already")
        if not view.is_member(whom):
            raise RefusedError(
                "only a member can become a steward", hint=f"first: p2pnode vouch {_circle(circle)} {_key(whom)}"
            )
        stewards = tuple(sorted({*view.charter.stewards, whom}))
        return await self._change_stewards(view.charter, whom, stewards, f, reason)

    async def remove_steward(self, circle: CircleId, whom: PublicKey, reason: str, *, f: int | None = None) -> Json:
        """Ask that a steward is one no more: it resigns, or it is recalled by the others (with f of 1 or more)."""
        charter = (await self._views.of(circle)).charter
        if whom not in charter.stewards:
            raise RefusedError("that key is no steward", hint=f"its stewards: p2pnode circle show {_circle(circle)}")
        if charter.stewards == (whom,):
            raise RefusedError("a circle without stewards has no members", hint="make somebody else a steward first")
        if charter.f == 0:
            stewards = tuple(key for key in charter.stewards if key != whom)
            new = replace(charter, stewards=stewards, f=f or 0)
            return await self._put_forward(circle, CHARTER_CHANGE, circle, charter, new, reason)
        stewards = tuple(key for key in charter.stewards if key != whom)
        return await self._change_stewards(charter, whom, stewards, f, reason)

    async def _change_stewards(
        self, charter: Charter, whom: PublicKey, stewards: tuple[PublicKey, ...], f: int | None, reason: str
    ) -> Json:
        allowed = max(0, (len(stewards) - 1) // 3)
        new = replace(charter, stewards=stewards, f=min(charter.f, allowed) if f is None else f)
        return await self._put_forward(charter.circle, STEWARDS, whom, charter, new, reason)

    async def _put_forward(
        self, circle: CircleId, class_: str, subject: bytes, charter: Charter, new: Charter, reason: str
    ) -> Json:
        if new == charter:
            raise UsageError("that would change nothing", hint=f"its rules: p2pnode circle charter {_circle(circle)}")
        me = await self._store.read(lambda tx: self._me.key(tx, circle).public)
        if me not in charter.stewards:
            raise RefusedError(
                "only a steward writes a charter",
                hint=f"ask one of the stewards to propose it: p2pnode circle show {_circle(circle)}",
            )

        def patch(tx: Tx, key: KeyPair, now: float) -> dict[str, Value]:
            seq, created = tx.next_seq(key.public, now)
            record = follow(key, charter, new, seq=seq, created=created)
            self._admission.admit_own(tx, record, now)
            return {"charter": record.id}

        members = len((await self._views.of(circle)).members)
        asked = await self._proposing.sign(circle, class_, subject, charter.id, patch, reason)
        return asked | {"foresight": foresight(charter, new, members) | {"members": members}}


def _circle(circle: CircleId) -> str:
    return id_text(CIRCLE_PREFIX, circle)


def _key(key: PublicKey) -> str:
    return id_text(KEY_PREFIX, key)


def _command(circle: CircleId, class_: str) -> str:
    return f"p2pnode propose {class_} {_circle(circle)}"
