"""Invite links and join messages: whole or refused, and good for one pair of peers only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnode.core.encoding import encode
from p2pnode.core.ids import PeerId
from p2pnode.core.invite import (
    MAX_ADDRESSES,
    MAX_ANSWER_BYTES,
    MAX_LINK_CHARACTERS,
    SCHEME,
    Invite,
    JoinAccepted,
    JoinRefused,
    decode_answer,
    decode_request,
    encode_answer,
    encode_invite,
    encode_request,
    parse_invite,
    secret_digest,
)
from p2pnode.errors import DecodeError, UsageError
from tests.core.examples import ANN, BEN, CIRCLE, NOW, OTHER_CIRCLE, ballot, proposal

INVITER, JOINER = PeerId("12D3KooWInviter"), PeerId("12D3KooWJoiner")
SECRET = bytes(range(16))
INVITE = Invite(bytes(32), CIRCLE, "Ökologie", INVITER, ("/ip4/192.0.2.1/tcp/4001/p2p/12D3KooWInviter",), SECRET, NOW)


def test_a_link_round_trips_even_when_mail_breaks_its_lines() -> None:
    link = encode_invite(INVITE)
    assert link.startswith(SCHEME)
    assert parse_invite(link) == INVITE
    assert parse_invite("  " + "\n".join(link[at : at + 60] for at in range(0, len(link), 60))) == INVITE
    assert parse_invite(link.upper().replace("P2PNODE:INVITE/", SCHEME)) == INVITE


def test_the_longest_link_is_within_its_limit() -> None:
    addresses = ("/" + "x" * 299,) * MAX_ADDRESSES
    longest = Invite(bytes(32), CIRCLE, "\U0001f333" * 100, PeerId("x" * 100), addresses, SECRET, 2**53 - 1)
    link = encode_invite(longest)
    assert len(link) <= MAX_LINK_CHARACTERS
    assert parse_invite(link) == longest


@pytest.mark.parametrize(
    "link", ["", "https://example.org", SCHEME, SCHEME + "a", SCHEME + "aaaa", SCHEME + "é1", SCHEME + "a" * 7000]
)
def test_what_is_no_invite_is_a_usage_error(link: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_invite(link)
    assert caught.value.hint


@given(st.data())
def test_a_damaged_link_is_a_usage_error_or_another_invite(data: st.DataObject) -> None:
    link = encode_invite(INVITE)
    at = data.draw(st.integers(0, len(link) - 1))
    damaged = data.draw(st.sampled_from([link[:at], link[:at] + link[at + 1 :], link[:at] + "7" + link[at + 1 :]]))
    try:
        parse_invite(damaged)
    except UsageError:
        return


def test_a_link_of_a_later_version_says_so() -> None:
    import base64

    body = base64.b32encode(encode({"v": 2})).decode().rstrip("=").lower()
    with pytest.raises(UsageError, match="newer version"):
        parse_invite(SCHEME + body)


def test_a_request_is_good_for_its_pair_of_peers_only() -> None:
    data = encode_request(ANN, CIRCLE, SECRET, inviter=INVITER, joiner=JOINER)
    request = decode_request(data, inviter=INVITER, joiner=JOINER)
    assert (request.circle, request.secret, request.key) == (CIRCLE, SECRET, ANN.public)
    for inviter, joiner in ((INVITER, PeerId("x")), (PeerId("x"), JOINER), (JOINER, INVITER)):
        with pytest.raises(DecodeError, match="not signed"):
            decode_request(data, inviter=inviter, joiner=joiner)


def test_nobody_asks_in_the_name_of_a_key_that_is_not_theirs() -> None:
    mine = encode_request(BEN, CIRCLE, SECRET, inviter=INVITER, joiner=JOINER)
    with pytest.raises(DecodeError):
        decode_request(mine.replace(BEN.public, ANN.public), inviter=INVITER, joiner=JOINER)
    with pytest.raises(DecodeError):
        decode_request(mine.replace(CIRCLE, OTHER_CIRCLE), inviter=INVITER, joiner=JOINER)


@given(st.binary(max_size=300))
def test_any_bytes_raise_only_decode_error(data: bytes) -> None:
    for decode in (lambda: decode_request(data, inviter=INVITER, joiner=JOINER), lambda: decode_answer(data)):
        with pytest.raises(DecodeError):
            decode()


def test_answers_round_trip() -> None:
    accepted = JoinAccepted((ballot(), proposal()), ("/ip4/192.0.2.1/tcp/1",))
    assert decode_answer(encode_answer(accepted)) == accepted
    refused = decode_answer(encode_answer(JoinRefused("expired")))
    assert isinstance(refused, JoinRefused) and "expired" in refused.words
    stranger = decode_answer(encode_answer(JoinRefused("tomorrow")))
    assert isinstance(stranger, JoinRefused) and "tomorrow" not in stranger.words


def test_an_answer_with_too_much_stays_within_its_frame() -> None:
    records = tuple(proposal(patch={"n": n, "pad": b"x" * 15_000}) for n in range(8))
    data = encode_answer(JoinAccepted(records, ("/" + "\U0001f333" * 299,) * 9))
    assert len(data) <= MAX_ANSWER_BYTES
    answer = decode_answer(data)
    assert (
        isinstance(answer, JoinAccepted)
        and answer.records == records[: len(answer.records)]
        and len(answer.records) >= 3
    )


def test_an_answer_with_a_forged_record_is_refused() -> None:
    forged = encode_answer(JoinAccepted((ballot(),))).replace(ballot().sig, bytes(64))
    with pytest.raises(DecodeError):
        decode_answer(forged)


def test_a_secret_is_kept_as_a_digest() -> None:
    assert len(secret_digest(SECRET)) == 32
    assert secret_digest(SECRET) != secret_digest(bytes(16))
