"""The joiner's side: redeeming an invite over `/p2pnode/join/1` now, or waiting for the inviter's node and trying again.

The invite is kept on disk before anybody is called and forgotten only when the circle's first records are, so a crash anywhere
leads to another try, which the inviter's node answers the same way. A waiting join says in words what it waits for; it
is tried again with back-off, and at once when that very peer connects. Called by `services.circles`.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

import trio

from p2pnode.core import encoding
from p2pnode.core.charter import Charter
from p2pnode.core.fields import text
from p2pnode.core.ids import CIRCLE_PREFIX, CircleId, PeerId, PublicKey, RecordId, id_text
from p2pnode.core.invite import (
    JOIN_PROTOCOL,
    MAX_ANSWER_BYTES,
    Invite,
    JoinAccepted,
    JoinRefused,
    decode_answer,
    encode_invite,
    encode_request,
    parse_invite,
)
from p2pnode.core.record import VOUCH
from p2pnode.core.records import encode_signed
from p2pnode.errors import DecodeError, NetworkError, NotFoundError, P2pnodeError, PeerError, RefusedError, UsageError
from p2pnode.ports import Emit, Json, Network, Store, Stream, Tx, WallClock
from p2pnode.services.admission import Admission
from p2pnode.services.framing import receive_frame, send_frame
from p2pnode.services.kin import is_kin
from p2pnode.services.me import Me
from p2pnode.services.newcomers import expect_welcome, forget_newcomer
from p2pnode.services.views import Views

log = logging.getLogger("p2pnode.join")

META_PREFIX = "join/"
MAX_WAITING = 100
"""Joins that wait at a time."""
DIAL_TIMEOUT_S = 8.0
"""All addresses of an invite together."""
EXCHANGE_TIMEOUT_S = 20.0
FIRST_RETRY_S, LAST_RETRY_S = 30.0, 3600.0
"""Back-off of a join whose inviter is not there: doubles from the first to the last."""
FALSE_ANSWER_POINTS = 20


@dataclass(frozen=True, slots=True)
class Waiting:
    """A join that was not answered yet, and why."""

    invite: Invite
    reason: str


class Join:
    """Joining circles, on one node."""

    def __init__(
        self,
        store: Store,
        network: Network,
        admission: Admission,
        views: Views,
        me: Me,
        clock: WallClock,
        emit: Emit,
    ) -> None:
        self._store, self._network, self._admission, self._views = store, network, admission, views
        self._me, self._clock, self._emit = me, clock, emit
        self._tries: dict[CircleId, tuple[int, float]] = {}  # how often in vain, and when again (trio's clock)
        self._locks: dict[CircleId, trio.Lock] = {}
        self._wake = trio.Event()

    async def join(self, link: str, *, fork: bool = False) -> Json:
        """Redeem a link. The answer of `circle join`: state joined, or waiting with the reason.

        UsageError if it is no link; RefusedError if it has expired, is used or our own, or would link two of our names: with `fork` the
        user allows that, since a fork keeps its parent's names.
        """
        invite = parse_invite(link)
        if invite.peer == self._network.peer_id:
            raise RefusedError("this is your own invite", hint="hand it to the person whom you want to let in")
        if self._clock() > invite.expires:
            raise RefusedError("this invite has expired", hint="ask for a new one")
        if not await self.is_member(invite.circle):
            await self._store.write(lambda tx: _begin(tx, invite, fork=fork))
            reason = await self._try(invite)
            if reason is not None:
                return _answer(invite, "waiting", reason)
        return _answer(invite, "joined", f"you are in {invite.name!r}")

    async def run(self) -> None:
        """Try again what waits, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._retry_when_due)
            nursery.start_soon(self._retry_when_peers_come)

    # ------------------------------------------------------------ one try

    async def _try(self, invite: Invite) -> str | None:
        """None when we are in; the reason, in words, while it waits. RefusedError when it is over."""
        async with self._locks.setdefault(invite.circle, trio.Lock()):
            if invite.circle not in {one.invite.circle for one in await self._store.read(waiting)}:
                return None  # another try was quicker, or we left
            try:
                answer = await self._ask(invite)
                if isinstance(answer, JoinRefused):
                    await self._give_up(invite, answer.words)
                    raise RefusedError(answer.words, hint="ask for a new invite")
                await self._enter(invite, answer)
            except (NetworkError, UsageError, trio.TooSlowError) as error:
                return await self._wait(invite, error)
        self._forget(invite.circle)
        self._emit("circle.joined", {"circle": id_text(CIRCLE_PREFIX, invite.circle), "name": invite.name})
        return None

    async def _ask(self, invite: Invite) -> JoinAccepted | JoinRefused:
        key = self._me.key_for_salt(invite.salt)
        request = encode_request(key, invite.circle, invite.secret, inviter=invite.peer, joiner=self._network.peer_id)
        stream = await self._reach(invite)
        with trio.fail_after(EXCHANGE_TIMEOUT_S):
            try:
                await send_frame(stream, request)
                data = await receive_frame(stream, MAX_ANSWER_BYTES)
            finally:
                await stream.aclose()
        try:
            answer = decode_answer(data or b"")
            if isinstance(answer, JoinAccepted):
                _check(answer, invite, key.public)
        except DecodeError as error:
            self._network.penalise(invite.peer, FALSE_ANSWER_POINTS, f"join answer: {error.message}")
            raise PeerError(f"its answer makes no sense: {error.message}") from error
        return answer

    async def _reach(self, invite: Invite) -> Stream:
        """By the addresses in the link, all at once; else by whatever address book and DHT know. NetworkError says why not."""
        failures: list[str] = []
        if all(view.peer != invite.peer for view in self._network.peers()):
            with trio.move_on_after(DIAL_TIMEOUT_S):
                async with trio.open_nursery() as nursery:
                    for address in invite.addresses:
                        if address.endswith(f"/p2p/{invite.peer}"):
                            nursery.start_soon(self._dial, address, failures, nursery.cancel_scope)
        try:
            return await self._network.open_stream(invite.peer, JOIN_PROTOCOL)
        except NetworkError as error:
            raise NetworkError(failures[0] if failures else error.message) from error

    async def _dial(self, address: str, failures: list[str], done: trio.CancelScope) -> None:
        try:
            await self._network.connect(address)
        except P2pnodeError as error:
            failures.append(error.message)
        else:
            done.cancel()

    async def _enter(self, invite: Invite, answer: JoinAccepted) -> None:
        circle = invite.circle
        genesis = next(record for record in answer.records if record.id == RecordId(circle))
        if not await self._store.read(lambda tx: is_kin(tx, Charter.of(genesis))):
            await self._give_up(invite, "it pretends to be a fork of a circle of yours, and is none")
            raise RefusedError(
                "this circle pretends to be a fork of one of yours and is none: it was not joined",
                hint="whoever made the link has seen your name in that other circle",
            )
        await self._store.write(lambda tx: _come_in(tx, invite, self._clock()))
        await self._admission.admit([encode_signed(record) for record in answer.records], circle, invite.peer)
        await self._store.write(lambda tx: tx.set_meta(_meta_key(circle), None))

    async def _wait(self, invite: Invite, error: Exception) -> str:
        why = error.message if isinstance(error, P2pnodeError) else "it does not answer in time"
        reason = (
            f"the inviter's node cannot be reached now ({why}); it is tried again until"
            f" {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime(invite.expires))}, leave both nodes running"
        )
        tries, _ = self._tries.get(invite.circle, (0, 0.0))
        pause_s = min(LAST_RETRY_S, FIRST_RETRY_S * 2 ** min(tries, 10))
        self._tries[invite.circle] = (tries + 1, trio.current_time() + pause_s)
        await self._store.write(lambda tx: _keep(tx, invite, reason), durable=False)
        self._wake.set()
        return reason

    async def _give_up(self, invite: Invite, words: str) -> None:
        await self._store.write(lambda tx: tx.set_meta(_meta_key(invite.circle), None))
        self._forget(invite.circle)
        self._emit(
            "circle.refused", {"circle": id_text(CIRCLE_PREFIX, invite.circle), "name": invite.name, "reason": words}
        )

    def _forget(self, circle: CircleId) -> None:
        self._tries.pop(circle, None)

    # ------------------------------------------------------------ trying again

    async def _retry_when_due(self) -> None:
        while True:
            self._wake = trio.Event()
            pending = await self._store.read(waiting)
            now = trio.current_time()
            for one in pending:
                if self._tries.get(one.invite.circle, (0, now))[1] <= now:
                    await self._retry(one.invite)
            next_due = min((due for _, due in self._tries.values()), default=now + LAST_RETRY_S)
            with trio.move_on_after(max(1.0, next_due - trio.current_time())):
                await self._wake.wait()

    async def _retry_when_peers_come(self) -> None:
        async with self._network.peer_events() as events:
            async for event in events:
                if event.connected:
                    await self._retry_with(event.peer)

    async def _retry_with(self, peer: PeerId) -> None:
        for one in await self._store.read(waiting):
            if one.invite.peer == peer:
                await self._retry(one.invite)

    async def _retry(self, invite: Invite) -> None:
        if self._clock() > invite.expires:
            await self._give_up(invite, "this invite has expired")
            return
        try:
            await self._try(invite)
        except P2pnodeError as error:
            log.info("a join failed: %s", error.message)

    async def is_member(self, circle: CircleId) -> bool:
        """Whether this node's own name there is a member's; False for a circle that is not here."""
        try:
            view = await self._views.of(circle)
            return view.is_member(await self._store.read(lambda tx: self._me.key(tx, circle).public))
        except NotFoundError:
            return False


