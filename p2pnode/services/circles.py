"""Circles of this node: founding, showing, leaving; and the one face of everything that is done in them.

Inviting, joining, vouching and deciding live in files of their own (`invites`, `join`, `vouches`, `ballots`, `questions`); this one
joins them for the control socket's methods. Answers are the JSON of the public contract. What a circle decides is computed by
views, never here.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import trio

from p2pnode.core.charter import MAX_NAME_CHARACTERS, genesis
from p2pnode.core.ids import CIRCLE_PREFIX, KEY_PREFIX, CircleId, PublicKey, QuestionId, WorkId, id_text, split_text
from p2pnode.core.keys import SEED_BYTES
from p2pnode.core.profiles import PROFILES, Profile
from p2pnode.core.ranking import wilson
from p2pnode.core.verdict import CircleView
from p2pnode.errors import NotFoundError, RefusedError, UsageError
from p2pnode.ports import Emit, Json, Network, Store, Tx, WallClock
from p2pnode.services import invites, join, sealing
from p2pnode.services.admission import Admission
from p2pnode.services.background import for_ever
from p2pnode.services.ballots import Ballots
from p2pnode.services.catalogue import hit, verdicts
from p2pnode.services.charters import advice, told_charter
from p2pnode.services.counting import Counting
from p2pnode.services.fork_news import ForkNews
from p2pnode.services.forking import Forking, refuse_second_name
from p2pnode.services.invites import Invites
from p2pnode.services.join import Join
from p2pnode.services.me import Me
from p2pnode.services.partings import told_partings
from p2pnode.services.proposing import Proposing
from p2pnode.services.questions import MAX_SHOWN, Questions
from p2pnode.services.rule_questions import RuleQuestions
from p2pnode.services.views import Views
from p2pnode.services.vouches import Vouches
from p2pnode.services.work_questions import WorkQuestions

JsonList = list[Json]  # inside the class, `list` is its method
MAX_ROLL_SHOWN = 1_000
"""Members in one answer, nearest to the stewards first; the number of members is always whole."""
MAX_LISTED_SHOWN = 200
"""Listed works in one answer."""


@dataclass(frozen=True, slots=True)
class _Summary:
    """A view in numbers. `listed` are the works that stand on the circle's list, disputed ones too, the surest first; `uncounted` the
    questions that are in none of these numbers yet.
    """

    name: str
    members: int
    listed: list[WorkId]
    open_questions: int
    uncounted: int


class Circles:
    """Everything about circles, on one node.

    `ballots`, `work_questions`, `rule_questions`, `forking`, `fork_news`, `vouches`, `invites`, `questions` and `joins` are public parts.
    """

    def __init__(
        self,
        store: Store,
        network: Network,
        admission: Admission,
        views: Views,
        me: Me,
        clock: WallClock,
        *,
        emit: Emit = lambda name, data: None,
    ) -> None:
        self._store, self._admission, self._views, self._me, self._clock = store, admission, views, me, clock
        self.counting = Counting(views)
        self.questions = Questions(store, views, me, self.counting)
        proposing = Proposing(store, admission, views, me, clock)
        self.ballots = Ballots(store, admission, views, me, clock, proposing)
        self.work_questions = WorkQuestions(store, views, proposing)
        self.rule_questions = RuleQuestions(store, admission, views, me, proposing)
        self.forking = Forking(store, admission, views, me, clock)
        self.fork_news = ForkNews(store, admission, views, clock)
        self.vouches = Vouches(store, admission, views, me, clock)
        self.invites = Invites(store, network, admission, views, me, clock)
        self.joins = Join(store, network, admission, views, me, clock, emit)

    async def start(self, nursery: trio.Nursery) -> None:
        """Answer join requests, try waiting joins again, renew vouches."""
        self.counting.start(nursery)
        self.invites.start()
        nursery.start_soon(for_ever, self.joins.run)
        nursery.start_soon(for_ever, self.vouches.renew_forever)

    async def create(self, name: str, purpose: str = "", *, profile: str | None = None) -> Json:
        """Found a circle, of which we are the only steward; `profile` names ready-made rules. The answer of `circle create`."""
        if profile is not None and profile not in PROFILES:
            raise UsageError(f"{profile!r} is no profile", hint=f"one of: {', '.join(PROFILES)}")
        rules = PROFILES[profile] if profile else Profile("", "")
        name, now = name.strip(), self._clock()
        if not 0 < len(name) <= MAX_NAME_CHARACTERS:
            raise UsageError(f"a circle's name has 1 to {MAX_NAME_CHARACTERS} characters")
        salt = secrets.token_bytes(SEED_BYTES)

        def write(tx: Tx) -> CircleId:
            refuse_second_name(tx, name)
            key = self._me.key_for_salt(salt)
            seq, created = tx.next_seq(key.public, now)
            record = genesis(
                key,
                name=name,
                purpose=purpose.strip(),
                salt=salt,
                seq=seq,
                created=created,
                vouch_days=rules.vouch_days,
                licences=rules.licences,
            )
            circle = CircleId(record.id)
            tx.add_circle(circle, salt, now)
            self._admission.admit_own(tx, record, now)
            return circle

        circle = await self._store.write(write)
        self._admission.changed(circle)
        return {"circle": id_text(CIRCLE_PREFIX, circle), "name": name}

    async def list(self) -> Json:
        """Our circles, and those that we wait for. The answer of `circle list`."""
        circles, waiting = await self._store.read(lambda tx: (tx.circles(), join.waiting(tx)))
        items = [await self._listed(circle) for circle in circles]
        for one in waiting:
            if one.invite.circle not in circles:
                me = self._me.key_for_salt(one.invite.salt).public
                items.append(_item(one.invite.circle, one.invite.name, me) | {"state": "waiting", "reason": one.reason})
        return {"items": items}

    async def show(self, circle: CircleId, *, provisional: bool = False) -> Json:
        """Everything about one circle. The answer of `circle show`; `provisional` is what sync says of it."""
        me = await self._store.read(lambda tx: self._me.key(tx, circle).public)
        view = await self.counting.counted(circle)
        summary, roll = await self._views.ask_of(circle, view, lambda view: (_summary(view), _roll(view, me)))
        return {
            "circle": id_text(CIRCLE_PREFIX, circle),
            "name": summary.name,
            "purpose": view.charter.purpose,
            "members": summary.members,
            "works": len(summary.listed),
            "proposals": summary.open_questions,
            "uncounted": summary.uncounted,
            "me": id_text(KEY_PREFIX, me),
            "member": view.is_member(me),
            "stewards": [id_text(KEY_PREFIX, key) for key in view.charter.stewards],
            "expelled": [id_text(KEY_PREFIX, key) for key in sorted(view.rules.expelled)],
            "rules": told_charter(view.charter),
            "advice": advice(view, me),
            "parted": told_partings(view),
            "roll": roll,
            "open": await self.questions.of_circle(circle, only_open=True, counted=view),
            "listed": await self._hits(summary.listed[:MAX_LISTED_SHOWN]),
            "provisional": provisional,
            "announced": await self.fork_news.of(circle),
        } | await self.forking.family(circle)

    async def leave(self, circle: CircleId, *, force: bool = False) -> Json:
        """Leave a circle, or stop waiting for one: its records go, our own stay so that our numbers never repeat.

        RefusedError, unless forced, for the only steward of others: when that key's vouches run out, nobody is a member any more.
        """
        if not force:
            await self._refuse_to_orphan(circle)

        def write(tx: Tx) -> None:
            waited = join.forget_circle(tx, circle)
            if circle not in tx.circles() and not waited:
                raise NotFoundError("this node is not in that circle", hint="see: p2pnode circle list")
            invites.forget_circle(tx, circle)
            sealing.forget_circle(tx, circle)
            if circle in tx.circles():
                tx.remove_circle(circle)

        await self._store.write(write)
        self._admission.forget(circle)
        self._views.drop(circle)
        return {}

    async def _refuse_to_orphan(self, circle: CircleId) -> None:
        try:
            view = await self._views.of(circle)
            me = await self._store.read(lambda tx: self._me.key(tx, circle).public)
        except NotFoundError:
            return  # we only wait for it, or its charter never came
        others = len(view.members) - 1
        if view.charter.stewards == (me,) and others > 0:
            raise RefusedError(
                f"you are the only steward of {view.charter.name!r}, which has {others} other member{'s' if others > 1 else ''}: "
                "when your vouches run out, nobody is a member any more",
                hint=f"if you mean it: p2pnode circle leave {id_text(CIRCLE_PREFIX, circle)} --force",
            )

    async def join(self, link: str, *, fork: bool = False) -> Json:
        """Redeem a link; `fork`: the user knows that it opens a fork of a circle of ours. Or the id of a fork that we heard of."""
        if (parts := split_text(link)) is not None and parts[0] == CIRCLE_PREFIX:
            return await self.fork_news.join(link)
        return await self.joins.join(link, fork=fork)

    async def proposals(self, circle: CircleId | None) -> Json:
        """The questions of one circle, or of all."""
        items = await (self.questions.of_all() if circle is None else self.questions.of_circle(circle))
        return {"items": items[:MAX_SHOWN]}

    async def proposals_about(self, work: WorkId) -> JsonList:
        """The questions about one work."""
        return await self.questions.about(work)

    async def cast(self, question: QuestionId, choice: str, reason: str = "") -> Json:
        """Cast a ballot."""
        return await self.ballots.cast(question, choice, reason)

    async def _listed(self, circle: CircleId) -> Json:
        me = await self._store.read(lambda tx: self._me.key(tx, circle).public)
        try:
            summary = await self._views.ask_of(circle, await self.counting.counted(circle), _summary)
        except NotFoundError as error:
            return _item(circle, "", me) | {"state": "waiting", "reason": error.message}
        numbers = {"members": summary.members, "works": len(summary.listed), "proposals": summary.open_questions}
        numbers["uncounted"] = summary.uncounted
        return _item(circle, summary.name, me) | numbers

    async def _hits(self, works: Sequence[WorkId]) -> JsonList:
        rows = await self._store.read(lambda tx: [row for work in works if (row := tx.work(work))])
        said = await verdicts(self._store, self._views, [row.id for row in rows])
        return [hit(row, said[row.id], local=row.state != "heard") for row in rows]


def _item(circle: CircleId, name: str, me: PublicKey) -> Json:
    return {
        "circle": id_text(CIRCLE_PREFIX, circle),
        "name": name,
        "members": 0,
        "works": 0,
        "proposals": 0,
        "uncounted": 0,
        "me": id_text(KEY_PREFIX, me),
        "state": "joined",
        "reason": "",
    }


def _summary(view: CircleView) -> _Summary:
    """Of what is counted: the rest is `uncounted`."""
    later = set(view.uncounted())
    works = (work for work in view.works() if later.isdisjoint(view.work_questions(work)))
    verdict_of = {work: view.work_verdict(work) for work in works}
    listed = [work for work, said in verdict_of.items() if said.manifest and said.verdict != "taken_down"]
    listed.sort(key=lambda work: (-wilson(verdict_of[work].approve, verdict_of[work].reject), work))
    counted = (asked.question.id for asked in view.questions() if asked.question.id not in later)
    still_open = sum(view.state(id) == "open" for id in counted)
    return _Summary(view.charter.name, len(view.members), listed, still_open, len(later))


def _roll(view: CircleView, me: PublicKey) -> list[Json]:
    """The members, nearest to the stewards first."""
    ordered = sorted(view.members, key=lambda key: (view.hops(key), key))
    return [
        {
            "key": id_text(KEY_PREFIX, key),
            "hops": view.hops(key),
            "vouched_by": len(view.vouchers(key)),
            "steward": view.is_steward(key),
            "me": key == me,
        }
        for key in ordered[:MAX_ROLL_SHOWN]
    ]
