"""A home out of a backup: everything is checked and made ready beside the home's place, and moved there in one step at the end.

A home that is there is never touched. Called by `p2pnode.backup`; file format: `local.archive`.
"""

from __future__ import annotations

import os
import re
import shutil
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from p2pnode.config import Home
from p2pnode.errors import DecodeError, P2pnodeError, RefusedError, UsageError
from p2pnode.filelock import try_lock
from p2pnode.local.archive import read_archive
from p2pnode.local.identity import check_identity, identity_file, open_identity, plain_host_key
from p2pnode.local.keyfile import create_secret
from p2pnode.store.library_mark import write_mark
from p2pnode.store.snapshot import prepare_copy

PLAIN = ("config.toml", "identity.key", "identity.key.sealed", "host.key.sealed", "node.db")
LIBRARY = "library"
READ_ONLY = 0o444
LOCK = "restoring"
"""In the folder where a home is made ready: whoever makes it holds its lock."""
NOTE = ".p2pnode-restoring"
"""In a library that is being filled: which such folder its works come from."""
LOST_AND_FOUND = "lost+found"
"""What a new disk holds."""
_ANOTHER = "use another backup; without one your 24 words bring the identity back: p2pnode identity restore"
_LIBRARY_LINE = re.compile(r"^[ \t]*library[ \t]*=.*$", re.MULTILINE)


