"""A backup whose parts are damaged, though its sums are right: refused with words, and neither a home nor a library appears."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from p2pnode.backup import back_up
from p2pnode.config import Home
from p2pnode.errors import DecodeError, P2pnodeError, StoreError
from p2pnode.local.archive import creating_archive
from p2pnode.local.identity import identity_file, plain_host_key, sealed_file
from p2pnode.restore import restore

DATABASE = gzip.decompress((Path(__file__).parents[1] / "data" / "store-0001.db.gz").read_bytes())
SEED = b"anna".ljust(32)
IDENTITY = identity_file(SEED)
SEALED = sealed_file(SEED, "four brown bears")


def backup_of(folder: Path, **members: bytes) -> str:
    path = str(folder / "a")
    with creating_archive(path, {}) as archive:
        for name, data in members.items():
            archive.add_bytes(name.replace("_", "."), data)
    return path


def refused(folder: Path, passphrase: str | None = None, **members: bytes) -> P2pnodeError:
    """What is said of a backup with these members; nothing may appear beside it."""
    with pytest.raises(P2pnodeError) as error:
        restore(
            Home(folder / "home"),
            backup_of(folder, **members),
            str(folder / "works"),
            passphrase,
            check=False,
            on_bytes=lambda count: None,
        )
    assert [path.name for path in folder.iterdir()] == ["a"]
    assert str(folder) not in error.value.message, "where it lies for the moment is nobody's business"
    return error.value


@pytest.mark.parametrize(
    "identity",
    [
        b"",
        b"\0" * 200,
        IDENTITY[:-20],
        IDENTITY.replace(SEED.hex().encode(), SEED.hex()[:-1].encode() + b"x"),
        IDENTITY.replace(b"p2pnode identity", b"p2pnode host key"),
        plain_host_key(SEED),
        SEALED.replace(b'"scrypt"', b'"screams"'),
        SEALED.replace(b'"log_n": 16', b'"log_n": 99'),
        SEALED[:-40] + b'"}',
    ],
    ids=range(9),
)
def test_an_identity_that_cannot_be_one(tmp_path: Path, identity: bytes) -> None:
    said = refused(tmp_path, identity_key=identity, node_db=DATABASE)
    assert isinstance(said, DecodeError)
    assert said.message.startswith("identity.key in this backup is damaged") and "24 words" in (said.hint or "")


@pytest.mark.parametrize("name", ["identity", "host"])
def test_a_locked_key_that_is_damaged(tmp_path: Path, name: str) -> None:
    members = {"identity_key_sealed": SEALED, "host_key_sealed": SEALED, "node_db": DATABASE}
    said = refused(tmp_path, "four brown bears", **members | {f"{name}_key_sealed": SEALED[:100]})
    assert said.message.startswith(f"{name}.key.sealed in this backup is damaged: it is not JSON")


def test_two_identities_in_one(tmp_path: Path) -> None:
    said = refused(tmp_path, "bears", identity_key=IDENTITY, identity_key_sealed=SEALED, node_db=DATABASE)
    assert "two identities" in said.message


@pytest.mark.parametrize(
    "database", [b"", b"rubbish" * 1000, DATABASE[:4096], DATABASE[: len(DATABASE) // 2]], ids=range(4)
)
def test_a_database_that_is_none(tmp_path: Path, database: bytes) -> None:
    said = refused(tmp_path, identity_key=IDENTITY, node_db=database)
    assert isinstance(said, DecodeError)
    assert said.message.startswith("the database in this backup is damaged: ") and said.hint == "use another backup"


def test_what_is_whole_is_restored(tmp_path: Path) -> None:
    file = backup_of(tmp_path, identity_key=IDENTITY, node_db=DATABASE)
    told = restore(Home(tmp_path / "home"), file, None, None, check=False, on_bytes=lambda count: None)
    assert (told["restored"], told["identity"]) == (True, True)
    assert (tmp_path / "home" / "identity.key").read_bytes() == IDENTITY


@pytest.mark.parametrize("how", ["sealed", "plain"])
def test_no_backup_is_made_of_a_damaged_key_or_an_empty_database(tmp_path: Path, how: str) -> None:
    home = Home(tmp_path / "home")
    home.path.mkdir(mode=0o700)
    home.library.mkdir()
    home.identity.touch(mode=0o600)
    home.database.write_bytes(DATABASE)
    home.identity.write_bytes(IDENTITY.replace(SEED.hex().encode(), b"00"))
    with pytest.raises(DecodeError, match="its seed is not 32 bytes"):
        back_up(home, str(tmp_path / "a"), True, how, "bears", lambda count: None)
    home.identity.write_bytes(IDENTITY)
    home.database.write_bytes(b"")
    with pytest.raises(StoreError, match="no database of a node"):
        back_up(home, str(tmp_path / "a"), True, how, "bears", lambda count: None)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
