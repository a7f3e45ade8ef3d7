"""Values of the DHT: public keys that prove themselves are put and found; whatever else is put is refused, and what is kept is bounded."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from libp2p.crypto.ed25519 import create_new_key_pair as ed25519_pair
from libp2p.crypto.rsa import create_new_key_pair as rsa_pair
from libp2p.peer.id import ID

from p2pnode.core.ids import PeerId
from p2pnode.errors import DecodeError, NetworkError, UsageError
from p2pnode.net.bans import BAN_POINTS
from p2pnode.net.kad.values import (
    MAX_VALUES,
    VALUE_S,
    VALUES_PER_SENDER,
    Values,
    check_key,
    check_value,
    key_of_peer,
)
from p2pnode.net.kad.wire import MAX_MESSAGE_BYTES, KadMessage, decode, encode
from p2pnode.net.serving import BROKEN_RULE_POINTS
from p2pnode.net.varint import receive_prefixed
from tests.support.net import DEADLINE_S, link, networks, until


def pair(public: object) -> tuple[bytes, bytes]:
    return key_of_peer(PeerId(ID.from_pubkey(public).to_base58())), public.serialize()  # type: ignore[attr-defined]


KEY, VALUE = pair(ed25519_pair(bytes(32)).public_key)
OTHER = pair(ed25519_pair(bytes([1]) * 32).public_key)


def test_a_key_of_any_kind_proves_itself() -> None:
    check_value(KEY, VALUE)
    check_value(*pair(rsa_pair(2048).public_key))


@given(
    st.binary(max_size=200) | st.just(OTHER[1]) | st.just(VALUE + b"\x00") | st.just(VALUE[:-1]) | st.just(bytes(2000))
)
def test_nothing_else_is_a_value(value: bytes) -> None:
    with pytest.raises(DecodeError):
        check_value(KEY, value)


@pytest.mark.parametrize(
    "key", [b"", b"/pk/", b"/pk/abc", b"/ipns/" + KEY[4:], KEY[4:], KEY + b"x", b"/pk/" + bytes(34)]
)
def test_no_other_key_is_one(key: bytes) -> None:
    with pytest.raises(UsageError):
        check_key(key)
    check_key(KEY)


def test_what_is_kept_is_bounded_in_number_age_and_share() -> None:
    values = Values()
    greedy, modest = PeerId("greedy"), PeerId("modest")
    values.put(b"first", b"1", modest, 0.0)
    for number in range(VALUES_PER_SENDER + 5):
        values.put(b"greedy %d" % number, b"2", greedy, 1.0)
    assert len(values) == VALUES_PER_SENDER + 1 and values.get(b"first", 2.0) == b"1"
    assert values.get(b"greedy 4", 2.0) is None and values.get(b"greedy 5", 2.0) == b"2"
    values.put(b"greedy 5", b"3", modest, 2.0)  # put again by another: counted once, under him
    assert len(values) == VALUES_PER_SENDER + 1
    for number in range(MAX_VALUES):
        values.put(b"of many %d" % number, b"4", PeerId(f"peer {number}"), 3.0)
    assert len(values) == MAX_VALUES and values.get(b"first", 4.0) is None
    assert values.get(b"of many 7", 2.0 + VALUE_S) == b"4" and values.get(b"of many 7", 3.0 + VALUE_S) is None
    assert values.get(b"of many 8", 2.0) is None, "a clock that went back does not make it live longer"


@pytest.mark.trio
@pytest.mark.network
async def test_a_key_is_put_and_found_and_a_false_one_is_refused() -> None:
    async def put(message: KadMessage) -> KadMessage | None:
        with trio.fail_after(DEADLINE_S), suppress(NetworkError):
            stream = await liar.open_stream(keeper.peer_id, "/test/kad/1.0.0")
            await stream.send_all(encode(message))
            answer = await receive_prefixed(stream, MAX_MESSAGE_BYTES)
            await stream.aclose()
            return decode(answer) if answer else None
        return None

    async with networks(3) as (keeper, asker, liar):
        await link(asker, keeper)
        await link(liar, keeper)
        await until(lambda: len(keeper.dht.table) == 2 and len(asker.dht.table) == 2)
        assert await asker.dht.get_value(KEY) is None
        assert await asker.dht.put_value(KEY, VALUE) == 2
        assert await liar.dht.get_value(KEY) == VALUE
        with pytest.raises(DecodeError):
            await asker.dht.put_value(KEY, OTHER[1])
        with pytest.raises(UsageError):
            await asker.dht.put_value(b"/ipns/" + KEY[4:], VALUE)

        answer = await put(KadMessage("PUT_VALUE", KEY, value=VALUE))
        assert answer == KadMessage("PUT_VALUE", KEY, value=VALUE)
        for _ in range(BAN_POINTS // BROKEN_RULE_POINTS + 1):
            assert await put(KadMessage("PUT_VALUE", b"/ipns/" + KEY[4:], value=VALUE)) is None
        assert keeper.banned() == []
        for _ in range(BAN_POINTS // BROKEN_RULE_POINTS + 1):
            assert await put(KadMessage("PUT_VALUE", KEY, value=OTHER[1])) is None
        await until(lambda: [ban.peer for ban in keeper.banned()] == [liar.peer_id])
        assert await asker.dht.get_value(KEY) == VALUE