def waiting(tx: Tx) -> list[Waiting]:
    """The joins that wait, by circle."""
    return [_waiting(value) for _, value in tx.meta_with_prefix(META_PREFIX)]


def forget_circle(tx: Tx, circle: CircleId) -> bool:
    """Stop waiting for a circle; whether we did wait."""
    waited = tx.get_meta(_meta_key(circle)) is not None
    tx.set_meta(_meta_key(circle), None)
    forget_newcomer(tx, circle)
    return waited


def _come_in(tx: Tx, invite: Invite, now: float) -> None:
    tx.add_circle(invite.circle, invite.salt, now)
    expect_welcome(tx, invite.circle)


def _waiting(data: bytes) -> Waiting:
    fields = encoding.decode_map(data)
    return Waiting(parse_invite(text(fields, "link")), text(fields, "reason"))


def _begin(tx: Tx, invite: Invite, *, fork: bool) -> None:
    """Remember a join before it is tried. RefusedError if it may not be made."""
    others = [one.invite for one in waiting(tx) if one.invite.circle != invite.circle]
    if len(others) >= MAX_WAITING:
        raise RefusedError(f"{MAX_WAITING} joins are waiting already", hint="leave one of them: p2pnode circle list")
    salts = {circle: tx.circle_salt(circle) for circle in tx.circles()} | {one.circle: one.salt for one in others}
    if not fork and any(salt == invite.salt for circle, salt in salts.items() if circle != invite.circle):
        raise RefusedError(
            f"{invite.name!r} is a fork of a circle of yours, or pretends to be one: you would have the same key in both",
            hint="if it is one, and you trust whoever gave you the link: p2pnode circle join INVITE --fork;"
            " if you know of no fork, somebody may want to find out who you are",
        )
    _keep(tx, invite, "it has not been tried yet")


def _keep(tx: Tx, invite: Invite, reason: str) -> None:
    """Write down why a join waits."""
    tx.set_meta(_meta_key(invite.circle), encoding.encode({"link": encode_invite(invite), "reason": reason}))


def _check(answer: JoinAccepted, invite: Invite, key: PublicKey) -> None:
    """The answer is about this circle, this salt and this key. DecodeError otherwise."""
    genesis = next((record for record in answer.records if record.id == RecordId(invite.circle)), None)
    if genesis is None:
        raise DecodeError("the circle's charter is missing")
    if Charter.of(genesis).salt != invite.salt:
        raise DecodeError("the link does not fit the circle's charter")
    stewards = Charter.of(genesis).stewards
    vouched = any(record.kind == VOUCH and record.target == key for record in answer.records)
    if not vouched and key not in stewards:
        raise DecodeError("the vouch is missing")


def _answer(invite: Invite, state: str, reason: str) -> Json:
    return {"circle": id_text(CIRCLE_PREFIX, invite.circle), "name": invite.name, "state": state, "reason": reason}


def _meta_key(circle: CircleId) -> str:
    return META_PREFIX + circle.hex()
