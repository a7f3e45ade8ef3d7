"""The journey "fork": a new circle of people who part from an old one, and take along who they are and what they decided about works.

Everybody has the same name in both circles, since the fork keeps the salt. What it inherits is written down once, in the transaction that
founds it; what happens in the parent afterwards does not touch it. The parent stays what it is, and this node stays in both. Called by
the control socket's methods; what counts is computed in `core.heritage`, how it is carried in `core.cut`.
"""

from __future__ import annotations

from collections.abc import Sequence

from p2pnode.core import cut, heritage
from p2pnode.core.charter import MAX_NAME_CHARACTERS, Charter, genesis
from p2pnode.core.fork_word import tell_of
from p2pnode.core.ids import CIRCLE_PREFIX, CircleId, PublicKey, QuestionId, RecordId, id_text
from p2pnode.core.keys import KeyPair
from p2pnode.core.record import Record
from p2pnode.core.verdict import CircleView
from p2pnode.errors import DecodeError, NotFoundError, RefusedError, UsageError
from p2pnode.ports import Json, Store, Tx, WallClock
from p2pnode.services.admission import Admission
from p2pnode.services.me import Me
from p2pnode.services.proposing import refuse_stranger
from p2pnode.services.resolve import circle_name
from p2pnode.services.views import Views


class Forking:
    """Forking circles, on one node."""

    def __init__(self, store: Store, admission: Admission, views: Views, me: Me, clock: WallClock) -> None:
        self._store, self._admission, self._views = store, admission, views
        self._me, self._clock = me, clock

    async def fork(
        self,
        parent: CircleId,
        name: str,
        *,
        purpose: str | None = None,
        stewards: Sequence[PublicKey] = (),
        f: int = 0,
        rules: QuestionId | None = None,
        works: bool = True,
    ) -> Json:
        """Found a fork; the answer of `circle fork`. We are a steward of it, and `stewards` too, of whom `f` may be bad.

        Its rules are those in force, or with `rules` those of the charter that this question put forward. RefusedError if we are no
        member, are in a circle of that name, or if it is too much to inherit; UsageError if the charter breaks a rule.
        """
        name, now = name.strip(), self._clock()
        if not 0 < len(name) <= MAX_NAME_CHARACTERS:
            raise UsageError(f"a circle's name has 1 to {MAX_NAME_CHARACTERS} characters")
        me = await self._store.read(lambda tx: self._me.key(tx, parent).public)
        view = await self._views.of(parent)
        refuse_stranger(view, me, "you cannot take its records along")
        model = await self._views.ask(parent, lambda view: _model(view, rules))
        taken = await self._take_along(parent, works=works)
        packed = cut.cut_of(taken.records)
        chosen = tuple(sorted({me, *stewards}))

        def write(tx: Tx) -> tuple[CircleId, bool]:
            refuse_second_name(tx, name)
            key = self._me.key(tx, parent)
            first = _charter(tx, key, model, name, purpose, chosen, f, (parent, packed.digest), now)
            circle = CircleId(first.id)
            tx.add_circle(circle, model.salt, now)
            self._admission.admit_own(tx, first, now)
            self._admission.admit_own_together(tx, circle, _carriers(tx, key, circle, packed, now), now)
            return circle, self._tell_parent(tx, key, parent, first, now)

        circle, told = await self._store.write(write)
        self._admission.changed(circle)
        if told:
            self._admission.changed(parent)
        members = set((await self._views.of(circle)).members)
        return {
            "circle": id_text(CIRCLE_PREFIX, circle),
            "name": name,
            "parent": id_text(CIRCLE_PREFIX, parent),
            "members": len(members),
            "left_behind": len(set(view.members) - members),
            "told": told,
            "inherited": {"vouches": taken.vouches, "works": taken.works, "records": len(taken.records)},
        }

    def _tell_parent(self, tx: Tx, key: KeyPair, parent: CircleId, first: Record, now: float) -> bool:
        """Word of the fork for the parent's members. False: its charter is too large for it, or we have too many records there."""
        seq, created = tx.next_seq(key.public, now)
        try:
            word = tell_of(key, parent=parent, genesis=first, seq=seq, created=created)
            self._admission.admit_own(tx, word, now)
        except (UsageError, RefusedError):
            return False
        return True

    async def family(self, circle: CircleId) -> Json:
        """Where a circle comes from, what of it is here, and which circles of ours were forked from it. For `circle show`."""
        view = await self._views.of(circle)

        def read(tx: Tx) -> list[Json]:
            forks = [other for other in tx.circles() if _parent(tx, other) == circle]
            return [{"circle": id_text(CIRCLE_PREFIX, one), "name": circle_name(tx, one)} for one in forks]

        told: Json = {"forks": await self._store.read(read)}
        above, brought = view.genesis.parent, view.inheritance
        if above is not None:
            told["parent"] = {"circle": id_text(CIRCLE_PREFIX, above), "name": _name_of(brought, above)}
            told["inherited"] = {
                "state": brought.state,
                "records": len(brought.records),
                "missing": brought.missing,
                "why": brought.why,
            }
        return told

    async def _take_along(self, parent: CircleId, *, works: bool) -> heritage.Heritage:
        names = await self._views.ask(parent, heritage.named) if works else set()

        def read(tx: Tx) -> list[Record]:
            first = tx.record(RecordId(parent))
            found = [record for id in sorted(names) if (record := tx.record(id)) is not None]
            return [*([first] if first else []), *tx.records(parent), *found]

        records = await self._store.read(read)
        return await self._views.ask(parent, lambda view: heritage.heritage(view, records, works=works))


