"""Noise's messages as values: what one side seals the other opens, in any pieces, and nothing else ever opens."""

from __future__ import annotations

from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pnode.net.noise.messages import (
    LENGTH_BYTES,
    MAX_MESSAGES,
    MAX_PLAIN_BYTES,
    MAX_SEALED_BYTES,
    TAG_BYTES,
    ExhaustedError,
    MessageLengthError,
    NoiseError,
    Opener,
    Sealer,
    TamperedError,
    sealed_size,
)

KEY = bytes(range(32))


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    bounds = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(bounds)]


def opened(parts: list[bytes], opener: Opener | None = None) -> bytes:
    opener = opener or Opener(KEY)
    return b"".join(plain for part in parts for plain in opener.feed(part))


@settings(max_examples=60)
@given(
    st.lists(st.binary(max_size=300) | st.integers(0, 3 * MAX_PLAIN_BYTES).map(bytes), max_size=5),
    st.lists(st.integers(0, 1 << 20), max_size=12),
)
def test_what_is_sealed_opens_however_the_bytes_are_cut(said: list[bytes], cuts: list[int]) -> None:
    sealer = Sealer(KEY)
    wire = b"".join(bytes(sealer.seal(data)) for data in said)
    assert len(wire) == sum(sealed_size(len(data)) for data in said)
    opener = Opener(KEY)
    assert opened(pieces(wire, cuts), opener) == b"".join(said)
    assert opener.is_between_messages


def test_messages_are_numbered_and_laid_out_as_noise_says() -> None:
    """Against the cipher itself: the number is in the last eight bytes of the nonce, little-endian, and nothing is authenticated beside."""
    sealer = Sealer(KEY, 256)
    wire = bytes(sealer.seal(b"a" * (MAX_PLAIN_BYTES + 5)))
    cipher = ChaCha20Poly1305(KEY)
    first, rest = wire[: 2 + MAX_SEALED_BYTES], wire[2 + MAX_SEALED_BYTES :]
    assert first[:2] == b"\xff\xff"
    assert cipher.decrypt(bytes(4) + (256).to_bytes(8, "little"), first[2:], None) == b"a" * MAX_PLAIN_BYTES
    assert rest[:2] == (5 + TAG_BYTES).to_bytes(2, "big")
    assert cipher.decrypt(bytes(4) + (257).to_bytes(8, "little"), rest[2:], None) == b"a" * 5


def test_the_library_of_the_handshake_opens_ours_and_we_open_its() -> None:
    from noise.backends.default.ciphers import ChaCha20Cipher

    cipher = ChaCha20Cipher()
    cipher.initialize(KEY)
    assert cipher.decrypt(KEY, 7, b"", bytes(Sealer(KEY, 7).seal(b"hello"))[2:]) == b"hello"
    sealed = cipher.encrypt(KEY, 7, b"", b"hello")
    assert opened([len(sealed).to_bytes(2, "big") + sealed], Opener(KEY, 7)) == b"hello"


@given(st.data())
def test_one_changed_bit_anywhere_in_a_message_does_not_open(data: st.DataObject) -> None:
    wire = bytearray(Sealer(KEY).seal(b"a message of some length"))
    at = data.draw(st.integers(8 * LENGTH_BYTES, 8 * len(wire) - 1))
    wire[at // 8] ^= 1 << at % 8
    with pytest.raises(TamperedError):
        opened([bytes(wire)])


def test_messages_left_out_repeated_or_in_another_order_do_not_open() -> None:
    sealer = Sealer(KEY)
    one, two = bytes(sealer.seal(b"one")), bytes(sealer.seal(b"two"))
    for wire in (two, one + one, two + one):
        with pytest.raises(TamperedError):
            opened([wire])


@pytest.mark.parametrize("length", range(TAG_BYTES))
def test_a_message_shorter_than_its_seal_is_refused_before_it_has_come(length: int) -> None:
    head = length.to_bytes(LENGTH_BYTES, "big")
    for parts in ([head + bytes(length)], [head[:1], head[1:]], [head]):
        with pytest.raises(MessageLengthError):
            opened(parts)


def test_an_empty_message_says_nothing_and_counts() -> None:
    cipher = ChaCha20Poly1305(KEY)
    sealed = cipher.encrypt(bytes(12), b"", None)
    rest = bytes(Sealer(KEY, 1).seal(b"next"))
    assert opened([len(sealed).to_bytes(2, "big") + sealed + rest]) == b"next"


def test_the_numbers_of_a_direction_are_used_once_each_and_never_the_last() -> None:
    sealer, opener = Sealer(KEY, MAX_MESSAGES - 1), Opener(KEY, MAX_MESSAGES - 1)
    assert opened([bytes(sealer.seal(b"the last"))], opener) == b"the last"
    with pytest.raises(ExhaustedError):
        sealer.seal(b"one more")
    cipher = ChaCha20Poly1305(KEY)
    beyond = cipher.encrypt(bytes(4) + b"\xff" * 8, b"one more", None)
    with pytest.raises(ExhaustedError):
        opened([len(beyond).to_bytes(2, "big") + beyond], opener)


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_rubbish_is_refused_or_waited_for_and_never_kept_beyond_one_message(parts: list[bytes]) -> None:
    opener = Opener(KEY)
    try:
        assert opened(parts, opener) == b""
    except NoiseError:
        return
    assert len(opener._held) < LENGTH_BYTES + MAX_SEALED_BYTES
