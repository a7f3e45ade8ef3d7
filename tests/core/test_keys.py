"""Key derivation against RFC 5869, and the one verifier's refusals (attack 12)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnode.core.keys import KeyPair, hkdf_sha256, profile_key, pseudonym, verify

SEED = bytes(range(32))
ORDER = 2**252 + 27742317777372353535851937790883648493

RFC_5869 = [
    # secret, salt, info, length, output: test cases 1, 2 and 3
    (
        "0b" * 22,
        "000102030405060708090a0b0c",
        "f0f1f2f3f4f5f6f7f8f9",
        42,
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    ),
    (
        bytes(range(0x50)).hex(),
        bytes(range(0x60, 0xB0)).hex(),
        bytes(range(0xB0, 0x100)).hex(),
        82,
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
        "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
    ),
    ("0b" * 22, "", "", 42, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"),
]


@pytest.mark.parametrize(("secret", "salt", "info", "length", "output"), RFC_5869)
def test_hkdf_is_that_of_rfc_5869(secret: str, salt: str, info: str, length: int, output: str) -> None:
    got = hkdf_sha256(bytes.fromhex(secret), salt=bytes.fromhex(salt), info=bytes.fromhex(info), length=length)
    assert got.hex() == output


def test_every_name_is_another_key_and_always_the_same_one() -> None:
    names = [profile_key(SEED), pseudonym(SEED, bytes(32)), pseudonym(SEED, b"\1" * 32), KeyPair(SEED)]
    assert len({key.public for key in names}) == 4
    assert pseudonym(SEED, bytes(32)).public == names[1].public
    assert profile_key(b"\1" * 32).public != names[0].public


def test_a_seed_or_salt_of_another_size_is_our_own_mistake() -> None:
    for call in (lambda: KeyPair(b""), lambda: profile_key(b"x"), lambda: pseudonym(SEED, b"x")):
        with pytest.raises(ValueError):
            call()
    for length in (0, 8161):
        with pytest.raises(ValueError):
            hkdf_sha256(SEED, salt=b"", info=b"", length=length)


def test_a_key_pair_never_prints_its_secret() -> None:
    key = KeyPair(SEED)
    assert SEED.hex() not in repr(key)
    assert key.seed == SEED


@given(st.binary(max_size=100))
def test_what_is_signed_verifies_and_nothing_else_does(message: bytes) -> None:
    key = KeyPair(SEED)
    signature = key.sign(message)
    assert verify(key.public, message, signature)
    assert not verify(key.public, message + b"x", signature)
    assert not verify(profile_key(SEED).public, message, signature)
    assert not verify(key.public, message, signature[:-1])
    assert not verify(key.public[:-1], message, signature)


def test_the_same_signature_with_s_plus_the_order_is_refused() -> None:
    key = KeyPair(SEED)
    signature = key.sign(b"m")
    s = int.from_bytes(signature[32:], "little") + ORDER
    assert not verify(key.public, b"m", signature[:32] + s.to_bytes(32, "little"))


SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  # zero, not canonical
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  # one, not canonical
]


@pytest.mark.parametrize("key", SMALL_ORDER)
def test_keys_under_which_any_message_verifies_are_refused(key: str) -> None:
    point = bytes.fromhex(key)
    identity = bytes.fromhex(SMALL_ORDER[0])
    for r in (identity, point):
        assert not verify(point, b"anything at all", r + bytes(32))


def test_a_key_that_is_no_point_is_refused() -> None:
    assert not verify(b"\x02" + bytes(31), b"m", bytes(64))
    assert not verify(b"\xff" * 32, b"m", bytes(64))
