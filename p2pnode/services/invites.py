"""The inviter's side of joining: links that open a circle once, and the vouch that is signed when one is redeemed.

Only a digest of each secret is kept, with who used it, until the link expires. Redeeming is one durable transaction: the vouch, its
gossip and the mark on the invite; the answer goes out after it. The same key may redeem again (its answer may have been
lost on the way), another key may not. A stranger with a wrong secret costs one look-up. Called by `services.circles`.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass, replace

import trio

from p2pnode.core import encoding
from p2pnode.core.charter import Charter
from p2pnode.core.fields import digest, integer
from p2pnode.core.ids import CircleId, PublicKey, RecordId
from p2pnode.core.invite import (
    EXPIRED,
    INVITE_LIFETIME_S,
    JOIN_PROTOCOL,
    MAX_ADDRESSES,
    MAX_REQUEST_BYTES,
    NOT_MEMBER,
    SECRET_BYTES,
    UNKNOWN,
    USED,
    Invite,
    JoinAccepted,
    JoinRefused,
    JoinRequest,
    decode_request,
    encode_answer,
    encode_invite,
    secret_digest,
)
from p2pnode.core.record import CHARTER, VOUCH, Record, Value
from p2pnode.errors import DecodeError, NotFoundError, PeerError, RefusedError
from p2pnode.ports import Json, Network, Store, Stream, Tx, WallClock
from p2pnode.services import vouches
from p2pnode.services.admission import Admission
from p2pnode.services.framing import receive_frame, send_frame
from p2pnode.services.me import Me
from p2pnode.services.proposing import refuse_stranger
from p2pnode.services.rates import TokenBuckets
from p2pnode.services.views import Views

log = logging.getLogger("p2pnode.invites")

META_PREFIX = "invite/"
MAX_INVITES = 500
"""Invites that have not expired: more than anybody hands out in a week."""
ANSWER_TIMEOUT_S = 20.0
REQUESTS_PER_S, REQUEST_BURST = 0.2, 10
"""Join requests that one peer may make: it retries with back-off, and guessing 128 bits stays hopeless."""
WRONG_REQUEST_POINTS = 20
MAX_PATH_RECORDS = 24
"""Vouches from a steward to ourselves that go with the answer; the rest comes by sync."""


@dataclass(frozen=True, slots=True)
class _Issued:
    """What is kept of a link: `used_by` is None until it is redeemed."""

    circle: CircleId
    expires: int
    used_by: PublicKey | None

    def encode(self) -> bytes:
        fields: dict[str, Value] = {"circle": self.circle, "expires": self.expires}
        return encoding.encode(fields | ({"used_by": self.used_by} if self.used_by else {}))

    @classmethod
    def decode(cls, data: bytes) -> _Issued:
        fields = encoding.decode_map(data)
        used_by = PublicKey(digest(fields, "used_by")) if "used_by" in fields else None
        return cls(CircleId(digest(fields, "circle")), integer(fields, "expires"), used_by)


class Invites:
    """Inviting others and letting them in, on one node."""

    def __init__(
        self, store: Store, network: Network, admission: Admission, views: Views, me: Me, clock: WallClock
    ) -> None:
        self._store, self._network, self._admission, self._views = store, network, admission, views
        self._me, self._clock = me, clock
        self._buckets = TokenBuckets(REQUESTS_PER_S, REQUEST_BURST)

    def start(self) -> None:
        """Answer join requests from now on."""
        self._network.serve(JOIN_PROTOCOL, self._answer, streams_per_peer=2)

    async def make(self, circle: CircleId) -> Json:
        """A link that lets one person in, once, within a week. RefusedError if we are no member ourselves."""
        view = await self._views.of(circle)
        me = await self._store.read(lambda tx: self._me.key(tx, circle).public)
        refuse_stranger(view, me, "you cannot let others in")
        now = int(self._clock())
        invite = Invite(
            salt=view.charter.salt,
            circle=circle,
            name=view.charter.name,
            peer=self._network.peer_id,
            addresses=tuple(sorted(self._network.addresses(), key=_is_loopback)[:MAX_ADDRESSES]),
            secret=secrets.token_bytes(SECRET_BYTES),
            expires=now + INVITE_LIFETIME_S,
        )

        def write(tx: Tx) -> None:
            _forget_expired(tx, now)
            if len(tx.meta_with_prefix(META_PREFIX)) >= MAX_INVITES:
                raise RefusedError(f"{MAX_INVITES} invites are open already", hint="they expire after a week")
            tx.set_meta(_meta_key(invite.secret), _Issued(circle, invite.expires, None).encode())

        await self._store.write(write)
        return {"invite": encode_invite(invite), "expires": invite.expires}

    async def _answer(self, stream: Stream) -> None:
        if not self._buckets.take(stream.peer):
            raise PeerError("asks to join too often")
        with trio.fail_after(ANSWER_TIMEOUT_S):
            data = await receive_frame(stream, MAX_REQUEST_BYTES)
            if data is None:
                return
            try:
                request = decode_request(data, inviter=self._network.peer_id, joiner=stream.peer)
            except DecodeError as error:
                self._network.penalise(stream.peer, WRONG_REQUEST_POINTS, f"join request: {error.message}")
                raise PeerError(error.message) from error
            answer = await self._redeem(request)
            await send_frame(stream, encode_answer(answer))
            await stream.send_eof()

    async def _redeem(self, request: JoinRequest) -> JoinAccepted | JoinRefused:
        issued = await self._store.read(lambda tx: _issued(tx, request))
        if issued is None:
            return JoinRefused(UNKNOWN)
        now = self._clock()
        if now > issued.expires:
            return JoinRefused(EXPIRED)
        if not await self._may_let_in(issued.circle):
            return JoinRefused(NOT_MEMBER)
        answer = await self._store.write(lambda tx: self._let_in(tx, request, now))
        if isinstance(answer, JoinRefused):
            return answer
        self._admission.changed(issued.circle)
        log.info("somebody redeemed an invite")
        return replace(answer, addresses=tuple(self._network.addresses()))

    async def _may_let_in(self, circle: CircleId) -> bool:
        try:
            view = await self._views.of(circle)
            me = await self._store.read(lambda tx: self._me.key(tx, circle).public)
        except NotFoundError:
            return False  # we left it
        return view.is_member(me)

    def _let_in(self, tx: Tx, request: JoinRequest, now: float) -> JoinAccepted | JoinRefused:
        """In one transaction: look at the invite again, sign the vouch, mark the invite as used."""
        issued = _issued(tx, request)
        if issued is None:
            return JoinRefused(UNKNOWN)
        if issued.used_by not in (None, request.key):
            return JoinRefused(USED)
        circle, own = request.circle, self._me.key(tx, request.circle).public
        if request.key != own:
            vouch = vouches.standing(tx, self._me, circle, request.key)
            if vouch is None and issued.used_by is not None:
                return JoinRefused(USED)  # we let this key in with it, and took our vouch back since
            if vouch is None:
                vouches.sign(tx, self._me, self._admission, circle, request.key, give=True, now=now)
        tx.set_meta(_meta_key(request.secret), replace(issued, used_by=request.key).encode())
        return JoinAccepted(_introduction(tx, circle, own, request.key))


def forget_circle(tx: Tx, circle: CircleId) -> None:
    """We leave: its links open nothing any more."""
    for key, value in tx.meta_with_prefix(META_PREFIX):
        if _Issued.decode(value).circle == circle:
            tx.set_meta(key, None)


def _introduction(tx: Tx, circle: CircleId, inviter: PublicKey, joiner: PublicKey) -> tuple[Record, ...]:
    """What a newcomer needs to know whom to believe: the charters, then the vouches from a steward to us, then ours."""
    genesis = tx.record(RecordId(circle))
    charters = ([genesis] if genesis else []) + tx.records(circle, kinds=[CHARTER])
    all_vouches = tx.records(circle, kinds=[VOUCH])
    own = [one for one in all_vouches if one.author == inviter and one.target == joiner]
    stewards = {PublicKey(key) for charter in charters for key in _stewards(charter)}
    return (*charters[:4], *_path(all_vouches, stewards, inviter)[:MAX_PATH_RECORDS], *own)


def _stewards(charter: Record) -> tuple[PublicKey, ...]:
    try:
        return Charter.of(charter).stewards
    except DecodeError:
        return ()


def _path(all_vouches: list[Record], stewards: set[PublicKey], to: PublicKey) -> list[Record]:
    """The shortest chain of vouch records from any steward to a key; empty if it is a steward (or nobody's)."""
    by_author: dict[PublicKey, list[Record]] = {}
    for record in all_vouches:
        by_author.setdefault(record.author, []).append(record)
    came_by: dict[PublicKey, Record | None] = dict.fromkeys(sorted(stewards))
    queue = list(came_by)
    for author in queue:
        for record in by_author.get(author, ()):
            target = PublicKey(record.target)
            if target not in came_by:
                came_by[target] = record
                queue.append(target)
    path: list[Record] = []
    step = came_by.get(to)
    while step is not None:
        path.append(step)
        step = came_by[step.author]
    return path[::-1]


def _issued(tx: Tx, request: JoinRequest) -> _Issued | None:
    data = tx.get_meta(_meta_key(request.secret))
    issued = _Issued.decode(data) if data is not None else None
    return issued if issued and issued.circle == request.circle else None


def _forget_expired(tx: Tx, now: int) -> None:
    for key, value in tx.meta_with_prefix(META_PREFIX):
        if _Issued.decode(value).expires < now:
            tx.set_meta(key, None)


def _meta_key(secret: bytes) -> str:
    return META_PREFIX + secret_digest(secret).hex()


def _is_loopback(address: str) -> bool:
    return address.startswith(("/ip4/127.", "/ip6/::1/"))