def restore(
    home: Home,
    file: str,
    library: str | None,
    passphrase: str | None,
    *,
    check: bool,
    on_bytes: Callable[[int], None],
) -> dict[str, Any]:
    """Restore the backup `file` as `home`, works into `library` (None: in the home). `check`: only see whether it is whole.

    RefusedError if there is a home already, or the passphrase is wrong; DecodeError if the backup is not whole.
    """
    if check:
        read_archive(os.path.abspath(file), _nowhere, _ignore, on_bytes)
        return {"restored": False}
    _refuse_full(home.path, "a home")
    if library is not None:
        _take_back(Path(library), home.path)
        _refuse_full(Path(library), "a library")
    _sweep(home.path)
    making = Home(home.path.with_name(f".{home.path.name}.restoring-{os.getpid()}"))
    making.path.mkdir(parents=True, mode=0o700)
    lock = os.open(making.path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try_lock(lock)
    try:
        about = read_archive(os.path.abspath(file), lambda name: _place(making, name), _ignore, on_bytes)
        answer = _make_ready(making, library, passphrase)
        _move(making, home, library)
    finally:
        os.close(lock)
        shutil.rmtree(making.path, ignore_errors=True)
    return answer | {
        "restored": True,
        "path": str(home.path),
        "library": library or str(home.library),
        "made": about.get("made"),
    }


def _place(making: Home, name: str) -> str:
    if name in PLAIN or name == LIBRARY or name.startswith(f"{LIBRARY}/"):
        return str(making.path / name)
    raise DecodeError(f"{name[:200]!r} is nothing that a backup holds", hint="a newer p2pnode may have made it")


def _make_ready(making: Home, library: str | None, passphrase: str | None) -> dict[str, Any]:
    """Keys unsealed or kept sealed, settings that point to the works' new place, a database that is fit to run on."""
    sealed, host = making.path / "identity.key.sealed", making.path / "host.key.sealed"
    if making.identity.exists():
        if sealed.exists():
            raise DecodeError("this backup holds two identities", hint=_ANOTHER)
        with _of_the_backup("identity.key"):
            check_identity(making.identity)
    if sealed.exists():
        create_secret(making.identity, identity_file(_open(sealed, passphrase)))
    if host.exists() and (passphrase or sealed.exists()):
        create_secret(making.host_key, plain_host_key(_open(host, passphrase)))
    for path in (sealed, host):
        path.unlink(missing_ok=True)
    if not making.database.exists():
        raise DecodeError("this backup holds no database", hint=_ANOTHER)
    library_was = _point_to(making.config, library)
    making.library.mkdir(exist_ok=True)
    for folder, _, names in os.walk(making.library):
        for name in names:
            os.chmod(os.path.join(folder, name), READ_ONLY)
    if library is not None:
        write_mark(str(making.library), b"")  # the next start takes it as its own
    missing = prepare_copy(str(making.database), lambda path: (making.library / path).exists(), time.time())
    return {
        "works_missing": missing,
        "identity": making.identity.exists(),
        "host_key": making.host_key.exists(),
        "library_was": library_was,
    }


def _open(path: Path, passphrase: str | None) -> bytes:
    if passphrase is None:
        raise UsageError(
            "this backup is locked with a passphrase", hint="give it on a terminal or in P2PNODE_BACKUP_PASSPHRASE"
        )
    with _of_the_backup(path.name):
        try:
            return open_identity(path, passphrase).seed
        except RefusedError as error:
            raise RefusedError("the passphrase does not open this backup", hint=error.hint) from error


@contextmanager
def _of_the_backup(name: str) -> Iterator[None]:
    """What is said of a damaged key names the backup, not the place where it lies for the moment."""
    try:
        yield
    except DecodeError as error:
        why = error.message.rpartition(": ")[2]
        raise DecodeError(f"{name} in this backup is damaged: {why}; nothing was restored", hint=_ANOTHER) from error


def _point_to(config: Path, library: str | None) -> str | None:
    """The setting `library` names the works' place from now on: two nodes on one library would delete each other's works.

    What it was, if it was something else than the default.
    """
    try:
        text = config.read_text(encoding="utf-8") if config.exists() else ""
        was = tomllib.loads(text).get("library") or None
    except (ValueError, RecursionError) as error:  # not UTF-8, or not TOML
        raise DecodeError(f"config.toml in this backup cannot be read: {error}", hint="use another backup") from error
    if was is None and library is None:
        return None
    text = _LIBRARY_LINE.sub("", text)
    if library is not None:
        escaped = library.replace("\\", "\\\\").replace('"', '\\"')
        text = f'library = "{escaped}"\n{text}'
    found = tomllib.loads(text).get("library")
    if found != library:
        raise P2pnodeError("the setting `library` in this backup's config.toml cannot be changed by a program")
    config.write_text(text, encoding="utf-8")
    return str(was) if was else None


def _move(making: Home, home: Home, library: str | None) -> None:
    """First the works, entry by entry, as the library may be another disk; then the home, in one step.

    As long as the note of a restore lies in the library and what it names is there, the home is not: what the library holds is ours.
    """
    target = None if library is None else Path(library)
    if target is not None:
        target.mkdir(parents=True, exist_ok=True)
        (target / NOTE).write_text(str(making.path.absolute()), encoding="utf-8")
        _sync(target)
        for entry in sorted(making.library.iterdir()):
            shutil.move(str(entry), target / entry.name)
        making.library.rmdir()
    if home.path.exists():
        home.path.rmdir()  # empty, as we saw
    os.rename(making.path, home.path)
    _sync(home.path.parent)
    if target is not None:
        (target / NOTE).unlink()
    (home.path / LOCK).unlink()


def _take_back(library: Path, home: Path) -> None:
    """Empty a library that a restore of this home was filling when it was killed: it moved its works there, and nobody else any."""
    try:
        making = Path((library / NOTE).read_text(encoding="utf-8"))
        if making.parent != home.absolute().parent or not making.name.startswith(f".{home.name}.restoring-"):
            return
        lock = os.open(making / LOCK, os.O_RDWR)
    except (OSError, ValueError):
        return
    try:
        if try_lock(lock):
            for entry in [one for one in library.iterdir() if one.name not in (NOTE, LOST_AND_FOUND)]:
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
            (library / NOTE).unlink()
    finally:
        os.close(lock)


def _refuse_full(path: Path, what: str) -> None:
    if path.exists() and (not path.is_dir() or any(entry.name != LOST_AND_FOUND for entry in path.iterdir())):
        raise RefusedError(
            f"{path} is not empty: {what} may be there", hint="give another place; nothing is overwritten"
        )


def _sweep(path: Path) -> None:
    """Remove what a restore that was killed left beside the home; one that runs holds its lock."""
    for stale in path.parent.glob(f".{path.name}.restoring-*"):
        try:
            descriptor = os.open(stale / LOCK, os.O_RDWR)
        except OSError:
            continue
        try:
            if try_lock(descriptor):
                shutil.rmtree(stale, ignore_errors=True)
        finally:
            os.close(descriptor)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _nowhere(name: str) -> None:
    return None


def _ignore(about: dict[str, Any]) -> None:
    return None
