"""Inviting and joining: at once when the inviter is there, later when not, once per link, and nobody gets in by lying."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import trio
import trio.testing

from p2pnode.core import encoding
from p2pnode.core.ids import CircleId, PeerId, id_text
from p2pnode.core.invite import (
    JOIN_PROTOCOL,
    JoinAccepted,
    decode_answer,
    encode_answer,
    encode_invite,
    encode_request,
    parse_invite,
    secret_digest,
)
from p2pnode.core.keys import KeyPair
from p2pnode.core.proposals import vouch
from p2pnode.core.record import Record
from p2pnode.core.records import decode_signed, seq_of
from p2pnode.errors import NotFoundError, RefusedError, UsageError
from p2pnode.ports import Stream
from p2pnode.services.framing import receive_frame, send_frame
from p2pnode.services.invites import META_PREFIX
from p2pnode.services.resolve import find_circle
from tests.support.people import Person, people, until

pytestmark = pytest.mark.trio


async def link(person: Person, circle: CircleId) -> str:
    return str((await person.circles.invites.make(circle))["invite"])


async def test_an_invite_opens_the_circle_at_once_when_the_inviter_is_there() -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create("Readers")
        answer = await ben.circles.join(await link(anna, circle))
        assert (answer["state"], answer["name"]) == ("joined", "Readers")
        for person in (anna, ben):
            view = await person.views.of(circle)
            assert view.is_member(await ben.key(circle)) and view.is_member(await anna.key(circle))
        assert ("circle.joined", {"circle": answer["circle"], "name": "Readers"}) in ben.events
        assert (await ben.circles.list())["items"][0]["state"] == "joined"


async def test_the_vouch_is_told_to_the_circle_in_the_same_transaction() -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        await ben.circles.join(await link(anna, circle))
        told = [payload for kind, payload in await anna.outbox() if kind == "gossip" and payload[:32] == circle]
        assert (await ben.key(circle)) in [decode_signed(payload[32:]).target for payload in told]


async def test_a_guests_guest_learns_whom_to_believe() -> None:
    """The answer carries the vouches from a steward to the inviter: sync is not needed to know a new member."""
    async with people("anna", "ben", "cleo", "dora") as (anna, *others):
        circle = await anna.create()
        host = anna
        for guest in others:
            assert (await guest.circles.join(await link(host, circle)))["state"] == "joined"
            assert (await guest.views.of(circle)).is_member(await guest.key(circle))
            host = guest
        dora = others[-1]
        assert (await dora.views.of(circle)).hops(await dora.key(circle)) == 3


async def test_each_link_lets_one_person_in_and_the_same_person_again() -> None:
    async with people("anna", "ben", "cleo") as (anna, ben, cleo):
        circle = await anna.create()
        invite = await link(anna, circle)
        await ben.circles.join(invite)
        with pytest.raises(RefusedError, match="used up by others"):
            await cleo.circles.join(invite)
        assert (await cleo.circles.list())["items"] == []
        await cleo.circles.join(await link(anna, circle))
        await cleo.circles.leave(circle)
        with pytest.raises(RefusedError, match="used up by others"):
            await cleo.circles.join(invite)
        vouches = len(await anna.records(circle))
        await ben.circles.leave(circle)
        assert (await ben.circles.join(invite))["state"] == "joined"
        assert len(await anna.records(circle)) == vouches, "the answer was given again, nothing new was signed"


async def test_a_used_link_does_not_undo_a_revoked_vouch() -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        invite = await link(anna, circle)
        await ben.circles.join(invite)
        key = await ben.key(circle)
        await anna.circles.vouches.revoke(circle, key)
        await ben.circles.leave(circle)
        with pytest.raises(RefusedError):
            await ben.circles.join(invite)
        assert not (await anna.views.of(circle)).is_member(key)


async def test_when_the_inviter_is_away_it_waits_says_so_and_gets_in_when_that_peer_comes() -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        invite = await link(anna, circle)
        anna.network.online = False
        answer = await ben.circles.join(invite)
        assert answer["state"] == "waiting"
        assert "cannot be reached" in answer["reason"] and "UTC" in answer["reason"]
        [item] = (await ben.circles.list())["items"]
        assert (item["state"], item["name"], item["reason"]) == ("waiting", "Readers", answer["reason"])
        with pytest.raises(NotFoundError):
            await ben.circles.show(circle)
        for asked in ("readers", id_text("c", circle)[:12]):
            with pytest.raises(NotFoundError, match=r"you are not in 'Readers' yet: .*cannot be reached"):
                await ben.store.read(partial(find_circle, text=asked))
        anna.network.online = True
        await anna.network.connect("/memory/p2p/ben")
        await until(lambda: any(name == "circle.joined" for name, _ in ben.events))
        assert (await ben.views.of(circle)).is_member(await ben.key(circle))


async def test_a_waiting_join_survives_a_restart() -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        invite = await link(anna, circle)
        anna.network.online = False
        await ben.circles.join(invite)
        anna.network.online = True
        async with trio.open_nursery() as nursery:
            await ben.new_circles().start(nursery)
            await until(lambda: any(name == "circle.joined" for name, _ in ben.events))
            nursery.cancel_scope.cancel()


async def test_a_waiting_join_is_tried_again_with_back_off(autojump_clock: trio.testing.MockClock) -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        invite = await link(anna, circle)
        anna.network.online = False
        await ben.circles.join(invite)
        await trio.sleep(3600)
        assert (await ben.circles.list())["items"][0]["state"] == "waiting"
        anna.network.online = True
        await trio.sleep(3601)
        assert (await ben.circles.list())["items"][0]["state"] == "joined"


async def test_one_can_stop_waiting() -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        invite = await link(anna, circle)
        anna.network.online = False
        await ben.circles.join(invite)
        await ben.circles.leave(circle)
        assert (await ben.circles.list())["items"] == []
        with pytest.raises(NotFoundError):
            await ben.circles.leave(circle)


async def test_an_expired_invite_is_refused_on_both_sides() -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        invite = await link(anna, circle)
        anna.now += 8 * 86_400
        with pytest.raises(RefusedError, match="expired"):
            await ben.circles.join(invite)
        ben.now += 8 * 86_400
        with pytest.raises(RefusedError, match="expired"):
            await ben.circles.join(invite)
        await link(anna, circle)
        kept = await anna.store.read(lambda tx: tx.meta_with_prefix(META_PREFIX))
        assert len(kept) == 1, "the expired one is forgotten"


async def test_only_members_invite_and_only_while_they_are_in() -> None:
    async with people("anna", "ben", "cleo") as (anna, ben, cleo):
        circle = await anna.create()
        await ben.circles.join(await link(anna, circle))
        early = await link(ben, circle)
        await anna.circles.vouches.revoke(circle, await ben.key(circle))
        await anna.tell(ben, circle)
        with pytest.raises(RefusedError, match="cannot let others in") as caught:
            await ben.circles.invites.make(circle)
        assert "p2pnode vouch" in caught.value.hint
        with pytest.raises(RefusedError, match="no longer in this circle"):
            await cleo.circles.join(early)
        late = await link(anna, circle)
        await anna.circles.leave(circle)
        with pytest.raises(RefusedError, match="does not know this invite"):
            await cleo.circles.join(late)


async def test_ones_own_invite_and_a_text_that_is_none_are_refused() -> None:
    async with people("anna") as (anna,):
        circle = await anna.create()
        with pytest.raises(RefusedError, match="your own"):
            await anna.circles.join(await link(anna, circle))
        with pytest.raises(UsageError):
            await anna.circles.join("hello")


async def test_a_circle_with_the_salt_of_another_is_refused() -> None:
    """Whoever copies a salt into a circle of his own would learn which key there is ours."""
    async with people("anna", "ben", "eve") as (anna, ben, eve):
        circle = await anna.create()
        await ben.circles.join(await link(anna, circle))
        trap = replace(parse_invite(await link(eve, await eve.create("Trap"))), salt=b"\0" * 32)
        known = await ben.store.read(lambda tx: tx.circle_salt(circle))
        assert known is not None
        with pytest.raises(RefusedError, match="same key in both"):
            await ben.circles.join(encode_invite(replace(trap, salt=known)))
        assert len((await ben.circles.list())["items"]) == 1


async def ask(person: Person, host: Person, request: bytes) -> bytes | None:
    stream = await person.network.open_stream(host.network.peer_id, JOIN_PROTOCOL)
    await send_frame(stream, request)
    try:
        return await receive_frame(stream, 1 << 20)
    finally:
        await stream.aclose()


async def test_wrong_secrets_forged_requests_and_garbage_let_nobody_in() -> None:
    async with people("anna", "eve") as (anna, eve):
        circle = await anna.create()
        invite = parse_invite(await link(anna, circle))
        key, before = KeyPair(b"e" * 32), len(await anna.records(circle))
        anna_id, eve_id = anna.network.peer_id, eve.network.peer_id
        guesses = [
            encode_request(key, circle, bytes(16), inviter=anna_id, joiner=eve_id),
            encode_request(key, CircleId(b"\1" * 32), invite.secret, inviter=anna_id, joiner=eve_id),
        ]
        for request in guesses:
            answer = await ask(eve, anna, request)
            assert answer is not None and "does not know" in decode_answer(answer).words  # type: ignore[union-attr]
        overheard = encode_request(key, circle, invite.secret, inviter=anna_id, joiner=PeerId("ben"))
        for request in (overheard, b"", b"\xc1", b"x" * 1000, b"x" * 5000):
            with pytest.raises(Exception, match=r"broken|reset|ended"):
                assert await ask(eve, anna, request) is None
                raise AssertionError("reset")  # a clean end is as good
        assert len(await anna.records(circle)) == before
        assert any(peer == eve_id for peer, _, _ in anna.network.penalties)


async def test_who_asks_too_often_is_not_answered() -> None:
    async with people("anna", "eve") as (anna, eve):
        circle = await anna.create()
        request = encode_request(
            KeyPair(b"e" * 32), circle, bytes(16), inviter=anna.network.peer_id, joiner=eve.network.peer_id
        )
        answered = 0
        for _ in range(30):
            try:
                answered += await ask(eve, anna, request) is not None
            except Exception:
                break
        assert 5 <= answered <= 12


def forged_vouch(circle: CircleId, whom: Person) -> Record:
    """A vouch by nobody for the key that `whom` has under a salt of zeros."""
    key, now = whom.me.key_for_salt(bytes(32)).public, int(whom.now)
    return vouch(KeyPair(b"e" * 32), circle=circle, whom=key, give=True, seq=seq_of(now, 0), created=now)


@pytest.mark.parametrize("lie", ["nothing", "another charter", "no vouch", "another salt", "garbage"])
async def test_an_answer_that_lies_leaves_us_outside_and_waiting(lie: str) -> None:
    async with people("anna", "ben", "eve") as (anna, ben, eve):
        circle, other = await anna.create(), await eve.create("Other")
        invite = parse_invite(await link(anna, circle))
        charter, foreign = (await anna.records(circle))[0], (await eve.records(other))[0]
        answers = {
            "nothing": encode_answer(JoinAccepted(())),
            "another charter": encode_answer(JoinAccepted((foreign,))),
            "no vouch": encode_answer(JoinAccepted((charter,))),
            "another salt": encode_answer(JoinAccepted((charter, forged_vouch(circle, ben)))),
            "garbage": b"\xff" * 100,
        }

        async def lies(stream: Stream) -> None:
            await receive_frame(stream, 4096)
            await send_frame(stream, answers[lie])

        eve.network.serve(JOIN_PROTOCOL, lies)
        salt = bytes(32) if lie == "another salt" else invite.salt
        forged = replace(invite, peer=eve.network.peer_id, addresses=tuple(eve.network.addresses()), salt=salt)
        answer = await ben.circles.join(encode_invite(forged))
        assert answer["state"] == "waiting" and "makes no sense" in answer["reason"]
        assert await ben.store.read(lambda tx: tx.circles()) == []
        assert ben.network.penalties[0][0] == eve.network.peer_id


async def test_addresses_of_other_peers_in_an_invite_are_not_dialled() -> None:
    async with people("anna", "ben", "eve") as (anna, ben, eve):
        circle = await anna.create()
        invite = parse_invite(await link(anna, circle))
        await ben.circles.join(encode_invite(replace(invite, addresses=("/memory/p2p/eve",))))
        assert [view.peer for view in ben.network.peers()] == ["anna"]
        assert eve.network.peers() == []


async def test_joining_twice_at_once_signs_one_vouch() -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        invite = await link(anna, circle)
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(ben.circles.join, invite)
        assert len(await anna.records(circle)) == 2


async def test_a_link_for_several_lets_in_as_many_and_one_of_them_again() -> None:
    async with people("anna", "ben", "cleo", "dora") as (anna, ben, cleo, dora):
        circle = await anna.create()
        invite = str((await anna.circles.invites.make(circle, uses=2))["invite"])
        for guest in (ben, cleo):
            assert (await guest.circles.join(invite))["state"] == "joined"
        with pytest.raises(RefusedError, match="used up"):
            await dora.circles.join(invite)
        await ben.circles.leave(circle)
        assert (await ben.circles.join(invite))["state"] == "joined"
        [open_one] = (await anna.circles.invites.open(circle))["items"]
        assert (open_one["uses"], len(open_one["used_by"])) == (2, 2)


async def test_a_closed_link_lets_nobody_in_and_others_stay_open() -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        invite, other = await link(anna, circle), await link(anna, circle)
        ids = [one["id"] for one in (await anna.circles.invites.open(circle))["items"]]
        with pytest.raises(NotFoundError):
            await anna.circles.invites.close(circle, "ffffffffffff")
        with pytest.raises(NotFoundError):
            await anna.circles.invites.close(circle, "")
        for id in ids:
            await anna.circles.invites.close(circle, id)
        assert (await anna.circles.invites.open(circle))["items"] == []
        for closed in (invite, other):
            with pytest.raises(RefusedError, match="does not know"):
                await ben.circles.join(closed)


@pytest.mark.parametrize("wrong", [{"uses": 0}, {"uses": 201}, {"lifetime_s": 5}, {"lifetime_s": 10**9}])
async def test_a_link_holds_for_a_sensible_time_and_number(wrong: dict[str, int]) -> None:
    async with people("anna") as (anna,):
        circle = await anna.create()
        with pytest.raises(UsageError, match=r"link|an invite holds from 10 minutes to 365 days"):
            await anna.circles.invites.make(circle, **wrong)


async def test_a_link_that_was_kept_by_an_earlier_version_is_still_known() -> None:
    async with people("anna", "ben", "cleo") as (anna, ben, cleo):
        circle = await anna.create()
        invite = parse_invite(await link(anna, circle))
        key = ben.me.key_for_salt(invite.salt).public
        old = encoding.encode({"circle": circle, "expires": invite.expires, "used_by": key})
        name = META_PREFIX + secret_digest(invite.secret).hex()
        await anna.store.write(lambda tx: tx.set_meta(name, old))
        with pytest.raises(RefusedError, match="used up"):
            await cleo.circles.join(encode_invite(invite))
