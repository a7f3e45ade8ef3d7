"""The inviter's side of joining: links that open a circle once (or as often as said), and the vouch that is signed when one is redeemed.

Only a digest of each secret is kept, with who used it, until the link expires. Redeeming is one durable transaction: the vouch, its
gossip and the mark on the invite; the answer goes out after it. The same key may redeem again (its answer may have been
lost on the way), one key more than the link is for may not. A stranger with a wrong secret costs one look-up. Called by `services.circles`.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass, replace

import trio

from p2pnode.core import encoding
from p2pnode.core.charter import Charter
from p2pnode.core.fields import array, digest, integer
from p2pnode.core.ids import CIRCLE_PREFIX, KEY_PREFIX, CircleId, PublicKey, RecordId, id_text
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
from p2pnode.core.record import CHARTER, CUT, VOUCH, Record
from p2pnode.errors import AmbiguousError, DecodeError, NotFoundError, PeerError, RefusedError, UsageError
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
MAX_USES = 200
"""People one link lets in: a lecture hall; whoever makes it vouches for all of them."""
MIN_LIFETIME_S, MAX_LIFETIME_S = 600, 365 * 86_400
"""Seconds that a link may hold: long enough to be read, short enough that a forgotten one ends."""
SHOWN_ID_CHARACTERS = 12
"""Of the digest by which a link is called here."""
ANSWER_TIMEOUT_S = 20.0
REQUESTS_PER_S, REQUEST_BURST = 0.2, 10
"""Join requests that one peer may make: it retries with back-off, and guessing 128 bits stays hopeless."""
WRONG_REQUEST_POINTS = 20
MAX_PATH_RECORDS = 24
"""Vouches from a steward to ourselves that go with the answer; the rest comes by sync."""


@dataclass(frozen=True, slots=True)
class _Issued:
    """What is kept of a link: how many keys it lets in, and which it did."""

    circle: CircleId
    expires: int
    uses: int = 1
    used_by: tuple[PublicKey, ...] = ()

    def encode(self) -> bytes:
        return encoding.encode(
            {"circle": self.circle, "expires": self.expires, "uses": self.uses, "keys": tuple(self.used_by)}
        )

    @classmethod
    def decode(cls, data: bytes) -> _Issued:
        fields = encoding.decode_map(data)
        keys = [PublicKey(digest({"key": key}, "key")) for key in array(fields, "keys", most=MAX_USES)]
        if "used_by" in fields:  # as links were kept when each was for one person
            keys.append(PublicKey(digest(fields, "used_by")))
        uses = integer(fields, "uses") if "uses" in fields else 1
        return cls(CircleId(digest(fields, "circle")), integer(fields, "expires"), uses, tuple(keys))


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

    async def make(self, circle: CircleId, *, uses: int = 1, lifetime_s: int = INVITE_LIFETIME_S) -> Json:
        """A link that lets in as many people as `uses`, for `lifetime_s`. RefusedError if we are no member ourselves."""
        if not 1 <= uses <= MAX_USES:
            raise UsageError(f"a link lets in 1 to {MAX_USES} people")
        if not MIN_LIFETIME_S <= lifetime_s <= MAX_LIFETIME_S:
            raise UsageError(
                f"an invite holds from {MIN_LIFETIME_S // 60} minutes to {MAX_LIFETIME_S // 86_400} days",
                hint=f"in hours: from {MIN_LIFETIME_S / 3600:.2g} to {MAX_LIFETIME_S // 3600}; a day is 24",
            )
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
            expires=now + lifetime_s,
        )

        def write(tx: Tx) -> None:
            _forget_expired(tx, now)
            if len(tx.meta_with_prefix(META_PREFIX)) >= MAX_INVITES:
                raise RefusedError(
                    f"{MAX_INVITES} invites are open already",
                    hint=f"they expire; or close some: p2pnode circle invites {id_text(CIRCLE_PREFIX, circle)} --close ID",
                )
            tx.set_meta(_meta_key(invite.secret), _Issued(circle, invite.expires, uses).encode())

        await self._store.write(write)
        return {"invite": encode_invite(invite), "expires": invite.expires, "uses": uses}

    async def open(self, circle: CircleId) -> Json:
        """Our links into a circle that can still be used; the secrets themselves are not kept. The answer of `circle invites`."""
        now = int(self._clock())

        def read(tx: Tx) -> list[Json]:
            held = [(name, _Issued.decode(value)) for name, value in tx.meta_with_prefix(META_PREFIX)]
            usable = [(name, one) for name, one in held if one.circle == circle and one.expires >= now]
            return [
                {
                    "id": name.removeprefix(META_PREFIX)[:SHOWN_ID_CHARACTERS],
                    "uses": one.uses,
                    "used_by": [id_text(KEY_PREFIX, key) for key in one.used_by],
                    "expires": one.expires,
                }
                for name, one in sorted(usable, key=lambda pair: pair[1].expires)
            ]

        return {"items": await self._store.read(read)}

    async def close(self, circle: CircleId, id: str) -> Json:
        """Close a link: whoever comes with it from now on is not let in. Vouches given for it stay. NotFoundError, AmbiguousError."""

        def write(tx: Tx) -> None:
            held = [(name, _Issued.decode(value)) for name, value in tx.meta_with_prefix(META_PREFIX + id)]
            found = [name for name, one in held if one.circle == circle]
            if not found or not id:
                raise NotFoundError(
                    f"no invite {id!r} into this circle is open",
                    hint=f"see: p2pnode circle invites {id_text(CIRCLE_PREFIX, circle)}",
                )
            if len(found) > 1:
                raise AmbiguousError(f"{id!r} fits {len(found)} invites")
            tx.set_meta(found[0], None)

        await self._store.write(write)
        return {}

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
        again = request.key in issued.used_by
        if not again and len(issued.used_by) >= issued.uses:
            return JoinRefused(USED)
        circle, own = request.circle, self._me.key(tx, request.circle).public
        if request.key != own:
            vouch = vouches.given_here(tx, self._me, circle, request.key)
            if vouch is None and again:
                return JoinRefused(USED)  # we let this key in with it, and took our vouch back since
            if vouch is None:
                vouches.sign(tx, self._me, self._admission, circle, request.key, give=True, now=now)
        if not again:
            keys = (*issued.used_by, request.key)
            tx.set_meta(_meta_key(request.secret), replace(issued, used_by=keys).encode())
        return JoinAccepted(_introduction(tx, circle, own, request.key))


def forget_circle(tx: Tx, circle: CircleId) -> None:
    """We leave: its links open nothing any more."""
    for key, value in tx.meta_with_prefix(META_PREFIX):
        if _Issued.decode(value).circle == circle:
            tx.set_meta(key, None)


def _introduction(tx: Tx, circle: CircleId, inviter: PublicKey, joiner: PublicKey) -> tuple[Record, ...]:
    """What a newcomer needs to know whom to believe: the charters, the vouches from a steward to us, ours, and what a fork inherits as
    far as there is room.
    """
    genesis = tx.record(RecordId(circle))
    charters = ([genesis] if genesis else []) + tx.records(circle, kinds=[CHARTER])
    all_vouches = tx.records(circle, kinds=[VOUCH])
    pieces = tx.records(circle, kinds=[CUT])
    own = [one for one in all_vouches if one.author == inviter and one.target == joiner]
    stewards = {PublicKey(key) for charter in charters for key in _stewards(charter)}
    return (*charters[:4], *_path(all_vouches, stewards, inviter)[:MAX_PATH_RECORDS], *own, *pieces)


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
