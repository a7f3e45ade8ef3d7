"""Certificates of devices, pairing codes, pairing frames: what holds, what is refused, and the vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pnode.core import device_messages as messages
from p2pnode.core.device import MAX_CERTIFICATE_BYTES, certify, decode_certificate, standing
from p2pnode.core.device_code import make_code, parse_code, plate_of
from p2pnode.core.device_path import remote_path
from p2pnode.core.device_roles import ROLES, SERVER_ROLES, VOTE, as_name, check_name, check_roles
from p2pnode.core.ids import PeerId
from p2pnode.core.keys import KeyPair
from p2pnode.errors import DecodeError, RefusedError, UsageError
from tests.core import make_device_vectors

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "devices.json").read_text())
KEY, OTHER = KeyPair(bytes(32)), KeyPair(bytes(range(32)))
PEER = PeerId("12D3KooWNi9up9zXK5RtnDipchy3pgEJ6KAnBW1QmJQ5xDnFWYyz")


def test_a_certificate_comes_back_as_it_was_signed() -> None:
    made = certify(KEY, PEER, "server", SERVER_ROLES, seq=7)
    read = decode_certificate(made.data)
    assert (read.identity, read.peer, read.name, read.seq) == (KEY.public, PEER, "server", 7)
    assert read == made and read.allows("seed") and not read.allows(VOTE) and not read.revoked


@settings(deadline=None)
@given(st.binary(max_size=MAX_CERTIFICATE_BYTES + 2))
def test_any_bytes_are_a_certificate_or_a_decode_error(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_certificate(data)


@settings(deadline=None)
@given(st.integers(0, 300), st.integers(1, 255))
def test_a_changed_byte_anywhere_is_noticed(at: int, change: int) -> None:
    data = bytearray(certify(KEY, PEER, "server", SERVER_ROLES, seq=7).data)
    data[at % len(data)] ^= change
    with pytest.raises(DecodeError):
        decode_certificate(bytes(data))


def test_the_higher_number_stands_and_of_equal_ones_the_revocation() -> None:
    old = certify(KEY, PEER, "server", ROLES, seq=7)
    revoked, again = certify(KEY, PEER, "server", (), seq=8), certify(KEY, PEER, "server", ROLES, seq=9)
    same = [
        certify(KEY, PEER, f"server-{n}", ROLES, seq=8) for n in range(20)
    ]  # their bytes lie on either side of the revocation's
    assert {one.data < revoked.data for one in same} == {True, False}
    for one, other, wins in (
        (old, revoked, revoked),
        (revoked, again, again),
        *((one, revoked, revoked) for one in same),
    ):
        assert standing(one, other) is wins and standing(other, one) is wins


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([(), ("seed",), ROLES])), min_size=1, max_size=5))
def test_what_stands_does_not_depend_on_the_order(claims: list[tuple[int, tuple[str, ...]]]) -> None:
    made = [certify(KEY, PEER, "x", roles, seq=seq) for seq, roles in claims]
    forward = backward = made[0]
    for one in made:
        forward = standing(forward, one)
    for one in reversed(made):
        backward = standing(backward, one)
    assert forward.data == backward.data


def test_names_and_roles_are_checked_where_people_give_them() -> None:
    assert check_name(" nas-1 ") == "nas-1" and check_roles(["sync", "seed", "seed"]) == ("seed", "sync")
    for bad in ("", "a b", "-x", "x" * 41, "a/b", "a:b"):
        with pytest.raises(UsageError):
            check_name(bad)
    with pytest.raises(UsageError):
        check_roles(["king"])
    for machine in ("nas.local", "", "Ünï cöde", "-", "x" * 80):
        assert check_name(as_name(machine))


# ---------------------------------------------------------------- codes


@settings(deadline=None)
@given(st.integers(0, 999_999))
def test_a_code_is_read_as_it_is_shown(number: int) -> None:
    code = make_code(PEER, number)
    assert parse_code(str(code)) == code == parse_code(f" {str(code).upper().replace('-', ' ')} ")
    assert code.plate == plate_of(PEER) and code.password == f"{number:06d}".encode()
    assert code.secret not in repr(code)


@settings(deadline=None)
@given(st.text(max_size=20))
def test_what_is_no_code_says_so(text: str) -> None:
    try:
        parse_code(text)
    except UsageError:
        return
    assert len(text.strip().replace("-", "").replace(" ", "")) == 10


def test_a_path_of_another_machine_names_it() -> None:
    assert remote_path("nas:/srv/music", "nas") == "/srv/music"
    assert remote_path("nas:C:/music", "nas") == "C:/music"
    for path in ("/srv/music", "music", "other:/srv", "nas:music", "nas:", ""):
        with pytest.raises(UsageError):
            remote_path(path, "nas")


# ---------------------------------------------------------------- frames


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_frames_of_any_bytes_are_refused_in_order(data: bytes) -> None:
    for read in (messages.read_element, messages.read_confirm, messages.read_certificates, messages.read_done):
        with pytest.raises((DecodeError, RefusedError)):
            read(data)


def test_frames_come_back_and_a_refusal_is_heard_in_any_place() -> None:
    assert messages.read_element(messages.encode_element(bytes(33))) == bytes(33)
    assert messages.read_confirm(messages.encode_confirm(bytes(32), "nas")) == (bytes(32), "nas")
    both = [certify(KEY, PEER, name, SERVER_ROLES, seq=1) for name in ("a", "b")]
    assert list(messages.read_certificates(messages.encode_certificates(both))) == both
    messages.read_done(messages.encode_done())
    for read in (messages.read_element, messages.read_confirm, messages.read_certificates, messages.read_done):
        with pytest.raises(RefusedError, match="busy"):
            read(messages.encode_refused("busy"))
    for wrong in (messages.encode_element(bytes(32)), messages.encode_confirm(bytes(33))):
        with pytest.raises(DecodeError):
            messages.read_element(wrong)
    with pytest.raises(DecodeError):
        messages.read_certificates(messages.encode_certificates(both[:1]))


def test_a_confirmation_is_good_for_its_side_and_its_key_only() -> None:
    key = bytes(range(32))
    shown = messages.confirmation(key, "A")
    assert messages.is_confirmed(key, "A", shown)
    assert not messages.is_confirmed(key, "B", shown) and not messages.is_confirmed(bytes(32), "A", shown)


# ---------------------------------------------------------------- vectors


def test_the_vectors_are_what_the_program_makes() -> None:
    assert VECTORS["certificates"] == make_device_vectors.certificates()
    assert VECTORS["pairing"] == make_device_vectors.pairing()


@pytest.mark.parametrize("one", VECTORS["certificates"]["valid"])
def test_valid_certificates_are_read(one: dict[str, Any]) -> None:
    read = decode_certificate(bytes.fromhex(one["data"]))
    assert (read.peer, read.name, list(read.roles), read.seq) == (one["peer"], one["name"], one["roles"], one["seq"])
    assert read.identity.hex() == VECTORS["certificates"]["identity"] == OTHER.public.hex()


@pytest.mark.parametrize("why", VECTORS["certificates"]["invalid"])
def test_invalid_certificates_are_refused(why: str) -> None:
    with pytest.raises(DecodeError):
        decode_certificate(bytes.fromhex(VECTORS["certificates"]["invalid"][why]))
