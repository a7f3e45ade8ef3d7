"""The identity file: made once, for its owner only, locked if wished, and brought back by 24 words."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pnode.errors import DecodeError, NotFoundError, P2pnodeError, RefusedError, StoreError, UsageError
from p2pnode.local import identity, keyfile
from p2pnode.local.identity import (
    backup_words,
    change_passphrase,
    is_sealed,
    load_or_create,
    load_or_create_host_key,
    open_identity,
    restore,
    seed_from_words,
)

posix = pytest.mark.skipif(os.name != "posix", reason="only POSIX has these permissions")


@pytest.fixture(autouse=True)
def cheap_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    """2^4 instead of 2^16: the format is the same and a test is quick."""
    monkeypatch.setattr(identity, "SCRYPT_LOG_N", 4)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "identity.key"


def test_the_first_start_creates_it_and_the_second_finds_it(path: Path) -> None:
    seed, created = load_or_create(path)
    assert created and len(seed) == 32
    assert load_or_create(path) == (seed, False)
    assert not is_sealed(path)
    assert os.listdir(path.parent) == ["identity.key"], "no temporary file stays"


@posix
def test_only_the_owner_may_read_it(path: Path) -> None:
    load_or_create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    for mode in (0o640, 0o604, 0o660):
        path.chmod(mode)
        with pytest.raises(RefusedError) as caught:
            open_identity(path)
        assert "chmod 600" in caught.value.hint


def test_with_a_passphrase_the_seed_is_nowhere_in_the_file(path: Path) -> None:
    seed, _ = load_or_create(path, "correct horse")
    assert is_sealed(path)
    assert seed.hex() not in path.read_text()
    assert open_identity(path, "correct horse").seed == seed
    with pytest.raises(RefusedError, match="does not open"):
        open_identity(path, "wrong horse")
    with pytest.raises(RefusedError, match="none was given"):
        load_or_create(path)


def test_a_passphrase_in_another_unicode_form_is_the_same(path: Path) -> None:
    seed, _ = load_or_create(path, "caf\u00e9")
    assert open_identity(path, "cafe\u0301").seed == seed


def test_the_passphrase_can_be_changed_and_taken_away(path: Path) -> None:
    seed, _ = load_or_create(path)
    change_passphrase(path, None, "one")
    change_passphrase(path, "one", "two")
    with pytest.raises(RefusedError):
        change_passphrase(path, "one", None)
    assert open_identity(path, "two").seed == seed
    change_passphrase(path, "two", None)
    assert open_identity(path).seed == seed
    with pytest.raises(UsageError):
        change_passphrase(path, None, "")


def test_a_seed_is_never_printed(path: Path) -> None:
    seed, _ = load_or_create(path)
    assert seed.hex() not in repr(open_identity(path)) and repr(seed) not in repr(open_identity(path))


def test_no_file_is_not_found_and_a_folder_is_refused(path: Path) -> None:
    with pytest.raises(NotFoundError):
        open_identity(path)
    path.mkdir(parents=True)
    with pytest.raises((RefusedError, StoreError)):
        open_identity(path)


def test_a_crash_while_writing_leaves_nothing_behind(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        load_or_create(path)
    assert os.listdir(path.parent) == []


def test_of_two_first_starts_at_once_one_identity_remains(path: Path) -> None:
    first, _ = load_or_create(path)
    assert not keyfile.create_secret(path, b"another")
    assert open_identity(path).seed == first


def test_without_hard_links_it_is_created_all_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    seed, created = load_or_create(path)
    assert created and open_identity(path).seed == seed
    assert not keyfile.create_secret(path, b"another")
    assert os.listdir(path.parent) == ["identity.key"]


def test_the_host_key_is_another_seed(path: Path) -> None:
    host = load_or_create_host_key(path.with_name("host.key"))
    assert host != load_or_create(path)[0]
    assert load_or_create_host_key(path.with_name("host.key")) == host
    with pytest.raises(DecodeError):
        load_or_create_host_key(path)


DAMAGED = {
    "empty": "",
    "not JSON": "{",
    "deep": "[" * 10_000,
    "a list": "[]",
    "another format": '{"format": "x", "version": 1}',
    "another version": '{"format": "p2pnode identity", "version": 2, "seed": ""}',
    "a short seed": '{"format": "p2pnode identity", "version": 1, "seed": "00"}',
    "a seed that is no text": '{"format": "p2pnode identity", "version": 1, "seed": 7}',
    "a seed that is no hex": '{"format": "p2pnode identity", "version": 1, "seed": "' + "zz" * 32 + '"}',
    "neither seed nor seal": '{"format": "p2pnode identity", "version": 1}',
    "too large": " " * 20_000,
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_says_so_and_how_to_go_on(path: Path, name: str) -> None:
    keyfile.create_secret(path, DAMAGED[name].encode())
    with pytest.raises(DecodeError) as caught:
        open_identity(path, "x")
    assert str(path) in caught.value.message


@pytest.mark.parametrize(
    "change", [{"log_n": 40}, {"log_n": True}, {"kdf": "md5"}, {"salt": "00"}, {"sealed": ""}, {"nonce": None}]
)
def test_a_damaged_seal_is_refused_before_it_costs_memory(path: Path, change: dict[str, object]) -> None:
    load_or_create(path, "one")
    keyfile.replace_secret(path, json.dumps(json.loads(path.read_text()) | change).encode())
    with pytest.raises(DecodeError):
        open_identity(path, "one")


@settings(deadline=None, max_examples=40)
@given(data=st.binary(max_size=200))
def test_any_file_raises_only_our_errors(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    target = tmp_path_factory.mktemp("id") / "identity.key"
    keyfile.create_secret(target, data)
    with pytest.raises(P2pnodeError):
        open_identity(target)


# ---------------------------------------------------------------- 24 words


@given(st.binary(min_size=32, max_size=32))
def test_24_words_bring_the_seed_back(seed: bytes) -> None:
    words = backup_words(seed)
    assert len(words.split()) == 24
    typed = "\n".join(f"{at}. {word.upper()}," for at, word in enumerate(words.split(), 1))
    assert seed_from_words(typed) == seed


def test_known_words_of_bip_39() -> None:
    assert backup_words(bytes(32)) == "abandon " * 23 + "art"
    assert backup_words(b"\xff" * 32) == "zoo " * 23 + "vote"


def test_bad_words_are_named() -> None:
    good = backup_words(bytes(32)).split()
    with pytest.raises(UsageError, match="word 3, 'abandonn'") as caught:
        seed_from_words(" ".join([*good[:2], "abandonn", *good[3:]]))
    assert "abandon" in caught.value.hint
    with pytest.raises(UsageError, match="24 words, not 23"):
        seed_from_words(" ".join(good[:-1]))
    with pytest.raises(UsageError, match="checksum"):
        seed_from_words(" ".join(["zoo", *good[1:]]))


def test_restore_never_overwrites_another_identity_by_accident(path: Path, tmp_path: Path) -> None:
    seed, _ = load_or_create(path)
    words = backup_words(seed)
    other = tmp_path / "other" / "identity.key"
    assert restore(other, words, "lock") is True
    assert open_identity(other, "lock").seed == seed
    assert restore(other, words, "lock") is False
    with pytest.raises(RefusedError, match="another identity"):
        restore(path, backup_words(bytes(32)))
    with pytest.raises(RefusedError, match="cannot be compared"):
        restore(other, words)
    assert open_identity(path).seed == seed
    assert restore(path, backup_words(bytes(32)), replace=True) is True
    assert open_identity(path).seed == bytes(32)