def refuse_second_name(tx: Tx, name: str) -> None:
    """RefusedError if a circle of ours is called so already."""
    if any(circle_name(tx, circle).casefold() == name.casefold() for circle in tx.circles()):
        raise RefusedError(
            f"you are in a circle named {name!r} already",
            hint="choose another name: circles are called by their names here",
        )


def _model(view: CircleView, rules: QuestionId | None) -> Charter:
    """The charter whose rules the fork takes over."""
    if rules is None:
        return view.charter
    question = view.question(rules)
    named = None if question is None or question.charter is None else view.charter_named(question.charter)
    if named is None:
        raise NotFoundError(
            "that proposal puts no charter forward", hint="name a proposal of class charter or stewards"
        )
    return named


def _charter(
    tx: Tx,
    key: KeyPair,
    model: Charter,
    name: str,
    purpose: str | None,
    stewards: Sequence[PublicKey],
    f: int,
    fork_of: tuple[CircleId, bytes],
    now: float,
) -> Record:
    seq, created = tx.next_seq(key.public, now)
    return genesis(
        key,
        name=name,
        purpose=model.purpose if purpose is None else purpose.strip(),
        salt=model.salt,
        seq=seq,
        created=created,
        stewards=stewards,
        f=f,
        k=model.k,
        classes=model.classes,
        vouch_days=model.vouch_days,
        languages=model.languages,
        licences=model.licences,
        fork_of=fork_of,
    )


def _carriers(tx: Tx, key: KeyPair, circle: CircleId, packed: cut.Cut, now: float) -> list[Record]:
    """The index first, so that of one author's permanent records it is among the oldest, which are kept."""
    made = []
    for piece in packed.pieces:
        seq, created = tx.next_seq(key.public, now)
        made.append(cut.carry(key, circle=circle, piece=piece, seq=seq, created=created))
    return made


def _parent(tx: Tx, circle: CircleId) -> CircleId | None:
    record = tx.record(RecordId(circle))
    try:
        return Charter.of(record).parent if record else None
    except DecodeError:
        return None


def _name_of(brought: cut.Inheritance, circle: CircleId) -> str:
    """What an ancestor calls itself, in its first charter; "" as long as that is not here."""
    found = (record for record in brought.originals if record.id == RecordId(circle))
    return next((Charter.of(record).name for record in found), "")
